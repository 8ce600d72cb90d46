"""DataAugmentation: what FlowNet does to its images; in a network for use, it subtracts their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Expr, keras, runtime, short
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Arrangement, BlobSpec, Context, Layer
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
"""The fields that state a distribution to draw from."""

_OTHERS = frozenset(
    {
        *("crop_width", "crop_height", "recompute_mean", "mean_per_pixel", "mean", "augment_during_test"),
        # Without a distribution to draw from, these mean nothing; some mean nothing in any case.
        *("max_multiplier", "chromatic_eigvec", "mode", "write_augmented", "write_mean", "bottomwidth"),
        *("bottomheight", "num"),
    }
)

_COEFFICIENTS = 42  # that Caffe has for an image: how far it is moved, turned, brightened ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomAugmentation(Augmented):
    """A DataAugmentation that alters its images at random, or hands on how it did: as `Augmented`, but for the shapes.

    These it tells itself: images of the size of the crop, and 42 numbers for each image.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)
    tops: ClassVar[tuple[int, int | None]] = (1, 2)

    crop: tuple[int, int] | None

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The size of the crop."""
        return cls(shapes=(None,) * len(proto.tops), names=proto.tops, crop=DataAugmentation.read(proto).crop)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shapes it was given, else those of Caffe's tops."""
        own = (_cropped_shape(inputs[0], self.crop), (inputs[0][0], _COEFFICIENTS, 1, 1))
        return tuple(given or shape for given, shape in zip(self.shapes, own, strict=False))

    def remarks(self) -> tuple[str, ...]:
        """Where the network begins."""
        return ("it augments training data, and is left out: its tops are inputs; feed what it would give",)


def _choose(proto: LayerProto) -> type[Layer]:
    """Choose the source where the layer serves training."""
    try:
        p = proto.extra.block("augmentation_param")
        draws = "crop_width" in p and "crop_height" in p and p.boolean("augment_during_test")
    except LayerError:
        return DataAugmentation  # which reports it
    several = len(proto.bottoms) > 1 or len(proto.tops) > 1
    return RandomAugmentation if several or (draws and not _DRAWN.isdisjoint(p)) else DataAugmentation


@register("DataAugmentation", choose=_choose)
@dataclass(frozen=True, slots=True, kw_only=True)
class DataAugmentation(Layer):
    """``y = crop(x) - mean``; of FlowNet.

    | parameter (augmentation_param) | default | meaning |
    |---|---|---|
    | crop_width, crop_height | | both: the middle of the image, sampled bilinearly; otherwise the whole image |
    | recompute_mean | 0 | over how many batches training took the mean; 0: no trained mean is subtracted |
    | mean_per_pixel | true | whether each place has a mean of its own, or each channel one |
    | mean | | three values to subtract, with recompute_mean 0 and mean_per_pixel false; otherwise of no effect |
    | augment_during_test | false | whether it alters images at random in TEST, too; it does so only where it crops |
    | mirror, translate, gamma, noise, ... | | distributions to draw from; of no effect otherwise |

    Trained blobs, where recompute_mean is not 0: the count of batches averaged (1, 1, 1, 1), the mean of each place
    (1, C, H, W), the mean of each channel (1, C, 1, 1). If the images were of another size than those of this
    network, the mean of a channel over all places stands for each of them. Keras weight: ``mean``, not trained.

    Where the middle lies between two values, Caffe takes their mean; where a side is not cropped, it moves the last
    place by 0.05 (see `BilinearCrop`). Both are kept.

    A layer of several bottoms or tops passes on what it has drawn: that is training, and so is one that draws in
    TEST. Their tops are inputs of the network. A mean that Caffe would still be averaging over what it is fed is
    refused.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)
    tops: ClassVar[tuple[int, int | None]] = (1, 2)
    reads_unknown: ClassVar[tuple[str, ...]] = ("augmentation_param", "coeff_schedule_param")

    crop: tuple[int, int] | None = None  # height, width
    batches: int = 0
    per_pixel: bool = True
    mean: tuple[float, ...] = ()
    drawn: bool = False
    stored: tuple[int, ...] = ()  # the shape of the trained mean of each place, where it is of another size

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters; those that are not Caffe's are refused."""
        p = proto.extra.block("augmentation_param").only(*_DRAWN, *_OTHERS)
        p.boolean("augment_during_test")  # `_choose` has used it, and leaves errors to this
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
        """Four axes; the size of the crop."""
        shape = _cropped_shape(inputs[0], self.crop)
        if self._values and shape[1] != 3:
            raise LayerError(f"augmentation_param.mean holds 3 values, and the images have {shape[1]} channels, not 3")
        if self.batches and self.per_pixel:
            known(shape[2:], "with mean_per_pixel, the height and width of the images")
        return (shape,)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Count and means, where they are computed in training; without trained ones, they are taken to be 0."""
        if not self.batches:
            return ()
        (shape,) = self.infer(*inputs)
        (channels,) = known(shape[1:2], "the channels of images whose mean is subtracted")
        places = (1, channels, *(d or 1 for d in shape[2:]))  # 1: of no account where each channel has one mean
        if self.stored[:2] == (1, channels):
            places = self.stored
        return (
            BlobSpec(name="count of batches", shape=(1, 1, 1, 1), filler=Filler(value=self.batches)),
            BlobSpec(name="mean of each place", shape=places, filler=Filler()),
            BlobSpec(name="mean of each channel", shape=(1, channels, 1, 1), filler=Filler()),
        )

    def with_blobs(self, shapes: Sequence[tuple[int, ...]]) -> Self:
        """The mean's own size: images of another one may have been trained on."""
        fits = self.batches and len(shapes) == 3 and len(shapes[1]) == 4
        return replace(self, stored=tuple(shapes[1])) if fits else self

    def check_blobs(self, blobs: Sequence[Array]) -> None:
        """Raises LayerUnsupportedError where Caffe would go on averaging the mean over what it is fed."""
        count = float(blobs[0].reshape(-1)[0])
        if count < 1:
            raise LayerUnsupportedError(
                "no mean is stored: Caffe would take that of what it is fed; train the network, or take "
                "augmentation_param.recompute_mean away"
            )
        if count < self.batches:
            raise LayerUnsupportedError(
                f"its mean was averaged over {count:g} batches of the {self.batches} that augmentation_param."
                f"recompute_mean asks for, so Caffe would go on averaging over what it is fed; set it to {count:g} to "
                "use the mean as it is"
            )

    def remarks(self) -> tuple[str, ...]:
        """What is stated and has no effect."""
        remarks = []
        if self.drawn:
            remarks.append("in training it alters images at random; here it is what it is in phase TEST")
        if self.mean and not self._values:
            remarks.append(
                "augmentation_param.mean has no effect, as in Caffe, which asks for 3 values, recompute_mean 0 and "
                "mean_per_pixel false"
            )
        return tuple(remarks)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last; any where nothing is done."""
        layouts = widened(inputs[0])
        if self.crop or self.batches or self._values:
            layouts = Layout.channels_last(inputs[0].rank), Layout.channels_last(4)
        return Arrangement(inputs=layouts[:1], outputs=layouts[1:])

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Crop, then mean; the bottom itself where there is neither."""
        (x,), (output,) = inputs, ctx.outputs
        y = self._cropped(to_four_axes(x, x, output), four_axes(x.shape, "DataAugmentation"))
        if self.batches:
            return runtime("SubtractMean", per_pixel=True)(y) if self._by_place(output.shape) else _SUBTRACT(y)
        if not self._values:
            return y
        offset = tuple(-v for v in self._values)
        return keras("Rescaling", 1.0, offset=offset[0] if len(set(offset)) == 1 else offset)(y)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """The mean that is subtracted, channels last."""
        _, places, channels = blobs
        if not self.per_pixel:
            return {"mean": channels.weight(channels.array.reshape(-1))}
        if self._by_place(ctx.outputs[0].shape):
            return {"mean": places.weight(places.array[0].transpose(1, 2, 0))}
        mean = places.array.mean(axis=(0, 2, 3), dtype=np.float64).astype(np.float32)
        return {"mean": computed_weight((mean,), mean.shape, recipe="mean of each channel", blobs=(places,))}

    @property
    def _values(self) -> tuple[float, ...]:
        """The values of `mean`, where they count."""
        return self.mean if len(self.mean) == 3 and not self.batches and not self.per_pixel else ()

    def _by_place(self, shape: Shape) -> bool:
        """Whether each place has its own mean in images of this shape."""
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
