"""SpaceToBatchND and BatchToSpaceND: plain loops in Caffe's order, layouts, errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.shape.space_to_batch import SpaceToBatchND
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

Pairs = tuple[tuple[int, int], ...]
CONV = layer(
    "Convolution",
    "c",
    ["data"],
    parameters='convolution_param { num_output: 6 kernel_size: 1 weight_filler { type: "xavier" } }',
)


def space_layer(kind: str, blocks: tuple[int, ...], margins: Pairs, bottom: str = "data", name: str = "out") -> str:
    block, sides = {"SpaceToBatchND": ("space_to_batch", "paddings"), "BatchToSpaceND": ("batch_to_space", "crops")}[
        kind
    ]
    given = " ".join(f"block_shape: {b}" for b in blocks)
    given += "".join(f" {sides}: {n}" for pair in margins for n in pair)
    return layer(kind, name, [bottom], parameters=f"{block}_nd_param {{ {given} }}")


def spread(x: Array, blocks: tuple[int, ...], margins: Pairs) -> Array:
    """Move the positions of each block to the batch axis."""
    x = np.pad(x, ((0, 0), *margins, *((0, 0),) * (x.ndim - 1 - len(blocks))))
    items = []
    for position in itertools.product(*(range(b) for b in blocks)):
        index = tuple(slice(p, None, b) for p, b in zip(position, blocks, strict=True))
        items.append(x[(slice(None), *index)])
    return np.concatenate(items)


def joined(x: Array, blocks: tuple[int, ...], margins: Pairs) -> Array:
    """Move items of the batch to the positions of each block, value by value."""
    positions = list(itertools.product(*(range(b) for b in blocks)))
    n, rank = x.shape[0] // len(positions), len(blocks)
    whole = np.zeros((n, *(d * b for d, b in zip(x.shape[1:], blocks, strict=False)), *x.shape[rank + 1 :]), x.dtype)
    for item, *at in np.ndindex(x.shape[: rank + 1]):
        position = positions[item // n]
        where = tuple(a * b + p for a, b, p in zip(at, blocks, position, strict=True))
        whole[(item % n, *where)] = x[(item, *at)]
    ends = zip(margins, whole.shape[1:], strict=False)
    return whole[(slice(None), *(slice(before, d - after) for (before, after), d in ends))]


def draw(*shape: int) -> Array:
    return np.random.default_rng(list(shape)).normal(0, 1, shape).astype(np.float32)


FORWARD = [
    ((2, 3, 4, 6), (1, 2, 3), ((0, 0), (0, 0), (0, 0))),
    ((2, 3, 5, 7), (1, 2, 2), ((0, 0), (2, 3), (1, 2))),
    ((2, 3, 4, 5), (3, 2, 1), ((1, 2), (0, 0), (0, 1))),
    ((2, 3, 4, 5), (3,), ((0, 3),)),
    ((2, 5, 4), (2,), ((1, 0),)),
    ((3, 5), (2,), ((0, 1),)),
    ((2, 3, 4, 5), (1, 1, 1), ((0, 0), (1, 0), (0, 2))),
    ((2, 3, 4, 5), (1,), ((0, 0),)),
    ((2, 4, 3, 5, 2, 3), (2, 1, 1), ((1, 1), (0, 0), (1, 0))),
]


@pytest.mark.parametrize(("shape", "blocks", "margins"), FORWARD)
def test_space_to_batch(shape: tuple[int, ...], blocks: tuple[int, ...], margins: Pairs) -> None:
    x = draw(*shape)
    have = run_layer(space_layer("SpaceToBatchND", blocks, margins), {"data": x})["out"]
    assert_matches(have, spread(x, blocks, margins), tolerance=0)


@pytest.mark.parametrize(
    ("shape", "blocks", "margins"),
    [
        ((12, 3, 4, 5), (1, 2, 3), ((0, 0), (0, 0), (0, 0))),
        ((8, 3, 4, 5), (1, 2, 2), ((1, 1), (2, 3), (0, 7))),
        ((12, 3, 4, 5), (3, 2, 1), ((1, 2), (0, 0), (0, 1))),
        ((6, 3, 4, 5), (3,), ((0, 3),)),
        ((4, 5, 4), (2,), ((1, 0),)),
        ((4, 5), (2,), ((3, 1),)),
        ((2, 3, 4, 5), (1, 1, 1), ((0, 0), (1, 0), (0, 2))),
    ],
)
def test_batch_to_space(shape: tuple[int, ...], blocks: tuple[int, ...], margins: Pairs) -> None:
    x = draw(*shape)
    have = run_layer(space_layer("BatchToSpaceND", blocks, margins), {"data": x})["out"]
    assert_matches(have, joined(x, blocks, margins), tolerance=0)


@pytest.mark.parametrize(
    ("blocks", "margins", "transposed"),
    [((1, 2, 2), ((0, 0), (1, 0), (0, 1)), False), ((3, 1, 2), ((0, 0), (1, 0), (0, 1)), True)],
)
def test_between_convolutions(blocks: tuple[int, ...], margins: Pairs, transposed: bool) -> None:
    text = (
        CONV
        + space_layer("SpaceToBatchND", blocks, margins, "c", "s")
        + CONV.replace('"c"', '"d"').replace("data", "s")
    )
    text += space_layer("BatchToSpaceND", blocks, margins, "d", "b")
    x = draw(2, 5, 3, 7)
    out = run_layer(text, {"data": x})
    assert_matches(out["s"], spread(out["c"], blocks, margins))
    assert_matches(out["b"], joined(out["d"], blocks, margins))
    assert any("Transpose" in c or "Permute" in c for c in calls(text, {"data": x.shape})) is transposed
    model = built(text, {"data": x.shape})
    assert model.inputs[0].shape[0] == 2


def test_flattened_blob() -> None:
    flat = layer("Flatten", "f", ["c"])
    out = run_layer(CONV + flat + space_layer("SpaceToBatchND", (4,), ((1, 1),), "f"), {"data": draw(2, 3, 3, 7)})
    assert_matches(out["out"], spread(out["f"], (4,), ((1, 1),)))


def test_saved_and_loaded() -> None:
    blocks, margins = (1, 2, 2), ((0, 0), (1, 2), (0, 1))
    text = space_layer("SpaceToBatchND", blocks, margins) + space_layer(
        "BatchToSpaceND", blocks, margins, "out", "back"
    )
    x = draw(2, 3, 5, 7)
    model = built(text, {"data": x.shape})
    (have,) = reloaded(model, [x.transpose(0, 2, 3, 1) if model.inputs[0].shape[-1] == 3 else x])
    assert_matches(have.transpose(0, 3, 1, 2) if have.shape[-1] == 3 else have, x, tolerance=0)


def test_unknown_extents() -> None:
    given = SpaceToBatchND(blocks=(1, 2), margins=((0, 0), (1, 0)))
    assert given.infer((None, 3, None, 5)) == ((None, 3, None, 5),)
    assert given.infer((4, None, 5, 5)) == ((8, None, 3, 5),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (space_layer("SpaceToBatchND", (), ()), "block_shape is required, once for each axis"),
        (
            space_layer("SpaceToBatchND", (2, 0), ((0, 0), (0, 0))),
            "block_shape must be whole numbers, 1 or more, not 2, 0",
        ),
        (
            space_layer("SpaceToBatchND", (1, 2), ((0, 0),)),
            r"paddings must be given twice for each block_shape \(4 times\), not 2 times",
        ),
        (
            space_layer("SpaceToBatchND", (2,), ((0, 0),)),
            r"padding \(3 \+ 0 \+ 0\) must be a multiple",
        ),
        (
            space_layer("SpaceToBatchND", (1,) * 4, ((0, 0),) * 4),
            r"for 4 axes after the batch axis; the bottom \(8x3x4x5\) has 3",
        ),
        (space_layer("SpaceToBatchND", (1,), ((0, -1),)), "paddings must be whole numbers, 0 or more, not 0, -1"),
        (
            space_layer("SpaceToBatchND", (1,), ((0, 0),)).replace("paddings", "crops"),
            "field 'space_to_batch_nd_param.crops' is not known",
        ),
        (
            space_layer("BatchToSpaceND", (3,), ((0, 0),)),
            r"the batch size \(8\) must be a multiple of the 3 positions of a block",
        ),
        (
            space_layer("BatchToSpaceND", (2,), ((2, 4),)),
            r"\(2 and 4\) leave nothing of axis 1, .* is 6",
        ),
        (space_layer("BatchToSpaceND", (2,), ((0, 0),), name="data"), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(8, 3, 4, 5)})
