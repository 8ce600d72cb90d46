"""Log lines of TensorFlow's native code are hidden on request, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from caffe2tf.quiet import quiet_start, starting_tensorflow
from tests.conftest import ROOT

NOISE = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1795980369.338695   11381 port.cc:153] oneDNN custom operations are on.\n"
    b"I0000 00:00:1795980378.167736   11461 cpu_feature_guard.cc:227] This TensorFlow binary is optimized\n"
    b"To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.\n"
    b"2025-01-31 10:11:12.131415: W tensorflow/core/util/port.h:153] oneDNN custom operations are on.\n"
    b"E0000 00:00:1795980381.356371   11461 cuda_platform.cc:52] failed call to cuInit\n"
)


@pytest.fixture(autouse=True)
def _level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)


def native(text: bytes) -> None:
    os.write(2, text)


def start(*written: bytes, fails: BaseException | None = None) -> None:
    """Write to descriptor 2 as TensorFlow does."""
    with starting_tensorflow():
        for text in written:
            native(text)
        if fails is not None:
            raise fails


def test_only_log_lines_are_hidden(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with quiet_start(), open(2, "w", encoding="utf-8", closefd=False) as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        stderr.write("before\n")
        with starting_tensorflow() as quiet:
            assert quiet
            native(NOISE)
            native(b"F0000 00:00:1795980381.356371   11461 cpu.cc:52] this processor lacks AVX\n")
            native(b"W1129 19:24:42.123456   139 layer.py:12] a warning of Keras\n")
            thread = threading.Thread(target=native, args=(NOISE + b"a thread's\n",))
            thread.start()
            thread.join()
            stderr.write("Python's")
        native(b"\nafter\n")
        monkeypatch.undo()
    assert capfd.readouterr().err == (
        "before\n"
        "F0000 00:00:1795980381.356371   11461 cpu.cc:52] this processor lacks AVX\n"
        "W1129 19:24:42.123456   139 layer.py:12] a warning of Keras\n"
        "a thread's\nPython's\nafter\n"
    )


def test_everything_is_shown_if_the_block_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_start(), pytest.raises(ImportError, match="no such library"):
        start(NOISE, fails=ImportError("no such library"))
    assert capfd.readouterr().err == NOISE.decode()


def test_an_interrupt_still_hides_log_lines(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_start(), pytest.raises(KeyboardInterrupt):
        start(NOISE, b"ours\n", fails=KeyboardInterrupt())
    assert capfd.readouterr().err == "ours\n"


@pytest.mark.parametrize(("level", "shown"), [("0", 6), ("1", 2), ("2", 1), ("3", 0), ("none", 6)])
def test_the_users_log_level_is_respected(
    level: str, shown: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    with quiet_start(), starting_tensorflow():
        native(NOISE)
    assert len(capfd.readouterr().err.splitlines()) == shown


def test_nothing_is_hidden_outside_quiet_start(capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # the second time after a quiet block
        before = os.fstat(2)
        with starting_tensorflow() as quiet:
            assert not quiet
            assert os.path.samestat(os.fstat(2), before)
            native(NOISE)
        assert capfd.readouterr().err == NOISE.decode()
        with quiet_start():
            pass


def test_nothing_is_captured_if_descriptor_2_cannot_be_redirected(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise OSError

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with quiet_start(), starting_tensorflow() as quiet:
        assert not quiet
        native(NOISE)
    assert capfd.readouterr().err == NOISE.decode()


def test_no_descriptor_stays_open() -> None:
    before = os.listdir("/dev/fd")  # noqa: PTH208 - names alone
    with quiet_start(), starting_tensorflow():
        pass
    assert os.listdir("/dev/fd") == before  # noqa: PTH208


@pytest.mark.parametrize(
    "program",
    [
        """
import sys
from caffe2tf.cli import main
net = "examples/digits/deploy.prototxt", "examples/digits/digits.caffemodel"
sys.argv = ["caffe2tf", "convert", *net, "-o", sys.argv[1], "--weights-format", "weights.h5"]
main()
""",
        """
import sys
import numpy
from caffe2tf.cli import main
numpy.savez(sys.argv[1] + "/in.npz", data=numpy.ones((1, 1, 16, 16), "f4"))
net = "examples/digits/deploy.prototxt", "examples/digits/digits.caffemodel"
sys.argv = ["caffe2tf", "run", *net, "--input", sys.argv[1] + "/in.npz", "-o", sys.argv[1] + "/out.npz"]
main()
""",
        "from scripts import demo; demo._import_tensorflow()",
        """
import sys
from caffe2tf.cli import main
net = "examples/custom_layer/net.prototxt"
sys.argv = ["caffe2tf", "inspect", net, "--plugin", "examples/custom_layer/my_layers.py"]
main()
""",
    ],
    ids=["convert", "run", "demo", "plugin"],
)
def test_our_programs_do_not_log_the_hardware(program: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
