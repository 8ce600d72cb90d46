"""Eltwise: recordings of Caffe, and operations, ranks and layouts against plain loops."""

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
from tests.builders import input_layers, layer, write_prototxt
from tests.layers.emitted import emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def combine(arrays: Sequence[Array], operation: str, coefficients: Sequence[float]) -> Array:
    out = np.empty(arrays[0].shape)
    for place in np.ndindex(out.shape):
        values = [float(a[place]) for a in arrays]
        weighted = sum(c * v for c, v in zip(coefficients or [1.0] * len(values), values, strict=True))
        out[place] = {"PROD": math.prod(values), "SUM": weighted, "MAX": max(values)}[operation]
    return out.astype(np.float32)


def eltwise(bottoms: Sequence[str], operation: str | None = None, coefficients: Sequence[float] = ()) -> str:
    parameters = "" if operation is None else f"operation: {operation} "
    parameters += " ".join(f"coeff: {c}" for c in coefficients)
    return layer("Eltwise", "out", bottoms, parameters=f"eltwise_param {{ {parameters} }}")


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
    out = run_layer(eltwise(list(fed), operation), fed)["out"]
    assert_matches(out, combine(list(fed.values()), operation, ()))


@pytest.mark.parametrize("coefficients", [(0.5, -2.0), (1, -1), (-1, 1), (1, 1), (0, 3), (1, -0.25, 1), (1, 1, 1, 0.1)])
def test_coefficients(coefficients: Sequence[float], rng: np.random.Generator) -> None:
    fed = draw(rng, len(coefficients), (2, 3, 4, 5))
    out = run_layer(eltwise(list(fed), None, coefficients), fed)["out"]
    assert_matches(out, combine(list(fed.values()), "SUM", coefficients))


@pytest.mark.parametrize(
    ("operation", "coefficients", "lost"),
    [("SUM", (), True), ("SUM", (0.5, -2.0, 3.0), True), ("PROD", (), False), ("MAX", (), False)],
)
def test_in_place(operation: str, coefficients: Sequence[float], lost: bool, rng: np.random.Generator) -> None:
    """Before a SUM, Caffe clears the top, which is the first bottom here."""
    fed = draw(rng, 3, (2, 3, 4, 5))
    text = "".join(layer("TanH", n, [n], [f"t{n}"]) for n in fed)
    own = eltwise([f"t{n}" for n in fed], operation, coefficients).replace('top: "out"', 'top: "tin0"')
    found = run_layer(text + own, fed)["tin0"]
    values = [np.tanh(a) for a in fed.values()]
    rest = slice(1, None) if lost else slice(None)
    assert_matches(found, combine(values[rest], operation, coefficients[rest]))


def test_note_that_a_sum_in_place_loses_a_bottom(tmp_path: Path) -> None:
    for top, said in (("a", 1), ("c", 0)):
        own = eltwise(["a", "b"]).replace('top: "out"', f'top: "{top}"')
        net = write_prototxt(tmp_path, input_layers({"a": (2, 3), "b": (2, 3)}) + own)
        notes = caffe2tf.convert(net, out=tmp_path / top).notes
        assert sum("without its first bottom" in str(note) for note in notes) == said


def test_max_ignores_coefficients(rng: np.random.Generator) -> None:
    fed = draw(rng, 2, (3, 4))
    out = run_layer(eltwise(list(fed), "MAX", (5, -1)), fed)["out"]
    assert_matches(out, combine(list(fed.values()), "MAX", ()))


def test_repeated_bottom(rng: np.random.Generator) -> None:
    fed = draw(rng, 1, (2, 3, 4, 5))
    out = run_layer(eltwise(["in0", "in0"], "SUM", (3, -0.5)), fed)["out"]
    assert_matches(out, fed["in0"] * 2.5)
    assert_matches(run_layer(eltwise(["in0", "in0", "in0"]), fed)["out"], fed["in0"] * 3)


def test_different_layouts(rng: np.random.Generator) -> None:
    """A flattened image, which the tensor holds in another order than Caffe, and a row in Caffe's order."""
    fed = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in (("a", (2, 3, 5, 4)), ("b", (2, 18)))}
    text = layer("Pooling", "pool", ["a"], parameters="pooling_param { kernel_size: 2 stride: 2 }")
    text += layer("Flatten", "flat", ["pool"])
    for bottoms, coefficients in ((["flat", "b"], (2, -1)), (["b", "flat", "flat"], ()), (["b", "b", "flat"], ())):
        out = run_layer(text + eltwise(bottoms, "SUM", coefficients), fed)
        assert out["flat"].shape == (2, 18)
        assert_matches(out["out"], combine([out[b] if b == "flat" else fed[b] for b in bottoms], "SUM", coefficients))


def test_scalars() -> None:
    fed = {"a": np.array([2.0, -3.0], np.float32), "b": np.array([1.0, 4.0], np.float32)}
    text = "".join(layer("Reduction", f"sum-{n}", [n]) for n in ("a", "b"))
    for operation, want in (("SUM", 4), ("PROD", -5), ("MAX", 5)):
        assert run_layer(text + eltwise(["sum-a", "sum-b"], operation), fed)["out"].tolist() == want
    assert run_layer(text + eltwise(["sum-a", "sum-b"], "SUM", (1, -1)), fed)["out"].tolist() == -6


def test_emitted_layers() -> None:
    shapes = {"a": (2, 3, 4, 5), "b": (2, 3, 4, 5)}
    for text, want in (
        (eltwise(["a", "b"]), 'layers.Add(name="out")([a, b])'),
        (eltwise(["a", "b"], "SUM", (1, 1)), 'layers.Add(name="out")([a, b])'),
        (eltwise(["a", "b"], "PROD"), 'layers.Multiply(name="out")([a, b])'),
        (eltwise(["a", "b"], "MAX"), 'layers.Maximum(name="out")([a, b])'),
        (eltwise(["b", "a"], "SUM", (1, -1)), 'layers.Subtract(name="out")([b, a])'),
        (eltwise(["a", "b"], "SUM", (0.1, 1)), 'Eltwise("SUM", coefficients=(0.1, 1.0), name="out")([a, b])'),
    ):
        assert want in emitted(text, shapes)


def test_sum_of_one_bottom_scales(rng: np.random.Generator) -> None:
    """FlowNet's networks scale blobs so."""
    for shape in ((2, 3, 4, 5), (7,), (2, 3)):
        fed = draw(rng, 1, shape)
        (name,) = fed
        text = layer("Eltwise", "out", [name], parameters="eltwise_param { coeff: -0.05 }")
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
    with pytest.raises(LayerError, match="same shape"):
        agreed_shape([(None, 3), (None, 4)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (eltwise(["a", "c"]), "all bottoms must have the same shape: bottom 0 is 2x3, bottom 1 is 2x4"),
        (eltwise(["a", "b", "d"]), "all bottoms must have the same shape: bottom 0 is 2x3, bottom 2 is 2x3x1"),
        (eltwise(["a", "b"], "SUM", (1,)), "once for each bottom, or not at all: 1 given for 2 bottoms"),
        (eltwise(["a", "b"], "PROD", (1, 2)), "eltwise_param.coeff is for operation SUM"),
        (eltwise(["a"], "PROD"), "an Eltwise of operation PROD takes 2 bottoms or more, 1 given"),
        (eltwise(["a"], "MAX"), "an Eltwise of operation MAX takes 2 bottoms or more, 1 given"),
        (eltwise(["a"], "SUM", (1, 2)), "once for each bottom, or not at all: 2 given for 1 bottoms"),
    ],
)
def test_errors(text: str, message: str) -> None:
    shapes = {"a": (2, 3), "b": (2, 3), "c": (2, 4), "d": (2, 3, 1)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {n: np.ones(s, np.float32) for n, s in shapes.items()})
