"""Sources: layers whose tops are inputs of the converted network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.diagnostics import Hint
from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr
from caffe2tf.ir.layer import Context, Layer, Role
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.ir.weight import Array
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Input", "Source", "check_extents"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Layer):
    """A layer whose tops come from outside the network.

    Attributes:
        shapes: shape of each top; None if the definition does not state it.
        names: blob names of the tops.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (0, 0)
    tops: ClassVar[tuple[int, int | None]] = (1, None)
    role: ClassVar[Role] = Role.SOURCE

    shapes: tuple[Shape | None, ...]
    names: tuple[str, ...] = ()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the tops; raise LayerError if one is unknown."""
        del inputs
        names = self.names or ("NAME",) * len(self.shapes)
        unknown = [name for name, shape in zip(names, self.shapes, strict=True) if shape is None]
        if unknown:
            listed = ", ".join(map(repr, unknown))
            message = f"the definition does not state the shape of {listed}"
            raise LayerError(message, hint=Hint.INPUT_SHAPE, about=unknown)
        return tuple(s for s in self.shapes if s is not None)

    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """Emit nothing: inputs are declared at the head of the emitted function."""
        del ctx, inputs
        return ()

    def with_shapes(self, given: Sequence[Shape | None]) -> Self:
        """Return the layer with the given shapes, one for each top; None leaves a top as it is."""
        return replace(self, shapes=tuple(g or s for g, s in zip(given, self.shapes, strict=True)))

    def default(self, top: int, shape: tuple[int, ...]) -> Array | None:
        """Return the values that the layer itself puts into a top, or None if the data comes from outside.

        Args:
            top: index of the top.
            shape: shape of the array to return, in Caffe's axes.
        """
        del top, shape
        return None


@register("Input")
@dataclass(frozen=True, slots=True, kw_only=True)
class Input(Source):
    """An input of the network, which the calling program fills.

    | parameter (input_param) | default | meaning |
    |---|---|---|
    | shape | | the shape of every top, or one shape for each top; if absent, give the shapes |

    Tops: any number, of the stated shapes.

    Deviation: extents must be at least 1; Caffe also takes 0.

    Source: ``src/caffe/layers/input_layer.cpp``.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read one shape for all tops, or one for each; every extent is positive."""
        shapes = [tuple(s.dim) for s in proto.message.input_param.shape]
        tops = len(proto.tops)
        if len(shapes) not in (0, 1, tops):
            raise LayerError(f"input_param.shape must be given once, or once for each of the {tops} tops")
        check_extents("input_param.shape", shapes)
        one_each: tuple[Shape | None, ...] = tuple(shapes * tops if len(shapes) == 1 else shapes) or (None,) * tops
        return cls(shapes=one_each, names=proto.tops)


def check_extents(what: str, shapes: Sequence[Sequence[int]]) -> None:
    """Raise LayerError if an extent is less than 1; ``what`` names the shapes in the message."""
    for shape in shapes:
        if any(d < 1 for d in shape):
            raise LayerError(f"every extent of {what} must be 1 or more, not {format_shape(shape)}")
