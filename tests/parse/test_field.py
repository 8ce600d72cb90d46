"""Files that were found in the field, or that rebuild what was reported from there (tests/data/field)."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from caffe2tf.errors import NetworkError, ParseError
from caffe2tf.parse import open_weights, read_network, upgrade_file
from tests.conftest import ROOT

FIELD = ROOT / "tests" / "data" / "field"


def varint(value: int) -> bytes:
    head = b""
    while value > 127:
        head += bytes([value & 127 | 128])
        value >>= 7
    return head + bytes([value])


def delimited(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


GROUP = varint(10 << 3 | 3) + b"\x08\x05" + varint(11 << 3 | 3) + varint(11 << 3 | 4) + varint(10 << 3 | 4)


@pytest.mark.parametrize(
    "unknown",
    [
        delimited(10, b"\x93" * 307_200),  # a compression fork; NVIDIA's Caffe has a number here
        delimited(10, b"\x93"),
        delimited(10, b""),
        varint(10 << 3 | 1) + bytes(8),
        varint(10 << 3 | 5) + bytes(4),
        varint(1 << 3 | 5) + bytes(4),  # the number of `num`, with another wire type
        varint(7 << 3) + b"\x05",  # the number of `shape`
        delimited(2, b"\x07" * 70_000),
        GROUP,
    ],
)
def test_field_blob_field_10(tmp_path: Path, unknown: bytes) -> None:
    """Unknown fields of a blob are skipped, whatever their wire type and length."""
    values = np.array([[-1.5, 2.0, 3.25], [4.0, -5.0, 6.0]], np.float32)
    blob = delimited(7, delimited(1, b"\x02\x03")) + unknown + delimited(5, values.tobytes()) + unknown
    file = tmp_path / "net.caffemodel"
    file.write_bytes(delimited(100, delimited(1, b"fc") + delimited(2, b"InnerProduct") + delimited(7, blob)))
    with open_weights(file) as weights:
        (found,) = weights.layers["fc"]
        assert (found.array() == values).all()
        assert not found.legacy


@pytest.mark.parametrize("damaged", [GROUP[:-1], GROUP[:1], GROUP[:-1] + b"\x5c", varint(10 << 3 | 4)])
def test_a_damaged_group_in_a_blob_is_an_error(tmp_path: Path, damaged: bytes) -> None:
    file = tmp_path / "net.caffemodel"
    file.write_bytes(delimited(100, delimited(1, b"fc") + delimited(7, damaged)))
    with pytest.raises(ParseError, match=r"layer 'fc', blob 0: .* \(at byte"):
        open_weights(file)


@pytest.mark.parametrize(("name", "places"), [("phase_word", ["2:77", "3:74"]), ("phase_word_exclude", ["2:74"])])
def test_field_phase_word(name: str, places: list[str]) -> None:
    """A phase that is none is an error, as in Caffe: it would select other layers than its author meant."""
    with pytest.raises(NetworkError) as caught:
        read_network(FIELD / f"{name}.pbtxt")
    assert [str(p.where).partition("pbtxt:")[2] for p in caught.value.problems] == places
    kind = "exclude" if "exclude" in name else "include"
    said = f"'train' is not a value of `{kind}[0].phase`; use one of TRAIN, TEST; did you mean `TRAIN`?"
    assert caught.value.problems[0].message == said


@pytest.mark.parametrize("text", ["state { phase: test }", 'layer { name: "a" type: "ReLU" phase: Test }'])
def test_phases_elsewhere_are_checked_too(tmp_path: Path, text: str) -> None:
    file = tmp_path / "net.prototxt"
    file.write_text(f'layer {{ name: "d" type: "Input" top: "d" }}\n{text}\n', encoding="utf-8")
    with pytest.raises(NetworkError, match="phase`; use one of TRAIN, TEST; did you mean `TEST`"):
        read_network(file)


def opened_apart(file: Path) -> tuple[str, float, int]:
    """Open weights in another process, which may hang; return the error, its seconds and its peak memory in MB."""
    program = f"""
        import resource, time
        import caffe2tf.parse.hdf5
        from caffe2tf.errors import ParseError
        from caffe2tf.parse import open_weights
        start = time.monotonic()
        try:
            open_weights({str(file)!r})
        except ParseError as error:
            print(error)
        print(time.monotonic() - start)
        # Not ru_maxrss: Linux keeps that of the process that started this one.
        (peak,) = [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")]
        print(max(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024)
        """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    *error, seconds, memory = done.stdout.splitlines()
    return "".join(error), float(seconds), int(memory)


def test_field_hdf5_loop() -> None:
    """A heap whose list of free blocks contains itself, in which libhdf5 loops for ever and takes all memory."""
    error, seconds, memory = opened_apart(FIELD / "hdf5_loop_minimal.h5")
    assert "HDF5 cannot read this" in error
    assert seconds < 2
    assert memory < 200


@pytest.mark.parametrize("part", ["TREE", "SNOD", "HEAP"])
def test_hdf5_parts_that_contain_themselves(tmp_path: Path, part: str) -> None:
    """Every address in the file leads to one part: a B-tree, a symbol table or a heap, and so into loops."""
    source = (ROOT / "tests/data/layers/convolution_hw_params/net.caffemodel.h5").read_bytes()
    target = source.index(part.encode()).to_bytes(8, "little")
    starts = [at for at in range(0, len(source), 8) if source[at : at + 4] in (b"TREE", b"SNOD", b"HEAP")]
    for at in (a for start in starts for a in range(start + 8, min(start + 64, len(source)), 8)):
        file = tmp_path / f"{at}.h5"
        file.write_bytes(source[:at] + target + source[at + 8 :])
        with suppress(ParseError), open_weights(file) as weights:
            assert all(np.size(blob.data) < 1000 for blobs in weights.layers.values() for blob in blobs)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s-linkfifo", "/data is a link to another file, 'fifo'"),
        ("s-extfifo", "layer 'ip', blob 0: its values are in another file"),
        ("s-exthosts", "layer 'ip', blob 0: its values are in another file"),
        ("s-vdsfifo", "layer 'ip', blob 0: it is a virtual dataset"),
    ],
)
def test_field_hdf5_links(tmp_path: Path, name: str, said: str) -> None:
    """Weights come from the file itself alone. A pipe that another file names is not opened, which would block."""
    os.mkfifo(tmp_path / "fifo")
    file = tmp_path / f"{name}.h5"
    file.write_bytes((FIELD / f"hdf5_links_{name}.h5").read_bytes())
    error, seconds, _ = opened_apart(file)
    assert said in error
    assert seconds < 2


@pytest.mark.parametrize("name", ["ext", "vds"])
def test_field_hdf5_declared(name: str) -> None:
    """Memory is bounded by what a file holds, not by what it declares: here 1 GB."""
    error, seconds, memory = opened_apart(FIELD / f"hdf5_declared_{name}.h5")
    assert "layer 'ip', blob 0: it" in error
    assert seconds < 2
    assert memory < 200


def declare_chunks(group: h5py.Group, *, shape: tuple[int, ...], chunks: tuple[int, ...], **options: object) -> None:
    values = group.create_dataset("0", shape, "<f4", chunks=chunks, **options)
    values[(0,) * len(shape)] = 1


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (4096, 4096), "chunks": (8, 8)},
        {"shape": (4096, 4096), "chunks": (8, 8), "compression": "gzip"},
        {"shape": (2,), "chunks": (2**28,), "maxshape": (None,), "compression": "gzip", "late": True},
    ],
)
def test_chunks_that_declare_more_than_the_file_holds(tmp_path: Path, options: dict[str, Any]) -> None:
    file = tmp_path / "net.h5"
    late = options.pop("late", False)
    with h5py.File(file, "w") as written:
        group = written.create_group("data/fc")
        if late:
            group.create_dataset("0", dtype="<f4", **options)
        else:
            declare_chunks(group, **options)
    with pytest.raises(ParseError, match=r"layer 'fc', blob 0: it has .* values, but the file stores fewer"):
        open_weights(file)


def test_field_c3d_input_dims(tmp_path: Path) -> None:
    """C3D 1.0 has five `input_dim` for each input."""
    network = read_network(FIELD / "c3d_input_dims.pbtxt")
    shapes = [list(shape.dim) for shape in network.layers[0].message.input_param.shape]
    assert shapes == [[1, 3, 4, 8, 8]]
    assert not any("more input shapes" in note.message for note in network.notes)
    text = (FIELD / "c3d_input_dims.pbtxt").read_text(encoding="utf-8")
    four = tmp_path / "four.prototxt"
    four.write_text(text.replace("input_dim: 4 ", "", 1), encoding="utf-8")
    assert list(read_network(four).layers[0].message.input_param.shape[0].dim) == [1, 3, 8, 8]
    two = tmp_path / "two.prototxt"
    dims = "".join(f" input_dim: {d}" for d in (2, 7, 1, 5, 6))
    two.write_text(text.replace('input: "data"', 'input: "data" input: "more"').replace("\nlayers", dims + "\nlayers"))
    shapes = [list(shape.dim) for shape in read_network(two).layers[0].message.input_param.shape]
    assert shapes == [[1, 3, 4, 8, 8], [2, 7, 1, 5, 6]]


def test_five_dims_of_a_flat_network_are_four_and_one_more(tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    dims = "".join(f" input_dim: {d}" for d in (1, 3, 4, 8, 8))
    file.write_text(f'input: "data"{dims}\nlayer {{ name: "r" type: "ReLU" bottom: "data" top: "r" }}\n')
    assert list(read_network(file).layers[0].message.input_param.shape[0].dim) == [1, 3, 4, 8]


def test_field_upgrade_v1(tmp_path: Path) -> None:
    """What `upgrade` writes can be read back; what the modern form would refuse is a problem with its place."""
    new = tmp_path / "new.prototxt"
    with pytest.raises(NetworkError, match="`reorg_param` must have another kind of value") as caught:
        upgrade_file(FIELD / "upgrade_v1.pbtxt", new)
    (problem,) = caught.value.problems
    assert (problem.layer, str(problem.where).partition("pbtxt:")[2]) == ("r", "2:52")
    assert not new.exists()


def test_upgrade_keeps_what_the_modern_form_lacks(tmp_path: Path) -> None:
    new = tmp_path / "new.prototxt"
    text = (FIELD / "upgrade_v1.pbtxt").read_text(encoding="utf-8").replace("reorg_param", "odd_param")
    (tmp_path / "old.prototxt").write_text(text, encoding="utf-8")
    upgrade_file(tmp_path / "old.prototxt", new)
    assert [(field.path, field.value) for field in read_network(new).layers[1].unknown] == [("odd_param", "")]
