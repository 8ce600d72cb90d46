"""BatchNorm: normalisation by stored or own statistics, in some forks with a scale and an offset."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Construct, Expr, keras, runtime, short, unless
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Batch, BlobSpec, Context, Elementwise
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import NodeBlob, Value, computed_weight
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.arithmetic.scale import Scale
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import BatchNormParameter

__all__ = ["BatchNorm"]

_NVIDIA_EPS: Final = float(np.float32(1e-5))  # the least that cuDNN takes

_ORDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("mean", "variance", "factor", "scale", "bias"),
    "0.15": ("scale", "bias", "mean", "variance", "reserved"),
    "0.14": ("scale", "bias", "reserved", "mean", "variance"),
}
"""The trained blobs in the order of the file: of all Caffes today, and of two old ones of NVIDIA's."""


@register("BatchNorm")
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorm(Elementwise):
    """``y = (x - mean) / sqrt(variance + eps)`` for each channel (axis 1); in some forks ``y * scale + bias`` of that.

    | parameter | default | meaning |
    |---|---|---|
    | use_global_stats | true in TEST, false in TRAIN | stored statistics, or those of the batch at hand |
    | moving_average_fraction | 0.999 | weight of the old statistics in training |
    | eps | 1e-5 | NVIDIA's fork takes at least 1e-5 |
    | scale_bias | false | NVIDIA: scale and bias are part of the layer; so they are with scale_filler or bias_filler |
    | scale_filler | constant 1 | NVIDIA: what fills an untrained scale |
    | bias_filler | constant 0 | NVIDIA, Intel: what fills an untrained bias |
    | use_weight_bias | true | Intel: scale and bias are part of the layer, with the engines that know it |
    | bias_term | true | Intel: whether there is a bias beside the scale |
    | filler | constant 1 | Intel: what fills an untrained scale |
    | relu | false | Intel: ``max(y, 0)`` at the end |
    | add_eps_before_sqrt | true | Synopsys: false divides by ``sqrt(variance) + eps`` |

    Trained blobs: mean (channels), variance (channels), factor (1): mean and variance are stored multiplied by the
    factor; a factor of 0 means that both are 0. A Scale that overwrites the top becomes part of the Keras layer.
    In NVIDIA's and Intel's forks scale (channels) and bias (channels) follow. How many blobs the weight file holds
    decides; NVIDIA's Caffe 0.14 and 0.15 stored them in another order, which is told by where the blob of one value
    stands.

    In TEST with use_global_stats false, the batch's own statistics are used, and the stored ones are left out; NVIDIA's
    fork looks at the phase alone. In TRAIN the layer is Keras' BatchNormalization, which uses the batch's statistics
    when it is trained alone, and is frozen where use_global_stats is true. In training Keras differs: it stores the
    mean itself, not a sum with its factor, and the variance of the batch as it is, where Caffe corrects it for the
    count of values.

    Keras computes ``x * s + (beta - mean * s)``: where a mean is hundreds of times the deviation, float32 loses more
    digits that way than in Caffe's form.
    """

    global_stats: bool
    training: bool
    momentum: float
    epsilon: float
    eps_outside_root: bool = False
    relu: bool = False
    gamma: bool = False
    beta: bool = False
    own_blobs: int = 3  # gamma and beta may come from a Scale, too
    blob_order: str = ""
    nvidia: bool = False
    told: bool = False  # that it has a scale of its own; else its blobs have shown that
    scale_filler: Filler = field(default_factory=lambda: Filler(value=1.0))
    bias_filler: Filler = field(default_factory=Filler)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters; which statistics are used depends on the phase. None of the blobs may learn."""
        p = proto.message.batch_norm_param
        training = proto.training
        nvidia = p.scale_bias or p.HasField("scale_filler")
        if any(spec.lr_mult for spec in proto.params[:3]) and not nvidia:
            raise LayerError(
                "a BatchNorm's blobs are computed, not learnt: each `param` must have `lr_mult: 0` (the default is 1)"
            )
        stated = p.HasField("use_global_stats") and not nvidia
        own = _count_of_blobs(p, nvidia=nvidia)
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
            told=own > 3,
            scale_filler=_filler(p, "scale_filler" if nvidia else "filler", 1.0),
            bias_filler=_filler(p, "bias_filler", 0.0),
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of the bottom."""
        if len(inputs[0]) < 2:
            raise LayerError(f"the bottom of a BatchNorm must have 2 axes or more, not {format_shape(inputs[0])}")
        return (inputs[0],)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Mean, variance and factor, zeros before any training; scale and bias where they are its own."""
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
        """With a scale and a bias of its own where the file has them, in the order in which it has them."""
        count = len(shapes)
        if not 3 <= count <= 5 or (count < 5 and self.nvidia):
            return self
        single = [math.prod(shape) == 1 for shape in shapes]
        order = ""
        if single == [False, False, False, False, True]:
            order = "0.15"
        elif single == [False, False, True, False, False] and len(shapes[0]) == 4:
            order = "0.14"
        nvidia = self.nvidia or bool(order)
        return replace(
            self,
            own_blobs=count,
            gamma=count > 3,
            beta=count > 4,
            blob_order=order,
            nvidia=nvidia,
            global_stats=not self.training if nvidia else self.global_stats,
            epsilon=max(self.epsilon, _NVIDIA_EPS) if nvidia else self.epsilon,
        )

    def remarks(self) -> tuple[str, ...]:
        """What its blobs are, where they alone tell."""
        if self.own_blobs == 3 or (self.told and not self.blob_order):
            return ()
        whose = f"NVIDIA's Caffe {self.blob_order}" if self.blob_order else "NVIDIA's or Intel's Caffe"
        blobs = ", ".join(_ORDERS[self.blob_order][: self.own_blobs])
        return (f"its {self.own_blobs} blobs are read as those of {whose}: {blobs}",)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Not where the batch's own statistics are used."""
        return Elementwise.trace_batch(self, batched, inputs, outputs) if not self._of_the_batch else Batch.FIXED

    def absorb(self, scale: Scale, shape: Shape) -> BatchNorm | None:
        """This layer followed by ``scale``, or None where one Keras layer cannot be both."""
        frozen = self.training and self.global_stats  # Keras would freeze the scale too
        if self.gamma or self.relu or self._of_the_batch or frozen or not scale.is_per_channel(shape):
            return None
        return replace(self, gamma=True, beta=scale.bias)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """BatchNormalization along the tensor's channel axis."""
        del ctx
        axis = inputs[0].layout.tensor_axis(1)
        along = OMIT if axis == inputs[0].rank - 1 else axis
        if self.relu:
            return keras("ReLU")(self._normalization(along, role="norm")(inputs[0]))
        return self._normalization(along)(inputs[0])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Statistics divided by their factor, in the order in which the channels arrive."""
        # A Scale that was absorbed has brought its blobs, which then stand where the forks have theirs.
        by_name = dict(zip(_ORDERS[self.blob_order], blobs, strict=False))
        layout = ctx.inputs[0].layout
        weights = {}
        for name, blob in (("gamma", "scale"), ("beta", "bias")):
            if self.gamma if name == "gamma" else self.beta:
                vector = by_name[blob].array.reshape(-1)
                weights[name] = by_name[blob].joined(layout.ordered_views(vector), vector.shape)
        if self._of_the_batch:
            return weights
        return weights | {f"moving_{name}": self._statistic(name, by_name, layout) for name in ("mean", "variance")}

    def _statistic(self, name: str, blobs: Mapping[str, NodeBlob], layout: Layout) -> Weight:
        """The mean or the variance, divided by the factor that Caffe stores it with."""
        # Of NVIDIA's old blobs, the one in the factor's place means nothing.
        used = [blobs[n] for n in (name, "factor") if n in blobs]
        factor = used[1].array.reshape(-1).astype(np.float32)[0] if len(used) > 1 else np.float32(1)
        divisor = np.float32(0 if factor == 0 else 1 / factor)
        values = used[0].array.reshape(-1).astype(np.float32) * divisor
        outside = self.epsilon if self.eps_outside_root and name == "variance" else None
        if outside is not None:  # (sqrt(v) + e)^2 = (v + 2 e sqrt(v)) + e^2, and Keras adds the last
            values += np.float32(2 * outside) * np.sqrt(values)
        return computed_weight(
            layout.ordered_views(values),
            values.shape,
            recipe="BatchNorm statistic",
            blobs=used,
            depends=(outside, layout.blocks),
        )

    def _normalization(self, axis: int | tuple[str, str], *, role: str = "") -> Construct:
        if self._of_the_batch:
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
        return keras(
            "BatchNormalization",
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
    def _of_the_batch(self) -> bool:
        """Whether the batch's own statistics are used even when nothing is trained."""
        return not (self.global_stats or self.training)


def _count_of_blobs(p: BatchNormParameter, *, nvidia: bool) -> int:
    """How many trained blobs the fork has whose fields are given; 3 where there are none of a fork."""
    intel = any(p.HasField(name) for name in ("use_weight_bias", "bias_term", "filler"))
    if nvidia or (p.HasField("bias_filler") and not intel):
        return 5
    if intel and p.use_weight_bias:
        return 5 if p.bias_term else 4
    return 3


def _filler(p: BatchNormParameter, name: str, value: float) -> Filler:
    return Filler.read(getattr(p, name)) if p.HasField(name) else Filler(value=value)
