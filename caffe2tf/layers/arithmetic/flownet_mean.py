"""Mean: adds or subtracts constants or a mean image, and scales (FlowNet)."""

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
    """A mean image as the initial values of a blob.

    Attributes:
        values: (channels, height, width), float32, of one image or of several along the channels.
        channels: the number of channels of one image.
    """

    values: Array = field(repr=False)
    channels: int

    def fill(self, shape: tuple[int, ...], *, seed: str) -> Array:
        """Return the values of the image, repeated along the channels."""
        del seed
        repeats = -(-shape[0] // len(self.values))
        return np.tile(self.values, (repeats, 1, 1))[: shape[0]]


@register("Mean")
@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Layer, ReadsImages):
    """``y = output_scale * (input_scale * x + mean_scale * m)``, or with ``- mean_scale * m`` for SUBTRACT.

    m is one of these:

    - `value`: channel c has value ``c % n`` of n values; the number of channels must be a multiple of n.
    - `file`, if it is given: a mean image (.binaryproto), found next to the definition. It must have the height and
      width of the bottoms, and is repeated along their channels.

    | parameter (``mean_param``) | default | meaning |
    |---|---|---|
    | operation | required | ADD or SUBTRACT |
    | value | required without `file` | one value for all channels, or several |
    | file | none | a mean image in place of `value` |
    | mean_scale, input_scale, output_scale | 1 | factors of m, of x and of the result |

    Bottoms: one or more, (N, C, H, W). Tops: one for each bottom, of its shape.

    Trained blobs: none.

    Keras weights: with `file` ``mean`` (H, W, C), not trained: m with its factor and sign, so that it is subtracted.

    Deviations: with `file`, all bottoms must have the same number of channels.

    Source: ``src/caffe/layers/mean_layer.cpp`` of github.com/lmb-freiburg/flownet2.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)
    tops: ClassVar[tuple[int, int | None] | PerBottom] = PER_BOTTOM

    offsets: tuple[float, ...] = ()
    file: str = ""
    image: _Image | None = None
    mean_scale: float = 1.0  # factor of the mean image, with the sign of the operation
    input_scale: float
    output_scale: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``mean_param``; values get their sign and factor here."""
        p = proto.message.mean_param
        if not p.HasField("operation"):
            raise LayerError("mean_param.operation is required: ADD or SUBTRACT")
        sign = -1 if p.operation == type(p).SUBTRACT else 1
        if p.HasField("file"):  # takes precedence over values
            signed = sign * p.mean_scale
            return cls(file=p.file, mean_scale=signed, input_scale=p.input_scale, output_scale=p.output_scale)
        if not p.value:
            raise LayerError("mean_param.value is required, once or for each channel, or mean_param.file")
        scale = np.float32(p.mean_scale)
        offsets = tuple(short(float(scale * np.float32(sign * v))) for v in p.value)
        return cls(offsets=offsets, input_scale=p.input_scale, output_scale=p.output_scale)

    def files(self) -> tuple[str, ...]:
        """Return the path of the mean image, if there is one."""
        return (self.file,) if self.file else ()

    def with_files(self, images: Sequence[Array]) -> Self:
        """Return the layer with its mean image; Caffe reads several as one image with the channels of all."""
        values = images[0].reshape(-1, *images[0].shape[-2:])
        return replace(self, image=_Image(values=values, channels=images[0].shape[-3], given=True))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the bottoms, which must fit the values or the mean image."""
        for shape in inputs:
            if len(shape) != 4:
                raise LayerError(f"Mean takes bottoms of 4 axes (N, C, H, W), not {format_shape(shape)}")
            (channels,) = known(shape[1:2], "the channels of a Mean's bottom")
            if self.image is not None:
                self._check_image(self.image, shape)
                continue
            if channels % len(self.offsets):
                raise LayerError(
                    f"the number of channels ({channels}) must be a multiple of the number of mean_param.value "
                    f"({len(self.offsets)})"
                )
        return inputs

    def _check_image(self, image: _Image, shape: Shape) -> None:
        size = known(shape[1:], "the extents of the bottom of a Mean with mean_param.file")
        if size[1:] != image.values.shape[1:] or size[0] % image.channels:
            mean = (image.channels, *image.values.shape[1:])
            raise LayerError(
                f"the bottom must be as high and wide as the mean image {self.file!r}, with a multiple of its "
                f"channels: the bottom is {format_shape(size)}, the image {format_shape(mean)}"
            )

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the mean image, whose values are those of its file."""
        if self.image is None:
            return ()
        if len({shape[1] for shape in inputs}) > 1:
            raise LayerUnsupportedError(
                "with mean_param.file, all bottoms must have the same number of channels; use one layer for each"
            )
        shape = known(inputs[0][1:], "the extents of the bottom of a Mean with mean_param.file")
        return (BlobSpec(name="mean image", shape=shape, filler=self.image),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout if all channels have one value, else use NHWC."""
        layouts = tuple(v.layout if len(set(self.offsets)) == 1 else Layout.channels_last(4) for v in inputs)
        return Arrangement(inputs=layouts, outputs=layouts)

    def emit(self, ctx: Context, *inputs: Value) -> tuple[Expr, ...]:
        """Emit Keras' Rescaling, or a runtime layer for an image; apply `output_scale` last, to round as Caffe does."""
        del ctx
        if self.image is not None:
            return tuple(self._without_image(x) for x in inputs)
        return tuple(self._rescaled(x) for x in inputs)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Return the image times its factor, negated, as (H, W, C)."""
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
