"""Regeneration of AlexNet's weights: every format bit for bit, and what is refused."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from caffe2tf import alexnet
from caffe2tf.alexnet import drawn, regeneration
from caffe2tf.errors import NetworkError, OutputError, UsageError, WeightsError
from tests import builders

Floats = npt.NDArray[np.float32]
LAYERS = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]


def read_npy(path: Path) -> dict[str, Any]:
    held: dict[str, Any] = np.load(path, allow_pickle=True, encoding="latin1").item()
    return held


def assert_bits_equal(got: npt.NDArray[Any], want: Floats) -> None:
    assert got.dtype == np.float32
    assert got.shape == want.shape
    assert np.array_equal(np.ascontiguousarray(got).view(np.uint32), np.ascontiguousarray(want).view(np.uint32))


def assert_builds(path: Path, expected: dict[str, Floats], activations: dict[str, Floats]) -> None:
    model = alexnet.build(path)
    held = {f"{layer.name}/{v.name}": v.numpy() for layer in model.layers for v in layer.weights}
    assert held.keys() == expected.keys()
    for name, value in held.items():
        assert_bits_equal(value, expected[name])
    for blob, value in alexnet.activations(model, alexnet.draw_images()).items():
        np.testing.assert_array_equal(value, activations[blob])


def test_the_classic_npy_file(
    caffemodel: Path, expected: dict[str, Floats], activations: dict[str, Floats], scratch: Path
) -> None:
    steps: list[tuple[int, int]] = []
    done = alexnet.regenerate(caffemodel, scratch / "a.npy", progress=lambda *step: steps.append(step))
    held = read_npy(done.weights)
    assert list(held) == LAYERS
    assert all(isinstance(own, list) and len(own) == 2 for own in held.values())
    for layer, (kernel, bias) in held.items():
        assert_bits_equal(kernel, expected[f"{layer}/kernel"])
        assert_bits_equal(bias, expected[f"{layer}/bias"])
    assert held["conv2"][0].shape == (5, 5, 48, 256)
    assert held["fc6"][0].shape == (9216, 4096)
    assert done.shapes == {name: array.shape for name, array in expected.items()}
    assert done.parameter_count == 60_965_224
    assert steps[-1] == (4 * 60_965_224, 4 * 60_965_224)
    assert done.sha256 == hashlib.sha256(done.weights.read_bytes()).hexdigest()
    assert done.caffemodel_sha1 == hashlib.sha1(caffemodel.read_bytes(), usedforsecurity=False).hexdigest()
    assert not done.published
    assert done.notes == ()
    assert_builds(done.weights, expected, activations)


def test_an_npy_file_of_dicts(caffemodel: Path, expected: dict[str, Floats], scratch: Path) -> None:
    held = read_npy(alexnet.regenerate(caffemodel, scratch / "a.npy", layout="dicts").weights)
    assert list(held) == LAYERS
    assert all(list(own) == ["weights", "biases"] for own in held.values())
    for layer in LAYERS:
        assert_bits_equal(held[layer]["weights"], expected[f"{layer}/kernel"])
        assert_bits_equal(held[layer]["biases"], expected[f"{layer}/bias"])


def test_an_h5_file(
    caffemodel: Path, expected: dict[str, Floats], activations: dict[str, Floats], scratch: Path
) -> None:
    path = alexnet.regenerate(caffemodel, scratch / "a.h5").weights
    with h5py.File(path) as file:
        assert_bits_equal(file["conv4/kernel"][()], expected["conv4/kernel"])
        assert_bits_equal(file["fc8"]["bias"][()], expected["fc8/bias"])
    assert_builds(path, expected, activations)


def test_an_npz_file(
    caffemodel: Path, expected: dict[str, Floats], activations: dict[str, Floats], scratch: Path
) -> None:
    path = alexnet.regenerate(caffemodel, scratch / "a.npz").weights
    with np.load(path) as file:
        assert set(file.files) == set(expected)
        assert_bits_equal(file["fc7/kernel"], expected["fc7/kernel"])
    assert_builds(path, expected, activations)


@pytest.mark.parametrize("layout", ["lists", "dicts"])
def test_another_definition_gives_the_output_of_the_classic_converter(
    digits: Path, data: Path, tmp_path: Path, layout: Literal["lists", "dicts"]
) -> None:
    ours = alexnet.regenerate(
        digits / "digits.caffemodel", tmp_path / "d.npy", prototxt=digits / "deploy.prototxt", layout=layout
    )
    got, want = (read_npy(p) for p in (ours.weights, data / "classic_npy" / f"digits_dict_of_{layout}.npy"))
    assert got.keys() == want.keys()
    for layer, theirs in want.items():
        for key in (0, 1) if layout == "lists" else ("weights", "biases"):
            assert_bits_equal(got[layer][key], theirs[key])


def test_the_published_model_is_recognized_by_its_digest(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert regeneration.PUBLISHED_SHA1 == "9116a64c0fbe4459d18f4bb6b56d647b63920377"
    source = digits / "digits.caffemodel"
    digest = hashlib.sha1(source.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(regeneration, "PUBLISHED_SHA1", digest)
    assert alexnet.regenerate(source, tmp_path / "d.npz", prototxt=digits / "deploy.prototxt").published


def test_weights_of_another_network_are_refused_and_all_layers_named(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        alexnet.regenerate(digits / "digits.caffemodel", tmp_path / "a.npy")
    for layer in LAYERS:
        assert f"layer {layer!r}" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_weights_of_caffenet_are_refused(tmp_path: Path) -> None:
    names = ("conv1", "Convolution", ((2, 3, 2, 2), (2,))), ("pool1", "Pooling", ()), ("norm1", "LRN", ())
    layers = [drawn.LayerParameters(name=n, type=t, shapes=s) for n, t, s in names]
    drawn.write_caffemodel(layers, tmp_path / "caffenet.caffemodel")
    with pytest.raises(WeightsError, match="these are weights of CaffeNet"):
        alexnet.regenerate(tmp_path / "caffenet.caffemodel", tmp_path / "a.npy")
    drawn.write_caffemodel([layers[0], layers[2], layers[1]], tmp_path / "small.caffemodel")
    with pytest.raises(WeightsError, match="layer 'conv1': weight is 96x3x11x11 in the network, 2x3x2x2 in the file"):
        alexnet.regenerate(tmp_path / "small.caffemodel", tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.txt", "a", "a.weights.h5", "a.caffemodel"])
def test_a_name_without_a_known_suffix_is_refused(name: str, digits: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.h5, \.npz or \.npy \(not \.weights\.h5\)"):
        alexnet.regenerate(digits / "digits.caffemodel", tmp_path / name)


def test_input_files_are_not_overwritten(digits: Path, tmp_path: Path) -> None:
    source, net = tmp_path / "d.caffemodel.h5", tmp_path / "net.npy"
    source.write_bytes((digits / "digits.caffemodel.h5").read_bytes())
    net.write_bytes((digits / "deploy.prototxt").read_bytes())
    (tmp_path / "link.h5").symlink_to(source)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for out in (source, tmp_path / "link.h5", net):
        with pytest.raises(OutputError, match=rf"{out.name}: this file is read"):
            alexnet.regenerate(source, out, prototxt=net)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_missing_folder_is_named(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        alexnet.regenerate(
            digits / "digits.caffemodel", tmp_path / "nowhere" / "d.npy", prototxt=digits / "deploy.prototxt"
        )


def test_regenerating_twice_gives_the_same_bytes(digits: Path, tmp_path: Path) -> None:
    for suffix in ("npy", "h5", "npz"):
        one, two = (
            alexnet.regenerate(
                digits / "digits.caffemodel", tmp_path / f"{n}.{suffix}", prototxt=digits / "deploy.prototxt"
            )
            for n in ("one", "two")
        )
        assert one.weights.read_bytes() == two.weights.read_bytes()
        assert one.sha256 == two.sha256


def test_regeneration_does_not_import_tensorflow(digits: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from caffe2tf import alexnet; "
        "alexnet.regenerate(sys.argv[1], sys.argv[2], prototxt=sys.argv[3]); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    arguments = [str(digits / "digits.caffemodel"), str(tmp_path / "d.npy"), str(digits / "deploy.prototxt")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
    assert (tmp_path / "d.npy").is_file()


def test_a_broken_definition_is_refused(digits: Path, tmp_path: Path) -> None:
    broken = builders.write_prototxt(tmp_path, builders.layer("ReLU", "a", ["x"], ["y"]))
    with pytest.raises(NetworkError):
        alexnet.regenerate(digits / "digits.caffemodel", tmp_path / "d.npy", prototxt=broken)
