"""Upsample and Unpooling: recordings of Caffe, random masks against plain loops, emitted layers, errors."""

from __future__ import annotations

from collections.abc import Sequence
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
from tests.layers.oracle import Array, check_recorded, recorded, run_layer


def by_mask(x: Array, mask: Array, height: int, width: int) -> Array:
    """Write one value after the other to the position in the mask, as Caffe does."""
    y = np.zeros((*x.shape[:2], height * width), np.float32)
    for n, c in np.ndindex(x.shape[:2]):
        for i, j in np.ndindex(x.shape[2:]):
            y[n, c, int(mask[n, c, i, j])] = x[n, c, i, j]
    return y.reshape(*x.shape[:2], height, width)


def layer(parameters: str, bottoms: Sequence[str] = ("data", "mask"), type_: str = "Upsample") -> str:
    block = "upsample_param" if type_ == "Upsample" else "pooling_param"
    return builders.layer(type_, "out", bottoms, parameters=f"{block} {{ {parameters} }}")


def pooling(parameters: str) -> str:
    """Return the text of a Pooling with the tops ``p`` and ``m``, the mask."""
    return builders.layer("Pooling", "p", ["data"], ["p", "m"], f"pooling_param {{ {parameters} }}")


def draw(shape: tuple[int, ...], seed: int = 3) -> Array:
    return np.random.default_rng(seed).normal(-1, 4, shape).astype(np.float32)


def places(shape: tuple[int, ...], count: int, seed: int = 5) -> Array:
    """Draw a mask in which some positions occur several times."""
    return np.random.default_rng(seed).integers(0, count, shape).astype(np.float32)


def refused(text: str, **shapes: tuple[int, ...]) -> str:
    """Return the message of the error that the layer raises."""
    shapes = shapes or {"data": (2, 3, 4, 5), "mask": (2, 3, 4, 5)}
    with pytest.raises(Caffe2TFError) as caught:
        run_layer(text, {name: np.zeros(shape) for name, shape in shapes.items()})
    return str(caught.value)


def source(folder: Path, text: str, shape: tuple[int, ...]) -> str:
    """Return the emitted source."""
    definition = read_network(write_prototxt(folder, input_layers({"data": shape}) + text))
    return plan_conversion(load_graph(definition), definition).module_source


@pytest.mark.parametrize("case", recorded("fork_upsample"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@settings(max_examples=40)
@given(
    extents=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 7)),
    height=st.integers(2, 9),
    width=st.integers(2, 11),
    seed=st.integers(0, 99),
)
def test_any_mask(extents: tuple[int, int, int, int], height: int, width: int, seed: int) -> None:
    """If a position occurs several times in the mask, the last value stays."""
    x, mask = draw(extents, seed), places(extents, height * width, seed)
    out = run_layer(layer(f"upsample_h: {height} upsample_w: {width}"), {"data": x, "mask": mask})["out"]
    assert np.array_equal(out, by_mask(x, mask, height, width))


@pytest.mark.parametrize(
    ("parameters", "height", "width"),
    [
        ("", 6, 10),
        ("scale: 3", 9, 15),
        ("scale_h: 4 scale_w: 2", 12, 10),
        ("scale_h: 2 scale_w: 3 pad_out_h: true", 5, 15),
        ("scale_h: 3 scale_w: 2 pad_out_w: true", 9, 9),
        ("pad_out_h: true pad_out_w: true", 5, 9),
        ("upsample_h: 7 upsample_w: 4 scale: 9 scale_h: 5 pad_out_h: true", 7, 4),
        ("upsample_h: 7 scale: 3", 9, 15),
    ],
)
def test_size(parameters: str, height: int, width: int) -> None:
    x, mask = draw((2, 2, 3, 5)), places((2, 2, 3, 5), height * width)
    out = run_layer(layer(parameters), {"data": x, "mask": mask})["out"]
    assert np.array_equal(out, by_mask(x, mask, height, width))


def test_mask_of_overlapping_windows() -> None:
    """The values come from a convolution, so that values for one position differ."""
    parameters = 'convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "gaussian" } }'
    conv = builders.layer("Convolution", "c", ["p"], parameters=parameters)
    up = layer("upsample_h: 7 upsample_w: 8", ["c", "m"])
    out = run_layer(pooling("kernel_size: 3 stride: 2 pad: 1") + conv + up, {"data": draw((2, 3, 7, 8))})
    assert np.array_equal(out["out"], by_mask(out["c"], out["m"], 7, 8))
    assert len({*out["m"].reshape(-1)}) < out["m"].size / 2


@settings(max_examples=15)
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 6),
    kernel=st.tuples(st.integers(2, 4), st.integers(2, 3)),
    stride=st.tuples(st.integers(2, 3), st.integers(2, 4)),
)
def test_unpooling(rows: int, columns: int, kernel: tuple[int, int], stride: tuple[int, int]) -> None:
    height, width = ((n - 1) * s + k for n, s, k in zip((rows, columns), stride, kernel, strict=True))
    shape = (2, 3, rows, columns)
    x, mask = draw(shape), places(shape, height * width)
    text = f"kernel_h: {kernel[0]} kernel_w: {kernel[1]} stride_h: {stride[0]} stride_w: {stride[1]}"
    out = run_layer(layer(text, type_="Unpooling"), {"data": x, "mask": mask})["out"]
    assert np.array_equal(out, by_mask(x, mask, height, width))


@pytest.mark.parametrize(
    ("parameters", "height", "width"),
    [("kernel_size: 3 stride: 2 pad: 1", 5, 9), ("global_pooling: true", 5, 9), ("kernel_size: 2", 4, 6)],
)
def test_unpooling_size(parameters: str, height: int, width: int) -> None:
    x, mask = draw((2, 2, 3, 5)), places((2, 2, 3, 5), height * width)
    out = run_layer(layer(parameters, type_="Unpooling"), {"data": x, "mask": mask})["out"]
    assert np.array_equal(out, by_mask(x, mask, height, width))


def test_unpooling_undoes_pooling() -> None:
    text = pooling("kernel_size: 3 stride: 2") + layer("kernel_size: 3 stride: 2", ["p", "m"], "Unpooling")
    x = draw((2, 3, 7, 9))
    out = run_layer(text, {"data": x})
    assert out["out"].shape == x.shape
    kept = out["out"] != 0
    assert np.array_equal(out["out"][kept], x[kept])
    assert set(out["p"].reshape(-1)) == set(out["out"][kept])


@pytest.mark.parametrize("scale", [2, 3])
def test_without_a_mask_values_are_repeated(scale: int) -> None:
    x = draw((2, 3, 4, 5))
    out = run_layer(layer(f"scale: {scale}", ["data"]), {"data": x})["out"]
    assert np.array_equal(out, x.repeat(scale, axis=2).repeat(scale, axis=3))


def test_without_a_mask_the_default_scale_is_1(tmp_path: Path) -> None:
    text = layer("", ["data"]) + builders.layer("ReLU", "r", ["out"])
    x = draw((2, 3, 4, 5))
    assert np.array_equal(run_layer(text, {"data": x})["r"], np.maximum(x, 0))
    assert "UpSampling" not in source(tmp_path, text, x.shape)


def test_emitted_layers(tmp_path: Path) -> None:
    pool, both = pooling("kernel_size: 2 stride: 2"), ["p", "m"]
    shape = (3, 2, 8, 10)
    text = source(tmp_path, pool + layer("pad_out_w: true", both), shape)
    assert 'UpsampleByMask(factor=2, extra=(0, -1), name="out")([' in text
    assert "batch_shape" not in text
    assert "Permute" not in text
    assert "UpsampleByMask((8, 9)" in source(tmp_path, pool + layer("upsample_h: 8 upsample_w: 9", both), shape)
    assert "UpSampling2D(2, name=" in source(tmp_path, layer("scale: 2", ["data"]), shape)


def test_position_beyond_the_output() -> None:
    mask = np.zeros((1, 2, 2, 2))
    mask[0, 1, 1, 0] = 12
    with pytest.raises(Exception, match="has a position beyond the output"):
        run_layer(layer("upsample_h: 3 upsample_w: 4"), {"data": np.ones(mask.shape), "mask": mask})


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ("scale: 1", "scale must be 2 or more along both axes, not 1"),
        ("scale_h: 2 scale_w: 1", "scale must be 2 or more along both axes, not (2, 1)"),
        ("scale: 2 scale_h: 2 scale_w: 3", "both upsample_h and upsample_w, or only scale"),
        ("scale_h: 2", "both upsample_h and upsample_w, or only scale"),
        ("scale: 3 pad_out_h: true", "pad_out_h needs a scale of 2, not 3"),
        ("scale_h: 2 scale_w: 4 pad_out_w: true", "pad_out_w needs a scale of 2, not 4"),
        ("upsample_h: 1 upsample_w: 8", "must be 2 or more, not 1 and 8"),
    ],
)
def test_errors(parameters: str, wanted: str) -> None:
    assert wanted in refused(layer(parameters))


def test_errors_of_shapes() -> None:
    assert "the same 4 axes (N, C, H, W), not 2x3x4x5 and 2x3x4x6" in refused(
        layer(""), data=(2, 3, 4, 5), mask=(2, 3, 4, 6)
    )
    assert "the same 4 axes (N, C, H, W), not 2x3 and 2x3" in refused(layer(""), data=(2, 3), mask=(2, 3))
    assert "an input of 4 axes (N, C, H, W), not 2x3" in refused(layer("scale: 2", ["data"]), data=(2, 3))


def test_errors_without_a_mask() -> None:
    assert "upsample_h is for an Upsample with a mask" in refused(
        layer("upsample_h: 4 upsample_w: 5", ["data"]), data=(2, 3, 4, 5)
    )
    assert "scale must be 1 or more, not 0" in refused(layer("scale: 0", ["data"]), data=(2, 3, 4, 5))


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ("pool: AVE kernel_size: 2", "Unpooling supports MAX pooling"),
        ("stride: 2", "give the pooling kernel as kernel_size"),
        ("kernel_size: 2 pad: 2", "pad must be smaller than the kernel"),
    ],
)
def test_errors_of_unpooling(parameters: str, wanted: str) -> None:
    assert wanted in refused(layer(parameters, type_="Unpooling"))
