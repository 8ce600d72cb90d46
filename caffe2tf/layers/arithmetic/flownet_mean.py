"""Mean: adds or subtracts a constant for each channel, with scales before and after (FlowNet)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Expr, keras, runtime, short
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import PER_BOTTOM, Arrangement, BlobSpec, Context, Layer, PerBottom, ReadsImages
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import NodeBlob, Value, computed_weight
from caffe2tf.ir.weight import Array, Weight
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Mean"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Image(Filler):
    """A mean image, which fills a blob.

    Attributes:
        values: (channels, height, width), of one image or of several after each other.
        channels: of one image.
    """

    values: Array = field(repr=False)
    channels: int

    def fill(self, shape: tuple[int, ...], *, seed: str) -> Array:
        """Its values, repeated over the channels."""
        del seed
        repeats = -(-shape[0] // len(self.values))
        return np.tile(self.values, (repeats, 1, 1))[: shape[0]]


@register("Mean")
@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Layer, ReadsImages):
    """``y = output_scale * (input_scale * x + mean_scale * m)``, or ``- mean_scale * m``; a top for each bottom.

    | parameter | default | meaning |
    |---|---|---|
    | operation | required | ADD or SUBTRACT |
    | value | required | m: channel c has value c modulo their count, which the count of channels is a multiple of |
    | mean_scale, input_scale, output_scale | 1 | |
    | file | | a mean image (.binaryproto) in place of `value`, found beside the definition |

    A mean image is as high and wide as the bottoms, and repeated over their channels. It becomes the Keras weight
    ``mean`` (not trained), which the result of ``input_scale * x`` is lessened by.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)
    tops: ClassVar[tuple[int, int | None] | PerBottom] = PER_BOTTOM

    offsets: tuple[float, ...] = ()
    file: str = ""
    image: _Image | None = None
    mean_scale: float = 1.0  # of the image, with the sign of the operation
    input_scale: float
    output_scale: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters; the values with their sign and scale."""
        p = proto.message.mean_param
        if not p.HasField("operation"):
            raise LayerError("mean_param.operation must be given: ADD or SUBTRACT")
        sign = -1 if p.operation == type(p).SUBTRACT else 1
        if p.HasField("file"):  # it goes before values
            signed = sign * p.mean_scale
            return cls(file=p.file, mean_scale=signed, input_scale=p.input_scale, output_scale=p.output_scale)
        if not p.value:
            raise LayerError("mean_param.value must be given, once or for each channel, or mean_param.file")
        scale = np.float32(p.mean_scale)
        offsets = tuple(short(float(scale * np.float32(sign * v))) for v in p.value)
        return cls(offsets=offsets, input_scale=p.input_scale, output_scale=p.output_scale)

    def files(self) -> tuple[str, ...]:
        """The mean image."""
        return (self.file,) if self.file else ()

    def with_files(self, images: Sequence[Array]) -> Self:
        """The layer with its mean image; several are one with the channels of all, as they lie in Caffe's memory."""
        values = images[0].reshape(-1, *images[0].shape[-2:])
        return replace(self, image=_Image(values=values, channels=images[0].shape[-3], given=True))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shapes of the bottoms."""
        for shape in inputs:
            if len(shape) != 4:
                raise LayerError(f"Mean takes bottoms of 4 axes (N, C, H, W), not {format_shape(shape)}")
            (channels,) = known(shape[1:2], "the channels of a Mean's bottom")
            if self.image is not None:
                self._check_image(self.image, shape)
                continue
            if channels % len(self.offsets):
                raise LayerError(
                    f"the channels must be a multiple of the count of mean_param.value: "
                    f"{channels} channels, {len(self.offsets)} values"
                )
        return inputs

    def _check_image(self, image: _Image, shape: Shape) -> None:
        size = known(shape[1:], "the extents of an image whose mean is a file's")
        if size[1:] != image.values.shape[1:] or size[0] % image.channels:
            mean = (image.channels, *image.values.shape[1:])
            raise LayerError(
                f"the bottom must be as high and wide as the mean image {self.file!r}, with a multiple of its "
                f"channels: the bottom is {format_shape(size)}, the image {format_shape(mean)}"
            )

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """The mean image, which its file fills."""
        if self.image is None:
            return ()
        if len({shape[1] for shape in inputs}) > 1:
            raise LayerUnsupportedError(
                "the bottoms of a Mean that reads a file must have equally many channels; use a layer for each"
            )
        shape = known(inputs[0][1:], "the extents of an image whose mean is a file's")
        return (BlobSpec(name="mean image", shape=shape, filler=self.image),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any layout where all channels have one value, else channels last."""
        layouts = tuple(v.layout if len(set(self.offsets)) == 1 else Layout.channels_last(4) for v in inputs)
        return Arrangement(inputs=layouts, outputs=layouts)

    def emit(self, ctx: Context, *inputs: Value) -> tuple[Expr, ...]:
        """Rescaling; a second one for a scale of the result, which is exact where joining both is not."""
        del ctx
        if self.image is not None:
            return tuple(self._without_image(x) for x in inputs)
        return tuple(self._rescaled(x) for x in inputs)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """What is subtracted: the image times its scale, channels last."""
        del ctx
        scale = np.float32(-self.mean_scale)
        mean = (blobs[0].array * scale).transpose(1, 2, 0)
        weight = computed_weight((mean,), mean.shape, recipe="scaled mean image", blobs=blobs, depends=float(scale))
        return {"mean": weight}

    def _without_image(self, x: Expr) -> Expr:
        if self.input_scale != 1:
            x = keras("Rescaling", short(self.input_scale), role="input")(x)
        last = self.output_scale == 1
        y = runtime("SubtractMean", per_pixel=True, role="" if last else "mean", owns_weights=True)(x)
        return y if last else keras("Rescaling", short(self.output_scale))(y)

    def _rescaled(self, x: Value) -> Expr:
        same = len(set(self.offsets)) == 1
        repeats = (x.shape[1] or 0) // len(self.offsets)
        offset = self.offsets[0] if same else self.offsets * repeats
        last = self.output_scale == 1
        y = keras("Rescaling", short(self.input_scale), offset=offset, role="" if last else "mean")(x)
        return y if last else keras("Rescaling", short(self.output_scale))(y)
