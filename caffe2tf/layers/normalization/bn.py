"""BN: SegNet's and PSPNet's layers of this name, distinguished by their fields or their trained blobs."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Construct, Expr, keras, runtime, short, unless
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Arrangement, Batch, BlobSpec, Context, Layer, ReadsBlobs
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Array, Weight
from caffe2tf.layers.extents import known
from caffe2tf.layers.normalization.centring import needs_centring
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.parse import Parameters
    from caffe2tf.proto.caffe_pb2 import BNParameter

__all__ = ["BN", "Form"]

_SEGNET_EPS: Final = 1e-9
_FIRST_EPS: Final = 1e-10
_FIRST_DECAY: Final = 0.05
_OF_PSPNET: Final = ("slope_filler", "bias_filler", "momentum", "eps", "frozen")
_OF_FIRST_PSPNET: Final = ("moving_average", "decay", "var_eps", "axis")


class Form(enum.Enum):
    """How values are normalized before they are scaled and shifted."""

    NOTHING = "nothing"
    BATCH = "batch"  # by the statistics of the batch
    STORED = "stored"  # by the stored statistics; Keras' BatchNormalization


@register("BN")
@dataclass(frozen=True, slots=True, kw_only=True)
class BN(Layer, ReadsBlobs):
    """``y = a * (x - mean) / sqrt(variance + eps) + b`` for each channel (axis 1), in two layers of the same name.

    SegNet's layer, also in ENet:

    - `bn_mode` LEARN: mean and variance are those of the batch at hand, in TEST as well, and eps is 1e-9.
    - `bn_mode` INFERENCE: ``y = a * x + b``, where a and b already include the statistics.

    PSPNet's layer:

    - In TEST, and in TRAIN if it is frozen: mean and variance are the stored ones.
    - In TRAIN: they are those of the batch. The stored ones become moving averages, for the network in TEST.
    - Its first version uses the statistics of the batch in TEST, too, unless `moving_average` is true.

    The first of these rules that applies decides which layer it is:

    1. `bn_mode` without ``icnet: true``: SegNet's.
    2. `moving_average`, `decay`, `var_eps` or `axis`: PSPNet's first version.
    3. `slope_filler`, `bias_filler`, `momentum`, `eps`, `frozen` or `icnet`: PSPNet's.
    4. Two trained blobs: SegNet's. Four: PSPNet's, in its first version if `scale_filler` or `shift_filler` is given.
    5. SegNet's, in mode LEARN.

    | parameter (``bn_param``) | default | meaning |
    |---|---|---|
    | bn_mode | LEARN | SegNet: LEARN or INFERENCE |
    | scale_filler, shift_filler | constant 0 | SegNet, PSPNet's first version: initial values of a and b |
    | slope_filler, bias_filler | constant 0 | PSPNet: initial values of a and b |
    | momentum | 0.9 | PSPNet: weight of the old statistics in training |
    | eps | 1e-5 | PSPNet: added to the variance |
    | frozen | false | PSPNet: nothing is trained, and the stored statistics are used in TRAIN, too |
    | moving_average | false | PSPNet's first version: TEST uses the stored statistics |
    | decay | 0.05 | PSPNet's first version: weight of the new statistics in training |
    | var_eps | 1e-10 | PSPNet's first version: added to the variance |
    | axis | 1 | PSPNet's first version: the axis of the channels, 1 or 2 |
    | icnet | false | Synopsys: true for PSPNet's layer |

    Bottoms: one, of 2 to 4 axes, (N, C, H, W). Tops: one, of the same shape; SegNet's always has 4 axes, where missing
    ones have extent 1. SegNet's can have two more tops, each (1, C, 1, 1): mean and variance of the batch, without eps;
    zeros in mode INFERENCE.

    Trained blobs, each (1, C, 1, 1): SegNet's a (scale) and b (shift); PSPNet's a (slope), b (bias), mean, variance.

    Keras weights, each (C): ``gamma``, ``beta``, and if they are used or updated ``moving_mean``, ``moving_variance``.

    Deviations: SegNet's Caffe computes the variance as the mean of the squares minus the square of the mean. If the
    mean is large, float32 loses more digits that way than here. PSPNet's stored statistics are used as BatchNorm's are.

    Source: ``src/caffe/layers/bn_layer.cpp`` of github.com/alexgkendall/caffe-segnet, of github.com/hszhao/PSPNet
    (both versions) and of github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, 3)
    reads_unknown: ClassVar[tuple[str, ...]] = ("bn_param",)

    form: Form
    segnet: bool
    decided: bool  # whether fields or blobs say whose layer it is
    training: bool
    frozen: bool = False
    axis: int = 1
    momentum: float = 0.9
    epsilon: float = _SEGNET_EPS
    fillers: tuple[Filler, Filler] = field(default_factory=lambda: (Filler(), Filler()))
    statistics: int = 0  # number of tops after the first
    chosen: str = ""
    centred: bool = False  # the stored mean is subtracted first

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``bn_param`` as that of SegNet's or PSPNet's layer."""
        p = proto.message.bn_param
        training = proto.training
        old = _first_fields(proto)
        pspnet = old.boolean("icnet") or not p.HasField("bn_mode")
        if pspnet and any(name in old for name in _OF_FIRST_PSPNET):
            layer = cls._read_first(p, old, training=training)
        elif pspnet and ("icnet" in old or any(p.HasField(name) for name in _OF_PSPNET)):
            layer = cls._read_pspnet(p, training=training)
        else:
            layer = cls._read_segnet(p, training=training)
        if len(proto.tops) == 1:
            return layer
        if not layer.segnet:
            raise LayerError(f"only SegNet's BN can have more than one top; remove {proto.tops[1]!r}")
        return replace(layer, decided=True, statistics=len(proto.tops) - 1)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom, for SegNet's layer with four axes."""
        rank = len(inputs[0])
        if not max(2, self.axis + 1) <= rank <= 4:
            raise LayerError(
                f"the bottom of a BN must have {'3 or 4' if self.axis == 2 else '2 to 4'} axes; "
                f"its shape is {format_shape(inputs[0])}"
            )
        top = (*inputs[0], *(1,) * (4 - rank)) if self.segnet else inputs[0]
        return (top, *((1, inputs[0][1], 1, 1),) * self.statistics)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return scale and shift, or PSPNet's slope, bias, mean and variance."""
        channels = known(inputs[0][self.axis : self.axis + 1], "the channels of a BN's input")
        shape = (*(1,) * self.axis, *channels, *(1,) * (3 - self.axis))
        names = ("scale", "shift") if self.segnet else ("slope", "bias", "mean", "variance")
        variance = Filler(value=1.0 if self.frozen else 0.0)
        fillers = (*self.fillers, Filler(), variance)
        return tuple(BlobSpec(name=n, shape=shape, filler=f) for n, f in zip(names, fillers, strict=False))

    def with_blobs(self, shapes: Sequence[tuple[int, ...]]) -> BN:
        """Return the layer that the number of blobs reveals, if its fields do not."""
        if self.decided or len(shapes) not in (2, 4):
            return self
        if len(shapes) == 2:
            return replace(self, decided=True)
        if any(f.given for f in self.fillers):
            chosen = (
                "its 4 blobs are read as those of PSPNet's first BN; without `moving_average: true` it does not use "
            )
            return replace(self, segnet=False, epsilon=_FIRST_EPS, chosen=f"{chosen}the stored statistics")
        return replace(
            self,
            form=Form.BATCH if self.training else Form.STORED,
            segnet=False,
            epsilon=1e-5,
            chosen="its 4 blobs are read as those of PSPNet's BN: slope, bias, mean, variance",
        )

    def with_values(self, blobs: Sequence[Array]) -> BN:
        """Return the layer with the stored mean subtracted first if Keras' form would lose digits."""
        if self.form is not Form.STORED:
            return self
        return replace(self, centred=needs_centring(blobs[2], blobs[3], self.epsilon))

    def remarks(self) -> tuple[str, ...]:
        """Return whose layer it is read as, and why."""
        if self.chosen:
            return (self.chosen,)
        if not self.segnet:
            return ("by its fields, this BN is read as PSPNet's",)
        if self.decided or any(f.given for f in self.fillers):
            return ("by its fields or blobs, this BN is read as SegNet's",)
        whose = "no field or blob says whether this BN is SegNet's or PSPNet's; it is read as SegNet's in mode LEARN"
        return (f"{whose}, which normalizes by the statistics of the batch",)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size if the statistics of the batch are tops, or are used in TEST."""
        if self.statistics or (self.form is Form.BATCH and not self.training):
            return Batch.FIXED
        return Layer.trace_batch(self, batched, inputs, outputs)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout, or put the channels last if axes are added."""
        layout = inputs[0].layout
        if inputs[0].rank == outputs[0].rank and (self.axis == 1 or not layout.blocks):
            kept = (layout, layout)
        else:
            kept = (Layout.channels_last(inputs[0].rank), Layout.channels_last(outputs[0].rank))
        return Arrangement(inputs=kept[:1], outputs=(kept[1], *(Layout.channels_last(4),) * self.statistics))

    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """Emit Keras' BatchNormalization for stored statistics, else a runtime layer; one more for each other top."""
        x = inputs[0]
        first = self._first_top(x, ctx.outputs[0])
        if not self.statistics:
            return first
        axis = unless(x.layout.tensor_axis(self.axis), x.rank - 1)
        kinds = ("mean", "variance") if self.form is Form.BATCH else ("zero", "zero")
        others = [
            runtime("BatchStatistic", kind, axis=axis, role=role)(x)
            for kind, role in zip(kinds, ("mean", "variance"), strict=True)
        ]
        return (first, *others[: self.statistics])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Convert the blobs to vectors in the order of the tensor's channels."""
        names = ["gamma", "beta"]
        if not self.segnet and (self.form is Form.STORED or self.training):
            names += ["moving_mean", "moving_variance"]
        layout = ctx.inputs[0].layout
        return {
            name: blob.joined(layout.ordered_views(blob.array.reshape(-1)), (blob.array.size,))
            for name, blob in zip(names, blobs, strict=False)
        }

    def _first_top(self, x: Value, out: Value) -> Expr:
        if x.rank == out.rank:
            return self._layer(x)(x)
        target = tuple(-1 if d is None else d for d in out.tensor_shape[1:])
        return keras("Reshape", target)(self._layer(x, role="norm")(x))

    def _layer(self, x: Value, *, role: str = "") -> Construct:
        tensor_axis = x.layout.tensor_axis(self.axis)
        axis = unless(tensor_axis, x.rank - 1)
        if self.form is Form.NOTHING:
            return runtime("Scale", axis=axis, role=role, owns_weights=bool(role))
        if self.form is Form.BATCH:
            return runtime(
                "NormalizeBatch",
                axis=axis,
                epsilon=short(self.epsilon),
                scale=True,
                center=True,
                momentum=OMIT if self.segnet or not self.training else short(self.momentum),
                role=role,
                owns_weights=bool(role),
            )
        construct = runtime if self.centred else keras
        return construct(
            "CentredBatchNormalization" if self.centred else "BatchNormalization",
            axis=axis,
            momentum=unless(short(self.momentum), 0.99),
            epsilon=unless(short(self.epsilon), 1e-3),
            trainable=False if self.training and self.frozen else OMIT,
            role=role,
            owns_weights=bool(role),
        )

    @classmethod
    def _read_segnet(cls, p: BNParameter, *, training: bool) -> Self:
        return cls(
            form=Form.BATCH if p.bn_mode == type(p).LEARN else Form.NOTHING,
            segnet=True,
            decided=p.HasField("bn_mode"),
            training=training,
            fillers=_fillers(p, "scale_filler", "shift_filler"),
        )

    @classmethod
    def _read_pspnet(cls, p: BNParameter, *, training: bool) -> Self:
        return cls(
            form=Form.BATCH if training and not p.frozen else Form.STORED,
            segnet=False,
            decided=True,
            training=training,
            frozen=p.frozen,
            momentum=p.momentum,
            epsilon=p.eps,
            fillers=_fillers(p, "slope_filler", "bias_filler"),
        )

    @classmethod
    def _read_first(cls, p: BNParameter, old: Parameters, *, training: bool) -> Self:
        stored = old.boolean("moving_average") and not training
        axis = old.whole_number("axis", 1)
        if axis not in (1, 2):
            raise LayerError(f"bn_param.axis must be 1 or 2, not {axis}")
        return cls(
            form=Form.STORED if stored else Form.BATCH,
            segnet=False,
            decided=True,
            training=training,
            axis=axis,
            momentum=1 - old.number("decay", _FIRST_DECAY),
            epsilon=old.number("var_eps", _FIRST_EPS),
            fillers=_fillers(p, "scale_filler", "shift_filler"),
        )


def _first_fields(proto: LayerProto) -> Parameters:
    """Return the fields that only PSPNet's first version and Synopsys' fork have."""
    block = proto.extra.block("bn_param")
    fillers = (name for name in block if name.endswith("_filler"))  # irrelevant for a trained layer
    return block.only(*_OF_FIRST_PSPNET, "icnet", *fillers)


def _fillers(p: BNParameter, *names: str) -> tuple[Filler, Filler]:
    first, second = (Filler.read(getattr(p, name), given=p.HasField(name)) for name in names)
    return first, second
