"""The command line as a whole: help, version, start-up time, signals and pipes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import caffe2tf as package
from caffe2tf.cli.epilog import EXIT_STATUSES
from tests.builders import write_prototxt
from tests.cli.command import caffe2tf
from tests.conftest import ROOT

COMMANDS = ("convert", "inspect", "run", "verify", "layers", "upgrade", "alexnet")


def test_help_names_every_command() -> None:
    done = caffe2tf("--help")
    assert done.code == 0
    assert all(f"\n  {name} " in done.out or f" {name} " in done.out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    done = caffe2tf(command, "--help")
    assert done.code == 0
    assert f"caffe2tf {command}" in done.out


def examples(command: str) -> list[str]:
    """The example commands in the help of a command."""
    return re.findall(r"^    (caffe2tf .*)$", caffe2tf(command, "--help").out, re.MULTILINE)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "alexnet"])  # its examples need 244 MB of weights
def test_the_examples_in_the_help_run(
    command: str, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(digits / "deploy.prototxt", "deploy.prototxt")
    shutil.copy(digits / "digits.caffemodel", "net.caffemodel")
    np.savez("in.npz", data=np.ones((2, 1, 16, 16), np.float32))
    if command == "verify":
        assert caffe2tf("run", "deploy.prototxt", "net.caffemodel", "--input", "in.npz", "-o", "blobs.npz").code == 0
    lines = examples(command)
    assert lines
    for line in lines:
        done = caffe2tf(*line.split()[1:])
        assert done.code == 0, (line, done.err)


@pytest.mark.parametrize("command", ["", *(c for c in COMMANDS if c != "layers")])
def test_help_explains_every_exit_status(command: str) -> None:
    text = caffe2tf(*filter(None, [command]), "--help").out
    assert text.endswith("Exit status:\n" + "".join(f"    {n}  {m}\n" for n, m in EXIT_STATUSES.items()))


def test_version() -> None:
    assert caffe2tf("--version").out == f"caffe2tf {package.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["convert"], ["inspect", "--no-such-option"], ["run", "a.prototxt"]]
)
def test_a_wrong_call_prints_the_usage_and_exits_with_2(arguments: list[str]) -> None:
    done = caffe2tf(*arguments)
    assert done.code == 2
    assert "Usage" in done.err
    assert "Traceback" not in done.err


# Imports make a command slow to start. Unlike seconds, they are the same on every machine.
@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], ["numpy", "google.protobuf", "h5py", "tensorflow", "rich", "pydantic", "caffe2tf.layers"]),
        (["inspect", "examples/digits/deploy.prototxt"], ["h5py", "tensorflow", "keras", "rich"]),
        (
            ["inspect", "examples/digits/deploy.prototxt", "examples/digits/digits.caffemodel"],
            ["h5py", "tensorflow", "keras", "rich"],
        ),
    ],
)
def test_a_command_imports_only_what_it_needs(arguments: list[str], absent: list[str]) -> None:
    probe = (
        "import sys; sys.argv[0] = 'caffe2tf'\nfrom caffe2tf.cli import main\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert not e.code, e.code\n"
        f"found = sorted({set(absent)!r} & set(sys.modules)); sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *arguments], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def _convert_slowly(out: Path) -> subprocess.Popen[str]:
    """Start a conversion that prints ``half`` and then waits, with its weights half written.

    It resets the signal handlers, because a test run in the background of a script ignores interrupts.
    """
    script = f"""
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
def fill(fd, places, progress=None, settled=None):
    os.write(fd, b"half")
    print("half", flush=True)
    time.sleep(60)
import caffe2tf.artifacts.weights.h5 as h5
h5.fill = fill
net = "examples/digits/deploy.prototxt", "examples/digits/digits.caffemodel"
sys.argv = ["caffe2tf", "convert", *net, "-o", {str(out)!r}]
from caffe2tf.cli import main
main()
"""
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_leaves_no_half_written_file(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "a" / "b"
    with _convert_slowly(out) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        assert [p.name for p in out.iterdir()]  # there is something to clean up
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert err == f"caffe2tf: stopped by {number.name}; nothing is left half-written\n"
    assert list(tmp_path.iterdir()) == []


def test_signal_handlers_are_restored() -> None:
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    caffe2tf("--version")
    assert {s: signal.getsignal(s) for s in before} == before


def test_a_closed_pipe_is_not_an_error() -> None:
    net = ROOT / "examples" / "digits" / "deploy.prototxt"
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "caffe2tf", "inspect", str(net)], stdout=write, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(write)
        os.close(read)
        _, err = process.communicate(timeout=30)
    assert process.returncode in (0, 1)  # 1: the pipe broke during a print, not at the end
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_unprintable_names_are_escaped(tmp_path: Path) -> None:
    net = write_prototxt(
        tmp_path,
        'name: "\\033[31mr\xe9d" layer { name: "d\\033]0;x\\007\u4e2d" type: "Input" top: "d" '
        "input_param { shape { dim: 2 dim: 3 } } }",
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "caffe2tf", "inspect", str(net)], env=environment, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout
    assert rb"d\x1b]0;x\x07\u4e2d" in done.stdout


def test_help_is_fast() -> None:
    """The limit is on processor time, which depends less on other load than elapsed time."""
    best = 9.0
    for _ in range(5):
        start = os.times()
        subprocess.run([sys.executable, "-m", "caffe2tf", "--help"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        end = os.times()
        best = min(best, end.children_user - start.children_user + end.children_system - start.children_system)
        time.sleep(0.1)
    assert best < 0.3
