"""Mean: adds or subtracts a constant for each channel, with scales before and after (FlowNet)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Expr, keras, short
from caffe2tf.ir.graph import Value
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.layers.base import Arrangement, Context, Layer, known
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Mean"]


@register("Mean")
@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Layer):
    """``y = output_scale * (input_scale * x + mean_scale * m)``, or ``- mean_scale * m``; a top for each bottom.

    | parameter | default | meaning |
    |---|---|---|
    | operation | required | ADD or SUBTRACT |
    | value | required | m: channel c has value c modulo their count, which the count of channels is a multiple of |
    | mean_scale, input_scale, output_scale | 1 | |
    | file | | a mean image in place of `value`: not supported |
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)
    tops: ClassVar[tuple[int, int | None]] = (1, None)
    paired: ClassVar[bool] = True

    offsets: tuple[float, ...]
    input_scale: float
    output_scale: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters; the values with their sign and scale."""
        p = proto.message.mean_param
        if not p.HasField("operation"):
            raise LayerError("mean_param.operation must be given: ADD or SUBTRACT")
        if p.HasField("file"):
            raise LayerUnsupportedError(
                f"mean_param.file: the mean image {p.file!r} is no part of the weights and is not read; give "
                "mean_param.value for each channel, or subtract the image from what the network is fed"
            )
        if not p.value:
            raise LayerError("mean_param.value must be given, once or for each channel")
        sign = -1 if p.operation == type(p).SUBTRACT else 1
        scale = np.float32(p.mean_scale)
        offsets = tuple(short(float(scale * np.float32(sign * v))) for v in p.value)
        return cls(offsets=offsets, input_scale=p.input_scale, output_scale=p.output_scale)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shapes of the bottoms."""
        for shape in inputs:
            if len(shape) != 4:
                raise LayerError(f"Mean takes bottoms of 4 axes (N, C, H, W), not {format_shape(shape)}")
            (channels,) = known(shape[1:2], "the channels of a Mean's bottom")
            if channels % len(self.offsets):
                raise LayerError(
                    f"the channels must be a multiple of the count of mean_param.value: "
                    f"{channels} channels, {len(self.offsets)} values"
                )
        return inputs

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any layout where all channels have one value, else channels last."""
        layouts = tuple(v.layout if len(set(self.offsets)) == 1 else Layout.channels_last(4) for v in inputs)
        return Arrangement(inputs=layouts, outputs=layouts)

    def emit(self, ctx: Context, *inputs: Value) -> tuple[Expr, ...]:
        """Rescaling; a second one for a scale of the result, which is exact where joining both is not."""
        del ctx
        return tuple(self._rescaled(x) for x in inputs)

    def _rescaled(self, x: Value) -> Expr:
        same = len(set(self.offsets)) == 1
        repeats = (x.shape[1] or 0) // len(self.offsets)
        offset = self.offsets[0] if same else self.offsets * repeats
        last = self.output_scale == 1
        y = keras("Rescaling", short(self.input_scale), offset=offset, role="" if last else "mean")(x)
        return y if last else keras("Rescaling", short(self.output_scale))(y)
