"""Weight files of every kind: their values come back, and a failure leaves no partial file."""

from __future__ import annotations

import errno
import math
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from caffe2tf.artifacts import write_weights
from caffe2tf.artifacts.weights import npy, npz, place
from caffe2tf.errors import OutputError
from caffe2tf.ir.weight import Weight

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Mapping[str, Weight]]
FORMATS: tuple[str, ...] = ("h5", "npz", "npy")


@dataclass
class Source:
    """Stands in for a mapped blob, and notes what was released."""

    whole: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)

    def release(self) -> None:
        self.whole += 1

    def release_range(self, start: int, stop: int) -> None:
        self.ranges.append((start, stop))


@pytest.fixture
def weights(rng: np.random.Generator) -> dict[str, dict[str, Weight]]:
    """One of each kind: contiguous, transposed, of several parts, double, without axes, and empty."""
    normal = rng.standard_normal
    grouped = normal((6, 2, 5, 3)).astype(np.float32)
    return {
        "z_first": {
            "kernel": Weight.of(normal((8, 3, 5, 4)).astype(np.float32).transpose(2, 3, 1, 0)),
            "bias": Weight.of(normal(8).astype(np.float32)),
        },
        "fc": {"kernel": Weight.of(normal((7, 5, 2, 3)).astype(np.float32).transpose(2, 3, 1, 0), (30, 7))},
        "norm": {
            "gamma": Weight.of(normal(5)),
            "beta": Weight.of(normal(5)),
            "moving_mean": Weight.of(normal(5)),
            "moving_variance": Weight.of(normal(5) ** 2),
        },
        "parts": {"kernel": Weight(shape=(2, 3, 5, 6), parts=(grouped[:2].transpose(1, 3, 2, 0), grouped[2:]))},
        "odd": {"scalar": Weight.of(np.full((), -2.5, np.float32)), "empty": Weight.of(np.zeros((0, 3), np.float32))},
    }


def read(path: Path, *, lists_of: Weights | None = None) -> dict[str, dict[str, Floats]]:
    """The content of a file of any format by layer and Keras weight name."""
    found: dict[str, dict[str, Any]] = {}
    if path.suffix == ".h5":
        with h5py.File(path, "r") as file:
            return {layer: {name: data[()] for name, data in group.items()} for layer, group in file.items()}
    if path.suffix == ".npz":
        with np.load(path) as archive:
            for key, value in archive.items():
                layer, name = key.split("/")
                found.setdefault(layer, {})[name] = value
        return found
    for layer, own in np.load(path, allow_pickle=True, encoding="latin1").item().items():
        if lists_of is not None:
            assert isinstance(own, list)
            found[layer] = dict(zip(lists_of[layer], own, strict=True))
        else:
            found[layer] = {{"weights": "kernel", "biases": "bias"}.get(name, name): a for name, a in own.items()}
    return found


def assert_same(found: Mapping[str, Mapping[str, Floats]], weights: Weights) -> None:
    assert set(found) == set(weights)
    for layer, own in weights.items():
        assert set(found[layer]) == set(own)
        for name, weight in own.items():
            value = found[layer][name]
            assert value.dtype == np.float32
            assert value.shape == weight.shape
            np.testing.assert_array_equal(value, weight.array())


def no_others(folder: Path, *names: str) -> None:
    assert sorted(p.name for p in folder.iterdir()) == sorted(names)


@pytest.mark.parametrize("box", [8 << 20, 64])
@pytest.mark.parametrize("kind", FORMATS)
def test_values_come_back(
    tmp_path: Path, weights: Weights, kind: str, box: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "BOX_BYTES", box)
    path = tmp_path / f"w.{kind}"
    written: list[int] = []
    write_weights(path, weights, format=kind, progress=written.append)
    assert_same(read(path), weights)
    assert sum(written) == 4 * sum(w.size for own in weights.values() for w in own.values())
    no_others(tmp_path, path.name)


def test_lists_layout_of_npy(tmp_path: Path, weights: Weights) -> None:
    write_weights(tmp_path / "w.npy", weights, format="npy", layout="lists")
    assert_same(read(tmp_path / "w.npy", lists_of=weights), weights)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_order_of_layers_is_kept(tmp_path: Path, weights: Weights, kind: str) -> None:
    path = tmp_path / f"w.{kind}"
    write_weights(path, weights, format=kind)
    if kind == "h5":
        with h5py.File(path) as file:
            assert [n.decode() for n in file.attrs["layer_names"]] == list(weights)
            assert [n.decode() for n in file["norm"].attrs["weight_names"]] == list(weights["norm"])
    else:
        assert list(read(path)) == list(weights)
        assert list(read(path)["norm"]) == list(weights["norm"])


@pytest.mark.parametrize("kind", FORMATS)
def test_writing_twice_gives_the_same_bytes(
    tmp_path: Path, weights: Weights, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    write_weights(one, weights, format=kind)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr(place, "BOX_BYTES", 128)
    write_weights(two, weights, format=kind)
    assert one.read_bytes() == two.read_bytes()


def test_h5_is_the_same_in_another_process_at_another_time(tmp_path: Path) -> None:
    code = (
        "import sys, time, numpy as np\n"
        "from caffe2tf.artifacts import write_weights\n"
        "from caffe2tf.ir.weight import Weight\n"
        "w = {f'layer{i}': {'kernel': Weight.of(np.ones((3, i), np.float32))} for i in range(1, 40)}\n"
        "write_weights(sys.argv[1], w, format='h5')\n"
        "time.sleep(1.1)\n"
    )
    for name in ("a.h5", "b.h5"):
        subprocess.run([sys.executable, "-c", code, tmp_path / name], check=True, cwd=Path(__file__).parents[2])
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("kind", FORMATS)
def test_no_layers_at_all(tmp_path: Path, kind: str) -> None:
    write_weights(tmp_path / f"w.{kind}", {}, format=kind)
    assert read(tmp_path / f"w.{kind}") == {}


def test_h5_splits_long_lists_of_names(tmp_path: Path) -> None:
    names = [f"a_rather_long_name_of_a_layer_in_a_deep_network_{i}" for i in range(2500)]
    value = Weight.of(np.float32(1).reshape(1))
    write_weights(tmp_path / "w.h5", {name: {"gamma": value} for name in names}, format="h5")
    with h5py.File(tmp_path / "w.h5") as file:
        assert "layer_names" not in file.attrs
        parts = [file.attrs[f"layer_names{i}"] for i in range(sum(k.startswith("layer_names") for k in file.attrs))]
    assert len(parts) > 1
    assert [n.decode() for part in parts for n in part] == names


def test_h5_values_are_contiguous_and_aligned(tmp_path: Path) -> None:
    kernel = np.zeros((300, 200), np.float32).T
    write_weights(tmp_path / "w.h5", {"a": {"bias": Weight.of(kernel[0]), "kernel": Weight.of(kernel)}}, format="h5")
    with h5py.File(tmp_path / "w.h5") as file:
        assert file["a/kernel"].chunks is None
        assert file["a/kernel"].id.get_offset() % 4096 == 0


@pytest.mark.parametrize("limit", [0xFFFFFFFF, 2000, 300, 1])
def test_npz_in_64_bit_form(tmp_path: Path, weights: Weights, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers from the limit on go into 64-bit fields, as in a file of more than 4 GiB."""
    monkeypatch.setattr(npz, "LIMIT_32", limit)
    monkeypatch.setattr(npz, "LIMIT_16", min(limit, 0xFFFF))
    write_weights(tmp_path / "w.npz", weights, format="npz")
    assert_same(read(tmp_path / "w.npz"), weights)
    with zipfile.ZipFile(tmp_path / "w.npz") as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_npy_of_very_large_weights(tmp_path: Path, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy, "MAX_32", 50)
    write_weights(tmp_path / "w.npy", weights, format="npy")
    assert_same(read(tmp_path / "w.npy"), weights)


@pytest.mark.parametrize("layout", ["dicts", "lists"])
def test_npy_has_the_structure_of_the_classic_file(
    tmp_path: Path, data: Path, layout: Literal["dicts", "lists"]
) -> None:
    classic = np.load(data / "classic_npy" / f"digits_dict_of_{layout}.npy", allow_pickle=True, encoding="latin1")
    weights = {}
    for layer, own in classic.item().items():
        kernel, bias = own if layout == "lists" else (own["weights"], own["biases"])
        weights[layer] = {"kernel": Weight.of(kernel), "bias": Weight.of(bias)}
    write_weights(tmp_path / "w.npy", weights, format="npy", layout=layout)
    ours = np.load(tmp_path / "w.npy", allow_pickle=True, encoding="latin1")
    assert ours.shape == classic.shape == ()
    assert ours.dtype == classic.dtype == object
    assert type(ours.item()) is dict
    assert ours.item().keys() == classic.item().keys()
    for layer, theirs in classic.item().items():
        own = ours.item()[layer]
        assert type(own) is type(theirs)
        for key in theirs if layout == "dicts" else range(len(theirs)):
            np.testing.assert_array_equal(own[key], theirs[key])
            assert own[key].dtype == theirs[key].dtype
            assert own[key].flags.writeable


@pytest.mark.parametrize("kind", FORMATS)
def test_sources_are_released(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "BOX_BYTES", 400)
    straight, turned, shared = Source(), Source(), Source()
    values = np.arange(600, dtype=np.float32).reshape(20, 30)
    weights = {
        "straight": {"kernel": Weight.of(values, memory=(straight,))},
        "turned": {"kernel": Weight.of(values.T, memory=(turned,))},
        "shared": {"kernel": Weight(shape=(600,), parts=(values[:5], values[5:]), memory=(shared,))},
    }
    write_weights(tmp_path / "w", weights, format=kind)
    assert (straight.whole, turned.whole, shared.whole) == (1, 1, 1)
    assert sorted(straight.ranges) == [(i, i + 100) for i in range(0, 600, 100)]
    assert turned.ranges == shared.ranges == []


@pytest.mark.parametrize("kind", FORMATS)
def test_values_at_any_byte_of_the_source(tmp_path: Path, rng: np.random.Generator, kind: str) -> None:
    """In a mapped file, numbers begin at any byte, and those of an old one are five bytes apart."""
    raw = rng.standard_normal(1000).astype(np.float32).tobytes()
    odd = np.frombuffer(raw, np.float32, 990, offset=3).reshape(30, 33)
    apart = np.ndarray((20, 33), np.float32, buffer=raw, offset=1, strides=(5 * 33, 5))
    doubles = np.frombuffer(raw, np.float64, 450, offset=5).reshape(15, 30)
    values = {"odd": odd, "apart": apart, "doubles": np.where(np.isfinite(doubles), np.clip(doubles, -9, 9), 0)}
    weights = {
        layer: {"kernel": Weight.of(value.T), "bias": Weight.of(value[2]), "all": Weight.of(value)}
        for layer, value in values.items()
    }
    write_weights(tmp_path / f"w.{kind}", weights, format=kind)
    assert_same(read(tmp_path / f"w.{kind}"), weights)


PEAK = """
import mmap, os, sys, numpy as np
from pathlib import Path
from caffe2tf.artifacts import write_weights
from caffe2tf.artifacts.weights import h5, npy, npz  # imported before the memory is measured
from caffe2tf.ir.weight import Weight
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
with open(sys.argv[1], "w+b") as file:
    file.truncate(96 << 20)
    memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
class Source:
    def __init__(self, start): self.start = start
    def release(self): memory.madvise(mmap.MADV_DONTNEED, self.start, 48 << 20)
    def release_range(self, start, stop): pass
blobs = [np.frombuffer(memory, np.float32, 12 << 20, i * (48 << 20)).reshape(2048, 6144) for i in range(2)]
weights = {f"fc{i}": {"kernel": Weight.of(b.T, memory=(Source(i * (48 << 20)),))} for i, b in enumerate(blobs)}
before = peak()
write_weights(sys.argv[2], weights, format=sys.argv[3])
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures by /proc")
@pytest.mark.parametrize("kind", FORMATS)
def test_memory_is_that_of_the_largest_weight(tmp_path: Path, kind: str) -> None:
    """Of the two weights of 48 MiB, one at a time is mapped; no second copy of it is made."""
    command = [sys.executable, "-c", PEAK, str(tmp_path / "source"), str(tmp_path / "w"), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert 20 < float(done.stdout) < 48 + 28


@pytest.mark.parametrize("name", ["a/b", ""])
def test_names_that_no_file_can_hold(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="names must be"):
        write_weights(tmp_path / "w.h5", {name: {}}, format="h5")
    with pytest.raises(ValueError, match="names must be"):
        write_weights(tmp_path / "w.h5", {"a": {name: Weight.of(np.zeros(2))}}, format="h5")
    no_others(tmp_path)


def test_a_format_that_is_none(tmp_path: Path, weights: Weights) -> None:
    unknown: Any = "hdf5"
    with pytest.raises(ValueError, match="not as 'hdf5'"):
        write_weights(tmp_path / "w.hdf5", weights, format=unknown)
    no_others(tmp_path)


@pytest.mark.parametrize("kind", FORMATS)
def test_parts_must_make_up_the_shape(tmp_path: Path, kind: str) -> None:
    wrong = Weight(shape=(3, 4), parts=(np.zeros((2, 4), np.float32),))
    with pytest.raises(ValueError, match=r"\(2, 4\).*\(3, 4\)"):
        write_weights(tmp_path / "w", {"a": {"kernel": wrong}}, format=kind)
    no_others(tmp_path)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interruption_leaves_the_old_file(
    tmp_path: Path, weights: Weights, kind: str, error: type[BaseException]
) -> None:
    path = tmp_path / f"w.{kind}"
    path.write_text("old")

    def interrupt(_: int) -> None:
        raise error

    with pytest.raises(error):
        write_weights(path, weights, format=kind, progress=interrupt)
    assert path.read_text() == "old"
    no_others(tmp_path, path.name)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("number", "message"), [(errno.ENOSPC, "no space left.*MB free"), (errno.EDQUOT, "no space left")]
)
def test_a_full_disk(
    tmp_path: Path, weights: Weights, kind: str, number: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"w.{kind}"
    path.write_text("old")

    def full(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OutputError, match=message):
        write_weights(path, weights, format=kind)
    assert path.read_text() == "old"
    no_others(tmp_path, path.name)


LIMITED = """
import resource, signal, sys, numpy as np
from caffe2tf.artifacts import write_weights
from caffe2tf.errors import OutputError
from caffe2tf.ir.weight import Weight
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
weights = {f"layer{i}": {"kernel": Weight.of(np.zeros((300, 400), np.float32))} for i in range(5)}
for kind in ("h5", "npz", "npy"):
    try:
        write_weights(sys.argv[1], weights, format=kind)
    except OutputError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits on the size of files")
@pytest.mark.parametrize("limit", [100, 3000, 1_000_000, 2_399_999])
def test_files_limited_by_the_system(tmp_path: Path, limit: int) -> None:
    """Whether the layout, the values or the end of the file do not fit: an error, and nothing is left."""
    path = tmp_path / "w"
    path.write_text("old")
    command = [sys.executable, "-c", LIMITED, str(path), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.count("larger than the limit for files") == len(FORMATS)
    assert done.stderr == ""
    assert path.read_text() == "old"
    no_others(tmp_path, path.name)


def test_many_weights_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than fit in the window, so that the writer has to wait for some before it goes on."""
    monkeypatch.setattr(place, "WINDOW_BYTES", 1000)
    values = [np.arange(n * 7, dtype=np.float32).reshape(n, 7).T - 40 for n in range(2, 60)]
    weights = {f"layer{i}": {"kernel": Weight.of(value)} for i, value in enumerate(values)}
    assert math.prod(values[-1].shape) * 4 > 1000
    write_weights(tmp_path / "w.npz", weights, format="npz")
    assert_same(read(tmp_path / "w.npz"), weights)
