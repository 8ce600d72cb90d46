"""Axpy: recordings of Caffe, shapes and layouts against plain loops, emitted layers, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.ir import Layout, Value
from caffe2tf.layers.arithmetic.axpy import Axpy
from tests.builders import layer
from tests.layers.emitted import calls, emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

Shape = tuple[int, ...]

AXPY = layer("Axpy", "out", ["a", "x", "b"])


def fed(rng: np.random.Generator, a: Shape, x: Shape, b: Shape | None = None) -> dict[str, Array]:
    shapes = {"a": a, "x": x, "b": x if b is None else b}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def axpy(a: Array, x: Array, b: Array) -> Array:
    out = np.zeros_like(x)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            out[n, c] = a.reshape(*a.shape[:2])[n, c] * x[n, c] + b[n, c]
    return out


@pytest.mark.parametrize("case", recorded("fork_axpy_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("x", [(2, 3, 4, 5), (3, 4, 2), (3, 5), (1, 4, 1, 1), (4, 1, 3, 2), (1, 3, 1, 5), (6, 5, 2, 3)])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_shapes(x: Shape, more: int, rng: np.random.Generator) -> None:
    given = fed(rng, (*x[:2], *(1,) * more), x)
    assert_matches(run_layer(AXPY, given)["out"], axpy(**given))


def test_bottoms_in_different_layouts(rng: np.random.Generator) -> None:
    # x is NHWC, as after a convolution; b was flattened and reshaped, which needs Caffe's order
    given = fed(rng, (2, 3, 1, 1), (2, 3, 4, 5))
    pool = layer("Pooling", "p", ["x"], parameters="pooling_param { kernel_size: 1 }")
    flatten = layer("Flatten", "f", ["b"])
    reshape = layer("Reshape", "r", ["f"], parameters="reshape_param { shape { dim: [0, 3, 4, 5] } }")
    text = pool + flatten + reshape + AXPY.replace('bottom: "x" bottom: "b"', 'bottom: "p" bottom: "r"')
    assert_matches(run_layer(text, given)["out"], axpy(**given))


def test_flattened_bottoms(rng: np.random.Generator) -> None:
    given = fed(rng, (2, 12), (2, 3, 2, 2))
    text = ""
    for n in ("x", "b"):
        text += layer("Pooling", f"p{n}", [n], parameters="pooling_param { kernel_size: 1 }")
        text += layer("Flatten", f"f{n}", [f"p{n}"])
    text += AXPY.replace('"x"', '"fx"').replace('"b"', '"fb"')
    flat = {n: v.reshape(2, 12) for n, v in given.items()}
    assert_matches(run_layer(text, given)["out"], axpy(**flat))


SQUEEZE = """
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 3 kernel_size: 3 } }
layer { name: "g" type: "Pooling" bottom: "c" top: "g" pooling_param { pool: AVE global_pooling: true } }
layer { name: "e" type: "Convolution" bottom: "g" top: "e" convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "s" type: "Sigmoid" bottom: "e" top: "s" }
layer { name: "y" type: "Axpy" bottom: "s" bottom: "c" bottom: "shortcut" top: "y" }
layer { name: "r" type: "ReLU" bottom: "y" top: "y" }
"""


def test_squeeze_and_excitation_without_transpositions() -> None:
    shapes = {"data": (2, 3, 6, 7), "shortcut": (2, 3, 4, 5)}
    means = ["Conv2D", "GlobalAveragePooling2D", "Conv2D", "Activation"]
    assert calls(SQUEEZE, shapes) == [*means, "Multiply", "Add", "ReLU"]
    assert "batch_size" not in emitted(SQUEEZE, shapes)


def test_unknown_extents() -> None:
    assert Axpy().infer((None, 3, 1, 1), (2, 3, None, 5), (None, 3, 4, None)) == ((2, 3, 4, 5),)
    assert Axpy().infer((2, None), (2, None, 4, 5), (2, 3, 4, 5)) == ((2, 3, 4, 5),)


def test_layout_has_the_batch_first() -> None:
    odd, plain = Layout((1, 0, 2, 3)), Layout.plain(4)
    values = [Value(id=n, blob=n, shape=(2, 3, 1, 1), layout=odd) for n in "axb"]
    assert Axpy().arrange(values, values[:1]).inputs == (plain, plain, plain)


@pytest.mark.parametrize(
    ("a", "x", "b", "message"),
    [
        (
            (2, 3, 1, 1),
            (2, 3, 4, 5),
            (2, 3, 5, 4),
            "all bottoms must have the same shape: bottom 0 is 2x3x4x5, bottom 1 is 2x3x5",
        ),
        (
            (2, 4, 1, 1),
            (2, 3, 4, 5),
            None,
            "one value for each item and channel of bottom 1; their shapes are 2x4x1x1 and 2x3x4x5",
        ),
        ((3, 3), (2, 3, 4, 5), None, "one value for each item and channel"),
        ((2,), (2, 3, 4), None, "one value for each item and channel"),
        ((2, 3, 4, 5), (2, 3, 4, 5), None, "must have extent 1; its shape is 2x3x4x5. Put a global Pooling before it"),
        ((2, 3, 4), (2, 3, 4), None, "Caffe would read values of other channels"),
        ((2, 3), (2, 3, 4, 5, 6), None, "must have 2 to 4 axes"),
        ((2, 3), (6,), None, "must have 2 to 4 axes"),
    ],
)
def test_errors(a: Shape, x: Shape, b: Shape | None, message: str, rng: np.random.Generator) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(AXPY, fed(rng, a, x, b))


def test_refuse_in_place(rng: np.random.Generator) -> None:
    with pytest.raises(Caffe2TFError, match="must not be computed in place: give its top another name than 'a'"):
        run_layer(AXPY.replace('top: "out"', 'top: "a"'), fed(rng, (2, 3), (2, 3, 4)))


def test_refuse_two_bottoms(rng: np.random.Generator) -> None:
    with pytest.raises(Caffe2TFError, match="takes 3 bottoms, 2 given"):
        run_layer(AXPY.replace('bottom: "b"', ""), fed(rng, (2, 3), (2, 3, 4)))


def test_refuse_unknown_channels() -> None:
    a = Value(id="a", blob="a", shape=(2, None), layout=Layout.plain(2))
    x = Value(id="x", blob="x", shape=(2, None, 3, 4), layout=Layout.channels_last(4))
    with pytest.raises(LayerError, match="channels must be known"):
        Axpy().emit(None, a, x, x)  # type: ignore[arg-type]  # the context is not read
