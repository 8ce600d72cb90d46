"""The drawing rule is frozen, because the recordings of Caffe depend on every byte of it."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from scripts import draw

# One layer for each branch of the rule; the last blobs span several chunks.
LAYERS: list[tuple[str, str, list[list[int]]]] = [
    ("conv", "Convolution", [[5, 3, 7, 2], [5]]),
    ("norm\u00e9", "BatchNorm", [[7], [7], [1]]),
    ("bn", "BN", [[1, 9, 1, 1], [1, 9, 1, 1], [1, 9, 1, 1], [1, 9, 1, 1]]),
    ("scale", "Scale", [[3], [3]]),
    ("prelu", "PReLU", [[4]]),
    ("normalize", "Normalize", [[3]]),
    ("lstm", "LSTM", [[12, 5], [12], [12, 3]]),
    ("rnn", "RNN", [[3, 2]]),
    ("fc", "InnerProduct", [[4, 11], [4]]),
    ("embed", "Embed", [[1, 9]]),
    ("scalar", "Parameter", [[]]),
    ("long_norm", "BatchNorm", [[1100003], [1100003], [1]]),
]


@pytest.fixture
def params(tmp_path: Path) -> Path:
    path = tmp_path / "net.params.json"
    path.write_text(json.dumps(LAYERS), encoding="utf-8")
    return path


def test_drawn_weights_are_reproducible(params: Path, tmp_path: Path) -> None:
    assert draw.main(["weights", str(params), str(tmp_path / "net.caffemodel")]) == 0
    written = (tmp_path / "net.caffemodel").read_bytes()
    assert (len(written), f"{zlib.crc32(written):08x}") == (8_802_333, "03a6747a")


def test_drawn_inputs_are_reproducible() -> None:
    assert f"{zlib.crc32(draw.draw_input('data', (2, 3, 5, 4)).tobytes()):08x}" == "410dddc3"
    assert f"{zlib.crc32(draw.draw_input('data', (2, 7)).tobytes()):08x}" == "2b1203b0"


def test_the_file_holds_the_drawn_blobs(params: Path, tmp_path: Path) -> None:
    draw.write_caffemodel(draw.read_params(params), tmp_path / "net.caffemodel")
    written = (tmp_path / "net.caffemodel").read_bytes()
    for name, kind, shapes in [LAYERS[0], LAYERS[1], LAYERS[-1]]:
        for place, shape in enumerate(shapes):
            blob = draw.draw_blob(name, kind, place, shape)
            assert blob.shape == tuple(shape)
            assert blob.dtype == np.float32
            assert blob.tobytes() in written


def test_the_input_command_writes_what_draw_input_draws(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.draw", "input", "data", "2,3,5,4", str(tmp_path / "data.npy")]
    subprocess.run(command, check=True, cwd=Path(draw.__file__).parents[1])
    np.testing.assert_array_equal(np.load(tmp_path / "data.npy"), draw.draw_input("data", (2, 3, 5, 4)))


@pytest.mark.parametrize("text", ["{", '{"a": 1}', "[[1, 2]]", '[["conv", "Convolution", [["x"]]]]'])
def test_an_invalid_params_file_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(text, encoding="utf-8")
    assert draw.main(["weights", str(wrong), str(tmp_path / "out")]) == 2
    assert "wrong.json: not a list of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
