"""Standard output and standard error that are closed or cannot be written to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT

FULL = Path("/dev/full")
FULL_MESSAGE = "caffe2tf: standard output cannot be written to: No space left on device; redirect it elsewhere"
NET = "examples/digits/deploy.prototxt"
TRAINED = "examples/digits/digits.caffemodel"
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")


def shell(command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which ``caffe2tf`` is the command and $1, $2 are the arguments."""
    script = command.replace("caffe2tf ", f"{sys.executable} -m caffe2tf ")
    return subprocess.run(
        ["bash", "-c", script, "bash", *map(str, arguments)], cwd=ROOT, check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "command", ["layers", "layers --json", f"inspect {NET}", f"convert {NET} {TRAINED} -o $1", "--help", "--version"]
)
def test_a_full_standard_output_is_reported_once(command: str, unbuffered: str, tmp_path: Path) -> None:
    done = shell(f"PYTHONUNBUFFERED={unbuffered} caffe2tf {command} >/dev/full", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr == f"{FULL_MESSAGE}\n"


def test_verify_exits_with_2_if_its_output_cannot_be_written(tmp_path: Path) -> None:
    """Exit status 1 would say that blobs differ."""
    data, prob = np.ones((1, 1, 16, 16), np.float32), np.ones((1, 10), np.float32)
    np.savez(tmp_path / "blobs.npz", data=data, prob=prob)
    done = shell(f"caffe2tf verify {NET} {TRAINED} --reference $1 >/dev/full", tmp_path / "blobs.npz")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == FULL_MESSAGE
    assert "Traceback" not in done.stderr


def test_a_read_only_standard_output() -> None:
    done = shell("caffe2tf layers 1</dev/null")
    assert (done.returncode, done.stderr) == (
        2,
        "caffe2tf: standard output cannot be written to: Bad file descriptor; redirect it elsewhere\n",
    )


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("caffe2tf layers >&-", 0),
        ("caffe2tf layers <&- >&- 2>&-", 0),
        ("caffe2tf inspect nope 2>&-", 2),
        ("caffe2tf inspect nope 2>/dev/full", 2),
        ("caffe2tf inspect nope >&- 2>&-", 2),
        ("caffe2tf inspect >/dev/full 2>/dev/full", 2),
    ],
)
def test_a_closed_stream_discards_its_output(command: str, status: int) -> None:
    done = shell(command)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_result_is_written_to_the_descriptor_of_a_closed_stream(closed: str, tmp_path: Path) -> None:
    """A newly opened file takes the lowest free descriptor."""
    done = shell(
        f"caffe2tf convert {NET} {TRAINED} -o $1/closed {closed} && caffe2tf convert {NET} {TRAINED} -o $1/open",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    for name in ("digits.py", "digits.h5"):
        assert (tmp_path / "closed" / name).read_bytes() == (tmp_path / "open" / name).read_bytes()


def test_a_full_non_blocking_pipe_is_waited_for() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with subprocess.Popen(
        [sys.executable, "-m", "caffe2tf", "layers", "--json"], stdout=write, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(write)
        time.sleep(1)  # the pipe fills up
        with os.fdopen(read, "rb") as pipe:
            out = pipe.read()
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert out.rstrip().endswith(b"}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["typer", "caffe2tf.cli.output", "numpy"])
def test_a_signal_during_imports(module: str, number: signal.Signals) -> None:
    probe = f"""
import os, signal, sys
signal.signal({number.value}, signal.SIG_DFL if {number.value} == signal.SIGTERM else signal.default_int_handler)
class Finder:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number.value})
sys.meta_path.insert(0, Finder())
sys.argv = ["caffe2tf", "inspect", {NET!r}, {TRAINED!r}]
from caffe2tf.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 128 + number
    assert done.stderr == f"caffe2tf: stopped by {number.name}; nothing is left half-written\n"
