"""BatchNorm: normalization of each channel, in some forks with a scale and a bias of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Construct, Expr, keras, runtime, short, unless
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Batch, BlobSpec, Context, Elementwise, ReadsBlobs
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import NodeBlob, Value, computed_weight
from caffe2tf.ir.weight import Array, Weight
from caffe2tf.layers.arithmetic.scale import Scale
from caffe2tf.layers.extents import known
from caffe2tf.layers.normalization.centring import needs_centring
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import BatchNormParameter

__all__ = ["BatchNorm"]

_NVIDIA_EPS: Final = float(np.float32(1e-5))  # cuDNN's minimum

_ORDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("mean", "variance", "factor", "scale", "bias"),
    "0.15": ("scale", "bias", "mean", "variance", "reserved"),
    "0.14": ("scale", "bias", "reserved", "mean", "variance"),
}
"""Trained blobs in the order of the weight file. Keys: versions of NVIDIA's Caffe, "" for any Caffe today."""

_OF_INTEL: Final = ("use_weight_bias", "bias_term", "filler")

_AS_NVIDIA: Final = (
    "its 5 blobs are read as those of NVIDIA's Caffe: mean, variance, unused, scale, bias; the third is 0 but the "
    "statistics are not, so it is not the factor of Intel's Caffe, for which `use_weight_bias: true` must be stated"
)
_AS_INTEL: Final = (
    "its 5 blobs are read as those of Intel's Caffe: mean, variance, factor, scale, bias; NVIDIA's Caffe, which has "
    "only 0 or 1 in place of the factor, does not divide by it; state `scale_bias: true` for NVIDIA's"
)
_ZERO_FACTOR: Final = (
    "its factor is 0 but its mean and variance are not, which cannot come from BVLC's Caffe; as BVLC's Caffe does, "
    "both are taken as 0; if the weights come from NVIDIA's Caffe before November 2017, which stores 0 but uses mean "
    "and variance as they are, state `scale_bias: {stated}` in `batch_norm_param`"
)


@register("BatchNorm")
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorm(Elementwise, ReadsBlobs):
    """``y = (x - mean) / sqrt(variance + eps)`` for each channel (axis 1), in some forks then ``y * scale + bias``.

    The phase and `use_global_stats` decide which mean and variance are used:

    - TEST, `use_global_stats` true: the stored statistics.
    - TEST, `use_global_stats` false: the statistics of the batch at hand; the stored ones are ignored.
    - TRAIN: Keras' BatchNormalization, which uses the statistics of the batch only while it is trained. It is frozen if
      `use_global_stats` is true.

    NVIDIA's fork ignores `use_global_stats`: it uses the stored statistics in TEST, those of the batch in TRAIN. The
    layer is read as NVIDIA's if `scale_bias` (true or false) or `scale_filler` is stated, or if its blobs show it.

    A Scale of one factor per channel that overwrites the top becomes part of the Keras layer. It stays a layer of its
    own if this layer has a scale, ends in a ReLU, uses the statistics of the batch in TEST, or is frozen in TRAIN.

    | parameter (``batch_norm_param``) | default | meaning |
    |---|---|---|
    | use_global_stats | true in TEST, false in TRAIN | use the stored statistics, not those of the batch |
    | moving_average_fraction | 0.999 | weight of the old statistics in training |
    | eps | 1e-5 | added to the variance; NVIDIA's fork takes at least 1e-5 |
    | scale_bias | false | NVIDIA: the layer has a scale and a bias; implied by scale_filler or bias_filler |
    | scale_filler | constant 1 | NVIDIA: initial values of the scale |
    | bias_filler | constant 0 | NVIDIA, Intel: initial values of the bias |
    | use_weight_bias | true | Intel: the layer has a scale and a bias, if its engine supports them |
    | bias_term | true | Intel: the layer has a bias in addition to the scale |
    | filler | constant 1 | Intel: initial values of the scale |
    | relu | false | Intel: end with ``max(y, 0)`` |
    | add_eps_before_sqrt | true | Synopsys: false divides by ``sqrt(variance) + eps`` |

    Bottoms: one, of 2 axes or more, (N, C, ...). Tops: one, of the same shape.

    Trained blobs: mean (C), variance (C), factor (1); in NVIDIA's and Intel's forks also scale (C) and bias (C). Mean
    and variance are stored multiplied by the factor; a factor of 0 means that both are 0. The number of blobs in the
    weight file decides whether the layer has a scale and a bias.

    NVIDIA's fork stores mean and variance as they are. Its third blob (0 before November 2017, then 1) means nothing if
    there are five. If there are three, it is a factor; but a 0 beside other statistics means nothing if
    `scale_bias: false` is stated, and a note says so if it is not. Five blobs are NVIDIA's

    1. if the fields above say it,
    2. if none of `use_weight_bias`, `bias_term` and `filler` is stated and the third blob is 0 beside other statistics,

    and Intel's otherwise. A note says what the values decide. NVIDIA's Caffe 0.14 and 0.15 store the blobs
    in another order; the position of the blob that holds one value reveals it.

    Keras weights: ``gamma`` (C) and ``beta`` (C), if there is a scale and a bias, ``moving_mean`` (C) and
    ``moving_variance`` (C), unless the statistics of the batch are used in TEST.

    Deviations:

    - In training, Keras stores the mean itself, not a sum with its factor. It stores the variance of the batch as it
      is; Caffe corrects it for the number of values.
    - Keras computes ``x * s + (beta - mean * s)``, which loses digits in float32 if a mean is many standard deviations.
      If one is more than 32, a runtime layer subtracts the mean first, as Caffe does. Training keeps Keras' form.

    Source: ``src/caffe/layers/batch_norm_layer.cpp``, also of github.com/NVIDIA/caffe, github.com/intel/caffe and
    github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    global_stats: bool
    training: bool
    momentum: float
    epsilon: float
    eps_outside_root: bool = False
    relu: bool = False
    gamma: bool = False
    beta: bool = False
    own_blobs: int = 3  # number of trained blobs, without those of a Scale that became part of the layer
    blob_order: str = ""
    nvidia: bool = False
    intel: bool = False  # fields say that it is Intel's layer
    ignores_factor: bool = False  # the statistics of three blobs are used as they are
    choice: str = ""  # remark on the values of the blobs
    centred: bool = False  # the mean is subtracted first
    states_scale: bool = False  # the definition says that the layer has a scale; else only its blobs can show that
    scale_filler: Filler = field(default_factory=lambda: Filler(value=1.0))
    bias_filler: Filler = field(default_factory=Filler)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``batch_norm_param``; the phase decides which statistics are used. The blobs must have `lr_mult` 0."""
        p = proto.message.batch_norm_param
        training = proto.training
        nvidia = p.HasField("scale_bias") or p.HasField("scale_filler")
        intel = any(p.HasField(name) for name in _OF_INTEL)
        if any(spec.lr_mult for spec in proto.params[:3]) and not nvidia:
            raise LayerError(
                "the blobs of a BatchNorm are computed, not trained: set `lr_mult: 0` in each `param` (default 1)"
            )
        stated = p.HasField("use_global_stats") and not nvidia
        own = _count_of_blobs(p, nvidia=nvidia, intel=intel)
        return cls(
            global_stats=p.use_global_stats if stated else not training,
            training=training,
            momentum=p.moving_average_fraction,
            epsilon=max(p.eps, _NVIDIA_EPS) if nvidia else p.eps,
            eps_outside_root=not p.add_eps_before_sqrt,
            relu=p.relu,
            gamma=own > 3,
            beta=own > 4,
            own_blobs=own,
            nvidia=nvidia,
            intel=intel and not nvidia,
            states_scale=own > 3,
            scale_filler=_filler(p, "scale_filler" if nvidia else "filler", 1.0),
            bias_filler=_filler(p, "bias_filler", 0.0),
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom, which must have 2 axes or more."""
        if len(inputs[0]) < 2:
            raise LayerError(
                f"the bottom of a BatchNorm must have 2 axes or more; its shape is {format_shape(inputs[0])}"
            )
        return (inputs[0],)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return mean, variance and factor, initially 0, and the layer's scale and bias, in the order of the file."""
        channels = known(inputs[0][1:2], "the channels of a BatchNorm's input")
        fillers = {"scale": self.scale_filler, "bias": self.bias_filler}
        ones = 2 * (1,) if self.blob_order == "0.14" else ()
        return tuple(
            BlobSpec(
                name=name,
                shape=(*ones[:1], *((1,) if name in ("factor", "reserved") else channels), *ones),
                filler=fillers.get(name, Filler()),
            )
            for name in _ORDERS[self.blob_order][: self.own_blobs]
        )

    def with_blobs(self, shapes: Sequence[tuple[int, ...]]) -> BatchNorm:
        """Return the layer with a scale and a bias if the file holds them, and with the order of its blobs."""
        count = len(shapes)
        if not 3 <= count <= 5 or (count < 5 and self.nvidia):
            return self
        single = [math.prod(shape) == 1 for shape in shapes]
        order = ""
        if single == [False, False, False, False, True]:
            order = "0.15"
        elif single == [False, False, True, False, False] and len(shapes[0]) == 4:
            order = "0.14"
        layer = replace(self, own_blobs=count, gamma=count > 3, beta=count > 4, blob_order=order)
        return _as_nvidia(layer) if order else layer

    def with_values(self, blobs: Sequence[Array]) -> BatchNorm:
        """Return the layer as the fork's that its blobs show, with the mean subtracted first if it is large."""
        layer = self._settled(blobs)
        by_name = dict(zip(_ORDERS[layer.blob_order], blobs, strict=False))
        mean, variance = (layer._divided(name, by_name) for name in ("mean", "variance"))  # noqa: SLF001 - same class
        stored = not layer._uses_batch_statistics  # noqa: SLF001 - same class
        return replace(layer, centred=stored and needs_centring(mean, variance, layer.epsilon))

    def _settled(self, blobs: Sequence[Array]) -> BatchNorm:
        """Return the layer as that of the fork that its third blob reveals, with a note on what was chosen."""
        if self.blob_order or (self.nvidia and self.own_blobs == 5):
            return self
        factor = blobs[2].reshape(-1)[0]
        unlikely = factor == 0 and any(blob.any() for blob in blobs[:2])
        if self.nvidia:
            return replace(self, ignores_factor=True) if unlikely else self
        if self.own_blobs == 5 and not self.intel:
            if unlikely:
                return replace(_as_nvidia(self), choice=_AS_NVIDIA)
            return replace(self, choice=_AS_INTEL) if factor not in (0, 1) else self
        if unlikely and not self._uses_batch_statistics:
            return replace(self, choice=_ZERO_FACTOR.format(stated=str(self.own_blobs == 5).lower()))
        return self

    def remarks(self) -> tuple[str, ...]:
        """Return how the blobs are read, if the definition does not say it."""
        if self.choice:
            return (self.choice,)
        if self.own_blobs == 3 or (self.states_scale and not self.blob_order):
            return ()
        whose = f"NVIDIA's Caffe {self.blob_order}" if self.blob_order else "NVIDIA's or Intel's Caffe"
        blobs = ", ".join(_ORDERS[self.blob_order][: self.own_blobs])
        return (f"its {self.own_blobs} blobs are read as those of {whose}: {blobs}",)

    def differs_in_training(self) -> bool:
        """Return whether Caffe normalizes by the statistics of each batch in phase TRAIN."""
        return self.training and not self.global_stats

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size if the statistics of the batch are used in TEST."""
        return (
            Elementwise.trace_batch(self, batched, inputs, outputs) if not self._uses_batch_statistics else Batch.FIXED
        )

    def absorb(self, scale: Scale, shape: Shape) -> BatchNorm | None:
        """Return the layer followed by a Scale as one layer, or None if one Keras layer cannot be both."""
        frozen = self.training and self.global_stats  # Keras would freeze the scale, too
        if self.gamma or self.relu or self._uses_batch_statistics or frozen or not scale.is_per_channel(shape):
            return None
        return replace(self, gamma=True, beta=scale.bias)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' BatchNormalization, or a runtime layer for statistics of the batch at inference."""
        del ctx
        axis = inputs[0].layout.tensor_axis(1)
        along = OMIT if axis == inputs[0].rank - 1 else axis
        if self.relu:
            return keras("ReLU")(self._normalization(along, role="norm")(inputs[0]))
        return self._normalization(along)(inputs[0])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Divide the statistics by their factor; order all vectors as the channels of the tensor."""
        # The blobs of a Scale that became part of the layer follow its own, where the forks store theirs.
        by_name = dict(zip(_ORDERS[self.blob_order], blobs, strict=False))
        layout = ctx.inputs[0].layout
        weights = {}
        for name, blob in (("gamma", "scale"), ("beta", "bias")):
            if self.gamma if name == "gamma" else self.beta:
                vector = by_name[blob].array.reshape(-1)
                weights[name] = by_name[blob].joined(layout.ordered_views(vector), vector.shape)
        if self._uses_batch_statistics:
            return weights
        return weights | {f"moving_{name}": self._statistic(name, by_name, layout) for name in ("mean", "variance")}

    def _statistic(self, name: str, blobs: Mapping[str, NodeBlob], layout: Layout) -> Weight:
        """Return the mean or the variance, divided by the stored factor."""
        used = [blobs[name], blobs["factor"]] if self._divides else [blobs[name]]
        values = self._divided(name, {key: blob.array for key, blob in blobs.items()})
        outside = self.epsilon if self.eps_outside_root and name == "variance" else None
        if outside is not None:  # (sqrt(v) + e)^2 = (v + 2 e sqrt(v)) + e^2, and Keras adds e^2 as its epsilon
            values += np.float32(2 * outside) * np.sqrt(values)
        return computed_weight(
            layout.ordered_views(values),
            values.shape,
            recipe="BatchNorm statistic",
            blobs=used,
            depends=(outside, layout.blocks),
        )

    def _divided(self, name: str, blobs: Mapping[str, Array]) -> npt.NDArray[np.float32]:
        """Return the values of the mean or the variance, in Caffe's order."""
        factor = blobs["factor"].reshape(-1).astype(np.float32)[0] if self._divides else np.float32(1)
        divisor = np.float32(0 if factor == 0 else 1 / factor)
        values: npt.NDArray[np.float32] = blobs[name].reshape(-1).astype(np.float32) * divisor
        return values

    def _normalization(self, axis: int | tuple[str, str], *, role: str = "") -> Construct:
        if self._uses_batch_statistics:
            return runtime(
                "NormalizeBatch",
                axis=axis,
                epsilon=unless(short(self.epsilon), 1e-5),
                outside_root=unless(self.eps_outside_root, default=False),
                scale=unless(self.gamma, default=False),
                center=unless(self.beta, default=False),
                role=role,
                owns_weights=bool(role),
            )
        epsilon = self.epsilon**2 if self.eps_outside_root else self.epsilon
        construct = runtime if self.centred else keras
        return construct(
            "CentredBatchNormalization" if self.centred else "BatchNormalization",
            axis=axis,
            momentum=unless(short(self.momentum), 0.99),
            epsilon=unless(short(epsilon), 1e-3),
            center=OMIT if self.beta else False,
            scale=OMIT if self.gamma else False,
            trainable=False if self.training and self.global_stats else OMIT,
            role=role,
            owns_weights=bool(role),
        )

    @property
    def _divides(self) -> bool:
        """Whether the statistics are divided by a stored factor."""
        return not (self.blob_order or self.ignores_factor or (self.nvidia and self.own_blobs == 5))

    @property
    def _uses_batch_statistics(self) -> bool:
        """Whether the statistics of the batch are used even if nothing is trained."""
        return not (self.global_stats or self.training)


def _as_nvidia(layer: BatchNorm) -> BatchNorm:
    """Return the layer with the rules of NVIDIA's fork."""
    epsilon = max(layer.epsilon, _NVIDIA_EPS)
    return replace(layer, nvidia=True, global_stats=not layer.training, epsilon=epsilon)


def _count_of_blobs(p: BatchNormParameter, *, nvidia: bool, intel: bool) -> int:
    """Return the number of trained blobs in the fork whose fields are given; 3 if no field of a fork is given."""
    if nvidia:
        return 5 if p.scale_bias or p.HasField("scale_filler") or p.HasField("bias_filler") else 3
    if intel:
        return 3 if not p.use_weight_bias else 5 if p.bias_term else 4
    return 5 if p.HasField("bias_filler") else 3


def _filler(p: BatchNormParameter, name: str, value: float) -> Filler:
    return Filler.read(getattr(p, name)) if p.HasField(name) else Filler(value=value)
