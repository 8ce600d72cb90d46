"""SpaceToBatchND and BatchToSpaceND: number by number, in Caffe's order, and every error."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.shape.space_to_batch import SpaceToBatchND
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

Pairs = tuple[tuple[int, int], ...]
CONV = (
    'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
    'convolution_param { num_output: 6 kernel_size: 1 weight_filler { type: "xavier" } } }\n'
)


def layer(kind: str, blocks: tuple[int, ...], margins: Pairs, bottom: str = "data", name: str = "out") -> str:
    block, sides = {"SpaceToBatchND": ("space_to_batch", "paddings"), "BatchToSpaceND": ("batch_to_space", "crops")}[
        kind
    ]
    given = " ".join(f"block_shape: {b}" for b in blocks)
    given += "".join(f" {sides}: {n}" for pair in margins for n in pair)
    return (
        f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {block}_nd_param {{ {given} }} }}\n'
    )


def spread(x: Array, blocks: tuple[int, ...], margins: Pairs) -> Array:
    """Places to items of the batch."""
    x = np.pad(x, ((0, 0), *margins, *((0, 0),) * (x.ndim - 1 - len(blocks))))
    items = []
    for place in itertools.product(*(range(b) for b in blocks)):
        index = tuple(slice(p, None, b) for p, b in zip(place, blocks, strict=True))
        items.append(x[(slice(None), *index)])
    return np.concatenate(items)


def joined(x: Array, blocks: tuple[int, ...], margins: Pairs) -> Array:
    """Items of the batch to places, one number at a time."""
    places = list(itertools.product(*(range(b) for b in blocks)))
    n, rank = x.shape[0] // len(places), len(blocks)
    whole = np.zeros((n, *(d * b for d, b in zip(x.shape[1:], blocks, strict=False)), *x.shape[rank + 1 :]), x.dtype)
    for item, *at in np.ndindex(x.shape[: rank + 1]):
        place = places[item // n]
        where = tuple(a * b + p for a, b, p in zip(at, blocks, place, strict=True))
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
def test_places_to_items(shape: tuple[int, ...], blocks: tuple[int, ...], margins: Pairs) -> None:
    x = draw(*shape)
    have = run_layer(layer("SpaceToBatchND", blocks, margins), {"data": x})["out"]
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
def test_items_to_places(shape: tuple[int, ...], blocks: tuple[int, ...], margins: Pairs) -> None:
    x = draw(*shape)
    have = run_layer(layer("BatchToSpaceND", blocks, margins), {"data": x})["out"]
    assert_matches(have, joined(x, blocks, margins), tolerance=0)


@pytest.mark.parametrize(
    ("blocks", "margins", "transposed"),
    [((1, 2, 2), ((0, 0), (1, 0), (0, 1)), False), ((3, 1, 2), ((0, 0), (1, 0), (0, 1)), True)],
)
def test_between_convolutions(blocks: tuple[int, ...], margins: Pairs, transposed: bool) -> None:
    text = CONV + layer("SpaceToBatchND", blocks, margins, "c", "s") + CONV.replace('"c"', '"d"').replace("data", "s")
    text += layer("BatchToSpaceND", blocks, margins, "d", "b")
    x = draw(2, 5, 3, 7)
    out = run_layer(text, {"data": x})
    assert_matches(out["s"], spread(out["c"], blocks, margins))
    assert_matches(out["b"], joined(out["d"], blocks, margins))
    assert any("Transpose" in c or "Permute" in c for c in calls(text, {"data": x.shape})) is transposed
    model = built(text, {"data": x.shape})
    assert model.inputs[0].shape[0] == 2


def test_of_what_is_flattened() -> None:
    flat = 'layer { name: "f" type: "Flatten" bottom: "c" top: "f" }\n'
    out = run_layer(CONV + flat + layer("SpaceToBatchND", (4,), ((1, 1),), "f"), {"data": draw(2, 3, 3, 7)})
    assert_matches(out["out"], spread(out["f"], (4,), ((1, 1),)))


def test_a_saved_model() -> None:
    blocks, margins = (1, 2, 2), ((0, 0), (1, 2), (0, 1))
    text = layer("SpaceToBatchND", blocks, margins) + layer("BatchToSpaceND", blocks, margins, "out", "back")
    x = draw(2, 3, 5, 7)
    model = built(text, {"data": x.shape})
    (have,) = reloaded(model, [x.transpose(0, 2, 3, 1) if model.inputs[0].shape[-1] == 3 else x])
    assert_matches(have.transpose(0, 3, 1, 2) if have.shape[-1] == 3 else have, x, tolerance=0)


def test_extents_known_when_the_model_runs() -> None:
    given = SpaceToBatchND(blocks=(1, 2), margins=((0, 0), (1, 0)))
    assert given.infer((None, 3, None, 5)) == ((None, 3, None, 5),)
    assert given.infer((4, None, 5, 5)) == ((8, None, 3, 5),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer("SpaceToBatchND", (), ()), "block_shape must be given, once or for several axes"),
        (layer("SpaceToBatchND", (2, 0), ((0, 0), (0, 0))), "block_shape must be whole numbers, 1 or more, not 2, 0"),
        (
            layer("SpaceToBatchND", (1, 2), ((0, 0),)),
            "paddings must be given twice for each of the 2 block_shape, not 2",
        ),
        (layer("SpaceToBatchND", (2,), ((0, 0),)), r"axis 1 with its padding \(3 \+ 0 \+ 0\) must be a multiple"),
        (layer("SpaceToBatchND", (1,) * 4, ((0, 0),) * 4), r"for 4 axes after the batch; the bottom has 3 \(8x3x4x5\)"),
        (layer("SpaceToBatchND", (1,), ((0, -1),)), "paddings must be whole numbers, 0 or more, not 0, -1"),
        (
            layer("SpaceToBatchND", (1,), ((0, 0),)).replace("paddings", "crops"),
            "field 'space_to_batch_nd_param.crops' is not known",
        ),
        (layer("BatchToSpaceND", (3,), ((0, 0),)), r"the batch \(8\) must be a multiple of the 3 places of a block"),
        (layer("BatchToSpaceND", (2,), ((2, 4),)), "nothing is left of axis 1: 6 less 2 and 4 of its crops"),
        (layer("BatchToSpaceND", (2,), ((0, 0),), name="data"), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(8, 3, 4, 5)})
