"""DataAugmentation: FlowNet's crop and mean subtraction, and the source that stands for it in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Expr, keras, runtime, short
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Arrangement, BlobSpec, Context, Layer, ReadsBlobs
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import NodeBlob, Value, computed_weight
from caffe2tf.ir.weight import Array, Weight
from caffe2tf.layers.data.fork_sources import Augmented
from caffe2tf.layers.extents import known
from caffe2tf.layers.four_axes import four_axes, to_four_axes, widened
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["DataAugmentation", "RandomAugmentation"]

_DRAWN = frozenset(
    {
        *("mirror", "translate", "rotate", "zoom", "squeeze", "translate_x", "translate_y"),
        *("gamma", "brightness", "contrast", "color"),
        *("lmult_pow", "lmult_mult", "lmult_add", "sat_pow", "sat_mult", "sat_add", "col_pow", "col_mult", "col_add"),
        *("ladd_pow", "ladd_mult", "ladd_add", "col_rotate"),
        *("fog_amount", "fog_size", "motion_blur_angle", "motion_blur_size"),
        *("shadow_angle", "shadow_distance", "shadow_strength", "noise"),
    }
)
"""Fields that state a distribution of random changes to the images."""

_OTHERS = frozenset(
    {
        *("crop_width", "crop_height", "recompute_mean", "mean_per_pixel", "mean", "augment_during_test"),
        # These have no effect without a distribution; some of them never have any.
        *("max_multiplier", "chromatic_eigvec", "mode", "write_augmented", "write_mean", "bottomwidth"),
        *("bottomheight", "num"),
    }
)

_COEFFICIENTS = 42  # values per image that say how it was moved, turned, brightened ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomAugmentation(Augmented):
    """A DataAugmentation that alters images at random or passes on how it did; its tops are inputs of the network.

    Tops: images (N, C, crop_height, crop_width), or as large as the bottom; and 42 coefficients for each image
    (N, 42, 1, 1). Shapes that the user gives override these.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)
    tops: ClassVar[tuple[int, int | None]] = (1, 2)

    crop: tuple[int, int] | None

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read the size of the crop."""
        return cls(shapes=(None,) * len(proto.tops), names=proto.tops, crop=DataAugmentation.read(proto).crop)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes that are given, else those of Caffe's tops."""
        own = (_cropped_shape(inputs[0], self.crop), (inputs[0][0], _COEFFICIENTS, 1, 1))
        return tuple(given or shape for given, shape in zip(self.shapes, own, strict=False))

    def remarks(self) -> tuple[str, ...]:
        """Return where the network begins."""
        return ("it augments training data, so it is left out and its tops are inputs: feed augmented images",)


def _choose(proto: LayerProto) -> type[Layer]:
    """Choose the source if the layer serves training."""
    try:
        p = proto.extra.block("augmentation_param")
        draws = "crop_width" in p and "crop_height" in p and p.boolean("augment_during_test")
    except LayerError:
        return DataAugmentation  # its `read` reports the error
    several = len(proto.bottoms) > 1 or len(proto.tops) > 1
    return RandomAugmentation if several or (draws and not _DRAWN.isdisjoint(p)) else DataAugmentation


@register("DataAugmentation", choose=_choose)
@dataclass(frozen=True, slots=True, kw_only=True)
class DataAugmentation(Layer, ReadsBlobs):
    """``y = crop(x) - mean``; of FlowNet.

    | parameter (augmentation_param) | default | meaning |
    |---|---|---|
    | crop_width, crop_height | | both: the centre of the image, sampled bilinearly; otherwise the whole image |
    | recompute_mean | 0 | number of batches that training averages the mean over; 0: no trained mean is subtracted |
    | mean_per_pixel | true | whether each pixel has a mean of its own; false: each channel has one |
    | mean | | three values to subtract if recompute_mean is 0 and mean_per_pixel is false; otherwise ignored |
    | augment_during_test | false | whether it alters images at random in TEST, too; only if it crops |
    | mirror, translate, gamma, noise, ... | | distributions of random changes; ignored otherwise |

    Bottom: images of at most 4 axes. Top: (N, C, crop_height, crop_width), or the shape of the bottom with 4 axes.

    Trained blobs, if recompute_mean is not 0: the number of batches averaged (1, 1, 1, 1), the mean of each pixel
    (1, C, H, W), the mean of each channel (1, C, 1, 1). If H and W are not those of this network's images, the pixel
    means of each channel are averaged and subtracted from the whole channel. Keras weight: ``mean``, not trainable.

    If the centre lies between two pixels, Caffe averages them; if an axis is not cropped, it moves the last pixel by
    0.05 (see `BilinearCrop`). Both are reproduced.

    A layer with several bottoms or tops passes on the random changes that it drew, and one with augment_during_test
    draws in TEST: such layers serve training, and their tops are inputs of the network.

    Deviation: a mean that Caffe would go on averaging over the images that it is fed is refused.

    Source: ``src/caffe/layers/data_augmentation_layer.cu`` of github.com/lmb-freiburg/flownet2.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)
    tops: ClassVar[tuple[int, int | None]] = (1, 2)
    reads_unknown: ClassVar[tuple[str, ...]] = ("augmentation_param", "coeff_schedule_param")

    crop: tuple[int, int] | None = None  # height, width
    batches: int = 0
    per_pixel: bool = True
    mean: tuple[float, ...] = ()
    drawn: bool = False
    stored: tuple[int, ...] = ()  # shape of the trained mean of each pixel, if the weight file holds one

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read the parameters; unknown ones are refused."""
        p = proto.extra.block("augmentation_param").only(*_DRAWN, *_OTHERS)
        p.boolean("augment_during_test")  # `_choose` reads it too, and leaves errors to this
        crops = "crop_width" in p and "crop_height" in p
        if crops:
            forbid_in_place(proto)
        crop = p.whole_number("crop_height", 0, least=int(crops)), p.whole_number("crop_width", 0, least=int(crops))
        return cls(
            crop=crop if crops else None,
            batches=p.whole_number("recompute_mean", 0, least=0),
            per_pixel=p.boolean("mean_per_pixel", default=True),
            mean=tuple(short(v) for v in p.numbers("mean")),
            drawn=not _DRAWN.isdisjoint(p),
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the top: four axes, with the size of the crop."""
        shape = _cropped_shape(inputs[0], self.crop)
        if self._values and shape[1] != 3:
            raise LayerError(f"augmentation_param.mean holds 3 values, and the images have {shape[1]} channels, not 3")
        if self.batches and self.per_pixel:
            known(shape[2:], "with mean_per_pixel, the height and width of the images")
        return (shape,)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the number of batches and the means, if training computes them; untrained means are 0."""
        if not self.batches:
            return ()
        (shape,) = self.infer(*inputs)
        (channels,) = known(shape[1:2], "the channels of images whose mean is subtracted")
        places = (1, channels, *(d or 1 for d in shape[2:]))  # 1: unused, because each channel has one mean
        if self.stored[:2] == (1, channels):
            places = self.stored
        return (
            BlobSpec(name="count of batches", shape=(1, 1, 1, 1), filler=Filler(value=self.batches)),
            BlobSpec(name="mean of each pixel", shape=places, filler=Filler()),
            BlobSpec(name="mean of each channel", shape=(1, channels, 1, 1), filler=Filler()),
        )

    def with_blobs(self, shapes: Sequence[tuple[int, ...]]) -> Self:
        """Return the layer with the size of its trained mean: the training images may have had another size."""
        fits = self.batches and len(shapes) == 3 and len(shapes[1]) == 4
        return replace(self, stored=tuple(shapes[1])) if fits else self

    def with_values(self, blobs: Sequence[Array]) -> Self:
        """Return the layer if its mean is final.

        Raises:
            LayerUnsupportedError: Caffe would go on averaging it over the images that it is fed.
        """
        count = float(blobs[0].reshape(-1)[0])
        if count < 1:
            raise LayerUnsupportedError(
                "no mean is stored, so Caffe would use the mean of the images that it is fed; train the network, or "
                "remove augmentation_param.recompute_mean"
            )
        if count < self.batches:
            raise LayerUnsupportedError(
                f"its mean was averaged over {count:g} batches of the {self.batches} that augmentation_param."
                f"recompute_mean asks for, so Caffe would go on averaging over the images that it is fed; set it to "
                f"{count:g} to use the mean as it is"
            )
        return self

    def remarks(self) -> tuple[str, ...]:
        """Return which parameters have no effect."""
        remarks = []
        if self.drawn:
            remarks.append("in training it alters images at random; converted as in phase TEST, where it does not")
        if self.mean and not self._values:
            remarks.append(
                "augmentation_param.mean has no effect, as in Caffe, which uses it only if it has 3 values, "
                "recompute_mean is 0 and mean_per_pixel is false"
            )
        return tuple(remarks)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Return channels last, or the layout that arrives if the layer does nothing."""
        layouts = widened(inputs[0])
        if self.crop or self.batches or self._values:
            layouts = Layout.channels_last(inputs[0].rank), Layout.channels_last(4)
        return Arrangement(inputs=layouts[:1], outputs=layouts[1:])

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit the crop, then the subtraction; the bottom itself if there is neither."""
        (x,), (output,) = inputs, ctx.outputs
        y = self._cropped(to_four_axes(x, x, output), four_axes(x.shape, "DataAugmentation"))
        if self.batches:
            return runtime("SubtractMean", per_pixel=True)(y) if self._by_pixel(output.shape) else _SUBTRACT(y)
        if not self._values:
            return y
        offset = tuple(-v for v in self._values)
        return keras("Rescaling", 1.0, offset=offset[0] if len(set(offset)) == 1 else offset)(y)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Return the mean that is subtracted, channels last."""
        _, places, channels = blobs
        if not self.per_pixel:
            return {"mean": channels.weight(channels.array.reshape(-1))}
        if self._by_pixel(ctx.outputs[0].shape):
            return {"mean": places.weight(places.array[0].transpose(1, 2, 0))}
        mean = places.array.mean(axis=(0, 2, 3), dtype=np.float64).astype(np.float32)
        return {"mean": computed_weight((mean,), mean.shape, recipe="mean of each channel", blobs=(places,))}

    @property
    def _values(self) -> tuple[float, ...]:
        """Return the values of `mean` if they have an effect, else ()."""
        return self.mean if len(self.mean) == 3 and not self.batches and not self.per_pixel else ()

    def _by_pixel(self, shape: Shape) -> bool:
        """Return whether each pixel has its own mean in images of this shape."""
        return self.per_pixel and self.stored[2:] in ((), tuple(shape[2:]))

    def _cropped(self, x: Expr, shape: Shape) -> Expr:
        if self.crop is None:
            return x
        margins = [(d or 0) - part for d, part in zip(shape[2:], self.crop, strict=True)]
        role = "crop" if self.batches or self._values else ""
        moved = (m % 2 or (m == 0 and part > 1) for m, part in zip(margins, self.crop, strict=True))
        if any(moved):
            return runtime("BilinearCrop", *self.crop, role=role)(x)
        return keras("Cropping2D", tuple(m // 2 for m in margins), role=role)(x) if any(margins) else x


_SUBTRACT = runtime("SubtractMean")


def _cropped_shape(shape: Shape, crop: tuple[int, int] | None) -> Shape:
    shape = four_axes(shape, "DataAugmentation")
    if crop is None:
        return shape
    whole = known(shape[2:], "the height and width of images that are cropped")
    if any(part > d for part, d in zip(crop, whole, strict=True)):
        raise LayerError(
            f"augmentation_param.crop_height and crop_width ({format_shape(crop)}) must not be larger than the images "
            f"({format_shape(whole)})"
        )
    return (*shape[:2], *crop)
