"""BN of SegNet and of PSPNet: recordings of Caffe, plain loops in Caffe's order, and the choice between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.load import load_graph
from caffe2tf.parse import open_weights, read_network
from caffe2tf.pipeline import plan_conversion
from tests.builders import input_layers, layer, write_caffemodel, write_prototxt
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

SHAPES = [(3, 4), (2, 3, 5), (2, 4, 3, 5)]
FIRST = "scale_filler { } shift_filler { } moving_average: true"
RNG = np.random.default_rng(11)


def bn(parameters: str, more: str = "") -> str:
    block = f"bn_param {{ {parameters} }}" if parameters else ""
    return layer("BN", "bn", ["data"], parameters=f"{block} {more}")


def transform(x: Array, blobs: Sequence[Array], eps: float, *, stored: bool, axis: int = 1) -> Array:
    """Transform one value after the other, in float64; an `eps` of 0 stands for no normalization."""
    y = np.empty(x.shape, np.float64)
    for place in np.ndindex(x.shape):
        c = place[axis]
        every = np.take(x, c, axis).astype(np.float64)
        mean = float(blobs[2].reshape(-1)[c]) if stored else float(np.sum(every)) / every.size
        variance = float(blobs[3].reshape(-1)[c]) if stored else float(np.sum((every - mean) ** 2)) / every.size
        value = (float(x[place]) - mean) / np.sqrt(variance + eps) if eps else float(x[place])
        y[place] = value * float(blobs[0].reshape(-1)[c]) + float(blobs[1].reshape(-1)[c])
    return y.astype(np.float32)


def draw(shape: tuple[int, ...], axis: int = 1) -> Array:
    along = np.arange(1, shape[axis] + 1).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return (RNG.normal(-2, 3, shape) * along).astype(np.float32)


def trained(channels: int, count: int, axis: int = 1) -> list[Array]:
    shape = [1, 1, 1, 1]
    shape[axis] = channels
    kinds = [RNG.normal(0, 2, shape), RNG.normal(0, 2, shape), RNG.normal(-5, 9, shape), RNG.uniform(0.1, 9, shape)]
    return [a.astype(np.float32) for a in kinds[:count]]


def remarked(folder: Path, text: str, blobs: Sequence[Array] | None = None, shape: Sequence[int] = (2, 3, 4, 5)) -> str:
    definition = read_network(write_prototxt(folder, input_layers({"data": shape}) + text))
    if blobs is None:
        return "\n".join(map(str, load_graph(definition).notes))
    weights = open_weights(write_caffemodel(folder, {"bn": blobs}))
    return "\n".join(map(str, load_graph(definition, weights).notes))


def source(folder: Path, text: str, shape: tuple[int, ...] = (2, 3, 4, 5), *, phase: str = "TEST") -> str:
    definition = read_network(write_prototxt(folder, input_layers({"data": shape}) + text))
    return plan_conversion(load_graph(definition, phase=phase), definition).module_source


def refused(text: str, shape: tuple[int, ...] = (2, 3, 4, 5)) -> str:
    with pytest.raises(Caffe2TFError) as caught:
        run_layer(text, {"data": np.ones(shape)})
    return str(caught.value)


@pytest.mark.parametrize("case", recorded("fork_bn", "fork2_bn_tops"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("mode", "eps"), [("LEARN", 1e-9), ("INFERENCE", 0.0)])
def test_segnet(shape: tuple[int, ...], mode: str, eps: float) -> None:
    x, blobs = draw(shape), trained(shape[1], 2)
    out = run_layer(bn(f"bn_mode: {mode}"), {"data": x}, {"bn": blobs})["bn"]
    want = transform(x, blobs, eps, stored=False)
    assert_matches(out, want.reshape(*shape, *(1,) * (4 - len(shape))), tolerance=3e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("parameters", ["bn_mode: LEARN", ""])
def test_field_segnet_bn_tops(shape: tuple[int, ...], parameters: str) -> None:
    x, blobs = draw(shape), trained(shape[1], 2)
    out = run_layer(bn(parameters, 'top: "mean" top: "var"'), {"data": x}, {"bn": blobs})
    want = transform(x, blobs, 1e-9, stored=False)
    assert_matches(out["bn"], want.reshape(*shape, *(1,) * (4 - len(shape))), tolerance=3e-6)
    every = [x[:, c].astype(np.float64).reshape(-1) for c in range(shape[1])]
    mean = np.array([sum(v) / len(v) for v in every])
    variance = [sum((v - m) ** 2) / len(v) for v, m in zip(every, mean, strict=True)]
    assert_matches(out["mean"], mean.reshape(1, -1, 1, 1), tolerance=3e-6)
    assert_matches(out["var"], np.array(variance).reshape(1, -1, 1, 1), tolerance=3e-6)


def test_tops_of_the_statistics_are_zeros_in_mode_inference() -> None:
    x, blobs = draw((2, 3, 4, 5)), trained(3, 2)
    out = run_layer(bn("bn_mode: INFERENCE", 'top: "mean" top: "var"'), {"data": x}, {"bn": blobs})
    assert_matches(out["bn"], transform(x, blobs, 0.0, stored=False), tolerance=3e-6)
    assert_matches(out["mean"], np.zeros((1, 3, 1, 1)))
    assert_matches(out["var"], np.zeros((1, 3, 1, 1)))


def test_tops_of_the_statistics_of_a_transposed_blob() -> None:
    before = layer("Convolution", "conv", ["data"], parameters="convolution_param { num_output: 6 kernel_size: 1 }")
    after = layer("Power", "twice", ["mean"], parameters="power_param { scale: 2 }")
    weights = [RNG.normal(0, 1, (6, 3, 1, 1)).astype(np.float32), RNG.normal(0, 1, 6).astype(np.float32)]
    x, blobs = draw((2, 3, 4, 5)), trained(6, 2)
    text = before + bn("bn_mode: LEARN", 'top: "mean"').replace('"data"', '"conv"') + after
    out = run_layer(text, {"data": x}, {"conv": weights, "bn": blobs})
    mean = out["conv"].astype(np.float64).mean((0, 2, 3)).reshape(1, 6, 1, 1)
    assert_matches(out["mean"], mean, tolerance=3e-6)
    assert_matches(out["twice"], mean * 2, tolerance=3e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("parameters", "more", "eps", "stored"),
    [
        ("frozen: true eps: 0.5", "", 0.5, True),
        ("frozen: true momentum: 0.95", "phase: TRAIN", 1e-5, True),
        ("momentum: 0.95", "phase: TRAIN", 1e-5, False),
        ("eps: 2", "phase: TRAIN", 2.0, False),
        ("slope_filler { } bias_filler { }", "", 1e-5, True),
        ("icnet: true bn_mode: INFERENCE", "", 1e-5, True),
        ("icnet: true", "", 1e-5, True),
        (FIRST, "", 1e-10, True),
        (f"{FIRST} var_eps: 0.25 decay: 0.1", "", 0.25, True),
        ("moving_average: false var_eps: 0.25", "", 0.25, False),
        (f"{FIRST} var_eps: 3", "phase: TRAIN", 3.0, False),
    ],
)
def test_pspnet(shape: tuple[int, ...], parameters: str, more: str, eps: float, stored: bool) -> None:
    x, blobs = draw(shape), trained(shape[1], 4)
    out = run_layer(bn(parameters, more), {"data": x}, {"bn": blobs})["bn"]
    assert_matches(out, transform(x, blobs, eps, stored=stored), tolerance=3e-6)


@pytest.mark.parametrize("stored", [True, False])
def test_axis_2(stored: bool) -> None:
    x, blobs = draw((2, 3, 4, 5), axis=2), trained(4, 4, axis=2)
    text = bn(f"axis: 2 moving_average: {str(stored).lower()} var_eps: 0.1")
    out = run_layer(text, {"data": x}, {"bn": blobs})["bn"]
    assert_matches(out, transform(x, blobs, 0.1, stored=stored, axis=2), tolerance=3e-6)


@pytest.mark.parametrize("parameters", ["eps: 0.3", FIRST, "bn_mode: LEARN", "bn_mode: INFERENCE"])
def test_reorder_channels_of_a_flattened_blob(parameters: str) -> None:
    before = layer("Pooling", "pool", ["data"], parameters="pooling_param { kernel_size: 2 stride: 2 }")
    before += layer("Flatten", "flat", ["pool"])
    x, blobs = draw((3, 3, 4, 6)), trained(18, 2 if "mode" in parameters else 4)
    out = run_layer(before + bn(parameters).replace('"data"', '"flat"'), {"data": x}, {"bn": blobs})
    flat = x.reshape(3, 3, 2, 2, 3, 2).max(axis=(3, 5)).reshape(3, 18)
    eps = {"eps: 0.3": 0.3, FIRST: 1e-10, "bn_mode: LEARN": 1e-9}.get(parameters, 0.0)
    want = transform(flat, blobs, eps, stored="mode" not in parameters)
    assert_matches(out["bn"], want.reshape(out["bn"].shape), tolerance=3e-6)
    assert out["bn"].ndim == (4 if "mode" in parameters else 2)


@pytest.mark.parametrize(
    ("parameters", "count", "eps", "stored", "remark"),
    [
        ("", 4, 1e-5, True, "read as those of PSPNet's BN: slope, bias, mean, variance"),
        ("", 2, 1e-9, False, "read as SegNet's"),
        ("engine: CUDNN", 4, 1e-5, True, "read as those of PSPNet's BN"),
        (
            "scale_filler { value: 1 } shift_filler { value: 0.1 }",
            2,
            1e-9,
            False,
            "by its fields or blobs, this BN is read as SegNet's",
        ),
        ("scale_filler { value: 1 } shift_filler { value: 0.1 }", 4, 1e-10, False, "PSPNet's first BN"),
        ("momentum: 0.95", 4, 1e-5, True, "by its fields, this BN is read as PSPNet's"),
    ],
)
def test_blobs_decide_without_fields(
    parameters: str, count: int, eps: float, stored: bool, remark: str, tmp_path: Path
) -> None:
    x, blobs = draw((2, 3, 4, 5)), trained(3, count)
    out = run_layer(bn(parameters), {"data": x}, {"bn": blobs})["bn"]
    assert_matches(out, transform(x, blobs, eps, stored=stored), tolerance=3e-6)
    notes = remarked(tmp_path, bn(parameters), blobs)
    assert remark in notes


def test_read_as_segnets_without_fields_or_blobs(tmp_path: Path) -> None:
    assert "read as SegNet's in mode LEARN" in remarked(tmp_path, bn(""))
    for told in ("scale_filler { value: 1 }", "bn_mode: LEARN"):
        assert "by its fields or blobs, this BN is read as SegNet's" in remarked(tmp_path, bn(told))
    assert "NormalizeBatch" in source(tmp_path, bn(""))


def test_untrained() -> None:
    x = draw((2, 3, 4, 5))
    text = bn("bn_mode: INFERENCE scale_filler { value: 2 } shift_filler { value: -0.5 }")
    assert_matches(run_layer(text, {"data": x})["bn"], x * 2 - 0.5, tolerance=1e-6)
    text = bn("frozen: true eps: 3 slope_filler { value: 4 } bias_filler { value: 1 }")
    assert_matches(run_layer(text, {"data": x})["bn"], x * 2 + 1, tolerance=1e-6)
    text = bn("eps: 4 slope_filler { value: 4 } bias_filler { value: 1 }")
    assert_matches(run_layer(text, {"data": x})["bn"], x * 2 + 1, tolerance=1e-6)
    assert not run_layer(bn("eps: 4"), {"data": x})["bn"].any()


def test_emitted_layers(tmp_path: Path) -> None:
    text = source(tmp_path, bn("frozen: true"))
    assert 'layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")' in text
    assert "batch_shape" not in text
    assert 'Scale(name="bn")' in source(tmp_path, bn("bn_mode: INFERENCE"))
    text = source(tmp_path, bn("bn_mode: LEARN"))
    assert "batch_shape=(2, 4, 5, 3)" in text, "the statistics of the batch fix its size"


def test_emitted_layers_in_training(tmp_path: Path) -> None:
    frozen = source(tmp_path, bn("frozen: true"), phase="TRAIN")
    assert "trainable=False" in frozen
    text = source(tmp_path, bn("momentum: 0.8"), phase="TRAIN")
    assert "NormalizeBatch(epsilon=1e-5, scale=True, center=True, momentum=0.8" in text
    assert "batch_shape" not in text
    assert "momentum=0.9" in source(tmp_path, bn("moving_average: true decay: 0.1"), phase="TRAIN")
    assert "momentum" not in source(tmp_path, bn("bn_mode: LEARN"), phase="TRAIN")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (bn("axis: 3"), "bn_param.axis must be 1 or 2, not 3"),
        (bn("colour: 3"), "'bn_param.colour' is not known"),
        (bn("decay: BIG"), "decay must be one finite number"),
        (bn("frozen: true", 'top: "mean" top: "v"'), "only SegNet's BN can have more than one top; remove 'mean'"),
    ],
)
def test_errors(text: str, wanted: str) -> None:
    assert wanted in refused(text)


def test_errors_of_shapes(tmp_path: Path) -> None:
    for shape in ((3,), (2, 3, 4, 5, 6)):
        assert "must have 2 to 4 axes" in refused(bn("frozen: true"), shape)
    assert "must have 3 or 4 axes; its shape is 2x3" in refused(bn("axis: 2"), (2, 3))
    with pytest.raises(Caffe2TFError, match=r"scale is 1x3x1x1 in the network, 3 in the file"):
        remarked(tmp_path, bn("bn_mode: LEARN"), [np.ones(3, np.float32)] * 2)
    with pytest.raises(Caffe2TFError, match=r"needs 4 blobs \(slope 1x3x1x1, .*\), but the file has 2"):
        remarked(tmp_path, bn("frozen: true"), trained(3, 2))
