"""docs/weights.md: its code runs, and its table of axis orders is true."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

import caffe2tf
from tests.builders import input_layers, layer, write_caffemodel, write_prototxt
from tests.conftest import ROOT
from tests.docs.running import check_page

Array = np.ndarray
IMAGES = {"data": (2, 6, 5, 7)}
STEPS = {"data": (4, 2, 5), "cont": (4, 2)}


def test_every_block_prints_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    check_page((ROOT / "docs" / "weights.md").read_text(encoding="utf-8"), tmp_path, monkeypatch)


def drawn(rng: np.random.Generator, *shapes: tuple[int, ...]) -> list[Array]:
    return [np.asarray(rng.standard_normal(shape), np.float32) for shape in shapes]


def converted(
    folder: Path, text: str, inputs: Mapping[str, Sequence[int]], blobs: Mapping[str, Sequence[Array]]
) -> dict[str, Array]:
    """The weights of a small network, by ``layer/weight``."""
    write_prototxt(folder, input_layers(inputs) + text)
    write_caffemodel(folder, blobs)
    done = caffe2tf.convert(folder / "net.prototxt", folder / "net.caffemodel", folder / "out", weights_format="npz")
    assert done.weights is not None
    with np.load(done.weights) as archive:
        return dict(archive)


def convolution(outputs: int, group: int = 1) -> str:
    return f"convolution_param {{ num_output: {outputs} group: {group} kernel_h: 3 kernel_w: 2 }}"


def channels_last(kernel: Array) -> Array:
    """(O, I, kernel...) to (kernel..., I, O)."""
    return kernel.transpose(*range(2, kernel.ndim), 1, 0)


@pytest.mark.parametrize(
    ("type_", "parameters", "shapes", "names", "change"),
    [
        ("Convolution", convolution(8), [(8, 6, 3, 2), (8,)], ["kernel", "bias"], [channels_last, np.array]),
        ("Convolution", convolution(8, 2), [(8, 3, 3, 2), (8,)], ["kernel", "bias"], [channels_last, np.array]),
        (
            "Convolution",
            convolution(12, 6),
            [(12, 1, 3, 2), (12,)],
            ["kernel", "bias"],
            [lambda w: w.reshape(6, 2, 3, 2).transpose(2, 3, 0, 1), np.array],
        ),
        ("Deconvolution", convolution(4), [(6, 4, 3, 2), (4,)], ["kernel", "bias"], [channels_last, np.array]),
        ("Deconvolution", convolution(4, 2), [(6, 2, 3, 2), (4,)], ["kernel", "bias"], [channels_last, np.array]),
        (
            "InnerProduct",
            "inner_product_param { num_output: 4 }",
            [(4, 210), (4,)],
            ["kernel", "bias"],
            [lambda w: w.reshape(4, 6, 5, 7).transpose(2, 3, 1, 0).reshape(210, 4), np.array],
        ),
        ("Scale", "scale_param { bias_term: true }", [(6,), (6,)], ["gamma", "beta"], [np.array, np.array]),
        ("Scale", "scale_param { num_axes: 2 }", [(6, 5)], ["gamma"], [np.transpose]),
        ("Bias", "", [(6,)], ["bias"], [np.array]),
        ("PReLU", "", [(6,)], ["alpha"], [lambda w: w.reshape(1, 1, 6)]),
        ("PReLU", "prelu_param { channel_shared: true }", [()], ["alpha"], [lambda w: w.reshape(1, 1, 1)]),
        ("Normalize", "norm_param { channel_shared: false }", [(6,)], ["scale"], [np.array]),
    ],
    ids=lambda value: value.partition("_param")[0] if isinstance(value, str) else "",
)
def test_layers_of_images(
    type_: str,
    parameters: str,
    shapes: Sequence[tuple[int, ...]],
    names: Sequence[str],
    change: Sequence[object],
    tmp_path: Path,
    rng: np.random.Generator,
) -> None:
    blobs = drawn(rng, *shapes)
    found = converted(tmp_path, layer(type_, "l", ["data"], parameters=parameters), IMAGES, {"l": blobs})
    assert list(found) == [f"l/{name}" for name in names]
    for array, blob, to_keras in zip(found.values(), blobs, change, strict=True):
        assert callable(to_keras)
        np.testing.assert_array_equal(array, to_keras(blob))


def test_convolution_over_three_axes(tmp_path: Path, rng: np.random.Generator) -> None:
    text = layer(
        "Convolution",
        "l",
        ["data"],
        parameters="convolution_param { num_output: 8 kernel_size: 3 kernel_size: 2 kernel_size: 4 }",
    )
    blobs = drawn(rng, (8, 6, 3, 2, 4), (8,))
    found = converted(tmp_path, text, {"data": (2, 6, 5, 7, 9)}, {"l": blobs})
    np.testing.assert_array_equal(found["l/kernel"], channels_last(blobs[0]))


def test_batch_norm_and_scale(tmp_path: Path, rng: np.random.Generator) -> None:
    mean, variance, gamma, beta = drawn(rng, (6,), (6,), (6,), (6,))
    text = layer("BatchNorm", "l", ["data"]) + layer("Scale", "m", ["l"], ["l"], "scale_param { bias_term: true }")
    blobs = {"l": [mean, variance**2, np.array([4], np.float32)], "m": [gamma, beta]}
    found = converted(tmp_path, text, IMAGES, blobs)
    assert list(found) == ["l/gamma", "l/beta", "l/moving_mean", "l/moving_variance"]
    wanted = gamma, beta, mean / np.float32(4), variance**2 / np.float32(4)
    for array, want in zip(found.values(), wanted, strict=True):
        np.testing.assert_array_equal(array, want)


def test_embed(tmp_path: Path, rng: np.random.Generator) -> None:
    blobs = drawn(rng, (9, 4), (4,))
    text = layer("Embed", "l", ["data"], parameters="embed_param { num_output: 4 input_dim: 9 }")
    found = converted(tmp_path, text, {"data": (2, 3)}, {"l": blobs})
    assert list(found) == ["l/embeddings", "l/bias"]
    for array, blob in zip(found.values(), blobs, strict=True):
        np.testing.assert_array_equal(array, blob)


@pytest.mark.parametrize(
    ("type_", "shapes", "names"),
    [
        ("LSTM", [(12, 5), (12,), (12, 3)], ["kernel", "bias", "recurrent_kernel"]),
        (
            "RNN",
            [(3, 5), (3,), (3, 3), (3, 3), (3,)],
            ["kernel", "bias", "recurrent_kernel", "output_kernel", "output_bias"],
        ),
    ],
)
def test_recurrent_layers(
    type_: str, shapes: Sequence[tuple[int, ...]], names: Sequence[str], tmp_path: Path, rng: np.random.Generator
) -> None:
    blobs = drawn(rng, *shapes)
    text = layer(type_, "l", ["data", "cont"], parameters="recurrent_param { num_output: 3 }")
    found = converted(tmp_path, text, STEPS, {"l": blobs})
    assert list(found) == [f"l/{name}" for name in names]
    for array, blob in zip(found.values(), blobs, strict=True):
        np.testing.assert_array_equal(array, blob.T)


def test_parameter(tmp_path: Path, rng: np.random.Generator) -> None:
    (value,) = drawn(rng, (2, 6, 5, 7))
    shape = "parameter_param { shape { dim: 2 dim: 6 dim: 5 dim: 7 } }"
    text = layer("Parameter", "p", parameters=shape) + layer("Eltwise", "l", ["data", "p"])
    found = converted(tmp_path, text, IMAGES, {"p": [value]})
    np.testing.assert_array_equal(found["p/value"], value.transpose(0, 2, 3, 1))


def test_long_lists_of_names_are_split(tmp_path: Path) -> None:
    """Above 64,512 bytes of names."""
    count = 1100
    names = [f"{'x' * 55}{i:04}" for i in range(count)]
    text = "".join(layer("Bias", name, ["data"]) for name in names)
    write_prototxt(tmp_path, input_layers({"data": (1, 2)}) + text)
    blobs = {name: [np.ones(2, np.float32)] for name in names}
    write_caffemodel(tmp_path, blobs)
    done = caffe2tf.convert(tmp_path / "net.prototxt", tmp_path / "net.caffemodel", tmp_path / "out")
    assert done.weights is not None
    with h5py.File(done.weights) as file:
        assert "layer_names" not in file.attrs
        listed = [name.decode() for i in range(2) for name in file.attrs[f"layer_names{i}"]]
    assert sorted(listed) == names
