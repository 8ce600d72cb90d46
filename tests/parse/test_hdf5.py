"""Trained weights in Caffe's HDF5 files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from caffe2tf.errors import ParseError
from caffe2tf.parse.weights import TrainedWeights, open_weights
from tests.conftest import ROOT

W = (np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 11) / 8
B = np.array([-1.5, 2.25], np.float32)


def write(path: Path, fill: Callable[[h5py.Group], object], **kwargs: object) -> Path:
    """Write a file as Caffe does: the layers are in a group `data`."""
    with h5py.File(path, "w", **kwargs) as file:
        fill(file.create_group("data"))
    return path


def shapes(weights: TrainedWeights) -> dict[str, list[tuple[int, ...]]]:
    return {name: [blob.shape for blob in blobs] for name, blobs in weights.layers.items()}


def message(path: Path) -> str:
    with pytest.raises(ParseError) as caught:
        open_weights(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def test_plain_datasets_are_mapped(tmp_path: Path) -> None:
    def fill(data: h5py.Group) -> None:
        data["conv/0"], data["conv/1"] = W, B
        data["double/0"] = W.astype(np.float64) * 1e300
        data.create_group("relu")

    with open_weights(write(tmp_path / "net.caffemodel.h5", fill)) as weights:
        assert shapes(weights) == {"conv": [(2, 3, 4), (2,)], "double": [(2, 3, 4)]}
        assert dict(weights.types) == {"conv": "", "double": "", "relu": ""}
        weight, bias = weights.layers["conv"]
        assert (weight.array() == W).all()
        assert (bias.data.tolist(), bias.legacy) == (B.tolist(), False)
        assert (weights.layers["double"][0].array() == W.astype(np.float64) * 1e300).all()
        for blobs in weights.layers.values():
            for blob in blobs:
                assert blob.pages is not None
                assert not blob.data.flags.writeable
                blob.release()
    assert (weight.array() == W).all()


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (W, {"chunks": (1, 3, 2)}),
        (W, {"compression": "gzip"}),
        (W.astype(">f4"), {}),
        (W.astype(">f8"), {}),
        ((W * 8).astype(np.int16), {}),
        ((W * 8).astype(np.float16), {"chunks": True}),
    ],
    ids=["chunked", "compressed", "big-endian", "big-endian double", "integers", "halves"],
)
def test_other_datasets_are_read_on_demand(tmp_path: Path, values: np.ndarray, options: dict[str, object]) -> None:
    path = write(tmp_path / "net.h5", lambda data: data.create_dataset("conv/0", data=values, **options))
    with open_weights(path) as weights:
        (blob,) = weights.layers["conv"]
        assert (blob.shape, blob.pages) == ((2, 3, 4), None)
        assert blob.data.dtype == (np.float64 if values.dtype.itemsize == 8 else np.float32)
        assert blob.data.dtype.isnative
        assert (blob.array() == values).all()
        assert (blob.data.shape, blob.data.flags.writeable) == ((24,), False)
        blob.release()
        blob.release_range(0, 5)
    with pytest.raises(ParseError, match=r"layer 'conv', blob 0: .*cannot read"):
        _ = blob.data


def test_names_with_slashes_are_groups_in_groups(tmp_path: Path) -> None:
    def fill(data: h5py.Group) -> None:
        data["a/0"] = B
        data["a/b/0"], data["a/b/1"] = W, -B
        data["a/b/1x1/c/0"] = 2 * B

    weights = open_weights(write(tmp_path / "net.h5", fill))
    assert shapes(weights) == {"a": [(2,)], "a/b": [(2, 3, 4), (2,)], "a/b/1x1/c": [(2,)]}
    assert weights.layers["a/b"][1].data.tolist() == (-B).tolist()
    assert set(weights.types) == {"a", "a/b", "a/b/1x1", "a/b/1x1/c"}


def test_blobs_that_another_layer_owns_are_absent(tmp_path: Path) -> None:
    def fill(data: h5py.Group) -> None:
        data["owner/0"], data["owner/1"] = W, B
        data["second/1"] = -B
        data["linked/0"] = data["owner/0"]
        data["linked/1"] = h5py.SoftLink("/data/second/1")
        data.create_group("shares all")

    weights = open_weights(write(tmp_path / "net.h5", fill))
    hole, bias = weights.layers["second"]
    assert (hole.absent, hole.shape, hole.data.size) == (True, (0,), 0)
    assert (bias.absent, bias.data.tolist()) == (False, (-B).tolist())
    assert (weights.layers["linked"][0].array() == W).all()
    assert weights.layers["linked"][1].data.tolist() == (-B).tolist()
    assert "shares all" not in weights.layers


@pytest.mark.parametrize(
    ("fill", "wanted"),
    [
        (lambda d: d.__setitem__("x", h5py.ExternalLink("other.h5", "/data/x")), "/data/x is a link to another file"),
        (lambda d: d.__setitem__("x/0", h5py.ExternalLink("other.h5", "/data/x/0")), "/data/x/0 is a link to another"),
        (lambda d: d.create_dataset("x/0", (2,), "<f4", external=[("raw", 0, 8)]), "its values are in another file"),
        (lambda d: d.create_virtual_dataset("x/0", virtual("other.h5")), "it is a virtual dataset"),
        (lambda d: d.create_virtual_dataset("x/0", virtual(".")), "it is a virtual dataset"),
    ],
)
def test_values_outside_the_file_are_refused(tmp_path: Path, fill: Callable[[h5py.Group], object], wanted: str) -> None:
    write(tmp_path / "other.h5", lambda data: data.create_dataset("x/0", data=B))
    (tmp_path / "raw").write_bytes(B.tobytes())
    text = message(write(tmp_path / "net.h5", fill))
    assert wanted in text
    assert text.endswith("; save the file again with all values in it")


def virtual(source: str) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((2,), "<f4")
    layout[:] = h5py.VirtualSource(source, "data/x/0", (2,))
    return layout


@pytest.mark.parametrize("size", [512, 2048])
def test_a_file_with_a_user_block(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "net.h5", lambda data: data.create_dataset("x/0", data=W), userblock_size=size)
    assert (open_weights(path).layers["x"][0].array() == W).all()


def test_an_hdf5_file_and_a_binary_file(tmp_path: Path) -> None:
    binary = ROOT / "tests" / "data" / "layers" / "convolution_hw_params" / "net.caffemodel"
    path = write(tmp_path / "net.h5", lambda data: data.create_dataset("out/0", data=W))
    assert shapes(open_weights([binary, path])) == {"out": [(2, 3, 4)]}
    both = open_weights([path, binary])
    assert shapes(both) == {"out": [(3, 2, 3, 5), (3,)]}
    assert open_weights([binary, path]).types["out"] == "Convolution"


@pytest.mark.parametrize(
    ("fill", "wanted"),
    [
        (
            lambda d: d.create_dataset("c/weight", data=W),
            "layer 'c', blob weight: the datasets of a layer must be named",
        ),
        (
            lambda d: d.create_dataset("c/00", data=W),
            "layer 'c', blob 00: the datasets of a layer must be named",
        ),
        (
            lambda d: d.create_dataset("c/999999999", data=W),
            "999999999: the datasets of a layer must be named 0, 1, 2",
        ),
        (lambda d: d.create_dataset("c/0", data=b"text"), "not numbers"),
        (lambda d: d.create_dataset("c/0", data=h5py.Empty("f4")), "not numbers"),
        (lambda d: d.create_dataset("c/0", (2**16, 2**16), "f4"), "larger than Caffe allows"),
        (lambda d: d.create_dataset("c/0", (2**15, 2**15), "f4", chunks=(8, 8)), "the file stores fewer"),
        (lambda d: d.create_dataset("c/0", (2**15, 2**15), "f4"), "the file stores fewer"),
        (lambda d: d.__setitem__("c", h5py.SoftLink("/nowhere")), "HDF5 cannot read this"),
        (lambda d: d.__setitem__("loop", d), "its groups are more, or nested deeper"),
    ],
)
def test_refuses_what_caffe_would_not_write(tmp_path: Path, fill: Callable[[h5py.Group], object], wanted: str) -> None:
    path = write(tmp_path / "net.h5", fill)
    with pytest.raises(ParseError) as caught:
        open_weights(path)
    assert wanted in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_message_about_another_hdf5_file_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "given.h5"
    for fill, wanted in {
        "solver": "pass the file that it names, 'x_iter_9.caffemodel.h5'",
        "input": "this file holds input data (HDF5Data), not weights",
        "keras": "this holds Keras weights, not Caffe's",
        "none": "has no group `data`",
    }.items():
        with h5py.File(path, "w") as file:
            if fill == "solver":
                file["iter"], file["learned_net"] = 9, np.bytes_("x_iter_9.caffemodel.h5")
                file.create_group("history")
            elif fill == "input":
                file["data"], file["label"] = W, B
            elif fill == "keras":
                file.create_group("layers")
        assert wanted in message(path)


def test_truncated_and_flipped_files_are_refused_or_read(tmp_path: Path) -> None:
    """In another process, because libhdf5 is C and could crash."""
    path = write(tmp_path / "net.h5", lambda d: (d.create_dataset("a/0", data=W), d.create_dataset("b/c/0", data=B)))
    program = f"""
import random
from pathlib import Path
from caffe2tf.errors import ParseError
from caffe2tf.parse.weights import open_weights
data = Path({str(path)!r}).read_bytes()
damaged = Path({str(tmp_path / "damaged.h5")!r})
generator = random.Random(5)
variants = [data[:end] for end in range(0, len(data), 37)]
for _ in range(300):
    flipped = bytearray(data)
    flipped[generator.randrange(len(data))] = generator.randrange(256)
    variants.append(bytes(flipped))
refused = 0
for variant in variants:
    damaged.unlink(missing_ok=True)
    damaged.write_bytes(variant)
    try:
        with open_weights(damaged) as weights:
            [blob.array().sum() for blobs in weights.layers.values() for blob in blobs]
    except ParseError:
        refused += 1
print(refused, len(variants))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    refused, total = map(int, done.stdout.split())
    assert 100 < refused < total


def test_h5py_is_imported_only_for_hdf5_files() -> None:
    binary = ROOT / "tests" / "data" / "layers" / "convolution_hw_params" / "net.caffemodel"
    program = f"""
import sys
from caffe2tf.parse.weights import open_weights
open_weights({str(binary)!r})
assert "h5py" not in sys.modules
open_weights({str(binary.with_suffix(".caffemodel.h5"))!r})
assert "h5py" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)


PAIRS = [path for folder in ("examples", "tests") for path in sorted((ROOT / folder).rglob("*.caffemodel.h5"))]


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: "/".join(path.parts[-3:]))
def test_agrees_with_the_binary_file_of_the_same_network(path: Path) -> None:
    with open_weights(path) as found, open_weights(path.with_suffix("")) as wanted:
        assert found.layers
        assert set(found.types) == set(wanted.types)
        assert shapes(found) == {name: shapes(wanted)[name] for name in found.layers}
        assert set(found.layers) == set(wanted.layers)
        for name, blobs in wanted.layers.items():
            for a, b in zip(found.layers[name], blobs, strict=True):
                assert a.data.tobytes() == b.data.tobytes()
