"""InnerProduct: a fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, keras, runtime
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Arrangement, Batch, BlobSpec, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, canonical_axis, count
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Array, Weight
from caffe2tf.layers.extents import values_after
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["InnerProduct"]


@register("InnerProduct")
@dataclass(frozen=True, slots=True, kw_only=True)
class InnerProduct(Layer):
    """``y = W x + b``, where x are all values from `axis` on, in Caffe's order.

    | parameter (``inner_product_param``) | default | meaning |
    |---|---|---|
    | num_output | required | number of outputs |
    | bias_term | true | add a bias |
    | axis | 1 | first axis that is flattened; negative numbers count from the end |
    | transpose | false | the weight is stored as (inputs, num_output) |
    | weight_filler, bias_filler | constant 0 | initial values of the trained blobs |

    Bottoms: one, of any shape. Tops: one, with the axes before `axis`, then `num_output`. With axis 0 the whole batch
    is one vector, and the top has one axis.

    Trained blobs: weight (num_output, inputs), bias (num_output).

    Keras weights: ``kernel`` (inputs, num_output), with its rows in the order in which the tensor holds the inputs;
    ``bias`` (num_output).

    Source: ``src/caffe/layers/inner_product_layer.cpp``.
    """

    num_output: int
    bias: bool
    axis: int
    transpose: bool
    weight_filler: Filler
    bias_filler: Filler
    activation: str | None = None

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``inner_product_param``."""
        p = proto.message.inner_product_param
        if not p.HasField("num_output"):
            raise LayerError("inner_product_param.num_output is required")
        if p.num_output < 1:
            raise LayerError(f"inner_product_param.num_output must be 1 or more, not {p.num_output}")
        return cls(
            num_output=p.num_output,
            bias=p.bias_term,
            axis=p.axis,
            transpose=p.transpose,
            weight_filler=Filler.read(p.weight_filler, given=p.HasField("weight_filler")),
            bias_filler=Filler.read(p.bias_filler, given=p.HasField("bias_filler")),
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the axes before `axis`, then `num_output`."""
        axis = self._axis(inputs[0])
        values_after(inputs[0], axis)
        return ((*inputs[0][:axis], self.num_output),)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the weight, then the bias if there is one."""
        size = values_after(inputs[0], self._axis(inputs[0]))
        shape = (size, self.num_output) if self.transpose else (self.num_output, size)
        weight = BlobSpec(name="weight", shape=shape, filler=self.weight_filler)
        bias = BlobSpec(name="bias", shape=(self.num_output,), filler=self.bias_filler)
        return (weight, bias) if self.bias else (weight,)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the order of the values that are summed; the axes before `axis` must come first, in Caffe's order."""
        layout, axis = inputs[0].layout, self._axis(inputs[0].shape)
        if layout.axes[:axis] != tuple(range(axis)) or (layout.blocks and axis != 1):
            layout = Layout.plain(inputs[0].rank)
        return Arrangement(inputs=(layout,), outputs=(Layout.plain(outputs[0].rank),))

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size if axis 0 is summed over."""
        return Layer.trace_batch(self, batched, inputs, outputs) if self._axis(inputs[0]) > 0 else Batch.FIXED

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' Dense, after a Flatten if several axes are summed over."""
        del ctx
        x, axis = inputs[0], self._axis(inputs[0].shape)
        dense = keras(
            "Dense",
            self.num_output,
            role="product" if axis == 0 else "",
            owns_weights=True,
            activation=self.activation or OMIT,
            use_bias=OMIT if self.bias else False,
        )
        if axis == 0:
            row = dense(runtime("FlattenBatch", role="flatten")(x))
            return runtime("DropBatch")(row)
        if x.rank == axis + 1:
            return dense(x)
        flatten = keras("Flatten", role="flatten") if axis == 1 else runtime("FlattenFrom", axis, role="flatten")
        return dense(flatten(x))

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Transpose the weight to (inputs, num_output), and order its rows as the tensor holds the inputs."""
        x, axis = ctx.inputs[0], self._axis(ctx.inputs[0].shape)
        size = values_after(x.shape, axis)
        w = blobs[0].array
        w = w if self.transpose else w.T
        kernel = blobs[0].joined(_in_tensor_order(w, x, axis), (size, self.num_output))
        return {"kernel": kernel} | ({"bias": blobs[1].weight(shape=(self.num_output,))} if self.bias else {})

    def with_activation(self, name: str) -> Self | None:
        """Return the layer with an activation, which Dense applies, unless it has one."""
        return None if self.activation else replace(self, activation=name)

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """Return one operation for each weight and each position along the axes before `axis`."""
        axis = self._axis(inputs[0])
        return (count(inputs[0][axis:]) or 0) * (count(outputs[0]) or 0)

    def _axis(self, shape: Shape) -> int:
        try:
            return canonical_axis(self.axis, len(shape))
        except ValueError as e:
            raise LayerError(f"inner_product_param.axis: {e}") from None


def _in_tensor_order(w: Array, x: Value, axis: int) -> list[Array]:
    """Return views of ``w`` (inputs in Caffe's order, outputs) whose rows are in the order of the tensor of ``x``."""
    if x.layout.blocks:
        return x.layout.ordered_views(w)
    dims = tuple(d or 0 for d in x.shape[axis:])
    order = tuple(a - axis for a in x.layout.axes[axis:])
    return [w.reshape(*dims, w.shape[1]).transpose(*order, len(dims))]
