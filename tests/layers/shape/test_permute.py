"""Permute: each order of the axes in several layouts, and no unnecessary transposition."""

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
from tests.builders import input_layers, layer, write_prototxt
from tests.layers.emitted import built, calls
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

SHAPES = ((3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 5, 4))

HEADS = (
    layer("Convolution", "c1", ["data"], parameters="convolution_param { num_output: 6 kernel_size: 3 pad: 1 }")
    + layer("ReLU", "r1", ["c1"], tops=["c1"])
    + layer("Convolution", "c2", ["c1"], parameters="convolution_param { num_output: 4 kernel_size: 3 stride: 2 }")
    + layer("Convolution", "loc1", ["c1"], parameters="convolution_param { num_output: 8 kernel_size: 3 pad: 1 }")
    + layer("Permute", "loc1_perm", ["loc1"], parameters="permute_param { order: 0 order: 2 order: 3 order: 1 }")
    + layer("Flatten", "loc1_flat", ["loc1_perm"], parameters="flatten_param { axis: 1 }")
    + layer("Convolution", "loc2", ["c2"], parameters="convolution_param { num_output: 12 kernel_size: 1 }")
    + layer("Permute", "loc2_perm", ["loc2"], parameters="permute_param { order: 0 order: 2 order: 3 order: 1 }")
    + layer("Flatten", "loc2_flat", ["loc2_perm"], parameters="flatten_param { axis: 1 }")
    + layer("Concat", "loc", ["loc1_flat", "loc2_flat"], parameters="concat_param { axis: 1 }")
    + layer("Reshape", "conf", ["loc"], parameters="reshape_param { shape { dim: 0 dim: -1 dim: 4 } }")
    + layer("Softmax", "prob", ["conf"], parameters="softmax_param { axis: 2 }")
)


def permute(x: Array, order: tuple[int, ...]) -> Array:
    """Compute one value after the other, found by its position in row-major memory."""
    shape = [x.shape[a] for a in order]
    steps = [int(np.prod(x.shape[a + 1 :])) for a in range(x.ndim)]
    memory = x.reshape(-1)
    values = [memory[sum(i * steps[a] for i, a in zip(place, order, strict=True))] for place in np.ndindex(*shape)]
    return np.array(values, np.float32).reshape(shape)


def permute_layer(name: str, order: tuple[int, ...], *, bottom: str = "data", top: str | None = None) -> str:
    listed = " ".join(f"order: {a}" for a in order)
    return layer("Permute", name, [bottom], [top or name], f"permute_param {{ {listed} }}")


def named(order: tuple[int, ...], prefix: str = "p") -> str:
    return prefix + "".join(map(str, order))


@pytest.mark.parametrize("case", recorded("fork_permute_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", SHAPES, ids=len)
def test_every_order(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = rng.normal(0, 2, shape).astype(np.float32)
    orders = list(itertools.permutations(range(len(shape))))[::-1][:30]
    out = run_layer("".join(permute_layer(named(o), o) for o in orders), {"data": x})
    for order in orders:
        assert_matches(out[named(order)], permute(x, order), named(order), tolerance=0)


@pytest.mark.parametrize(
    ("given", "whole"), [((), (0, 1, 2, 3)), ((2,), (2, 0, 1, 3)), ((3, 1), (3, 1, 0, 2)), ((0, 1, 3), (0, 1, 3, 2))]
)
def test_axes_without_a_name_follow(given: tuple[int, ...], whole: tuple[int, ...], rng: np.random.Generator) -> None:
    x = rng.normal(0, 2, (2, 3, 4, 5)).astype(np.float32)
    assert_matches(run_layer(permute_layer("p", given), {"data": x})["p"], permute(x, whole), tolerance=0)


@pytest.mark.parametrize("batch", [2, 1])
def test_layers_after_it_see_the_new_order(batch: int, rng: np.random.Generator) -> None:
    """Each order follows a convolution and precedes layers whose results depend on the axes."""
    x, k = rng.normal(0, 1, (batch, 3, 4, 5)).astype(np.float32), rng.normal(0, 1, (6, 3, 1, 1)).astype(np.float32)
    text = layer(
        "Convolution", "c", ["data"], parameters="convolution_param { num_output: 6 kernel_size: 1 bias_term: false }"
    )
    c = np.einsum("nchw,oc->nohw", x, k[..., 0, 0]).astype(np.float32)
    blobs, want = {"c": [k]}, dict[str, Array | None]()
    for order in [(0, *o) for o in itertools.permutations((1, 2, 3))] + [(1, 0, 2, 3), (3, 2, 1, 0), (2, 3, 0, 1)]:
        p, y = named(order), permute(c, order)
        weight = rng.normal(0, 0.3, (2, y[0].size)).astype(np.float32)
        kernel = rng.normal(0, 0.3, (2, y.shape[1], 1, 1)).astype(np.float32)
        text += permute_layer(p, order, bottom="c") + layer("Flatten", f"{p}f", [p]) + layer("MVN", f"{p}m", [p])
        text += layer("InnerProduct", f"{p}i", [p], parameters="inner_product_param { num_output: 2 bias_term: false }")
        parameters = "convolution_param { num_output: 2 kernel_size: 1 bias_term: false }"
        text += layer("Convolution", f"{p}k", [p], parameters=parameters)
        text += layer("Reshape", f"{p}r", [p], parameters="reshape_param { shape { dim: 0 dim: 2 dim: -1 } }")
        text += permute_layer(f"{p}b", tuple(order.index(a) for a in range(4)), bottom=p)
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


def test_flattened_blob(rng: np.random.Generator) -> None:
    x, k = rng.normal(0, 1, (2, 3, 4, 5)).astype(np.float32), rng.normal(0, 1, (4, 3, 1, 1)).astype(np.float32)
    text = (
        layer(
            "Convolution",
            "c",
            ["data"],
            parameters="convolution_param { num_output: 4 kernel_size: 1 bias_term: false }",
        )
        + layer("Flatten", "f", ["c"])
    ) + permute_layer("same", (0, 1), bottom="f")
    text += permute_layer("swapped", (1,), bottom="f")
    out = run_layer(text, {"data": x}, {"c": [k]})
    flat = np.einsum("nchw,oc->nohw", x, k[..., 0, 0]).reshape(2, -1)
    assert_matches(out["same"], flat)
    assert_matches(out["swapped"], flat.T)


def test_ssd_heads_need_no_transposition(tmp_path: Path) -> None:
    file = write_prototxt(tmp_path, input_layers({"data": (2, 3, 9, 7)}) + HEADS)
    graph = prepare(load_graph(read_network(file)))
    assert sum(isinstance(n.layer, Permute) for n in graph.nodes) == 2
    assert not [n.name for n in graph.nodes if isinstance(n.layer, Reorder)]
    assert not {"Permute", "Transpose", "Reblock"} & set(calls(HEADS, {"data": (2, 3, 9, 7)}))


def test_other_heads_need_a_transposition() -> None:
    """The check above can fail: another order needs a transposition."""
    other = HEADS.replace("order: 0 order: 2 order: 3 order: 1", "order: 0 order: 3 order: 2 order: 1")
    assert {"Permute", "Transpose", "Reblock"} & set(calls(other, {"data": (2, 3, 9, 7)}))


def test_ssd_heads(rng: np.random.Generator) -> None:
    x = rng.normal(0, 1, (2, 3, 9, 7)).astype(np.float32)
    out = run_layer(HEADS, {"data": x})
    flat = [permute(out[f"loc{i}"], (0, 2, 3, 1)).reshape(2, -1) for i in (1, 2)]
    assert_matches(out["loc"], np.concatenate(flat, 1), tolerance=0)


def test_batch_is_kept_unless_it_moves() -> None:
    assert built(permute_layer("p", (0, 3, 1)), {"data": (2, 3, 4, 5)}).output_shape[0] is None
    # equal extents: the shapes do not show which axis is the batch
    assert built(permute_layer("p", (0, 2)), {"data": (3, 3, 3)}).output_shape == (None, 3, 3)
    assert built(permute_layer("p", (1, 0)), {"data": (3, 3, 3)}).output_shape == (3, 3, 3)


def test_identity_shares_memory(rng: np.random.Generator) -> None:
    """A later layer in place changes both blobs if no axis moves, and only its own blob otherwise."""
    x = rng.normal(0, 2, (2, 3, 4)).astype(np.float32)
    for order, shared in (((0, 1), True), ((0, 2), False)):
        text = layer("Power", "c", ["data"], parameters="power_param { scale: 2 }")
        text += permute_layer("p", order, bottom="c") + layer("ReLU", "r", ["p"], tops=["p"])
        text += layer("Power", "s", ["c"], parameters="power_param { shift: 0.5 }")
        want = np.maximum(2 * x, 0) if shared else 2 * x
        assert_matches(run_layer(text, {"data": x})["s"], want + 0.5)


@pytest.mark.parametrize("order", [(0, 1, 3, 2), (0, 2, 3, 1), (0, 3, 1, 2), (3, 2, 1, 0), (1, 0, 2, 3)])
@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (3, 2, 4, 5), (1, 3, 5, 2)])
def test_in_place(order: tuple[int, ...], shape: tuple[int, ...], rng: np.random.Generator) -> None:
    """The result is that of Caffe's loop, which reads and writes the same memory."""
    x = rng.normal(0, 2, shape).astype(np.float32)
    text = layer("Power", "c", ["data"], parameters="power_param { scale: -1 }")
    text += permute_layer("p", order, bottom="c", top="c")
    memory = -x.reshape(-1)
    places = permute(np.arange(x.size, dtype=np.float32).reshape(shape), order)
    for i, source in enumerate(places.reshape(-1)):
        memory[i] = memory[int(source)]
    assert len(x) == 1 or not np.array_equal(memory, permute(-x, order).reshape(-1))
    assert_matches(run_layer(text, {"data": x})["c"], memory.reshape(places.shape), tolerance=0)


def test_note_on_working_in_place(tmp_path: Path) -> None:
    text = input_layers({"data": (2, 3, 4, 5)}) + layer("Power", "c", ["data"])
    file = write_prototxt(tmp_path, text + permute_layer("p", (0, 2), bottom="c", top="c"))
    notes = caffe2tf.convert(file, None, tmp_path / "out").notes
    assert [n for n in notes if n.layer == "p" and "give the top another name" in n.message]
    text += permute_layer("p", (0, 1), bottom="c", top="c") + permute_layer("q", (0, 2), bottom="c")
    file = write_prototxt(tmp_path, text)
    assert not caffe2tf.convert(file, None, tmp_path / "other").notes


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ((0, 2, 0), "must name each axis at most once; it repeats 0"),
        ((0, 4), r"must name axes of the bottom \(2x3x4x5\), 0 to 3, not 4"),
    ],
)
def test_errors(order: tuple[int, ...], message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(permute_layer("p", order), {"data": np.ones((2, 3, 4, 5))})
