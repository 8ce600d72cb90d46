"""BatchNorm: normalisation by stored or own statistics, without scale and offset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, keras, runtime, short, unless
from caffe2tf.ir.graph import NodeBlob, Value
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.weight import Array, Weight
from caffe2tf.layers.base import BlobSpec, Context, Elementwise, known
from caffe2tf.layers.fillers import Filler
from caffe2tf.layers.registry import register
from caffe2tf.layers.scale import Scale

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["BatchNorm"]


@register("BatchNorm")
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorm(Elementwise):
    """``y = (x - mean) / sqrt(variance + eps)`` for each channel (axis 1).

    | parameter | default | meaning |
    |---|---|---|
    | use_global_stats | true in TEST, false in TRAIN | stored statistics, or those of the batch at hand |
    | moving_average_fraction | 0.999 | weight of the old statistics in training |
    | eps | 1e-5 | |

    Trained blobs: mean (channels), variance (channels), factor (1): mean and variance are stored multiplied by the
    factor; a factor of 0 means that both are 0. A Scale that overwrites the top becomes part of the Keras layer.

    In TEST with use_global_stats false, the batch's own statistics are used, and the stored ones are left out. In
    TRAIN the layer is Keras' BatchNormalization, which uses the batch's statistics when it is trained alone, and is
    frozen where use_global_stats is true. In training Keras differs: it stores the mean itself, not a sum with its
    factor, and the variance of the batch as it is, where Caffe corrects it for the count of values.

    Keras computes ``x * s + (beta - mean * s)``: where a mean is hundreds of times the deviation, float32 loses more
    digits that way than in Caffe's form.
    """

    global_stats: bool
    training: bool
    momentum: float
    epsilon: float
    gamma: bool = False
    beta: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters; which statistics are used depends on the phase. None of the blobs may learn."""
        p = proto.message.batch_norm_param
        training = proto.message.phase == 0
        if any(spec.lr_mult for spec in proto.message.param[:3]):
            raise LayerError(
                "a BatchNorm's blobs are computed, not learnt: each `param` must have `lr_mult: 0` (the default is 1)"
            )
        return cls(
            global_stats=p.use_global_stats if p.HasField("use_global_stats") else not training,
            training=training,
            momentum=p.moving_average_fraction,
            epsilon=p.eps,
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of the bottom."""
        if len(inputs[0]) < 2:
            raise LayerError(f"the bottom of a BatchNorm must have 2 axes or more, not {format_shape(inputs[0])}")
        return (inputs[0],)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Mean, variance and factor: zeros before any training."""
        channels = known(inputs[0][1:2], "the channels of a BatchNorm's input")
        return (
            BlobSpec(name="mean", shape=channels, filler=Filler()),
            BlobSpec(name="variance", shape=channels, filler=Filler()),
            BlobSpec(name="factor", shape=(1,), filler=Filler()),
        )

    def keeps_batch(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> bool:
        """Not where the batch's own statistics are used."""
        return not self._of_the_batch and Elementwise.keeps_batch(self, inputs, outputs)

    def absorb(self, scale: Scale, shape: Shape) -> BatchNorm | None:
        """This layer followed by ``scale``, or None where one Keras layer cannot be both."""
        frozen = self.training and self.global_stats  # Keras would freeze the scale too
        if self.gamma or self._of_the_batch or frozen or not scale.is_per_channel(shape):
            return None
        return replace(self, gamma=True, beta=scale.bias)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """BatchNormalization along the tensor's channel axis."""
        del ctx
        x = inputs[0]
        axis = x.layout.tensor_axis(1)
        along = OMIT if axis == x.rank - 1 else axis
        if self._of_the_batch:
            return runtime("NormalizeBatch", axis=along, epsilon=unless(short(self.epsilon), 1e-5))(x)
        return keras(
            "BatchNormalization",
            axis=along,
            momentum=unless(short(self.momentum), 0.99),
            epsilon=unless(short(self.epsilon), 1e-3),
            center=OMIT if self.beta else False,
            scale=OMIT if self.gamma else False,
            trainable=False if self.training and self.global_stats else OMIT,
        )(x)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Statistics divided by their factor, in the order in which the channels arrive."""
        if self._of_the_batch:
            return {}
        mean, variance, factor = (b.array.reshape(-1).astype(np.float32) for b in blobs[:3])
        divisor = np.float32(0 if factor[0] == 0 else 1 / factor[0])
        layout = ctx.inputs[0].layout

        def ordered(a: Array) -> Weight:
            return Weight.of(a[layout.indices()] if layout.blocks else a)

        weights = {}
        if self.gamma:
            weights["gamma"] = ordered(blobs[3].array.reshape(-1))
        if self.beta:
            weights["beta"] = ordered(blobs[4].array.reshape(-1))
        return weights | {"moving_mean": ordered(mean * divisor), "moving_variance": ordered(variance * divisor)}

    @property
    def _of_the_batch(self) -> bool:
        """Whether the batch's own statistics are used even when nothing is trained."""
        return not (self.global_stats or self.training)
