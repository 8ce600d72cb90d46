"""A plugin for the Caffe layer type Gate: ``y = x / (1 + exp(-(slope * x + offset)))``."""

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

register_runtime(__file__)  # GateLayer below is copied next to each model that uses it


@register("Gate")
@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(Layer):
    """The Caffe layer: its parameters, shapes, trained blobs and the Keras layer that it becomes.

    Attributes:
        offset: The value that is added before the sigmoid.
    """

    offset: float

    @classmethod
    def read(cls, proto: LayerDefinition) -> Self:
        """Read ``gate_param { offset: 0.5 }``, which the schema does not know."""
        return cls(offset=proto.extra.block("gate_param").number("offset", 0.0))

    def infer(self, *inputs: tuple[int | None, ...]) -> tuple[tuple[int | None, ...], ...]:
        """Return the shape of the top: that of the bottom."""
        return (inputs[0],)

    def blobs(self, *inputs: tuple[int | None, ...]) -> tuple[BlobSpec, ...]:
        """Return the form of the trained blobs: one slope per channel."""
        return (BlobSpec(name="slope", shape=(inputs[0][1] or 1,)),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Return a call of `GateLayer`."""
        return runtime("GateLayer", self.offset)(inputs[0])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Return the blob as the weight ``slope``."""
        return {"slope": blobs[0].weight()}


@keras.saving.register_keras_serializable(package="mine")
class GateLayer(keras.layers.Layer):
    """Computes ``y = x * sigmoid(slope * x + offset)``.

    The axes are Caffe's (N, C, H, W), because `Gate` requests no other layout.
    """

    def __init__(self, offset: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.offset = offset

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create one slope per channel."""
        self.slope = self.add_weight(name="slope", shape=(shape[1],))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return a tensor of the shape of ``x``, which has its channels on axis 1."""
        slope = tf.reshape(self.slope, [-1] + [1] * (len(x.shape) - 2))
        return x * tf.sigmoid(slope * x + self.offset)

    def get_config(self) -> dict[str, object]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "offset": self.offset}
