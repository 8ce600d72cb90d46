"""Embed: rows of a trained table, selected by index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras, runtime
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Arrangement, BlobSpec, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Embed"]


@register("Embed")
@dataclass(frozen=True, slots=True, kw_only=True)
class Embed(Layer):
    """``y = W[x] + b``: for each index in x, the row of W with that number.

    Indices are truncated to whole numbers, as in Caffe.

    | parameter (``embed_param``) | default | meaning |
    |---|---|---|
    | num_output | required | number of values in each row |
    | input_dim | required | number of rows |
    | bias_term | true | add a bias |
    | weight_filler, bias_filler | constant 0 | initial values of the trained blobs |

    Bottoms: one, of any shape. Tops: one, with another axis at the end, (..., num_output).

    Trained blobs: weight (input_dim, num_output), bias (num_output).

    Keras weights: ``embeddings`` and ``bias``, of the same shapes.

    Deviations: with an index below 0, or `input_dim` or greater, Caffe reads outside its table. TensorFlow refuses such
    an index on a CPU if the layer has a bias.

    Source: ``src/caffe/layers/embed_layer.cpp``.
    """

    num_output: int
    input_dim: int
    bias: bool
    weight_filler: Filler
    bias_filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``embed_param``."""
        p = proto.message.embed_param
        for name, value in (("num_output", p.num_output), ("input_dim", p.input_dim)):
            if not p.HasField(name):
                raise LayerError(f"embed_param.{name} is required")
            if value < 1:
                raise LayerError(f"embed_param.{name} must be 1 or more, not {value}")
        return cls(
            num_output=p.num_output,
            input_dim=p.input_dim,
            bias=p.bias_term,
            weight_filler=Filler.read(p.weight_filler, given=p.HasField("weight_filler")),
            bias_filler=Filler.read(p.bias_filler, given=p.HasField("bias_filler")),
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom, then `num_output`."""
        return ((*inputs[0], self.num_output),)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the weight, then the bias if there is one."""
        del inputs
        weight = BlobSpec(name="weight", shape=(self.input_dim, self.num_output), filler=self.weight_filler)
        bias = BlobSpec(name="bias", shape=(self.num_output,), filler=self.bias_filler)
        return (weight, bias) if self.bias else (weight,)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout, with the new axis at the end; undo the order of a flattened blob."""
        del outputs
        layout, rank = inputs[0].layout, inputs[0].rank
        if layout.blocks:
            layout = Layout.plain(rank)
        return Arrangement(inputs=(layout,), outputs=(Layout((*layout.axes, rank)),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' Embedding, or a runtime layer if there is a bias, which Keras' layer lacks."""
        del ctx
        if self.bias:
            return runtime("Embed", self.input_dim, self.num_output)(inputs[0])
        return keras("Embedding", self.input_dim, self.num_output)(inputs[0])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Return both blobs unchanged."""
        del ctx
        names = ("embeddings", "bias")
        return {name: blob.weight() for name, blob in zip(names, blobs, strict=False)}
