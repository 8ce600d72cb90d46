"""Interp: recordings of Caffe, all ways to give a size against plain loops in Caffe's precision, errors."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe2tf.errors import Caffe2TFError
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from caffe2tf.pipeline import plan_conversion
from tests import builders
from tests.builders import input_layers, write_prototxt
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

FLOAT = np.float32


def interpolate(x: Array, height: int, width: int) -> Array:
    """Interpolate one value after the other in float32, as Caffe does."""
    rows, columns = x.shape[2:]
    y = np.empty((*x.shape[:2], height, width), FLOAT)
    if (rows, columns) == (height, width):
        return x
    down = FLOAT(rows - 1) / FLOAT(height - 1) if height > 1 else FLOAT(0)
    across = FLOAT(columns - 1) / FLOAT(width - 1) if width > 1 else FLOAT(0)
    for h, w in np.ndindex(height, width):
        at_h, at_w = FLOAT(down * FLOAT(h)), FLOAT(across * FLOAT(w))
        i, j = int(at_h), int(at_w)
        below, right = min(i + 1, rows - 1), min(j + 1, columns - 1)
        b, r = at_h - FLOAT(i), at_w - FLOAT(j)
        upper = (FLOAT(1) - r) * x[:, :, i, j] + r * x[:, :, i, right]
        lower = (FLOAT(1) - r) * x[:, :, below, j] + r * x[:, :, below, right]
        y[:, :, h, w] = (FLOAT(1) - b) * upper + b * lower
    return y


def layer(parameters: str, *bottoms: str) -> str:
    """Return the text of an Interp with the bottoms ``data`` and, if given, `bottoms`."""
    return builders.layer("Interp", "out", ["data", *bottoms], parameters=f"interp_param {{ {parameters} }}")


def draw(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(3).normal(-1, 4, shape).astype(FLOAT)


def refused(text: str, shape: tuple[int, ...] = (2, 3, 4, 5)) -> str:
    """Return the message of the error that the layer raises."""
    with pytest.raises(Caffe2TFError) as caught:
        run_layer(text, {"data": np.ones(shape)})
    return str(caught.value)


def source(text: str, shape: tuple[int, ...]) -> str:
    """Return the emitted source."""
    with tempfile.TemporaryDirectory() as folder:
        definition = read_network(write_prototxt(Path(folder), input_layers({"data": shape}) + text))
        return plan_conversion(load_graph(definition), definition).module_source


@pytest.mark.parametrize("case", recorded("fork_interp"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@settings(max_examples=50)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 13),
    height=st.integers(1, 23),
    width=st.integers(1, 17),
)
def test_height_and_width(rows: int, columns: int, height: int, width: int) -> None:
    x = draw((2, 3, rows, columns))
    out = run_layer(layer(f"height: {height} width: {width}"), {"data": x})["out"]
    assert_matches(out, interpolate(x, height, width), tolerance=1e-6)


@settings(max_examples=40)
@given(
    rows=st.integers(3, 11),
    columns=st.integers(3, 9),
    shrink=st.integers(1, 5),
    zoom=st.integers(1, 5),
    pads=st.tuples(st.integers(-1, 0), st.integers(-1, 0)),
    given_as=st.sampled_from(["both", "shrink", "zoom"]),
)
def test_factors_and_pads(
    rows: int, columns: int, shrink: int, zoom: int, pads: tuple[int, int], given_as: str
) -> None:
    x = draw((2, 3, rows, columns))
    shrink, zoom = 1 if given_as == "zoom" else shrink, 1 if given_as == "shrink" else zoom
    text = f"pad_beg: {pads[0]} pad_end: {pads[1]}"
    text += f" shrink_factor: {shrink}" * (given_as != "zoom") + f" zoom_factor: {zoom}" * (given_as != "shrink")
    if given_as != "both":
        text += " height: 2 width: 3"  # ignored next to a single factor
    within = x[:, :, -pads[0] : rows + pads[1], -pads[0] : columns + pads[1]]
    height, width = (((n - 1) // shrink + 1 - 1) * zoom + 1 for n in within.shape[2:])
    assert_matches(run_layer(layer(text), {"data": x})["out"], interpolate(within, height, width), tolerance=1e-6)


def test_height_and_width_take_precedence_over_both_factors() -> None:
    x = draw((2, 3, 5, 7))
    out = run_layer(layer("height: 4 width: 9 zoom_factor: 3 shrink_factor: 2"), {"data": x})["out"]
    assert_matches(out, interpolate(x, 4, 9), tolerance=1e-6)


def test_size_of_pspnet() -> None:
    x = draw((1, 2, 60, 61))
    out = run_layer(layer("height: 473 width: 480"), {"data": x})["out"]
    assert_matches(out, interpolate(x, 473, 480), tolerance=1e-6)


def test_size_of_a_second_bottom() -> None:
    x, like = draw((2, 3, 5, 7)), np.zeros((2, 2, 4, 11))
    out = run_layer(layer("use_blob_size: true pad_end: -1", "like"), {"data": x, "like": like})
    assert_matches(out["out"], interpolate(x[:, :, :4, :6], 4, 11), tolerance=1e-6)


@pytest.mark.parametrize("case", recorded("fork2_interp_two_bottoms"))
def test_field_interp_two_bottoms(case: str) -> None:
    """A second bottom gives the size without any flag."""
    check_recorded(case)


def test_two_bottoms_have_the_same_batch_size() -> None:
    like = input_layers({"like": (3, 1, 6, 5)})
    assert "must have the same batch size, not 2 and 3" in refused(like + layer("", "like"))


def test_full_zoom() -> None:
    x = draw((2, 3, 5, 7))
    out = run_layer(layer("full_zoom_factor: 3"), {"data": x})["out"]
    assert_matches(out, interpolate(x, 15, 21), tolerance=1e-6)


@pytest.mark.parametrize(
    ("parameters", "has", "lacks"),
    [
        ("zoom_factor: 1", "", "Interp"),
        ("height: 4 width: 5", "", "Interp"),
        ("zoom_factor: 1 pad_beg: -1", "layers.Cropping2D(((1, 0), (1, 0)), name=", "Interp"),
        ("zoom_factor: 2 pad_end: -1", "Interp(zoom=2, name=", "Interp((7"),
        ("shrink_factor: 2", "Interp(shrink=2, name=", "zoom"),
    ],
)
def test_emitted_layers(parameters: str, has: str, lacks: str) -> None:
    text = source(layer(parameters) + builders.layer("ReLU", "r", ["out"]), (2, 3, 4, 5))
    assert has in text
    assert lacks not in text
    assert "Permute" not in text


def test_any_batch() -> None:
    assert "batch_shape" not in source(layer("zoom_factor: 2"), (3, 2, 4, 5))


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ("", "Interp needs a size"),
        ("height: 4", "Interp needs a size"),
        ("height: 4 width: 0", "height and width must be 1 or more, not 4 and 0"),
        ("height: -4 width: 3", "height and width must be 1 or more, not -4 and 3"),
        ("zoom_factor: 0", "zoom_factor must be 1 or more, not 0"),
        ("zoom_factor: 2 shrink_factor: -1", "shrink_factor must be 1 or more, not -1"),
        ("zoom_factor: 2 pad_beg: 1", "pad_beg must be 0 or less (it crops), not 1"),
        ("zoom_factor: 2 pad_end: 3", "pad_end must be 0 or less (it crops), not 3"),
        ("zoom_factor: 2 pad_beg: -2 pad_end: -2", "pad_beg (-2) and pad_end (-2) leave nothing of 4x5"),
        ("full_zoom_factor: 0", "full_zoom_factor must be one whole number, 1 or more, not 0"),
        ("zoom_factor: 2 antialias: true", "'interp_param.antialias' is not known"),
        ("use_blob_size: true", "with use_blob_size a second bottom for the size; 1 bottom is given"),
    ],
)
def test_errors(parameters: str, wanted: str) -> None:
    assert wanted in refused(layer(parameters))


def test_errors_of_bottoms() -> None:
    for size in ("zoom_factor: 2", "height: 3", "shrink_factor: 1", "full_zoom_factor: 2"):
        name = size.partition(":")[0]
        assert f"interp_param.{name} gives another one" in refused(layer(size, "data"))
    assert "bottoms of 4 axes (N, C, H, W), not 2x3" in refused(layer("zoom_factor: 2"), (2, 3))
    text = layer("use_blob_size: true", "like")
    with pytest.raises(Caffe2TFError, match="must be known before the network runs"):
        load_graph_of(text, {"data": (1, 3, 4, 5), "like": (1, 2, None, None)})


def load_graph_of(text: str, shapes: dict[str, tuple[int | None, ...]]) -> None:
    inputs = input_layers({n: [d or 9 for d in s] for n, s in shapes.items()})
    with tempfile.TemporaryDirectory() as folder:
        load_graph(read_network(write_prototxt(Path(folder), inputs + text)), input_shapes=shapes)
