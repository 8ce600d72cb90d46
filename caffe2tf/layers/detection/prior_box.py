"""PriorBox and PriorBoxClustered: the grid of boxes that a detector's predictions are relative to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import numpy as np

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import OMIT, Expr, Literal, runtime, short, unless
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.checks import check_finite, check_positive
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import PriorBoxClusteredParameter, PriorBoxParameter

    AnyParameter: TypeAlias = PriorBoxParameter | PriorBoxClusteredParameter

__all__ = ["PriorBox", "PriorBoxClustered"]

Sizes: TypeAlias = tuple[tuple[float, float], ...]
"""Widths and heights, in pixels of the image."""

_INSET, _INSET_SIZE = 0.05, 60  # Synopsys' `tf`: by how much the square box of this min_size shrinks at each side


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorBoxes(Layer):
    """Base class of layers that give each cell of a grid the same boxes around its center.

    Attributes:
        sizes: width and height of each box of a cell, in pixels.
        variances: one number, or four.
        image_size: (height, width); None for the extents of the second bottom.
        steps: height and width of a cell in pixels; None to divide the image evenly.
        offset: position of the center in its cell, from 0 to 1.
        clip: whether boxes are clipped to the image.
        offsets: several (vertical, horizontal) positions instead of `offset`; each size has a box for each of them.
        inset: for each size, by how much its box shrinks at each side, as a fraction of the image; empty for none.
        yx: whether a box is top, left, bottom, right, instead of left, top, right, bottom.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)

    sizes: Sizes
    variances: tuple[float, ...]
    image_size: tuple[int, int] | None
    steps: tuple[float, float] | None
    offset: float
    clip: bool
    offsets: tuple[tuple[float, float], ...] = ()
    inset: tuple[float, ...] = ()
    yx: bool = False

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return (1, 2, values): boxes and variances, one set for the whole batch."""
        rows, columns = _rows_and_columns(inputs[0], "first")
        if self.image_size is None:
            if len(inputs) == 1:
                raise LayerError("the size of the image is required: as second bottom, or as img_size in pixels")
            _rows_and_columns(inputs[1], "second")
        boxes = len(self.sizes) * (len(self.offsets) or 1)
        return ((1, 2, None if rows is None or columns is None else 4 * rows * columns * boxes),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Drop the batch: the boxes are the same for every image."""
        del batched, inputs, outputs
        return Batch.ABSENT

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Accept any layout, as only shapes are read."""
        del outputs
        return Arrangement(inputs=tuple(v.layout for v in inputs), outputs=(Layout.plain(3),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer, which computes the boxes from the shapes that it is called on."""
        del ctx
        grid, image = _axes(inputs[0]), OMIT if self.image_size else _axes(inputs[1])
        boxes = runtime(
            "PriorBox",
            tuple((short(width), short(height)) for width, height in self.sizes),
            variances=unless(tuple(short(v) for v in self.variances), (0.1,)),
            image_size=self.image_size or OMIT,
            steps=tuple(short(s) for s in self.steps) if self.steps else OMIT,
            offset=unless(self.offsets or short(self.offset), 0.5),
            clip=self.clip or OMIT,
            inset=self.inset or OMIT,
            yx=self.yx or OMIT,
            axes=unless(grid, (1, 2)),
            image_axes=unless(image, (1, 2)),
        )
        return boxes(*(inputs[:1] if self.image_size else inputs[:2]))


@register("PriorBox")
@dataclass(frozen=True, slots=True, kw_only=True)
class PriorBox(PriorBoxes):
    """Prior boxes around the center of each cell of a feature map, as fractions of the image.

    ``left, right = (cx -/+ w / 2) / W`` and ``top, bottom = (cy -/+ h / 2) / H``, where ``cx = (column + offset) *
    step_w`` and ``cy = (row + offset) * step_h``. Each cell has these boxes for each `min_size` s, in this order:

    1. ``w = h = s``.
    2. ``w = h = sqrt(s * m)`` if there is a `max_size` m.
    3. ``w = s * sqrt(a)`` and ``h = s / sqrt(a)`` for each `aspect_ratio` a.

    The top holds all boxes row by row, then their variances. It is the same for all images of the batch, and is
    computed from the shapes of the bottoms when the model runs.

    | parameter (``prior_box_param``) | default | meaning |
    |---|---|---|
    | min_size | required | one or several sizes in pixels, truncated to integers |
    | max_size | none | as many as `min_size`, each greater than its `min_size`; truncated to integers |
    | aspect_ratio | none | width divided by height; 1 and repeated ratios (closer than 1e-6) are ignored |
    | flip | true | add 1 / a after each ratio a |
    | clip | false | clip the boxes to the image |
    | variance | 0.1 | one number, or one for each of left, top, right and bottom |
    | img_size, or img_h and img_w | those of the second bottom | extents of the image in pixels |
    | step, or step_h and step_w | image / grid | distance between centers in pixels |
    | offset | 0.5 | position of the center in its cell |
    | offset_h, offset_w | none | one or two positions of the center; each size has a box for each of them (TextBoxes) |
    | tf | false | put the box of `max_size` last; see below (Synopsys) |
    | keras | false | put the box of `max_size` first, and all flipped ratios after all others (Synopsys) |
    | box_width, box_height | none | sizes of the boxes, which replace all others (Synopsys) |
    | yx_order | false | order the corners as top, left, bottom, right (Synopsys) |

    - With `offset_h` and `offset_w`, `clip` is true by default, there is one `min_size` and at most one `max_size`, and
      sizes are not truncated.
    - With `tf`, unless `keras` is set too, the square box of a `min_size` of 60 shrinks by 0.05 of the image at each
      side.

    Bottoms: a feature map (N, C, rows, columns), and the image (N, C, H, W), which is optional if its size is given.
    Tops: (1, 2, rows * columns * boxes * 4). Trained blobs: none.

    Deviations: an aspect ratio of 0 or less is refused; with it, Caffe computes boxes that are NaN.

    Source: ``src/caffe/layers/prior_box_layer.cpp`` of github.com/weiliu89/caffe (SSD) and of
    github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe; TextBoxes' fork.
    """

    reads_unknown: ClassVar[tuple[str, ...]] = ("prior_box_param",)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``prior_box_param``, including the fields of forks."""
        p, fork = proto.message.prior_box_param, _Fork.read(proto)
        grid = _grid(p, "prior_box_param")
        if fork.offsets:
            if p.HasField("offset") or len(p.min_size) > 1 or len(p.max_size) > 1:
                raise LayerError("with offset_h and offset_w, give one min_size, at most one max_size, and no offset")
            grid["clip"] = p.clip or not p.HasField("clip")
        if fork.stated:
            return cls(sizes=fork.stated, yx=fork.yx, offsets=fork.offsets, **grid)
        _check_sizes(p.min_size, p.max_size)
        ratios = _ratios(p.aspect_ratio, flip=p.flip, flipped_last=fork.keras)
        maxima: Sequence[float | None] = list(p.max_size) or [None] * len(p.min_size)
        sizes: Sizes = ()
        inset: tuple[float, ...] = ()
        for low, high in zip(p.min_size, maxima, strict=True):
            found = fork.ordered(_sizes_of(low, high, ratios, whole=not fork.offsets), bounded=high is not None)
            sizes += found
            drawn_in = _INSET if fork.tf and not fork.keras and int(low) == _INSET_SIZE else 0.0
            inset += (drawn_in, *(0.0,) * (len(found) - 1))
        return cls(sizes=sizes, inset=inset if any(inset) else (), yx=fork.yx, offsets=fork.offsets, **grid)


@register("PriorBoxClustered")
@dataclass(frozen=True, slots=True, kw_only=True)
class PriorBoxClustered(PriorBoxes):
    """Prior boxes of given widths and heights around the center of each cell of a feature map.

    ``left, right = (cx -/+ w / 2) / W`` and ``top, bottom = (cy -/+ h / 2) / H``, where ``cx = (column + offset) *
    step_w`` and ``cy = (row + offset) * step_h``. The top is ordered as that of PriorBox.

    | parameter (``prior_box_clustered_param``, or ``prior_box_param`` in Intel's Caffe) | default | meaning |
    |---|---|---|
    | width | required | width of each box, in pixels |
    | height | required | height of each box, in pixels |
    | clip | true; false in ``prior_box_param`` | clip the boxes to the image |
    | variance | 0.1 | one number, or one for each of left, top, right and bottom |
    | img_size, or img_h and img_w | those of the second bottom | extents of the image in pixels |
    | step, or step_h and step_w | image / grid | distance between centers in pixels |
    | offset | 0.5 | position of the center in its cell |
    | flip | true | ignored, as in Caffe |

    Bottoms: a feature map (N, C, rows, columns), and the image (N, C, H, W), which is optional if its size is given.
    Tops: (1, 2, rows * columns * boxes * 4). Trained blobs: none.

    Source: ``src/caffe/layers/prior_box_clustered_layer.cpp`` of github.com/openvinotoolkit/training_toolbox_caffe.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``prior_box_clustered_param``, or ``prior_box_param`` if only that is given."""
        message = proto.message
        intel = message.HasField("prior_box_param") and not message.HasField("prior_box_clustered_param")
        block = "prior_box_param" if intel else "prior_box_clustered_param"
        p = message.prior_box_param if intel else message.prior_box_clustered_param
        return cls(sizes=_stated(p.width, p.height), **_grid(p, block))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fork:
    """Fields of a PriorBox that only forks have.

    Attributes:
        offsets: (vertical, horizontal) positions of centers in their cell.
        stated: widths and heights that replace all others.
        tf: whether the box of `max_size` comes last.
        keras: whether the box of `max_size` comes first; has priority over `tf`.
        yx: whether a box is top, left, bottom, right.
    """

    offsets: tuple[tuple[float, float], ...] = ()
    stated: Sizes = ()
    tf: bool = False
    keras: bool = False
    yx: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read the fields of ``prior_box_param`` that are not in the schema.

        Raises:
            LayerError: a field breaks a rule of its fork, or belongs to no fork.
        """
        booleans, lists = ("tf", "keras", "yx_order"), ("offset_h", "offset_w", "box_width", "box_height")
        given = proto.extra.block("prior_box_param").only(*booleans, *lists, "faceboxes")
        if given.boolean("faceboxes"):
            raise LayerUnsupportedError("prior_box_param.faceboxes, which may change the boxes, is not supported")
        tf, keras, yx = (given.boolean(name) for name in booleans)
        down, across, widths, heights = (given.numbers(name) for name in lists)
        if len(down) != len(across) or len(down) > 2:
            raise LayerError(
                "offset_h and offset_w must be given equally often, once or twice, "
                f"not {len(down)} and {len(across)} times"
            )
        return cls(
            offsets=tuple(zip(down, across, strict=True)),
            stated=_stated(widths, heights, "box_") if widths or heights else (),
            tf=tf,
            keras=keras,
            yx=yx,
        )

    def ordered(self, sizes: Sizes, *, bounded: bool) -> Sizes:
        """Return the boxes of one `min_size` in the order of the fork.

        Args:
            sizes: the boxes in SSD's order.
            bounded: whether the second box is that of `max_size`.
        """
        if not bounded or not (self.tf or self.keras):
            return sizes
        first, second, *rest = sizes
        return (second, first, *rest) if self.keras else (first, *rest, second)


def _stated(widths: Sequence[float], heights: Sequence[float], prefix: str = "") -> Sizes:
    """Return widths and heights as pairs; the names of their fields begin with `prefix`."""
    if not widths or len(widths) != len(heights):
        names = f"{prefix}width and {prefix}height"
        raise LayerError(
            f"{names} must be given equally often, at least once, not {len(widths)} and {len(heights)} times"
        )
    check_positive(f"{prefix}width", widths)
    check_positive(f"{prefix}height", heights)
    return tuple(zip(widths, heights, strict=True))


def _check_sizes(minima: Sequence[float], maxima: Sequence[float]) -> None:
    if not minima:
        raise LayerError("prior_box_param.min_size is required")
    check_positive("min_size", minima)
    check_finite("max_size", maxima)
    if not maxima:
        return
    if len(maxima) != len(minima):
        raise LayerError(
            f"max_size must be given as often as min_size or not at all, not {len(maxima)} times for {len(minima)}"
        )
    for low, high in zip(minima, maxima, strict=True):
        if high <= low:
            raise LayerError(f"each max_size must be greater than its min_size, not {short(high)} for {short(low)}")


def _ratios(given: Sequence[float], *, flip: bool, flipped_last: bool = False) -> list[float]:
    """Return the aspect ratios without 1: each followed by its flipped one, or all followed by all flipped ones."""
    check_positive("aspect_ratio", given)
    flipped = [float(np.float32(1 / ratio)) for ratio in given] if flip else []
    found = [1.0]
    if flipped_last:
        for ratio in (*given, *flipped):
            if _is_new(ratio, found):
                found.append(ratio)
    else:
        for i, ratio in enumerate(given):
            if _is_new(ratio, found):
                found += [ratio, *flipped[i : i + 1]]
    return [ratio for ratio in found if abs(ratio - 1) >= 1e-6]


def _is_new(ratio: float, others: Iterable[float]) -> bool:
    return all(abs(ratio - other) >= 1e-6 for other in others)


def _sizes_of(low: float, high: float | None, ratios: Sequence[float], *, whole: bool = True) -> Sizes:
    """Return the boxes of one `min_size`, with Caffe's rounding.

    Args:
        low: ``min_size``.
        high: ``max_size``; None if absent.
        ratios: aspect ratios, whose roots Caffe computes in float32.
        whole: whether the sizes are truncated to integers.
    """
    size = np.float32(int(low) if whole else low)
    product = int(low) * int(high or 0) if whole else size * np.float32(high or 0)
    squares = [float(size)] if high is None else [float(size), math.sqrt(product)]
    roots = np.sqrt(np.array(ratios, np.float32))
    return (*((side, side) for side in squares), *((float(size * root), float(size / root)) for root in roots))


def _grid(p: AnyParameter, block: str) -> dict[str, Any]:
    """Read the fields that both layers have: variances, extents of the image, steps, offset, clipping."""
    variances = tuple(p.variance) or (0.1,)
    if len(variances) not in (1, 4):
        raise LayerError(f"{block}.variance must be given once or four times, not {len(variances)} times")
    check_positive("variance", variances)
    check_finite(f"{block}.offset", [p.offset])
    image = _pair(p, block, "img_size", ("img_h", "img_w"))
    steps = _pair(p, block, "step", ("step_h", "step_w"))
    return {"variances": variances, "image_size": image, "steps": steps, "offset": p.offset, "clip": p.clip}


def _pair(p: AnyParameter, block: str, both: str, each: tuple[str, str]) -> tuple[Any, Any] | None:
    """Read two numbers that are given as one field or as two; return None if they are absent."""
    given = {field.name for field, _ in p.ListFields()}
    single = both in given
    if given & set(each):
        names = each
        if single:
            raise LayerError(f"give either {block}.{both} or {each[0]} and {each[1]}, not both")
    elif single:
        names = (both, both)
    else:
        return None
    first, second = (getattr(p, name) for name in names)
    for name, number in zip(names, (first, second), strict=True):
        check_positive(name, [number])
    return first, second


def _rows_and_columns(shape: Shape, which: str) -> tuple[int | None, int | None]:
    """Return the extents along axes 2 and 3; a missing axis counts as 1, as in Caffe."""
    if len(shape) > 4:
        raise LayerError(f"the {which} bottom must have at most 4 axes, not {format_shape(shape)}")
    rows, columns = (*shape, 1, 1, 1, 1)[2:4] if len(shape) >= 2 else (1, 1)
    return rows, columns


def _axes(value: Value) -> Literal:
    """Return the tensor axes of rows and columns; None for a missing axis."""
    return tuple(value.layout.tensor_axis(axis) if axis < value.rank else None for axis in (2, 3))
