"""Stubs: placeholders for layers of unknown type, which the user fills in after the conversion."""

from __future__ import annotations

import keyword
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from caffe2tf.ir.expr import Expr, stub
from caffe2tf.ir.layer import BlobSpec, Context, Layer
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Stub"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub(Layer):
    """A layer of unknown type. Its tensors are in Caffe's axis order, its weights are the blobs of the weight file.

    Attributes:
        type: Caffe's name of the type.
        parameters: the fields of its definition, as text.
        given: the shapes of its tops as stated by the user. A top without one is assumed to have the shape of the
            bottom of the same index, or of the last bottom.
        blob_shapes: the shapes of its trained blobs.
    """

    type: str
    parameters: str = ""
    given: tuple[Shape | None, ...] = ()
    blob_shapes: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, proto: LayerProto, given: Sequence[Shape | None]) -> Self:
        """Return the stub for a definition, with the shapes of its tops if the user states them."""
        lines = [line for field in proto.unknown for line in field.text.splitlines()]
        param_str = proto.message.python_param.param_str
        if param_str:
            lines.append(f"param_str: {param_str!r}")
        return cls(type=proto.type or "Untyped", parameters="\n".join(lines), given=tuple(given))

    @property
    def class_name(self) -> str:
        """The class name of the Keras layer: the type itself if that is a valid Python name."""
        name = re.sub(r"\W", "_", self.type, flags=re.ASCII)
        if name == self.type and name.isidentifier() and not keyword.iskeyword(name):
            return name
        return f"Layer_{name}_{zlib.crc32(self.type.encode()):08x}"

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the stated shapes, else those of the bottoms."""
        return tuple(
            shape if shape is not None else inputs[min(i, len(inputs) - 1)] for i, shape in enumerate(self.given)
        )

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return one specification for each blob of the weight file."""
        del inputs
        return tuple(BlobSpec(name=f"blob{i}", shape=shape) for i, shape in enumerate(self.blob_shapes))

    def with_blobs(self, shapes: Sequence[tuple[int, ...]]) -> Self:
        """Return the stub with trained blobs of these shapes."""
        return replace(self, blob_shapes=tuple(shapes))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Return a call of the stub class."""
        del ctx
        return stub(self.class_name)(*inputs)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Return the blobs unchanged."""
        del ctx
        return {f"blob{i}": b.weight() for i, b in enumerate(blobs)}
