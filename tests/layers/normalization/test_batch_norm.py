"""BatchNorm: recordings of Caffe, plain loops in Caffe's order, fusion with a Scale, and the fields of forks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.load import load_graph
from caffe2tf.parse import open_weights, read_network
from caffe2tf.pipeline import plan_conversion
from tests.builders import input_layers, layer, write_caffemodel, write_prototxt
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

SHAPES = [(3, 4), (2, 3, 5), (2, 4, 3, 5), (2, 3, 2, 4, 5)]
SCALE = layer("Scale", "sc", ["bn"], ["bn"], "scale_param { bias_term: true }")


def batch_norm(parameters: str = "") -> str:
    return layer("BatchNorm", "bn", ["data"], parameters=parameters)


def normalize(x: Array, mean: Array, variance: Array, eps: float) -> Array:
    """Normalize one value after the other, in float64."""
    y = np.empty(x.shape, np.float64)
    for place in np.ndindex(x.shape):
        c = place[1]
        y[place] = (float(x[place]) - float(mean[c])) / np.sqrt(float(variance[c]) + eps)
    return y.astype(np.float32)


def statistics(x: Array) -> tuple[Array, Array]:
    """Return the mean and the mean square deviation of each channel."""
    by_channel = [x[:, c].astype(np.float64).reshape(-1) for c in range(x.shape[1])]
    mean = [sum(v) / len(v) for v in by_channel]
    variance = [sum((v - m) ** 2) / len(v) for v, m in zip(by_channel, mean, strict=True)]
    return np.array(mean, np.float32), np.array(variance, np.float32)


def source(folder: Path, text: str, shape: tuple[int, ...], *, phase: str = "TEST") -> str:
    definition = read_network(write_prototxt(folder, input_layers({"data": shape}) + text))
    return plan_conversion(load_graph(definition, phase=phase), definition).module_source


def refused(text: str, shape: tuple[int, ...] = (2, 3, 4, 5)) -> str:
    with pytest.raises(Caffe2TFError) as caught:
        run_layer(text, {"data": np.ones(shape)})
    return str(caught.value)


@pytest.mark.parametrize("case", recorded("batch_norm"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", [0.0, 0.25, 999.98236])
def test_stored_statistics(shape: tuple[int, ...], factor: float, rng: np.random.Generator) -> None:
    x = rng.normal(-1, 2, shape).astype(np.float32)
    mean = rng.normal(0, 3, shape[1]).astype(np.float32)
    variance = rng.uniform(0.1, 4, shape[1]).astype(np.float32)
    out = run_layer(
        batch_norm("batch_norm_param { eps: 0.02 }"),
        {"data": x},
        {"bn": [mean * np.float32(factor), variance * np.float32(factor), [factor]]},
    )
    kept = 0 if factor == 0 else 1
    assert_matches(out["bn"], normalize(x, mean * kept, variance * kept, 0.02))


@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_of_the_batch(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = (rng.normal(-7, 2, shape) * np.arange(1, shape[1] + 1).reshape(1, -1, *[1] * (len(shape) - 2))).astype("f4")
    text = batch_norm("batch_norm_param { use_global_stats: false eps: 0.5 }")
    out = run_layer(text, {"data": x}, {"bn": [np.full(shape[1], 9.0), np.full(shape[1], 5.0), [1.0]]})
    assert_matches(out["bn"], normalize(x, *statistics(x), 0.5))


def test_statistics_of_the_batch_fix_the_batch_size(tmp_path: Path) -> None:
    text = batch_norm("batch_norm_param { use_global_stats: false }")
    assert "batch_shape=(3, 4, 5, 2)" in source(tmp_path, text, (3, 2, 4, 5))
    assert "batch_shape" not in source(tmp_path, batch_norm(), (3, 2, 4, 5))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 3, 5)])
def test_fuse_scale_in_place(shape: tuple[int, ...], bias: bool, rng: np.random.Generator, tmp_path: Path) -> None:
    text = batch_norm() + SCALE.replace("true", str(bias).lower())
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
        (SCALE.replace('top: "bn"', 'top: "sc"'), "another top: both blobs stay outputs"),
        (SCALE.replace("scale_param {", "scale_param { axis: 2"), "not the channels"),
        (SCALE.replace("scale_param {", "scale_param { num_axes: 0"), "one number"),
        (SCALE.replace('bottom: "bn"', 'bottom: "bn" bottom: "data"').replace("{ b", "{ axis: 0 b"), "computed"),
    ],
)
def test_do_not_fuse_other_scales(text: str, why: str, rng: np.random.Generator, tmp_path: Path) -> None:
    shape = (2, 4, 3, 5)
    built = source(tmp_path, batch_norm() + text, shape)
    assert "scale=False" in built, why
    assert 'name="sc"' in built, why


def test_reorder_channels_of_a_flattened_blob(rng: np.random.Generator) -> None:
    text = (
        layer("Pooling", "pool", ["data"], parameters="pooling_param { kernel_size: 2 stride: 2 }")
        + layer("Flatten", "flat", ["pool"])
        + batch_norm().replace('"data"', '"flat"')
        + SCALE
    )
    x = rng.normal(0, 2, (2, 3, 4, 6)).astype(np.float32)
    mean, gamma, beta = (rng.normal(0, 2, 18).astype(np.float32) for _ in range(3))
    variance = rng.uniform(0.1, 4, 18).astype(np.float32)
    out = run_layer(text, {"data": x}, {"bn": [mean, variance, [1.0]], "sc": [gamma, beta]})
    flat = x.reshape(2, 3, 2, 2, 3, 2).max(axis=(3, 5)).reshape(2, 18)
    assert_matches(out["flat"], flat)
    assert_matches(out["bn"], normalize(flat, mean, variance, 1e-5) * gamma + beta)


def test_two_layers_share_blobs(rng: np.random.Generator) -> None:
    spec = " ".join(f'param {{ name: "s{i}" lr_mult: 0 }}' for i in range(3))
    first = batch_norm(spec) + SCALE.replace("scale_param", 'param { name: "g" } param { name: "b" } scale_param')
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


def test_untrained_statistics_are_zero(rng: np.random.Generator) -> None:
    x = rng.normal(0, 2, (2, 3)).astype(np.float32)
    out = run_layer(batch_norm("batch_norm_param { eps: 0.25 }"), {"data": x})
    assert_matches(out["bn"], x * 2)


def test_emit_keras_layer_in_training(tmp_path: Path) -> None:
    shape = (2, 3, 4, 5)
    text = batch_norm("batch_norm_param { moving_average_fraction: 0.9 }") + SCALE
    built = source(tmp_path, text, shape, phase="TRAIN")
    assert "layers.BatchNormalization(momentum=0.9, epsilon=1e-5" in built
    assert 'name="sc"' not in built
    frozen = source(tmp_path, batch_norm("batch_norm_param { use_global_stats: true }") + SCALE, shape, phase="TRAIN")
    assert "trainable=False" in frozen
    assert 'name="sc"' in frozen, "a frozen layer cannot contain a scale that is trained"


def test_learning_rates_must_be_zero(tmp_path: Path) -> None:
    assert "`lr_mult: 0`" in refused(batch_norm("param { lr_mult: 0 } param { }"))
    zeros = batch_norm("param { lr_mult: 0 } " * 2)
    assert run_layer(zeros, {"data": np.ones((2, 3))})["bn"].shape == (2, 3)


def test_refuse_one_axis() -> None:
    assert "2 axes or more; its shape is 3" in refused(batch_norm(), (3,))


def test_refuse_blobs_of_another_size(tmp_path: Path) -> None:
    net = write_prototxt(tmp_path, input_layers({"data": (2, 3, 4, 5)}) + batch_norm())
    weights = write_caffemodel(tmp_path, {"bn": [np.ones(4), np.ones(4), np.ones(1)]})
    with pytest.raises(Caffe2TFError, match="mean is 3 in the network, 4 in the file"):
        caffe2tf.run(net, weights, {"data": np.ones((2, 3, 4, 5))})


def forked(channels: int = 3) -> dict[str, Array]:
    """Draw the trained blobs of a fork's BatchNorm, by name."""
    rng = np.random.default_rng(17)
    kinds = {"mean": (0, 3), "variance": None, "scale": (-1, 2), "bias": (1, 2)}
    drawn = {k: rng.uniform(0.1, 4, channels) if p is None else rng.normal(*p, channels) for k, p in kinds.items()}
    return {k: a.astype(np.float32) for k, a in drawn.items()}


def run_forked(text: str, blobs: Sequence[npt.ArrayLike], shape: tuple[int, ...] = (2, 3, 4, 5)) -> tuple[Array, Array]:
    """Return a drawn input and the output for it."""
    x = np.random.default_rng(23).normal(-1, 2, shape).astype(np.float32)
    return x, run_layer(batch_norm(text), {"data": x}, {"bn": blobs})["bn"]


def wanted(x: Array, a: dict[str, Array], eps: float, *, bias: bool = True) -> Array:
    y = normalize(x, a["mean"], a["variance"], eps) * a["scale"].reshape(1, -1, 1, 1)
    return y + bias * a["bias"].reshape(1, -1, 1, 1)


@pytest.mark.parametrize(
    ("parameters", "eps"),
    [
        ("", 1e-5),
        ("eps: 1e-7", 1e-7),
        ("scale_bias: true eps: 1e-7", 1e-5),  # NVIDIA's minimum
        ("scale_bias: true eps: 0.5 use_global_stats: false", 0.5),
        ("scale_filler { value: 2 }", 1e-5),
        ("bias_filler { value: 2 } eps: 0.25", 0.25),
        ("filler { value: 2 } bias_filler { value: 3 } eps: 0.25", 0.25),
        ("use_weight_bias: true", 1e-5),
        ("use_weight_bias: false", 1e-5),  # the blobs decide nevertheless
    ],
)
@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_scale_and_bias_of_forks(parameters: str, eps: float, factor: float, tmp_path: Path) -> None:
    a = forked()
    text = f"batch_norm_param {{ {parameters} }}"
    by = 1.0 if "scale_" in parameters else factor  # NVIDIA's fork does not divide the statistics of five blobs
    x, y = run_forked(text, [a["mean"] * by, a["variance"] * by, [factor], a["scale"], a["bias"]])
    assert_matches(y, wanted(x, a, eps), tolerance=3e-6)
    built = source(tmp_path, batch_norm(text), x.shape)
    assert built.count("layers.BatchNormalization(") == 1


def test_scale_without_bias() -> None:
    a = forked()
    for text in ("", "batch_norm_param { bias_term: false }"):
        x, y = run_forked(text, [a["mean"], a["variance"], [1.0], a["scale"]])
        assert_matches(y, wanted(x, a, 1e-5, bias=False), tolerance=3e-6)


def test_three_blobs_have_no_scale() -> None:
    a = forked()
    x, y = run_forked("batch_norm_param { filler { value: 7 } }", [a["mean"], a["variance"], [1.0]])
    assert_matches(y, normalize(x, a["mean"], a["variance"], 1e-5), tolerance=3e-6)


def test_old_blob_orders_of_nvidia(tmp_path: Path) -> None:
    a = forked()
    old: Sequence[npt.ArrayLike] = [a["scale"], a["bias"], a["mean"], a["variance"], [0.0]]
    x, y = run_forked("", old)
    assert_matches(y, wanted(x, a, 1e-5), tolerance=3e-6)
    flat = {k: v.reshape(1, -1, 1, 1) for k, v in a.items()}
    blobs: Sequence[npt.ArrayLike] = [
        flat["scale"],
        flat["bias"],
        np.zeros((1, 1, 1, 1)),
        flat["mean"],
        flat["variance"],
    ]
    x, y = run_forked("batch_norm_param { use_global_stats: false eps: 1e-8 }", blobs)
    assert_matches(y, wanted(x, a, 1e-5), tolerance=3e-6)
    assert "NVIDIA's Caffe 0.14: scale, bias, reserved, mean, variance" in remarks(tmp_path, "", blobs)
    blobs = [a["mean"], a["variance"], [1.0], a["scale"], a["bias"]]
    assert "its 5 blobs are read as those of NVIDIA's or Intel's Caffe: mean" in remarks(tmp_path, "", blobs)
    assert not remarks(tmp_path, "batch_norm_param { scale_bias: true }", blobs)


def remarks(folder: Path, text: str, blobs: Sequence[npt.ArrayLike]) -> str:
    net = write_prototxt(folder, input_layers({"data": (2, 3, 4, 5)}) + batch_norm(text))
    weights = open_weights(write_caffemodel(folder, {"bn": blobs}))
    return "\n".join(map(str, load_graph(read_network(net), weights).notes))


def test_statistics_of_the_batch_with_a_scale() -> None:
    a = forked()
    blobs: Sequence[npt.ArrayLike] = [a["mean"], a["variance"], [1.0], a["scale"], a["bias"]]
    x, y = run_forked("batch_norm_param { use_global_stats: false eps: 0.5 }", blobs)
    mean, variance = statistics(x)
    assert_matches(y, wanted(x, {**a, "mean": mean, "variance": variance}, 0.5), tolerance=3e-6)


@pytest.mark.parametrize("stored", [True, False])
def test_do_not_fuse_a_second_scale(stored: bool, tmp_path: Path) -> None:
    text = batch_norm(f"batch_norm_param {{ scale_bias: {str(stored).lower()} }}") + SCALE
    built = source(tmp_path, text, (2, 3, 4, 5))
    assert ('Scale(name="sc")' in built) == stored


def test_relu_at_the_end(tmp_path: Path) -> None:
    a = forked()
    text = "batch_norm_param { relu: true }"
    x, y = run_forked(text, [a["mean"], a["variance"], [1.0], a["scale"], a["bias"]])
    assert_matches(y, np.maximum(wanted(x, a, 1e-5), 0), tolerance=3e-6)
    assert y.min() == 0
    built = source(tmp_path, batch_norm(text) + SCALE, x.shape)
    assert 'Scale(name="sc")' in built, "the scale follows the ReLU"
    text = "batch_norm_param { relu: true use_global_stats: false }"
    x, y = run_forked(text, [a["mean"], a["variance"], [1.0]])
    assert_matches(y, np.maximum(normalize(x, *statistics(x), 1e-5), 0), tolerance=3e-6)


@pytest.mark.parametrize("eps", [0.3, 1e-5])
@pytest.mark.parametrize("stored", [True, False])
def test_add_eps_to_the_deviation(stored: bool, eps: float) -> None:
    a = forked()
    a["variance"] = np.array([0.02, 3.5, 0.0 if eps > 0.1 else 0.7], np.float32)
    text = f"batch_norm_param {{ add_eps_before_sqrt: false eps: {eps} use_global_stats: {str(stored).lower()} }}"
    x, y = run_forked(text, [a["mean"] * 2, a["variance"] * 2, [2.0]])
    mean, variance = (a["mean"], a["variance"]) if stored else statistics(x)
    deviation = np.sqrt(variance.astype(np.float64)) + float(np.float32(eps))
    want = (x - mean.reshape(1, 3, 1, 1)) / deviation.reshape(1, 3, 1, 1)
    assert_matches(y, want.astype(np.float32), tolerance=3e-6)


def test_learning_rates_of_nvidia_are_ignored() -> None:
    text = "param { lr_mult: 1 } param { } batch_norm_param { scale_bias: true }"
    assert run_layer(batch_norm(text), {"data": np.ones((2, 3))})["bn"].shape == (2, 3)
    assert "`lr_mult: 0`" in refused(batch_norm("param { } batch_norm_param { filler { } }"))


def test_untrained_scale_and_bias() -> None:
    x = np.random.default_rng(2).normal(0, 2, (2, 3)).astype(np.float32)
    out = run_layer(
        batch_norm("batch_norm_param { eps: 0.25 filler { value: 3 } bias_filler { value: -1 } }"), {"data": x}
    )
    assert_matches(out["bn"], x * 6 - 1)
    out = run_layer(batch_norm("batch_norm_param { eps: 0.25 scale_bias: true }"), {"data": x})
    assert_matches(out["bn"], x * 2)


def test_refuse_wrong_number_of_nvidia_blobs() -> None:
    a = forked()
    with pytest.raises(Caffe2TFError, match=r"needs 5 blobs \(mean 3, variance 3, factor 1, scale 3, bias 3\)"):
        run_forked("batch_norm_param { scale_bias: true }", [a["mean"], a["variance"], [1.0]])
