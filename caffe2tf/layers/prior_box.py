"""PriorBox and PriorBoxClustered: the grid of boxes that a detector's head corrects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import numpy as np

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, Literal, runtime, short, unless
from caffe2tf.ir.graph import Value
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.layers.base import Arrangement, Context, Layer
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import PriorBoxClusteredParameter, PriorBoxParameter

    AnyParameter: TypeAlias = PriorBoxParameter | PriorBoxClusteredParameter

__all__ = ["PriorBox", "PriorBoxClustered"]

Sizes: TypeAlias = tuple[tuple[float, float], ...]
"""Widths and heights, in pixels of the image."""


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
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)

    sizes: Sizes
    variances: tuple[float, ...]
    image_size: tuple[int, int] | None
    steps: tuple[float, float] | None
    offset: float
    clip: bool

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """(1, 2, values): the boxes and their variances, one set for the whole batch."""
        rows, columns = _rows_and_columns(inputs[0], "first")
        if self.image_size is None:
            if len(inputs) == 1:
                raise LayerError("the size of the image must be given: as second bottom, or as img_size in pixels")
            _rows_and_columns(inputs[1], "second")
        return ((1, 2, None if rows is None or columns is None else 4 * rows * columns * len(self.sizes)),)

    def carries_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> bool | None:
        """Never: the boxes are the same for every image."""
        del batched, inputs, outputs
        return False

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
            offset=unless(short(self.offset), 0.5),
            clip=unless(self.clip, False),  # noqa: FBT003 - the default it is compared with
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

    The output has the shape (1, 2, 4 * rows * columns * boxes): boxes, then variances, the same for the whole batch. It
    is computed when the model runs, from the shapes alone. A ratio of 0 or less is refused: Caffe would give boxes
    that are not numbers.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """All parameters, checked by Caffe's rules."""
        p = proto.message.prior_box_param
        _check_sizes(p.min_size, p.max_size)
        ratios = _ratios(p.aspect_ratio, flip=p.flip)
        maxima: Sequence[float | None] = list(p.max_size) or [None] * len(p.min_size)
        pairs = zip(p.min_size, maxima, strict=True)
        sizes = tuple(size for low, high in pairs for size in _sizes_of(low, high, ratios))
        return cls(sizes=sizes, **_grid(p, "prior_box_param"))


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


def _stated(widths: Sequence[float], heights: Sequence[float]) -> Sizes:
    """Sizes that are given as such."""
    if not widths or len(widths) != len(heights):
        raise LayerError(f"width and height must be given equally often, once or more: {len(widths)}, {len(heights)}")
    _check_positive("width", widths)
    _check_positive("height", heights)
    return tuple(zip(widths, heights, strict=True))


def _check_sizes(minima: Sequence[float], maxima: Sequence[float]) -> None:
    if not minima:
        raise LayerError("prior_box_param.min_size must be given")
    _check_positive("min_size", minima)
    if not maxima:
        return
    if len(maxima) != len(minima):
        raise LayerError(
            f"max_size must be given as often as min_size, or not at all: {len(maxima)} and {len(minima)} are given"
        )
    for low, high in zip(minima, maxima, strict=True):
        if high <= low:
            raise LayerError(f"each max_size must be greater than its min_size, not {short(high)} for {short(low)}")


def _ratios(given: Iterable[float], *, flip: bool) -> list[float]:
    """Aspect ratios in Caffe's order, without 1."""
    found = [1.0]
    for ratio in given:
        _check_positive("aspect_ratio", [ratio])
        if all(abs(ratio - other) >= 1e-6 for other in found):
            found += [ratio, float(np.float32(1 / ratio))] if flip else [ratio]
    return [ratio for ratio in found if abs(ratio - 1) >= 1e-6]


def _sizes_of(low: float, high: float | None, ratios: Sequence[float]) -> Sizes:
    """The boxes of one min_size, rounded as Caffe rounds them: sizes to integers, all about ratios to float32."""
    size = np.float32(int(low))
    squares = [float(size)] if high is None else [float(size), math.sqrt(int(low) * int(high))]
    roots = np.sqrt(np.array(ratios, np.float32))
    return (*((side, side) for side in squares), *((float(size * root), float(size / root)) for root in roots))


def _grid(p: AnyParameter, block: str) -> dict[str, Any]:
    """What both layers have: variances, extents of the image, steps, offset, clipping."""
    variances = tuple(p.variance) or (0.1,)
    if len(variances) not in (1, 4):
        raise LayerError(f"{block}.variance must be given once or four times, not {len(variances)} times")
    _check_positive("variance", variances)
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
        _check_positive(name, [number])
    return first, second


def _check_positive(name: str, numbers: Iterable[float]) -> None:
    for number in numbers:
        if not number > 0:
            raise LayerError(f"{name} must be greater than 0, not {short(number):g}")


def _rows_and_columns(shape: Shape, which: str) -> tuple[int | None, int | None]:
    """Extents along axes 2 and 3; an axis that the blob lacks counts as 1, as in Caffe."""
    if len(shape) > 4:
        raise LayerError(f"the {which} bottom must have at most 4 axes, not {format_shape(shape)}")
    rows, columns = (*shape, 1, 1, 1, 1)[2:4] if len(shape) >= 2 else (1, 1)
    return rows, columns


def _axes(value: Value) -> Literal:
    """The tensor axes that hold rows and columns."""
    return tuple(value.layout.tensor_axis(axis) if axis < value.rank else None for axis in (2, 3))
