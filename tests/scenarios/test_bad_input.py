"""Bad input: one message says what is wrong, where, and how to mend it; nothing is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.builders import input_layer, write_caffemodel, write_prototxt
from tests.cli.command import caffe2tf
from tests.conftest import ROOT

INPUT = input_layer("data", (2, 3, 5, 7))
CONV = (
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
    "convolution_param { num_output: 4 kernel_size: 3 } }\n"
)


def refused(code: int, *arguments: object, out: Path) -> str:
    """Return the message of a conversion that must fail with this exit status and write nothing."""
    before = sorted(out.parent.rglob("*"))
    done = caffe2tf("convert", *arguments, "-o", out)
    assert done.code == code, done.err
    assert done.out == ""
    assert done.err.startswith("caffe2tf: ")
    assert "Traceback" not in done.err
    assert sorted(out.parent.rglob("*")) == before
    return done.err


def refused_text(code: int, text: str, folder: Path, *arguments: object) -> str:
    return refused(code, write_prototxt(folder, text), *arguments, out=folder / "out")


@pytest.mark.parametrize("place", ["definition", "weights"])
@pytest.mark.parametrize(
    ("kind", "said"), [("missing", "no such file"), ("directory", "directory"), ("empty", "empty"), ("noise", "")]
)
def test_files_that_cannot_be_read(tmp_path: Path, digits: Path, place: str, kind: str, said: str) -> None:
    bad = tmp_path / "bad.file"
    if kind == "directory":
        bad.mkdir()
    elif kind == "empty":
        bad.touch()
    elif kind == "noise":
        bad.write_bytes(np.random.default_rng(3).bytes(5000))
    given = [bad] if place == "definition" else [digits / "deploy.prototxt", bad]
    message = refused(2, *given, out=tmp_path / "out")
    assert "bad.file" in message
    assert said in message


def test_swapped_files(tmp_path: Path, digits: Path) -> None:
    prototxt, trained = digits / "deploy.prototxt", digits / "digits.caffemodel"
    message = refused(2, prototxt, prototxt, out=tmp_path / "out")
    assert "deploy.prototxt" in message
    assert ".caffemodel" in message
    message = refused(2, trained, prototxt, out=tmp_path / "out")
    assert "deploy.prototxt" in message
    message = refused(2, digits / "digits.caffemodel.h5", trained, out=tmp_path / "out")
    assert "HDF5" in message


def test_a_solver_state_is_refused_with_the_name_of_its_weight_file(tmp_path: Path, digits: Path) -> None:
    message = refused(2, digits / "deploy.prototxt", digits / "digits.solverstate", out=tmp_path / "out")
    assert "solver state" in message
    assert ".caffemodel" in message


def test_a_solver_and_a_mean_image_are_recognised(tmp_path: Path, digits: Path) -> None:
    assert "solver" in refused(2, digits / "solver.prototxt", out=tmp_path / "out")
    assert "mean" in refused(2, digits / "deploy.prototxt", digits / "mean.binaryproto", out=tmp_path / "out")


def test_weights_of_another_network_list_every_layer_with_both_shapes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    other = {
        "conv": [rng.normal(size=(6, 3, 5, 5)), rng.normal(size=6)],
        "ip": [rng.normal(size=(2, 9)), rng.normal(size=2)],
    }
    weights = write_caffemodel(tmp_path, other)
    ip = 'layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 5 } }'
    third = 'layer { name: "more" type: "InnerProduct" bottom: "ip" top: "o" inner_product_param { num_output: 5 } }'
    message = refused_text(2, INPUT + CONV + ip + third, tmp_path, weights)
    for said in ("'conv'", "4x3x3x3", "6x3x5x5", "'ip'", "5x60", "2x9", "'more'", "another network"):
        assert said in message, said


def test_a_caffemodel_truncated_at_any_byte(tmp_path: Path, digits: Path) -> None:
    whole = (digits / "digits.caffemodel").read_bytes()
    bad = tmp_path / "cut.caffemodel"
    rng = np.random.default_rng(1)
    for size in [1, 2, 3, len(whole) - 1, *rng.integers(4, len(whole), 40).tolist()]:
        bad.write_bytes(whole[:size])
        done = caffe2tf("inspect", digits / "deploy.prototxt", bad)
        assert done.code in (2, 3), size
        assert "Traceback" not in done.err
        alone = caffe2tf("inspect", bad)
        assert alone.code in (2, 3), size
    message = refused(2, digits / "deploy.prototxt", bad, out=tmp_path / "out")
    assert "cut.caffemodel" in message


def test_every_unknown_type_with_its_line_and_the_nearest_known(tmp_path: Path) -> None:
    text = INPUT + "".join(
        f'layer {{ name: "l{i}" type: "{t}" bottom: "data" top: "t{i}" }}\n'
        for i, t in enumerate(["Convolutoin", "relu", "Xyzzy", ""])
    )
    message = refused_text(3, text, tmp_path)
    assert "4 problems" in message
    known = "is not supported; the nearest known type is"
    assert f"net.prototxt:2:1: layer 'l0': layer type 'Convolutoin' {known} 'Convolution'\n" in message
    assert f"net.prototxt:3:1: layer 'l1': layer type 'relu' {known} 'ReLU'\n" in message
    assert "net.prototxt:4:1: layer 'l2': layer type 'Xyzzy' is not supported\n" in message
    assert "net.prototxt:5:1: layer 'l3': the layer has no type" in message


RELU = 'layer {{ name: "{0}" type: "ReLU" bottom: "{1}" top: "{2}" }}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            RELU.format("r", "dta", "r"), ["net.prototxt:2:1", "layer 'r'", "'dta'", "'data'"], id="missing bottom"
        ),
        pytest.param(RELU.format("r", "s", "r") + RELU.format("s", "r", "s"), ["layer 'r'", "'s'"], id="cycle"),
        pytest.param(RELU.format("r", "r", "r"), ["layer 'r'", "'r'"], id="its own top"),
        pytest.param(
            RELU.format("a", "data", "t") + RELU.format("b", "data", "t"),
            ["layer 'b'", "'t'", "'a'"],
            id="duplicate top",
        ),
        pytest.param(
            CONV.replace("kernel_size: 3", "kernel_size: 9 pad: 1"), ["layer 'conv'", "9"], id="kernel over the input"
        ),
        pytest.param(CONV.replace("num_output: 4", "num_output: 0"), ["layer 'conv'", "num_output"], id="no outputs"),
        pytest.param(CONV.replace("kernel_size: 3", ""), ["layer 'conv'", "kernel"], id="no kernel"),
        pytest.param(
            CONV.replace("kernel_size: 3", "kernel_size: 3 stride: 0"), ["layer 'conv'", "stride"], id="no stride"
        ),
        pytest.param(CONV.replace("num_output: 4", "num_output: 4 group: 2"), ["layer 'conv'", "group"], id="groups"),
        pytest.param(CONV.replace("num_output: 4", "num_output: many"), ["net.prototxt:2:", "many"], id="no number"),
        pytest.param(CONV.replace("num_output: 4", "num_output: 4 num_output: 5"), ["num_output"], id="given twice"),
        pytest.param(CONV[:-4], ["net.prototxt:"], id="unclosed"),
        pytest.param(
            RELU.format("r", "data", "r").replace('bottom: "data"', ""), ["layer 'r'", "bottom"], id="no bottom"
        ),
    ],
)
def test_invalid_networks(tmp_path: Path, text: str, said: list[str]) -> None:
    message = refused_text(2, INPUT + text, tmp_path)
    assert [s for s in said if s not in message] == []


@pytest.mark.parametrize("extent", ["0", "-3"])
def test_invalid_extents(tmp_path: Path, extent: str) -> None:
    message = refused_text(2, INPUT.replace("dim: 5", f"dim: {extent}") + CONV, tmp_path)
    assert "'data'" in message
    assert extent in message


def test_an_unsupported_layer_and_an_error_are_reported_at_once(tmp_path: Path) -> None:
    message = refused_text(3, INPUT + RELU.format("a", "nowhere", "t") + CONV.replace("Convolution", "Odd"), tmp_path)
    assert "'nowhere'" in message
    assert "'Odd'" in message


@pytest.mark.parametrize(
    "given", ["data", "data=", "=1,2", "data=1,2,x", "data=1,0,5,7", "data=1,-1", "data=1.5", "other=1,2", "conv=1,2"]
)
def test_invalid_input_shapes(tmp_path: Path, given: str) -> None:
    message = refused_text(2, INPUT + CONV, tmp_path, "--input-shape", given)
    assert "data" in message or "NAME=1,3,227,227" in message


def test_an_input_of_unknown_shape(tmp_path: Path) -> None:
    message = refused_text(2, INPUT.partition("input_param")[0] + "}" + CONV, tmp_path)
    assert "--input-shape data=" in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--phase", "test"], "TEST"),
        (["--phase", "DEPLOY"], "TEST"),
        (["--level", "99999999999"], "32 bits"),
        (["--weights-format", "pickle"], "h5, npz, npy, weights.h5"),
    ],
)
def test_invalid_choices(tmp_path: Path, arguments: list[str], said: str) -> None:
    assert said in refused_text(2, INPUT + CONV, tmp_path, *arguments)


def test_a_phase_without_layers(tmp_path: Path) -> None:
    text = INPUT.replace("top:", "include { phase: TRAIN } top:")
    assert "TEST" in refused_text(2, text, tmp_path)


def test_an_output_that_cannot_be_written(tmp_path: Path, digits: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    for out in (file, file / "below", Path("/proc/nowhere"), Path("/dev/null")):
        done = caffe2tf("convert", digits / "deploy.prototxt", digits / "digits.caffemodel", "-o", out)
        assert done.code == 2
        assert str(out) in done.err
        assert "Traceback" not in done.err
    assert file.read_text() == "kept"


@pytest.mark.skipif(os.geteuid() == 0 and sys.platform != "linux", reason="nothing is forbidden to root there")
def test_a_read_only_folder(tmp_path: Path, digits: Path) -> None:
    """If root, the process drops the capabilities that allow it to write anywhere. It cannot get them back."""
    program = (
        "import ctypes, runpy, sys\n"
        "version_and_self, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()\n"
        "if sys.platform == 'linux': assert ctypes.CDLL(None).capset(version_and_self, none) == 0\n"
        "runpy.run_module('caffe2tf', run_name='__main__')\n"
    )
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    command = ("convert", digits / "deploy.prototxt", digits / "digits.caffemodel", "-o", folder / "out")
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, command)], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(rf"caffe2tf: {re.escape(str(folder))}/out: .*[Pp]ermission denied.*\n", done.stderr)
    assert done.stdout == ""
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("weights_format", ["h5", "npz", "npy"])
def test_a_full_disk(tmp_path: Path, digits: Path, weights_format: str) -> None:
    """A limit on file sizes simulates it: writing fails in the middle of the weights."""
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "caffe2tf", "convert", str(digits / "deploy.prototxt"), str(digits / "digits.caffemodel"),
        "-o", str(out), "--weights-format", weights_format,
    ]  # fmt: skip
    limit = (
        "import os, resource, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000)); "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", limit, *command], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(rf"caffe2tf: {re.escape(str(out))}/digits\.{weights_format}: .+\n", done.stderr)
    assert not out.exists()


def _run(digits: Path, tmp_path: Path, file: Path) -> tuple[int, str]:
    done = caffe2tf(
        "run", digits / "deploy.prototxt", digits / "digits.caffemodel", "--input", file, "-o", tmp_path / "out.npz"
    )
    assert "Traceback" not in done.err
    assert not (tmp_path / "out.npz").exists()
    return done.code, done.err


def test_input_files_that_cannot_be_read(tmp_path: Path, digits: Path) -> None:
    file = tmp_path / "in.npz"
    assert _run(digits, tmp_path, file) == (2, f"caffe2tf: {file}: no such file\n")
    for content in (b"", b"PK\x03\x04 broken", b"\x93NUMPY\x01\x00", np.random.default_rng(0).bytes(99)):
        file.write_bytes(content)
        code, said = _run(digits, tmp_path, file)
        assert code == 2
        assert "numpy.savez" in said
    np.save(tmp_path / "one.npy", np.ones(3))
    assert "single array" in _run(digits, tmp_path, tmp_path / "one.npy")[1]
    np.savez(file, data=np.ones((1, 1, 16, 16)))
    whole = file.read_bytes()
    file.write_bytes(whole[:300] + b"\xff" * 50 + whole[350:])
    assert _run(digits, tmp_path, file)[0] == 2


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"image": np.ones((1, 1, 16, 16))}, "'data'"),
        ({"data": np.ones((1, 1, 16, 16)), "more": np.ones(2)}, "'more'"),
        ({"data": np.ones((1, 16))}, "layer '"),
        ({"data": np.ones((0, 1, 16, 16))}, "data"),
        ({"data": np.array("text")}, "numbers"),
        ({"data": np.array({}, dtype=object)}, "numpy.savez"),
    ],
)
def test_inputs_that_do_not_fit(tmp_path: Path, digits: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    np.savez(tmp_path / "in.npz", **arrays)  # type: ignore[arg-type]
    code, message = _run(digits, tmp_path, tmp_path / "in.npz")
    assert code == 2, message
    assert said in message


def test_an_upgrade_that_fails(tmp_path: Path, digits: Path) -> None:
    assert caffe2tf("upgrade", tmp_path / "missing", "-o", tmp_path / "new").code == 2
    done = caffe2tf("upgrade", digits / "deploy.prototxt", "-o", tmp_path / "no" / "folder")
    assert done.code == 2
    assert list(tmp_path.iterdir()) == []


def test_inspect_shows_the_valid_layers_and_all_problems(tmp_path: Path) -> None:
    net = write_prototxt(
        tmp_path, INPUT + CONV + RELU.format("r", "nowhere", "r") + RELU.replace("ReLU", "Odd").format("o", "conv", "o")
    )
    done = caffe2tf("inspect", net)
    assert done.code == 3
    rows = {line.split()[0]: line for line in done.out.splitlines()}
    assert "2x4x3x5" in rows["conv"]
    assert rows["r"].split()[-3] == "?"
    assert "'nowhere'" in done.err
    assert "'Odd'" in done.err
    net = write_prototxt(tmp_path, INPUT + CONV + RELU.format("r", "nowhere", "r"))
    assert caffe2tf("inspect", net).code == 2
