"""Stored means of many standard deviations: subtracted first, as Caffe does, where Keras' form loses digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from caffe2tf.load import load_graph
from caffe2tf.parse import open_weights, read_network
from caffe2tf.pipeline import plan_conversion
from tests.builders import input_layers, layer, write_caffemodel, write_prototxt
from tests.layers.oracle import Array, assert_matches, run_layer

SCALE = layer("Scale", "sc", ["bn"], ["bn"], "scale_param { bias_term: true }")


def drawn(ratio: float) -> dict[str, Array]:
    """Draw blobs of 5 channels and an input; all means are `ratio` standard deviations."""
    rng = np.random.default_rng(41)
    deviation = rng.uniform(0.5, 2, 5)
    mean = deviation * ratio * np.array([1, -1, 1, 1, -1])
    x = mean.reshape(1, 5, 1, 1) + deviation.reshape(1, 5, 1, 1) * rng.normal(0, 1, (2, 5, 20, 17))
    made = {"x": x, "mean": mean, "variance": deviation**2, "scale": rng.normal(1, 0.3, 5), "bias": rng.normal(0, 1, 5)}
    return {name: array.astype(np.float32) for name, array in made.items()}


def wanted(a: dict[str, Array]) -> Array:
    mean, variance, scale, bias = (
        a[k].astype(np.float64).reshape(1, 5, 1, 1) for k in ("mean", "variance", "scale", "bias")
    )
    return ((a["x"] - mean) / np.sqrt(variance + 1e-5) * scale + bias).astype(np.float32)


@pytest.mark.parametrize("ratio", [3, 31, 34, 300, 3000])
@pytest.mark.parametrize("factor", [1.0, 999.0])
def test_large_means_keep_all_digits(ratio: float, factor: float) -> None:
    a = drawn(ratio)
    statistics: list[npt.ArrayLike] = [a["mean"], a["variance"], [1.0]]
    if factor != 1:  # the values after the division are what is wanted
        stored = [a[k] * np.float32(factor) for k in ("mean", "variance")]
        a["mean"], a["variance"] = (s * np.float32(1 / np.float32(factor)) for s in stored)
        statistics = [*stored, [factor]]
    text = layer("BatchNorm", "bn", ["data"]) + SCALE
    out = run_layer(text, {"data": a["x"]}, {"bn": statistics, "sc": [a["scale"], a["bias"]]})
    assert_matches(out["bn"], wanted(a), tolerance=1.2e-6 if ratio == 31 else 1e-6)


def test_large_means_of_pspnet() -> None:
    a = drawn(300)
    blobs = [a[k].reshape(1, 5, 1, 1) for k in ("scale", "bias", "mean", "variance")]
    out = run_layer(layer("BN", "bn", ["data"], parameters="bn_param { eps: 1e-5 }"), {"data": a["x"]}, {"bn": blobs})
    assert_matches(out["bn"], wanted(a), tolerance=1e-6)


@pytest.mark.parametrize(("ratio", "centred"), [(3, False), (31, False), (34, True)])
def test_the_usual_case_is_keras_layer(ratio: float, centred: bool, tmp_path: Path) -> None:
    a = drawn(ratio)
    a["mean"][:4] = 0  # one channel decides
    net = write_prototxt(tmp_path, input_layers({"data": a["x"].shape}) + layer("BatchNorm", "bn", ["data"]))
    blobs: list[npt.ArrayLike] = [a["mean"], a["variance"], [1.0]]
    weights = open_weights(write_caffemodel(tmp_path, {"bn": blobs}))
    definition = read_network(net)
    source = plan_conversion(load_graph(definition, weights), definition).module_source
    assert ("CentredBatchNormalization(" in source) == centred
    assert ("layers.BatchNormalization(" in source) != centred


def test_statistics_of_zero_variance() -> None:
    x = np.full((2, 3, 2, 2), 5, np.float32)
    blobs = [np.array([5, 4, 0]), np.array([0, 1e-12, -2e-5]), np.ones(1)]
    out = run_layer(layer("BatchNorm", "bn", ["data"]), {"data": x}, {"bn": blobs})["bn"]
    assert_matches(out[:, :2], (x[:, :2] - np.array([5, 4]).reshape(1, 2, 1, 1)) / np.sqrt(1e-5))
    assert np.isnan(out[:, 2]).all()
