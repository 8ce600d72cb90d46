"""Files that were found in the field, or that rebuild what was reported from there (tests/data/field)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe2tf.errors import NetworkError, ParseError
from caffe2tf.parse import open_weights, read_network
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
        read_network(FIELD / f"{name}.prototxt")
    assert [str(p.where).partition("prototxt:")[2] for p in caught.value.problems] == places
    kind = "exclude" if "exclude" in name else "include"
    said = f"'train' is not a value of `{kind}[0].phase`; use one of TRAIN, TEST; did you mean `TRAIN`?"
    assert caught.value.problems[0].message == said


@pytest.mark.parametrize("text", ["state { phase: test }", 'layer { name: "a" type: "ReLU" phase: Test }'])
def test_phases_elsewhere_are_checked_too(tmp_path: Path, text: str) -> None:
    file = tmp_path / "net.prototxt"
    file.write_text(f'layer {{ name: "d" type: "Input" top: "d" }}\n{text}\n', encoding="utf-8")
    with pytest.raises(NetworkError, match="phase`; use one of TRAIN, TEST; did you mean `TEST`"):
        read_network(file)
