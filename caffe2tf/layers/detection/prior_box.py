"""PriorBox and PriorBoxClustered: the grid of boxes that a detector's head corrects."""

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

_INSET, _INSET_SIZE = 0.05, 60  # Synopsys' `tf`: how far the square box of this min_size is drawn in


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorBoxes(Layer):
    """Boxes of the same sizes round the centre of each cell of a grid.

    Attributes:
        sizes: width and height of each box of a cell.
        variances: one, or four.
        image_size: height and width; None where they are those of the second bottom.
        steps: of rows and of columns, in pixels; None where the image is divided evenly.
        offset: where in its cell a centre lies.
        clip: whether boxes end where the image does.
        offsets: in place of `offset`, several, down and across: each size has a box for each of them.
        inset: for each size, how far its box is drawn in from each side, in parts of the image; none where empty.
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
        """(1, 2, values): the boxes and their variances, one set for the whole batch."""
        rows, columns = _rows_and_columns(inputs[0], "first")
        if self.image_size is None:
            if len(inputs) == 1:
                raise LayerError("the size of the image must be given: as second bottom, or as img_size in pixels")
            _rows_and_columns(inputs[1], "second")
        boxes = len(self.sizes) * (len(self.offsets) or 1)
        return ((1, 2, None if rows is None or columns is None else 4 * rows * columns * boxes),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Never: the boxes are the same for every image."""
        del batched, inputs, outputs
        return Batch.ABSENT

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Only shapes are read: any order will do."""
        del outputs
        return Arrangement(inputs=tuple(v.layout for v in inputs), outputs=(Layout.plain(3),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """The runtime layer PriorBox, called on the image only where that tells the size."""
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
    """Boxes round the centre of each cell of the first bottom's grid, in parts of the image (the second bottom).

    ``left, right = (cx -/+ w / 2) / W`` and ``top, bottom = (cy -/+ h / 2) / H`` with ``cx = (column + offset) *
    step_w``, ``cy = (row + offset) * step_h``. For each min_size s, in this order: w = h = s; where there is a
    max_size m, w = h = sqrt(s * m); for each aspect_ratio a, w = s * sqrt(a), h = s / sqrt(a).

    | parameter | default | meaning |
    |---|---|---|
    | min_size | required | one or several, in pixels; what is behind the point is dropped |
    | max_size | none | as many as min_size, each greater; what is behind the point is dropped |
    | aspect_ratio | none | width to height; 1, and what differs by less than 1e-6 from one before, is left out |
    | flip | true | after each ratio a comes 1 / a |
    | clip | false | boxes end where the image ends |
    | variance | 0.1 | one for all, or one for each of left, top, right and bottom |
    | img_size, or img_h and img_w | the second bottom's | extents of the image in pixels |
    | step, or step_h and step_w | image / grid | distance of the centres in pixels |
    | offset | 0.5 | where in its cell a centre lies |
    | offset_h, offset_w | | TextBoxes: one or two offsets, for each of which each size has a box, in turn |
    | tf | false | Synopsys: the box with m comes last; with a min_size of 60, see below |
    | keras | false | Synopsys: the box with m comes first, and all 1 / a after all a |
    | box_width, box_height | | Synopsys: sizes of the boxes, in place of all others |
    | yx_order | false | Synopsys: a box is top, left, bottom, right |

    With TextBoxes' offsets clip is true unless it is given, there is one min_size and at most one max_size, and nothing
    behind a point is dropped. With `tf` (and not `keras`) the square box of min_size 60 is drawn in by 0.05 of the
    image from each side.

    The output has the shape (1, 2, 4 * rows * columns * boxes): boxes, then variances, the same for the whole batch. It
    is computed when the model runs, from the shapes alone. A ratio of 0 or less is refused: Caffe would give boxes
    that are not numbers.
    """

    reads_unknown: ClassVar[tuple[str, ...]] = ("prior_box_param",)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """All parameters, checked by Caffe's rules."""
        p, fork = proto.message.prior_box_param, _Fork.read(proto)
        grid = _grid(p, "prior_box_param")
        if fork.offsets:
            if p.HasField("offset") or len(p.min_size) > 1 or len(p.max_size) > 1:
                raise LayerError("beside offset_h and offset_w there may be one min_size, one max_size, and no offset")
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
    """Boxes of stated widths and heights: OpenVINO's form of a PriorBox, which see for formula and output.

    | parameter (prior_box_clustered_param or prior_box_param) | default | meaning |
    |---|---|---|
    | width | required | of each box, in pixels |
    | height | required | as many as width |
    | clip | true; in prior_box_param false | boxes end where the image ends |
    | variance | 0.1 | one for all, or one for each of left, top, right and bottom |
    | img_size, or img_h and img_w | the second bottom's | extents of the image in pixels |
    | step, or step_h and step_w | image / grid | distance of the centres in pixels |
    | offset | 0.5 | where in its cell a centre lies |
    | flip | true | has no effect |
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """All parameters, from the block of whichever fork."""
        message = proto.message
        intel = message.HasField("prior_box_param") and not message.HasField("prior_box_clustered_param")
        block = "prior_box_param" if intel else "prior_box_clustered_param"
        p = message.prior_box_param if intel else message.prior_box_clustered_param
        return cls(sizes=_stated(p.width, p.height), **_grid(p, block))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fork:
    """What forks say of a PriorBox beyond SSD.

    Attributes:
        offsets: where in its cell centres lie, down and across.
        stated: widths and heights that replace all others.
        tf: whether the box with max_size comes last.
        keras: whether it comes first; it prevails over `tf`.
        yx: whether a box is top, left, bottom, right.
    """

    offsets: tuple[tuple[float, float], ...] = ()
    stated: Sizes = ()
    tf: bool = False
    keras: bool = False
    yx: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Raises LayerError for what breaks a fork's rule, or is no fork's."""
        booleans, lists = ("tf", "keras", "yx_order"), ("offset_h", "offset_w", "box_width", "box_height")
        given = proto.extra.block("prior_box_param").only(*booleans, *lists, "faceboxes")
        if given.boolean("faceboxes"):
            raise LayerUnsupportedError("prior_box_param.faceboxes may change the boxes, and is not converted")
        tf, keras, yx = (given.boolean(name) for name in booleans)
        down, across, widths, heights = (given.numbers(name) for name in lists)
        if len(down) != len(across) or len(down) > 2:
            raise LayerError(
                f"offset_h and offset_w must be given equally often, once or twice: {len(down)}, {len(across)}"
            )
        return cls(
            offsets=tuple(zip(down, across, strict=True)),
            stated=_stated(widths, heights, "box_") if widths or heights else (),
            tf=tf,
            keras=keras,
            yx=yx,
        )

    def ordered(self, sizes: Sizes, *, bounded: bool) -> Sizes:
        """The boxes of one min_size in the order of the fork; the second is that with max_size if it is bounded."""
        if not bounded or not (self.tf or self.keras):
            return sizes
        first, second, *rest = sizes
        return (second, first, *rest) if self.keras else (first, *rest, second)


def _stated(widths: Sequence[float], heights: Sequence[float], prefix: str = "") -> Sizes:
    """Sizes that are given as such, in fields whose names begin with ``prefix``."""
    if not widths or len(widths) != len(heights):
        names = f"{prefix}width and {prefix}height"
        raise LayerError(f"{names} must be given equally often, once or more: {len(widths)}, {len(heights)}")
    check_positive(f"{prefix}width", widths)
    check_positive(f"{prefix}height", heights)
    return tuple(zip(widths, heights, strict=True))


def _check_sizes(minima: Sequence[float], maxima: Sequence[float]) -> None:
    if not minima:
        raise LayerError("prior_box_param.min_size must be given")
    check_positive("min_size", minima)
    check_finite("max_size", maxima)
    if not maxima:
        return
    if len(maxima) != len(minima):
        raise LayerError(
            f"max_size must be given as often as min_size, or not at all: {len(maxima)} and {len(minima)} are given"
        )
    for low, high in zip(minima, maxima, strict=True):
        if high <= low:
            raise LayerError(f"each max_size must be greater than its min_size, not {short(high)} for {short(low)}")


def _ratios(given: Sequence[float], *, flip: bool, flipped_last: bool = False) -> list[float]:
    """Aspect ratios in Caffe's order, without 1: each before its flipped one, or all before all flipped ones."""
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
    """The boxes of one min_size, rounded as Caffe rounds them: sizes to integers, all about ratios to float32.

    Sizes are left as they are unless they are to be ``whole``.
    """
    size = np.float32(int(low) if whole else low)
    product = int(low) * int(high or 0) if whole else size * np.float32(high or 0)
    squares = [float(size)] if high is None else [float(size), math.sqrt(product)]
    roots = np.sqrt(np.array(ratios, np.float32))
    return (*((side, side) for side in squares), *((float(size * root), float(size / root)) for root in roots))


def _grid(p: AnyParameter, block: str) -> dict[str, Any]:
    """What both layers have: variances, extents of the image, steps, offset, clipping."""
    variances = tuple(p.variance) or (0.1,)
    if len(variances) not in (1, 4):
        raise LayerError(f"{block}.variance must be given once or four times, not {len(variances)} times")
    check_positive("variance", variances)
    check_finite(f"{block}.offset", [p.offset])
    image = _pair(p, block, "img_size", ("img_h", "img_w"))
    steps = _pair(p, block, "step", ("step_h", "step_w"))
    return {"variances": variances, "image_size": image, "steps": steps, "offset": p.offset, "clip": p.clip}


def _pair(p: AnyParameter, block: str, both: str, each: tuple[str, str]) -> tuple[Any, Any] | None:
    """Two numbers, given as one for both or as one for each; None where neither is."""
    given = {field.name for field, _ in p.ListFields()}
    single = both in given
    if given & set(each):
        names = each
        if single:
            raise LayerError(f"either {block}.{both} or {each[0]} and {each[1]} may be given, not both")
    elif single:
        names = (both, both)
    else:
        return None
    first, second = (getattr(p, name) for name in names)
    for name, number in zip(names, (first, second), strict=True):
        check_positive(name, [number])
    return first, second


def _rows_and_columns(shape: Shape, which: str) -> tuple[int | None, int | None]:
    """Extents along axes 2 and 3; an axis that the blob lacks counts as 1, as in Caffe."""
    if len(shape) > 4:
        raise LayerError(f"the {which} bottom must have at most 4 axes, not {format_shape(shape)}")
    rows, columns = (*shape, 1, 1, 1, 1)[2:4] if len(shape) >= 2 else (1, 1)
    return rows, columns


def _axes(value: Value) -> Literal:
    """The tensor axes that hold rows and columns."""
    return tuple(value.layout.tensor_axis(axis) if axis < value.rank else None for axis in (2, 3))
