"""Permute: every order of the axes, in whatever layout they arrive; nothing moves where nothing has to."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.shape.permute import Permute
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from caffe2tf.passes import prepare
from caffe2tf.passes.reorder import Reorder
from tests.builders import input_layers
from tests.layers.emitted import built, calls
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

SHAPES = ((3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 5, 4))

HEADS = """
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
        convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "c2" type: "Convolution" bottom: "c1" top: "c2"
        convolution_param { num_output: 4 kernel_size: 3 stride: 2 } }
layer { name: "loc1" type: "Convolution" bottom: "c1" top: "loc1"
        convolution_param { num_output: 8 kernel_size: 3 pad: 1 } }
layer { name: "loc1_perm" type: "Permute" bottom: "loc1" top: "loc1_perm"
        permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc1_flat" type: "Flatten" bottom: "loc1_perm" top: "loc1_flat" flatten_param { axis: 1 } }
layer { name: "loc2" type: "Convolution" bottom: "c2" top: "loc2" convolution_param { num_output: 12 kernel_size: 1 } }
layer { name: "loc2_perm" type: "Permute" bottom: "loc2" top: "loc2_perm"
        permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc2_flat" type: "Flatten" bottom: "loc2_perm" top: "loc2_flat" flatten_param { axis: 1 } }
layer { name: "loc" type: "Concat" bottom: "loc1_flat" bottom: "loc2_flat" top: "loc" concat_param { axis: 1 } }
layer { name: "conf" type: "Reshape" bottom: "loc" top: "conf" reshape_param { shape { dim: 0 dim: -1 dim: 4 } } }
layer { name: "prob" type: "Softmax" bottom: "conf" top: "prob" softmax_param { axis: 2 } }
"""


def permute(x: Array, order: tuple[int, ...]) -> Array:
    """One value after the other, found by its place in row-major memory."""
    shape = [x.shape[a] for a in order]
    steps = [int(np.prod(x.shape[a + 1 :])) for a in range(x.ndim)]
    memory = x.reshape(-1)
    values = [memory[sum(i * steps[a] for i, a in zip(place, order, strict=True))] for place in np.ndindex(*shape)]
    return np.array(values, np.float32).reshape(shape)


def layer(name: str, order: tuple[int, ...], *, bottom: str = "data", top: str | None = None) -> str:
    listed = " ".join(f"order: {a}" for a in order)
    return (
        f'layer {{ name: "{name}" type: "Permute" bottom: "{bottom}" top: "{top or name}" '
        f"permute_param {{ {listed} }} }}\n"
    )


def named(order: tuple[int, ...], prefix: str = "p") -> str:
    return prefix + "".join(map(str, order))


@pytest.mark.parametrize("case", recorded("fork_permute_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", SHAPES, ids=len)
def test_every_order(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = rng.normal(0, 2, shape).astype(np.float32)
    orders = list(itertools.permutations(range(len(shape))))[::-1][:30]
    out = run_layer("".join(layer(named(o), o) for o in orders), {"data": x})
    for order in orders:
        assert_matches(out[named(order)], permute(x, order), named(order), tolerance=0)


@pytest.mark.parametrize(
    ("given", "whole"), [((), (0, 1, 2, 3)), ((2,), (2, 0, 1, 3)), ((3, 1), (3, 1, 0, 2)), ((0, 1, 3), (0, 1, 3, 2))]
)
def test_axes_that_are_not_named_follow(
    given: tuple[int, ...], whole: tuple[int, ...], rng: np.random.Generator
) -> None:
    x = rng.normal(0, 2, (2, 3, 4, 5)).astype(np.float32)
    assert_matches(run_layer(layer("p", given), {"data": x})["p"], permute(x, whole), tolerance=0)


@pytest.mark.parametrize("batch", [2, 1])
def test_before_layers_that_see_the_order(batch: int, rng: np.random.Generator) -> None:
    """After a convolution, each order, and then layers whose result depends on which axis is which."""
    x, k = rng.normal(0, 1, (batch, 3, 4, 5)).astype(np.float32), rng.normal(0, 1, (6, 3, 1, 1)).astype(np.float32)
    text = (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        "convolution_param { num_output: 6 kernel_size: 1 bias_term: false } }\n"
    )
    c = np.einsum("nchw,oc->nohw", x, k[..., 0, 0]).astype(np.float32)
    blobs, want = {"c": [k]}, dict[str, Array | None]()
    for order in [(0, *o) for o in itertools.permutations((1, 2, 3))] + [(1, 0, 2, 3), (3, 2, 1, 0), (2, 3, 0, 1)]:
        p, y = named(order), permute(c, order)
        weight = rng.normal(0, 0.3, (2, y[0].size)).astype(np.float32)
        kernel = rng.normal(0, 0.3, (2, y.shape[1], 1, 1)).astype(np.float32)
        text += layer(p, order, bottom="c") + (
            f'layer {{ name: "{p}f" type: "Flatten" bottom: "{p}" top: "{p}f" }}\n'
            f'layer {{ name: "{p}i" type: "InnerProduct" bottom: "{p}" top: "{p}i" '
            "inner_product_param { num_output: 2 bias_term: false } }\n"
            f'layer {{ name: "{p}k" type: "Convolution" bottom: "{p}" top: "{p}k" '
            "convolution_param { num_output: 2 kernel_size: 1 bias_term: false } }\n"
            f'layer {{ name: "{p}m" type: "MVN" bottom: "{p}" top: "{p}m" }}\n'
            f'layer {{ name: "{p}r" type: "Reshape" bottom: "{p}" top: "{p}r" '
            "reshape_param { shape { dim: 0 dim: 2 dim: -1 } } }\n"
        )
        text += layer(f"{p}b", tuple(order.index(a) for a in range(4)), bottom=p)
        blobs |= {f"{p}i": [weight], f"{p}k": [kernel]}
        rows = y.reshape(*y.shape[:2], -1)
        centred = rows - rows.mean(2, keepdims=True)
        deviation = np.sqrt((centred**2).mean(2, keepdims=True)) + 1e-9
        want |= {
            p: y,
            f"{p}f": y.reshape(len(y), -1),
            f"{p}i": y.reshape(len(y), -1) @ weight.T,
            f"{p}k": np.einsum("nchw,oc->nohw", y, kernel[..., 0, 0]),
            f"{p}r": y.reshape(len(y), 2, -1) if y[0].size % 2 == 0 else None,
            f"{p}b": c,
        }
        if batch > 1 or 0 not in (order[2], order[3]):
            want[f"{p}m"] = (centred / deviation).reshape(y.shape)
    out = run_layer(text, {"data": x}, blobs)
    for name, array in want.items():
        if array is not None:
            assert_matches(out[name], array, name, tolerance=5e-6)


def test_a_flattened_blob(rng: np.random.Generator) -> None:
    x, k = rng.normal(0, 1, (2, 3, 4, 5)).astype(np.float32), rng.normal(0, 1, (4, 3, 1, 1)).astype(np.float32)
    text = (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        "convolution_param { num_output: 4 kernel_size: 1 bias_term: false } }\n"
        'layer { name: "f" type: "Flatten" bottom: "c" top: "f" }\n' + layer("same", (0, 1), bottom="f")
    )
    text += layer("swapped", (1,), bottom="f")
    out = run_layer(text, {"data": x}, {"c": [k]})
    flat = np.einsum("nchw,oc->nohw", x, k[..., 0, 0]).reshape(2, -1)
    assert_matches(out["same"], flat)
    assert_matches(out["swapped"], flat.T)


def test_the_heads_of_ssd_need_no_transposition(tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    file.write_text(input_layers({"data": (2, 3, 9, 7)}) + HEADS, encoding="utf-8")
    graph = prepare(load_graph(read_network(file)))
    assert sum(isinstance(n.layer, Permute) for n in graph.nodes) == 2
    assert not [n.name for n in graph.nodes if isinstance(n.layer, Reorder)]
    assert not {"Permute", "Transpose", "Reblock"} & set(calls(HEADS, {"data": (2, 3, 9, 7)}))


def test_a_transposition_where_the_order_is_observable() -> None:
    """Values are moved for other heads: the check above can fail."""
    other = HEADS.replace("order: 0 order: 2 order: 3 order: 1", "order: 0 order: 3 order: 2 order: 1")
    assert {"Permute", "Transpose", "Reblock"} & set(calls(other, {"data": (2, 3, 9, 7)}))


def test_the_heads_of_ssd(rng: np.random.Generator) -> None:
    x = rng.normal(0, 1, (2, 3, 9, 7)).astype(np.float32)
    out = run_layer(HEADS, {"data": x})
    flat = [permute(out[f"loc{i}"], (0, 2, 3, 1)).reshape(2, -1) for i in (1, 2)]
    assert_matches(out["loc"], np.concatenate(flat, 1), tolerance=0)


def test_the_batch_is_free_unless_it_moves() -> None:
    assert built(layer("p", (0, 3, 1)), {"data": (2, 3, 4, 5)}).output_shape[0] is None
    # also where all extents are the same, so that no shape tells
    assert built(layer("p", (0, 2)), {"data": (3, 3, 3)}).output_shape == (None, 3, 3)
    assert built(layer("p", (1, 0)), {"data": (3, 3, 3)}).output_shape == (3, 3, 3)


def test_without_a_move_the_memory_is_the_same(rng: np.random.Generator) -> None:
    """What is then written in place changes both names, as in Caffe; where an axis moves, it does not."""
    x = rng.normal(0, 2, (2, 3, 4)).astype(np.float32)
    for order, shared in (((0, 1), True), ((0, 2), False)):
        text = 'layer { name: "c" type: "Power" bottom: "data" top: "c" power_param { scale: 2 } }\n'
        text += layer("p", order, bottom="c") + 'layer { name: "r" type: "ReLU" bottom: "p" top: "p" }\n'
        text += 'layer { name: "s" type: "Power" bottom: "c" top: "s" power_param { shift: 0.5 } }\n'
        want = np.maximum(2 * x, 0) if shared else 2 * x
        assert_matches(run_layer(text, {"data": x})["s"], want + 0.5)


@pytest.mark.parametrize("order", [(0, 1, 3, 2), (0, 2, 3, 1), (0, 3, 1, 2), (3, 2, 1, 0), (1, 0, 2, 3)])
@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (3, 2, 4, 5), (1, 3, 5, 2)])
def test_in_place(order: tuple[int, ...], shape: tuple[int, ...], rng: np.random.Generator) -> None:
    """Caffe's loop, in one memory."""
    x = rng.normal(0, 2, shape).astype(np.float32)
    text = 'layer { name: "c" type: "Power" bottom: "data" top: "c" power_param { scale: -1 } }\n'
    text += layer("p", order, bottom="c", top="c")
    memory = -x.reshape(-1)
    places = permute(np.arange(x.size, dtype=np.float32).reshape(shape), order)
    for i, source in enumerate(places.reshape(-1)):
        memory[i] = memory[int(source)]
    assert len(x) == 1 or not np.array_equal(memory, permute(-x, order).reshape(-1))
    assert_matches(run_layer(text, {"data": x})["c"], memory.reshape(places.shape), tolerance=0)


def test_in_place_is_remarked_on(tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    text = input_layers({"data": (2, 3, 4, 5)}) + 'layer { name: "c" type: "Power" bottom: "data" top: "c" }\n'
    file.write_text(text + layer("p", (0, 2), bottom="c", top="c"), encoding="utf-8")
    notes = caffe2tf.convert(file, None, tmp_path / "out").notes
    assert [n for n in notes if n.layer == "p" and "give the top another name" in n.message]
    file.write_text(text + layer("p", (0, 1), bottom="c", top="c") + layer("q", (0, 2), bottom="c"), encoding="utf-8")
    assert not caffe2tf.convert(file, None, tmp_path / "other").notes


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ((0, 2, 0), "must name each axis at most once; more than once there is 0"),
        ((0, 4), "must name axes of the bottom, 0 to 3, not 4: the bottom is 2x3x4x5"),
    ],
)
def test_errors(order: tuple[int, ...], message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer("p", order), {"data": np.ones((2, 3, 4, 5))})
