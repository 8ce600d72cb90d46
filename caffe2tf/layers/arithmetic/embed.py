"""Embed: rows of a trained table."""

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
    """``y = W[x] + b``: for each index the row of that number, along one more axis behind those of x.

    | parameter | default | meaning |
    |---|---|---|
    | num_output | required | values in each row |
    | input_dim | required | count of rows |
    | bias_term | true | |
    | weight_filler, bias_filler | constant 0 | what fills a blob that was not trained |

    Trained blobs: weight (input_dim, num_output), bias (num_output). Keras weights: ``embeddings`` and ``bias``. An
    index that is no whole number is cut to one, as in Caffe. One below 0 or from input_dim on is undefined in Caffe,
    which reads past its table; TensorFlow refuses it on a CPU where the layer has a bias.
    """

    num_output: int
    input_dim: int
    bias: bool
    weight_filler: Filler
    bias_filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.embed_param
        for name, value in (("num_output", p.num_output), ("input_dim", p.input_dim)):
            if value < 1:
                raise LayerError(f"embed_param.{name} must be given, and 1 or more, not {value}")
        return cls(
            num_output=p.num_output,
            input_dim=p.input_dim,
            bias=p.bias_term,
            weight_filler=Filler.read(p.weight_filler, given=p.HasField("weight_filler")),
            bias_filler=Filler.read(p.bias_filler, given=p.HasField("bias_filler")),
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The bottom's axes, then num_output."""
        return ((*inputs[0], self.num_output),)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Weight and bias."""
        del inputs
        weight = BlobSpec(name="weight", shape=(self.input_dim, self.num_output), filler=self.weight_filler)
        bias = BlobSpec(name="bias", shape=(self.num_output,), filler=self.bias_filler)
        return (weight, bias) if self.bias else (weight,)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order of axes; the new one comes last."""
        del outputs
        layout, rank = inputs[0].layout, inputs[0].rank
        if layout.blocks:
            layout = Layout.plain(rank)
        return Arrangement(inputs=(layout,), outputs=(Layout((*layout.axes, rank)),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' Embedding; the runtime layer Embed where there is a bias."""
        del ctx
        if self.bias:
            return runtime("Embed", self.input_dim, self.num_output)(inputs[0])
        return keras("Embedding", self.input_dim, self.num_output)(inputs[0])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Both as they are."""
        del ctx
        names = ("embeddings", "bias")
        return {name: blob.weight() for name, blob in zip(names, blobs, strict=False)}
