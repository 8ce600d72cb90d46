"""The Caffe layer type Gate, which caffe2tf does not know: ``y = x / (1 + exp(-(slope * x + offset)))``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import keras
import tensorflow as tf

from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.weight import Weight
from caffe2tf.layers import BlobSpec, Context, Layer, register, register_runtime

if TYPE_CHECKING:
    from caffe2tf.ir import NodeBlob, Value
    from caffe2tf.parse import LayerDefinition

register_runtime(__file__)  # the Keras layer below is copied beside each model that uses it


@register("Gate")
@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(Layer):
    """What caffe2tf must know of the Caffe layer: its parameters, shapes, trained blobs, and what it becomes."""

    offset: float

    @classmethod
    def read(cls, proto: LayerDefinition) -> Self:
        """``gate_param { offset: 0.5 }``, of which the schema has never heard."""
        return cls(offset=proto.extra.block("gate_param").number("offset", 0.0))

    def infer(self, *inputs: tuple[int | None, ...]) -> tuple[tuple[int | None, ...], ...]:
        """The top has the shape of the bottom."""
        return (inputs[0],)

    def blobs(self, *inputs: tuple[int | None, ...]) -> tuple[BlobSpec, ...]:
        """One slope for each channel."""
        return (BlobSpec(name="slope", shape=(inputs[0][1] or 1,)),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A call of the Keras layer below."""
        return runtime("GateLayer", self.offset)(inputs[0])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """The slopes, as the weight of that name."""
        return {"slope": blobs[0].weight()}


@keras.saving.register_keras_serializable(package="mine")
class GateLayer(keras.layers.Layer):
    """``y = x * sigmoid(slope * x + offset)``, in Caffe's axis order (N, C, H, W), since Gate asks for no other."""

    def __init__(self, offset: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.offset = offset

    def build(self, shape: tuple[int | None, ...]) -> None:
        """One slope for each channel."""
        self.slope = self.add_weight(name="slope", shape=(shape[1],))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any blob with channels, and the same shape out."""
        slope = tf.reshape(self.slope, [-1] + [1] * (len(x.shape) - 2))
        return x * tf.sigmoid(slope * x + self.offset)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "offset": self.offset}
