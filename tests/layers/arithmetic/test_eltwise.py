"""Eltwise: recordings of Caffe, and random operations, ranks and layouts against one value after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.ir import Layout, Value
from caffe2tf.layers.arithmetic.eltwise import agreed_layout, agreed_shape
from tests.builders import input_layers
from tests.layers.emitted import emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def combine(arrays: Sequence[Array], operation: str, coefficients: Sequence[float]) -> Array:
    out = np.empty(arrays[0].shape)
    for place in np.ndindex(out.shape):
        values = [float(a[place]) for a in arrays]
        weighted = sum(c * v for c, v in zip(coefficients or [1.0] * len(values), values, strict=True))
        out[place] = {"PROD": math.prod(values), "SUM": weighted, "MAX": max(values)}[operation]
    return out.astype(np.float32)


def layer(bottoms: Sequence[str], operation: str | None = None, coefficients: Sequence[float] = ()) -> str:
    parameters = "" if operation is None else f"operation: {operation} "
    parameters += " ".join(f"coeff: {c}" for c in coefficients)
    names = " ".join(f'bottom: "{b}"' for b in bottoms)
    return f'layer {{ name: "out" type: "Eltwise" {names} top: "out" eltwise_param {{ {parameters} }} }}'


def draw(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> dict[str, Array]:
    return {f"in{i}": (rng.standard_normal(shape) * 2).astype(np.float32) for i in range(count)}


@pytest.mark.parametrize("case", recorded("eltwise_", "residual_block"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 4), (6,), (2, 3, 4), (2, 3, 2, 4, 3)])
@pytest.mark.parametrize("operation", ["PROD", "SUM", "MAX"])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_operations(shape: tuple[int, ...], operation: str, count: int, rng: np.random.Generator) -> None:
    fed = draw(rng, count, shape)
    out = run_layer(layer(list(fed), operation), fed)["out"]
    assert_matches(out, combine(list(fed.values()), operation, ()))


@pytest.mark.parametrize("coefficients", [(0.5, -2.0), (1, -1), (-1, 1), (1, 1), (0, 3), (1, -0.25, 1), (1, 1, 1, 0.1)])
def test_coefficients(coefficients: Sequence[float], rng: np.random.Generator) -> None:
    fed = draw(rng, len(coefficients), (2, 3, 4, 5))
    out = run_layer(layer(list(fed), None, coefficients), fed)["out"]
    assert_matches(out, combine(list(fed.values()), "SUM", coefficients))


@pytest.mark.parametrize(
    ("operation", "coefficients", "lost"),
    [("SUM", (), True), ("SUM", (0.5, -2.0, 3.0), True), ("PROD", (), False), ("MAX", (), False)],
)
def test_in_place(operation: str, coefficients: Sequence[float], lost: bool, rng: np.random.Generator) -> None:
    """Before a SUM, Caffe clears the top: which is the first bottom here."""
    fed = draw(rng, 3, (2, 3, 4, 5))
    text = "".join(f'layer {{ name: "{n}" type: "TanH" bottom: "{n}" top: "t{n}" }}' for n in fed)
    own = layer([f"t{n}" for n in fed], operation, coefficients).replace('top: "out"', 'top: "tin0"')
    found = run_layer(text + own, fed)["tin0"]
    values = [np.tanh(a) for a in fed.values()]
    rest = slice(1, None) if lost else slice(None)
    assert_matches(found, combine(values[rest], operation, coefficients[rest]))


def test_the_user_is_told_what_a_sum_in_place_loses(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    for top, said in (("a", 1), ("c", 0)):
        own = layer(["a", "b"]).replace('top: "out"', f'top: "{top}"')
        net.write_text(input_layers({"a": (2, 3), "b": (2, 3)}) + own)
        notes = caffe2tf.convert(net, out=tmp_path / top).notes
        assert sum("without its first bottom" in str(note) for note in notes) == said


def test_max_takes_no_account_of_coefficients(rng: np.random.Generator) -> None:
    fed = draw(rng, 2, (3, 4))
    out = run_layer(layer(list(fed), "MAX", (5, -1)), fed)["out"]
    assert_matches(out, combine(list(fed.values()), "MAX", ()))


def test_one_bottom_twice(rng: np.random.Generator) -> None:
    fed = draw(rng, 1, (2, 3, 4, 5))
    out = run_layer(layer(["in0", "in0"], "SUM", (3, -0.5)), fed)["out"]
    assert_matches(out, fed["in0"] * 2.5)
    assert_matches(run_layer(layer(["in0", "in0", "in0"]), fed)["out"], fed["in0"] * 3)


def test_of_different_layouts(rng: np.random.Generator) -> None:
    """A flattened image, in the tensor in another order than in Caffe, and a row that is in Caffe's order."""
    fed = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in (("a", (2, 3, 5, 4)), ("b", (2, 18)))}
    text = (
        'layer { name: "pool" type: "Pooling" bottom: "a" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }'
        'layer { name: "flat" type: "Flatten" bottom: "pool" top: "flat" }'
    )
    for bottoms, coefficients in ((["flat", "b"], (2, -1)), (["b", "flat", "flat"], ()), (["b", "b", "flat"], ())):
        out = run_layer(text + layer(bottoms, "SUM", coefficients), fed)
        assert out["flat"].shape == (2, 18)
        assert_matches(out["out"], combine([out[b] if b == "flat" else fed[b] for b in bottoms], "SUM", coefficients))


def test_scalars() -> None:
    fed = {"a": np.array([2.0, -3.0], np.float32), "b": np.array([1.0, 4.0], np.float32)}
    text = "".join(f'layer {{ name: "sum-{n}" type: "Reduction" bottom: "{n}" top: "sum-{n}" }}' for n in ("a", "b"))
    for operation, want in (("SUM", 4), ("PROD", -5), ("MAX", 5)):
        assert run_layer(text + layer(["sum-a", "sum-b"], operation), fed)["out"].tolist() == want
    assert run_layer(text + layer(["sum-a", "sum-b"], "SUM", (1, -1)), fed)["out"].tolist() == -6


def test_idioms() -> None:
    shapes = {"a": (2, 3, 4, 5), "b": (2, 3, 4, 5)}
    for text, want in (
        (layer(["a", "b"]), 'layers.Add(name="out")([a, b])'),
        (layer(["a", "b"], "SUM", (1, 1)), 'layers.Add(name="out")([a, b])'),
        (layer(["a", "b"], "PROD"), 'layers.Multiply(name="out")([a, b])'),
        (layer(["a", "b"], "MAX"), 'layers.Maximum(name="out")([a, b])'),
        (layer(["b", "a"], "SUM", (1, -1)), 'layers.Subtract(name="out")([b, a])'),
        (layer(["a", "b"], "SUM", (0.1, 1)), 'Eltwise("SUM", coefficients=(0.1, 1.0), name="out")([a, b])'),
    ):
        assert want in emitted(text, shapes)


def test_a_sum_of_one_scales(rng: np.random.Generator) -> None:
    """As the networks of FlowNet have it."""
    for shape in ((2, 3, 4, 5), (7,), (2, 3)):
        fed = draw(rng, 1, shape)
        (name,) = fed
        text = f'layer {{ name: "out" type: "Eltwise" bottom: "{name}" top: "out" eltwise_param {{ coeff: -0.05 }} }}'
        assert_matches(run_layer(text, fed)["out"], np.float32(-0.05) * np.asarray(fed[name], np.float32))
        np.testing.assert_array_equal(run_layer(text.replace("coeff: -0.05", ""), fed)["out"], fed[name])
    assert 'layers.Rescaling(-0.05, name="out")' in emitted(text, {name: (2, 3)})


def test_most_common_layout() -> None:
    plain, last = Layout.plain(4), Layout.channels_last(4)
    values = [Value(id=str(i), blob=str(i), shape=(2, 3, 4, 5), layout=o) for i, o in enumerate((plain, last, plain))]
    assert agreed_layout(values) == plain
    assert agreed_layout(values[:2]) == last
    assert agreed_layout(values[1:]) == last


def test_unknown_extents() -> None:
    assert agreed_shape([(None, 3, 4), (2, 3, None)]) == (2, 3, 4)
    with pytest.raises(LayerError, match="one shape"):
        agreed_shape([(None, 3), (None, 4)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer(["a", "c"]), "all bottoms must have one shape: bottom 0 is 2x3, bottom 1 2x4"),
        (layer(["a", "b", "d"]), "all bottoms must have one shape: bottom 0 is 2x3, bottom 2 2x3x1"),
        (layer(["a", "b"], "SUM", (1,)), "once for each bottom, or not at all: 1 for 2 bottoms"),
        (layer(["a", "b"], "PROD", (1, 2)), "eltwise_param.coeff is for operation SUM"),
        (layer(["a"], "PROD"), "an Eltwise of operation PROD takes 2 bottoms or more, 1 given"),
        (layer(["a"], "MAX"), "an Eltwise of operation MAX takes 2 bottoms or more, 1 given"),
        (layer(["a"], "SUM", (1, 2)), "once for each bottom, or not at all: 2 for 1 bottoms"),
    ],
)
def test_rules(text: str, message: str) -> None:
    shapes = {"a": (2, 3), "b": (2, 3), "c": (2, 4), "d": (2, 3, 1)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {n: np.ones(s, np.float32) for n, s in shapes.items()})
