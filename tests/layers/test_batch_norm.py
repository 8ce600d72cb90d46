"""BatchNorm: recordings of Caffe, plain loops in Caffe's order, and what it becomes together with a Scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.emit.plan import plan_conversion
from caffe2tf.errors import Caffe2TFError
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from tests.layers.oracle import Array, assert_matches, caffemodel, check_recorded, inputs_text, recorded, run_layer

SHAPES = [(3, 4), (2, 3, 5), (2, 4, 3, 5), (2, 3, 2, 4, 5)]
BATCH_NORM = 'layer {{ name: "bn" type: "BatchNorm" bottom: "data" top: "bn" {} }}\n'
SCALE = 'layer { name: "sc" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }\n'


def normalize(x: Array, mean: Array, variance: Array, eps: float) -> Array:
    """One value after the other, in doubles."""
    y = np.empty(x.shape, np.float64)
    for place in np.ndindex(x.shape):
        c = place[1]
        y[place] = (float(x[place]) - float(mean[c])) / np.sqrt(float(variance[c]) + eps)
    return y.astype(np.float32)


def statistics(x: Array) -> tuple[Array, Array]:
    """Mean and mean square deviation of each channel."""
    by_channel = [x[:, c].astype(np.float64).reshape(-1) for c in range(x.shape[1])]
    mean = [sum(v) / len(v) for v in by_channel]
    variance = [sum((v - m) ** 2) / len(v) for v, m in zip(by_channel, mean, strict=True)]
    return np.array(mean, np.float32), np.array(variance, np.float32)


def source(folder: Path, text: str, shape: tuple[int, ...], *, phase: str = "TEST") -> str:
    (folder / "net.prototxt").write_text(inputs_text({"data": shape}) + text, encoding="utf-8")
    definition = read_network(folder / "net.prototxt")
    return plan_conversion(load_graph(definition, phase=phase), definition).module_source


def refused(text: str, shape: tuple[int, ...] = (2, 3, 4, 5)) -> str:
    with pytest.raises(Caffe2TFError) as caught:
        run_layer(text, {"data": np.ones(shape)})
    return str(caught.value)


@pytest.mark.parametrize("case", recorded("batch_norm"))
def test_what_caffe_computed(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", [0.0, 0.25, 999.98236])
def test_stored_statistics(shape: tuple[int, ...], factor: float, rng: np.random.Generator) -> None:
    x = rng.normal(-1, 2, shape).astype(np.float32)
    mean = rng.normal(0, 3, shape[1]).astype(np.float32)
    variance = rng.uniform(0.1, 4, shape[1]).astype(np.float32)
    out = run_layer(
        BATCH_NORM.format("batch_norm_param { eps: 0.02 }"),
        {"data": x},
        {"bn": [mean * np.float32(factor), variance * np.float32(factor), [factor]]},
    )
    kept = 0 if factor == 0 else 1
    assert_matches(out["bn"], normalize(x, mean * kept, variance * kept, 0.02))


@pytest.mark.parametrize("shape", SHAPES)
def test_own_statistics(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = (rng.normal(-7, 2, shape) * np.arange(1, shape[1] + 1).reshape(1, -1, *[1] * (len(shape) - 2))).astype("f4")
    text = BATCH_NORM.format("batch_norm_param { use_global_stats: false eps: 0.5 }")
    out = run_layer(text, {"data": x}, {"bn": [np.full(shape[1], 9.0), np.full(shape[1], 5.0), [1.0]]})
    assert_matches(out["bn"], normalize(x, *statistics(x), 0.5))


def test_own_statistics_leave_the_batch_as_it_is(tmp_path: Path) -> None:
    text = BATCH_NORM.format("batch_norm_param { use_global_stats: false }")
    assert "batch_shape=(3, 4, 5, 2)" in source(tmp_path, text, (3, 2, 4, 5))
    assert "batch_shape" not in source(tmp_path, BATCH_NORM.format(""), (3, 2, 4, 5))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 3, 5)])
def test_a_scale_in_place_becomes_part_of_it(
    shape: tuple[int, ...], bias: bool, rng: np.random.Generator, tmp_path: Path
) -> None:
    text = BATCH_NORM.format("") + SCALE.replace("true", str(bias).lower())
    assert source(tmp_path, text, shape).count("layers.") == 1
    x, mean, gamma, beta = (rng.normal(0, 2, n).astype(np.float32) for n in (shape, 4, 4, 4))
    variance = rng.uniform(0.1, 4, 4).astype(np.float32)
    out = run_layer(text, {"data": x}, {"bn": [mean, variance, [1.0]], "sc": [gamma, beta] if bias else [gamma]})
    along = (1, 4, *[1] * (len(shape) - 2))
    want = normalize(x, mean, variance, 1e-5) * gamma.reshape(along) + bias * beta.reshape(along)
    assert_matches(out["bn"], want)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SCALE.replace('top: "bn"', 'top: "sc"'), "another top: both blobs must stay"),
        (SCALE.replace("scale_param {", "scale_param { axis: 2"), "not the channels"),
        (SCALE.replace("scale_param {", "scale_param { num_axes: 0"), "one number"),
        (SCALE.replace('bottom: "bn"', 'bottom: "bn" bottom: "data"').replace("{ b", "{ axis: 0 b"), "computed"),
    ],
)
def test_any_other_scale_stays_apart(text: str, why: str, rng: np.random.Generator, tmp_path: Path) -> None:
    shape = (2, 4, 3, 5)
    built = source(tmp_path, BATCH_NORM.format("") + text, shape)
    assert "scale=False" in built, why
    assert 'name="sc"' in built, why


def test_of_a_flattened_blob_the_channels_are_reordered(rng: np.random.Generator) -> None:
    text = (
        'layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }\n'
        'layer { name: "flat" type: "Flatten" bottom: "pool" top: "flat" }\n'
        + BATCH_NORM.format("").replace('"data"', '"flat"')
        + SCALE
    )
    x = rng.normal(0, 2, (2, 3, 4, 6)).astype(np.float32)
    mean, gamma, beta = (rng.normal(0, 2, 18).astype(np.float32) for _ in range(3))
    variance = rng.uniform(0.1, 4, 18).astype(np.float32)
    out = run_layer(text, {"data": x}, {"bn": [mean, variance, [1.0]], "sc": [gamma, beta]})
    flat = x.reshape(2, 3, 2, 2, 3, 2).max(axis=(3, 5)).reshape(2, 18)
    assert_matches(out["flat"], flat)
    assert_matches(out["bn"], normalize(flat, mean, variance, 1e-5) * gamma + beta)


def test_twins_keep_the_blobs_they_share(rng: np.random.Generator) -> None:
    spec = " ".join(f'param {{ name: "s{i}" lr_mult: 0 }}' for i in range(3))
    first = BATCH_NORM.format(spec) + SCALE.replace(
        "scale_param", 'param { name: "g" } param { name: "b" } scale_param'
    )
    second = first
    for name in ("data", "bn", "sc"):
        second = second.replace(f'"{name}"', f'"{name}2"')
    x, y = (rng.normal(0, 2, (2, 4, 3, 5)).astype(np.float32) for _ in range(2))
    mean, gamma, beta = (rng.normal(0, 2, 4).astype(np.float32) for _ in range(3))
    variance = rng.uniform(0.1, 4, 4).astype(np.float32)
    out = run_layer(
        first + second,
        {"data": x, "data2": y},
        {
            "bn": [mean, variance, [1.0]],
            "sc": [gamma, beta],
            "bn2": [mean, variance, [1.0]],
            "sc2": [gamma, beta],
        },
    )
    along = (1, 4, 1, 1)
    for blob, fed in (("bn", x), ("bn2", y)):
        want = normalize(fed, mean, variance, 1e-5) * gamma.reshape(along) + beta.reshape(along)
        assert_matches(out[blob], want, blob)


def test_untrained_statistics_are_zeros(rng: np.random.Generator) -> None:
    x = rng.normal(0, 2, (2, 3)).astype(np.float32)
    out = run_layer(BATCH_NORM.format("batch_norm_param { eps: 0.25 }"), {"data": x})
    assert_matches(out["bn"], x * 2)


def test_in_training_it_is_what_keras_trains(tmp_path: Path) -> None:
    shape = (2, 3, 4, 5)
    text = BATCH_NORM.format("batch_norm_param { moving_average_fraction: 0.9 }") + SCALE
    built = source(tmp_path, text, shape, phase="TRAIN")
    assert "layers.BatchNormalization(momentum=0.9, epsilon=1e-5" in built
    assert 'name="sc"' not in built
    frozen = source(
        tmp_path, BATCH_NORM.format("batch_norm_param { use_global_stats: true }") + SCALE, shape, phase="TRAIN"
    )
    assert "trainable=False" in frozen
    assert 'name="sc"' in frozen, "a frozen layer cannot hold a scale that learns"


def test_rates_must_be_zero(tmp_path: Path) -> None:
    assert "`lr_mult: 0`" in refused(BATCH_NORM.format("param { lr_mult: 0 } param { }"))
    zeros = BATCH_NORM.format("param { lr_mult: 0 } " * 2)
    assert run_layer(zeros, {"data": np.ones((2, 3))})["bn"].shape == (2, 3)


def test_one_axis_is_not_enough() -> None:
    assert "2 axes or more, not 3" in refused(BATCH_NORM.format(""), (3,))


def test_blobs_of_another_size(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(inputs_text({"data": (2, 3, 4, 5)}) + BATCH_NORM.format(""))
    (tmp_path / "net.caffemodel").write_bytes(caffemodel({"bn": [np.ones(4), np.ones(4), np.ones(1)]}))
    with pytest.raises(Caffe2TFError, match="mean is 3 in the network, 4 in the file"):
        caffe2tf.run(tmp_path / "net.prototxt", tmp_path / "net.caffemodel", {"data": np.ones((2, 3, 4, 5))})
