"""Mean: recordings of Caffe, every parameter against plain loops, mean images, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.proto import caffe_pb2
from tests.builders import caffemodel, input_layers, layer, write_prototxt
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def mean_layer(parameters: str, blobs: str = "a") -> str:
    return layer("Mean", "mean", blobs, [f"out_{name}" for name in blobs], f"mean_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def naive(x: Array, values: list[float], scales: tuple[float, float, float], sign: int) -> Array:
    """Compute channel by channel, in float32."""
    mean, before, after = (np.float32(s) for s in scales)
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        out[:, c] = after * (before * x[:, c] + mean * np.float32(sign * values[c % len(values)]))
    return out


@pytest.mark.parametrize("case", recorded("fork_mean"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("operation", ["ADD", "SUBTRACT"])
@pytest.mark.parametrize("values", [[0.75], [0.4, -0.5, 0.6, 1.5, 2.25, -3.1], [0.3, -2.0], [1.25, 1.25, 1.25]])
@pytest.mark.parametrize("scales", [(1, 1, 1), (0.5, 2, 1), (-3, 0.0039216, 0.7)])
def test_parameters(operation: str, values: list[float], scales: tuple[float, float, float]) -> None:
    x = draw(2, 6, 4, 5)
    names = ("mean_scale", "input_scale", "output_scale")
    stated = " ".join(f"{n}: {s}" for n, s in zip(names, scales, strict=True) if s != 1)
    text = mean_layer(f"operation: {operation} {' '.join(f'value: {v}' for v in values)} {stated}")
    want = naive(x, values, scales, 1 if operation == "ADD" else -1)
    have = run_layer(text, {"a": x})["out_a"]
    assert_matches(have, want)
    np.testing.assert_array_equal(have, want)


def test_several_bottoms_of_different_shapes() -> None:
    a, b = draw(1, 3, 4, 5), draw(2, 6, 3, 7)
    text = mean_layer("operation: SUBTRACT value: 1 value: 2 value: -3 output_scale: 0.5", "ab")
    have = run_layer(text, {"a": a, "b": b})
    for name, x in (("out_a", a), ("out_b", b)):
        assert_matches(have[name], naive(x, [1, 2, -3], (1, 1, 0.5), -1), name)


def test_save_and_load_with_another_batch_size() -> None:
    x = draw(3, 2, 4, 5)
    text = mean_layer("operation: ADD value: 1 value: -2 output_scale: 0.5")
    (have,) = reloaded(built(text, {"a": (1, 2, 4, 5)}), [np.moveaxis(x, 1, 3)])
    assert_matches(np.moveaxis(have, 3, 1), naive(x, [1, -2], (1, 1, 0.5), 1))


def test_emitted_layers() -> None:
    shapes = {"a": (1, 2, 4, 5)}
    assert calls(mean_layer("operation: ADD value: 1 input_scale: 3"), shapes) == ["Rescaling"]
    assert calls(mean_layer("operation: ADD value: 1 output_scale: 3"), shapes) == ["Rescaling", "Rescaling"]


def write_mean(path: Path, shape: tuple[int, ...]) -> Array:
    """Write a mean image with legacy shape fields, as compute_image_mean does; return its values."""
    values = draw(*shape)
    blob = caffe_pb2.BlobProto(data=values.reshape(-1).tolist())
    blob.num, blob.channels, blob.height, blob.width = shape
    path.write_bytes(blob.SerializeToString())
    return values


def run_with_file(folder: Path, parameters: str, fed: dict[str, Array], *, weights: bytes | None = None) -> Array:
    net = write_prototxt(
        folder, input_layers({n: x.shape for n, x in fed.items()}) + mean_layer(parameters, "".join(fed))
    )
    trained = folder / "net.caffemodel"
    if weights is not None:
        trained.write_bytes(weights)
    return caffe2tf.run(net, None if weights is None else trained, fed)[f"out_{next(iter(fed))}"]


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("stated", ["ADD", "SUBTRACT mean_scale: 0.5 input_scale: 3 output_scale: -0.3 value: 7"])
def test_mean_image(tmp_path: Path, images: int, stated: str) -> None:
    mean, x = write_mean(tmp_path / "mean.binaryproto", (images, 3, 4, 5)), draw(2, 6, 4, 5)
    sign, scales = (1, (1, 1, 1)) if stated == "ADD" else (-1, (0.5, 3, -0.3))
    shift, before, after = (np.float32(s) for s in scales)
    want, flat = np.empty_like(x), mean.reshape(-1)
    for n in range(2):
        for j, value in enumerate(x[n].reshape(-1)):
            want[n].reshape(-1)[j] = after * (before * value + shift * sign * flat[j % flat.size])
    text = f"operation: {stated} file: '/data/of/training/mean.binaryproto'"
    have = run_with_file(tmp_path, text, {"a": x})
    assert_matches(have, want)
    assert np.abs(want - x).max() > 0.5
    np.testing.assert_array_equal(run_with_file(tmp_path, text, {"a": x}, weights=caffemodel({"mean": []})), have)


def test_mean_image_of_several_bottoms(tmp_path: Path) -> None:
    mean, a, b = write_mean(tmp_path / "m.binaryproto", (1, 2, 4, 5)), draw(1, 2, 4, 5), draw(3, 2, 4, 5)
    text = "operation: SUBTRACT file: 'm.binaryproto' output_scale: 2"
    np.testing.assert_array_equal(run_with_file(tmp_path, text, {"a": a, "b": b}), 2 * (a - mean))
    np.testing.assert_array_equal(run_with_file(tmp_path, text, {"b": b, "a": a}), 2 * (b - mean))
    with pytest.raises(Caffe2TFError, match="same number of channels"):
        run_with_file(tmp_path, text, {"a": a, "b": draw(1, 4, 4, 5)})


@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (2, 3, 3, 5), (2, 4, 4, 5)])
def test_refuse_mean_image_of_another_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_mean(tmp_path / "m.binaryproto", (1, 3, 4, 5))
    with pytest.raises(Caffe2TFError, match=r"high and wide as the mean image 'm.binaryproto'.*the image 3x4x5"):
        run_with_file(tmp_path, "operation: ADD file: 'm.binaryproto'", {"a": draw(*shape)})


def test_refuse_file_that_is_not_a_mean_image(tmp_path: Path) -> None:
    (tmp_path / "m.binaryproto").write_bytes(caffemodel({"mean": [[1.0]]}))
    with pytest.raises(Caffe2TFError, match=r"net.prototxt:2.*this is a network"):
        run_with_file(tmp_path, "operation: ADD file: 'm.binaryproto'", {"a": draw(2, 3, 4, 5)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (mean_layer("value: 1"), "mean_param.operation is required: ADD or SUBTRACT"),
        (mean_layer("operation: ADD"), "mean_param.value is required"),
        (mean_layer("operation: ADD file: 'mean.binaryproto'"), "there is no file 'mean.binaryproto', whose values"),
        (
            mean_layer("operation: ADD value: 1 value: 2"),
            r"channels \(3\) must be a multiple of the number of mean_param.value \(2\)",
        ),
        (mean_layer("operation: ADD value: 1", "c"), "4 axes .*, not 2x3"),
        (mean_layer("operation: ADD value: 1").replace('top: "out_a"', 'top: "x" top: "y"'), "mean"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"a": draw(2, 3, 4, 5), "c": draw(2, 3)})
