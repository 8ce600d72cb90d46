"""Parameter: a trained blob that other layers can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import BlobSpec, Context, Layer, Role
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Parameter"]


@register("Parameter")
@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter(Layer):
    """``y = w``: a trained blob as a blob of the network.

    | parameter (``parameter_param``) | default | meaning |
    |---|---|---|
    | shape | no axes: a scalar | shape of the blob |

    Bottoms: none. Tops: one, of the stated shape.

    Trained blobs: w, of the stated shape; initially 0.

    Keras weights: ``value``, with the axes of w in the order of the tensor.

    Source: ``include/caffe/layers/parameter_layer.hpp``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (0, 0)
    role: ClassVar[Role] = Role.CONSTANT

    shape: tuple[int, ...]

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``parameter_param``; every extent must be 1 or more."""
        shape = tuple(proto.message.parameter_param.shape.dim)
        if any(d < 1 for d in shape):
            raise LayerError(f"every extent of parameter_param.shape must be 1 or more, not {list(shape)}")
        return cls(shape=shape)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the stated shape."""
        del inputs
        return (self.shape,)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the blob itself."""
        del inputs
        return (BlobSpec(name="value", shape=self.shape, filler=Filler()),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer, called on an input of the network, as a Keras layer needs one."""
        del inputs
        if ctx.anchor is None:
            raise LayerUnsupportedError(f"{ctx.name}: a network without inputs cannot become a Keras model")
        return runtime("Parameter", tuple(d or 0 for d in ctx.outputs[0].tensor_shape))(ctx.anchor)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Convert the blob to the layout of the tensor."""
        return {"value": blobs[0].weight(ctx.outputs[0].layout.from_caffe(blobs[0].array))}
