"""BatchNorm: the third blob of BVLC's, NVIDIA's and Intel's Caffe, which is a factor or means nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import caffe2tf
from caffe2tf.load import load_graph
from caffe2tf.parse import open_weights, read_network
from tests.builders import input_layers, layer, write_caffemodel, write_prototxt
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

MEAN = np.array([0.5, -2.5, 1.25], np.float32)
VARIANCE = np.array([0.3, 2.0, 1.5], np.float32)
SCALE = np.array([2.0, -0.5, 1.5], np.float32)
BIAS = np.array([-1.0, 0.25, 3.0], np.float32)


def batch_norm(parameters: str = "") -> str:
    return layer("BatchNorm", "bn", ["data"], parameters=f"batch_norm_param {{ {parameters} }}")


def blobs(factor: float, *, scaled: bool, mean: Array = MEAN, variance: Array = VARIANCE) -> list[npt.ArrayLike]:
    """Return the blobs of a file: the statistics, the third blob, and the scale and bias of five."""
    return [mean, variance, [factor], *([SCALE, BIAS] if scaled else [])]


def wanted(x: Array, *, divisor: float, scaled: bool, eps: float = 1e-5) -> Array:
    """Return the output for statistics times ``1 / divisor``; a divisor of 0 stands for statistics of 0."""
    by = 1 / divisor if divisor else 0.0
    y = np.empty(x.shape, np.float64)
    for place in np.ndindex(x.shape):
        c = place[1]
        y[place] = (float(x[place]) - MEAN[c] * by) / np.sqrt(VARIANCE[c] * by + eps)
        y[place] = y[place] * SCALE[c] + BIAS[c] if scaled else y[place]
    return y.astype(np.float32)


def drawn(shape: tuple[int, ...] = (2, 3, 4, 5)) -> Array:
    return np.random.default_rng(31).normal(-1, 2, shape).astype(np.float32)


def notes(folder: Path, text: str, arrays: Sequence[npt.ArrayLike]) -> list[str]:
    net = write_prototxt(folder, input_layers({"data": (2, 3, 4, 5)}) + text)
    weights = open_weights(write_caffemodel(folder, {"bn": arrays}))
    return [str(note) for note in load_graph(read_network(net), weights).notes]


@pytest.mark.parametrize("case", recorded("fork2_nv_batch_norm"))
def test_field_nvcaffe_bn_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("factor", [0.0, 1.0, 3.5])
@pytest.mark.parametrize("stated", ["scale_bias: true", "scale_filler { value: 2 }", "scale_bias: true filler { }"])
def test_field_nvcaffe_bn(stated: str, factor: float, tmp_path: Path) -> None:
    x = drawn()
    y = run_layer(batch_norm(stated), {"data": x}, {"bn": blobs(factor, scaled=True)})["bn"]
    assert_matches(y, wanted(x, divisor=1, scaled=True), tolerance=3e-6)
    assert notes(tmp_path, batch_norm(stated), blobs(factor, scaled=True)) == []


@pytest.mark.parametrize(
    ("parameters", "factor", "divisor", "eps", "said"),
    [
        ("", 0.0, 1, 1e-5, "read as those of NVIDIA's Caffe: mean, variance, unused"),
        ("bias_filler { value: 2 }", 0.0, 1, 1e-5, "read as those of NVIDIA's Caffe: mean, variance, unused"),
        ("use_global_stats: false eps: 1e-7", 0.0, 1, 1e-5, "`use_weight_bias: true` must be stated"),
        ("", 1.0, 1, 1e-5, "read as those of NVIDIA's or Intel's Caffe"),
        ("eps: 1e-7", 4.0, 4, 1e-7, "read as those of Intel's Caffe: mean, variance, factor"),
        ("bias_filler { value: 2 }", 4.0, 4, 1e-5, "state `scale_bias: true` for NVIDIA's"),
        ("use_weight_bias: true", 4.0, 4, 1e-5, None),
        ("use_weight_bias: true", 0.0, 0, 1e-5, "state `scale_bias: true` in `batch_norm_param`"),
    ],
)
def test_field_nvcaffe_bn_values_decide(
    parameters: str, factor: float, divisor: float, eps: float, said: str | None, tmp_path: Path
) -> None:
    x, text, arrays = drawn(), batch_norm(parameters), blobs(factor, scaled=True)
    y = run_layer(text, {"data": x}, {"bn": arrays})["bn"]
    assert_matches(y, wanted(x, divisor=divisor, scaled=True, eps=eps), tolerance=3e-6)
    found = notes(tmp_path, text, arrays)
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_field_nvcaffe_bn_zero_factor_of_three_blobs(tmp_path: Path) -> None:
    x, arrays = drawn(), blobs(0, scaled=False)
    y = run_layer(batch_norm(), {"data": x}, {"bn": arrays})["bn"]
    assert_matches(y, wanted(x, divisor=0, scaled=False), tolerance=3e-6)
    (note,) = notes(tmp_path, batch_norm(), arrays)
    assert "cannot come from BVLC's Caffe" in note
    assert "state `scale_bias: false`" in note
    stated = batch_norm("scale_bias: false")
    y = run_layer(stated, {"data": x}, {"bn": arrays})["bn"]
    assert_matches(y, wanted(x, divisor=1, scaled=False), tolerance=3e-6)
    assert notes(tmp_path, stated, arrays) == []


@pytest.mark.parametrize("parameters", ["", "scale_bias: false"])
def test_three_blobs_are_divided(parameters: str, tmp_path: Path) -> None:
    x, text, arrays = drawn(), batch_norm(parameters), blobs(4, scaled=False)
    y = run_layer(text, {"data": x}, {"bn": arrays})["bn"]
    assert_matches(y, wanted(x, divisor=4, scaled=False), tolerance=3e-6)
    assert notes(tmp_path, text, arrays) == []


def test_zero_factor_without_note_where_nothing_depends_on_it(tmp_path: Path) -> None:
    zero = np.zeros(3, np.float32)
    assert notes(tmp_path, batch_norm(), blobs(0, scaled=False, mean=zero, variance=zero)) == []
    assert notes(tmp_path, batch_norm("use_global_stats: false"), blobs(0, scaled=False)) == []


def test_zero_factor_of_many_layers_is_one_note(tmp_path: Path) -> None:
    text = batch_norm() + batch_norm().replace('"bn"', '"bn2"')
    net = write_prototxt(tmp_path, input_layers({"data": (2, 3, 4, 5)}) + text)
    arrays = blobs(0, scaled=False)
    weights = open_weights(write_caffemodel(tmp_path, {"bn": arrays, "bn2": arrays}))
    (note,) = map(str, load_graph(read_network(net), weights).notes)
    assert "layer 'bn' and 1 more like it: its factor is 0" in note


def test_scale_after_unused_factor_becomes_part_of_the_layer(tmp_path: Path) -> None:
    x = drawn()
    after = layer("Scale", "sc", ["bn"], ["bn"], "scale_param { bias_term: true }")
    text = batch_norm("scale_bias: false") + after
    y = run_layer(text, {"data": x}, {"bn": blobs(0, scaled=False), "sc": [SCALE, BIAS]})["bn"]
    assert_matches(y, wanted(x, divisor=1, scaled=True), tolerance=3e-6)


def test_shared_blobs_with_unused_factor(tmp_path: Path) -> None:
    specs = " ".join(f'param {{ name: "p{i}" }}' for i in range(5))
    first = layer("BatchNorm", "bn", ["data"], parameters=f"{specs} batch_norm_param {{ scale_bias: true }}")
    text = first + first.replace('"bn"', '"bn2"').replace('"data"', '"data2"')
    x, arrays = drawn(), blobs(0, scaled=True)
    net = write_prototxt(tmp_path, input_layers({"data": x.shape, "data2": x.shape}) + text)
    weights = write_caffemodel(tmp_path, {"bn": arrays, "bn2": arrays})
    out = caffe2tf.run(net, weights, {"data": x, "data2": -x})
    assert_matches(out["bn"], wanted(x, divisor=1, scaled=True), tolerance=3e-6)
    assert_matches(out["bn2"], wanted(-x, divisor=1, scaled=True), tolerance=3e-6)
