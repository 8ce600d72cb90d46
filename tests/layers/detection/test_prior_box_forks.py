"""PriorBox of TextBoxes and of Synopsys against their loops."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from tests.builders import layer
from tests.layers.emitted import built, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

F = np.float32
ROWS, COLUMNS, HEIGHT, WIDTH = 3, 5, 97, 161


def prior_layer(parameters: str) -> str:
    return layer("PriorBox", "out", ["feat", "data"], parameters=f"prior_box_param {{ {parameters} }}")


def run(parameters: str) -> Array:
    fed = {"feat": np.ones((2, 3, ROWS, COLUMNS)), "data": np.ones((2, 3, HEIGHT, WIDTH))}
    return run_layer(prior_layer(parameters), fed)["out"]


def centres(down: float, across: float) -> Iterator[tuple[float, float]]:
    """Yield the x and y of the center of each cell, row by row."""
    for row in range(ROWS):
        for column in range(COLUMNS):
            step_x, step_y = F(WIDTH) / F(COLUMNS), F(HEIGHT) / F(ROWS)
            yield float((F(column) + F(across)) * step_x), float((F(row) + F(down)) * step_y)


def box(x: float, y: float, width: float, height: float, *, inset: float = 0, yx: bool = False) -> list[float]:
    left, right = (x - width / 2) / WIDTH + inset, (x + width / 2) / WIDTH - inset
    top, bottom = (y - height / 2) / HEIGHT + inset, (y + height / 2) / HEIGHT - inset
    return [top, left, bottom, right] if yx else [left, top, right, bottom]


@pytest.mark.parametrize("clip", [None, True, False])
@pytest.mark.parametrize("offsets", [((0.5, 0.25),), ((0.5, 0.5), (1.0, 0.75))])
@pytest.mark.parametrize("most", [None, 61.25])
def test_text_boxes(most: float | None, offsets: tuple[tuple[float, float], ...], clip: bool | None) -> None:
    least = 30.75
    sizes = [(least, least), *([] if most is None else [(math.sqrt(least * most),) * 2])]
    sizes += [(least * math.sqrt(a), least / math.sqrt(a)) for a in (2, 5, 10)]
    want: list[float] = []
    for cell in range(ROWS * COLUMNS):
        for width, height in sizes:
            for down, across in offsets:
                x, y = list(centres(down, across))[cell]
                want += box(x, y, width, height)
    if clip is not False:
        want = [min(max(v, 0.0), 1.0) for v in want]
    text = f"min_size: {least} aspect_ratio: 2 aspect_ratio: 5 aspect_ratio: 10 flip: false variance: 0.2 "
    text += "" if most is None else f"max_size: {most} "
    text += "".join(f"offset_h: {h} offset_w: {w} " for h, w in offsets)
    text += "" if clip is None else f"clip: {str(clip).lower()}"
    assert_matches(run(text), np.array([[want, [0.2] * len(want)]], np.float32), tolerance=1e-6)


@pytest.mark.parametrize("yx", [False, True])
@pytest.mark.parametrize("mode", ["", "tf: true", "keras: true", "tf: true keras: true"])
@pytest.mark.parametrize("bounds", [None, (110.5, 70)])
def test_synopsys(bounds: tuple[float, float] | None, mode: str, yx: bool) -> None:
    ratios: list[float] = [2, 1 / 2, 3, float(1 / F(3))]
    if "keras" in mode:
        ratios = [2, 3, 1 / 2, float(1 / F(3))]
    want: list[float] = []
    for x, y in centres(0.5, 0.5):
        for i, size in enumerate((60, 25)):
            inset = 0.05 if size == 60 and mode == "tf: true" else 0
            first = box(x, y, size, size, inset=inset, yx=yx)
            between = [] if bounds is None else box(x, y, *(math.sqrt(size * int(bounds[i])),) * 2, yx=yx)
            rest = [v for a in ratios for v in box(x, y, size * math.sqrt(a), size / math.sqrt(a), yx=yx)]
            if "keras" in mode:
                want += between + first + rest
            else:
                want += first + rest + between if mode else first + between + rest
    text = f"min_size: 60.7 min_size: 25 aspect_ratio: 2 aspect_ratio: 3 yx_order: {str(yx).lower()} {mode} "
    text += "" if bounds is None else f"max_size: {bounds[0]} max_size: {bounds[1]} "
    variances = [v for _ in range(len(want) // 4) for v in (0.1, 0.2, 0.3, 0.4)]
    text += "".join(f"variance: {v} " for v in (0.1, 0.2, 0.3, 0.4))
    assert_matches(run(text), np.array([[want, variances]], np.float32), tolerance=1e-6)


def test_given_widths_and_heights() -> None:
    want = [v for x, y in centres(0.25, 0.25) for w, h in ((9.5, 20.25), (31, 7)) for v in box(x, y, w, h, yx=True)]
    text = "box_width: 9.5 box_height: 20.25 box_width: 31 box_height: 7 min_size: 5 offset: 0.25 yx_order: true"
    assert_matches(run(text), np.array([[want, [0.1] * len(want)]], np.float32), tolerance=1e-6)


def test_saved_models() -> None:
    text = "min_size: 60 max_size: 70 tf: true yx_order: true offset_h: 0.5 offset_w: 0.25 offset_h: 1 offset_w: 0.5"
    model = built(prior_layer(text), {"feat": (2, 3, ROWS, COLUMNS), "data": (2, 3, HEIGHT, WIDTH)})
    fed = {"feat": np.ones((1, ROWS, COLUMNS, 3)), "data": np.ones((1, HEIGHT, WIDTH, 3))}
    (have,) = reloaded(model, [fed[name] for name in model.input])
    assert_matches(have, run(text))
