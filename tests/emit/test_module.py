"""The emitted module as a whole: nothing in a network's names breaks it, or gets into it as code."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from caffe2tf.artifacts import build_model
from caffe2tf.artifacts.kinds import loadable_suffixes
from caffe2tf.emit.loader import loader_source
from caffe2tf.emit.module import Provenance, is_emitted, render_module
from caffe2tf.emit.plan import Plan
from caffe2tf.version import __version__
from tests.conftest import ROOT
from tests.emit.networks import HOSTILE, chain, fan, plan, tangle

RUFF = shutil.which("ruff", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
COLLIDING = ("a/b", "a-b", "a_b", "a b", "a.b", "a.2", "a", "A", "a:b")
NAMES = tuple(n for n in HOSTILE if n)

names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12))
blobs = names.filter(bool)


def check_source(made: Plan) -> None:
    """Check the structure of the module: names of the network occur in strings, comments and variables alone."""
    tree = ast.parse(made.module_source)
    doc, *rest = tree.body
    assert isinstance(doc, ast.Expr)
    imports = [n for n in rest if isinstance(n, ast.Import | ast.ImportFrom)]
    build, *loader = rest[len(imports) :]
    assert {ast.unparse(n) for n in imports} <= {
        "import os", "import pickle", "import keras", "import numpy as np", "from keras import layers",
    }  # fmt: skip
    assert isinstance(build, ast.FunctionDef)
    assert build.name == "build"
    whole = ast.parse(loader_source(loadable_suffixes()))
    assert [ast.dump(n) for n in loader] in ([], [ast.dump(n) for n in whole.body])
    check_build(build, made)


def check_build(build: ast.FunctionDef, made: Plan) -> None:
    doc, *body = build.body
    assert isinstance(doc, ast.Expr)
    assert isinstance(body[-1], ast.Return)
    assert all(isinstance(n, ast.Assign | ast.If) for n in body[:-1])
    for node in ast.walk(build):
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node.value) in {"keras", "layers"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id == "load_weights"
    assigned = [t for n in body if isinstance(n, ast.Assign) for t in n.targets]
    variables = {n.id for t in assigned for n in ast.walk(t) if isinstance(n, ast.Name)}
    assert variables.isdisjoint({"keras", "layers", "weights", "load_weights"})
    calls = [n for n in ast.walk(build) if isinstance(n, ast.Call) and ast.unparse(n.func) != "keras.Model"]
    keras_names = [ast.literal_eval(k.value) for n in calls for k in n.keywords if k.arg == "name"]
    assert len(set(keras_names)) == len(keras_names)
    outputs = [n for n in ast.walk(build) if isinstance(n, ast.Dict)][1]
    assert [ast.literal_eval(k) for k in outputs.keys if k] == [v.blob for v, _ in made.program.outputs]


@settings(max_examples=60)
@given(
    network=names,
    layers=st.lists(names, min_size=1, max_size=8, unique=True),
    tops=st.lists(blobs, min_size=9, max_size=9, unique=True),
)
def test_no_name_breaks_the_module(
    tmp_path_factory: pytest.TempPathFactory, network: str, layers: list[str], tops: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("net")
    check_source(plan(chain(network, layers, tops), folder))
    check_source(plan(fan(tops[:2], tops[2:]), folder))


def ruff(*arguments: str, folder: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    assert RUFF is not None
    command = [RUFF, *arguments, "--isolated", "--no-cache", str(folder)]
    return subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)


@pytest.mark.skipif(RUFF is None, reason="needs ruff")
def test_the_source_is_formatted_and_clean(tmp_path: Path) -> None:
    """Check random and hostile networks, from the emitted folder and from elsewhere."""
    out = tmp_path / "out"
    out.mkdir()
    texts = [tangle(np.random.default_rng(i), layers=30) for i in range(12)]
    texts += [
        chain("é\n", HOSTILE, [*NAMES, "end"]),
        chain(" ", NAMES, [*reversed(NAMES), "end"]),
        fan(NAMES[:40], NAMES[40:]),
    ]
    for i, text in enumerate(texts):
        (out / f"net{i}.py").write_text(plan(text, tmp_path).module_source, encoding="utf-8")
    for cwd in (out, tmp_path):
        checked = ruff("check", folder=out, cwd=cwd)
        assert checked.returncode == 0, checked.stdout[-3000:]
        formatted = ruff("format", "--diff", "--line-length", "120", folder=out, cwd=cwd)
        assert formatted.returncode == 0, formatted.stdout[:3000]


def test_a_network_of_runtime_layers_is_formatted_and_clean(tmp_path: Path, digits: Path) -> None:
    from caffe2tf import convert

    convert(digits / "deploy.prototxt", digits / "digits.caffemodel", tmp_path)
    if RUFF is None:
        pytest.skip("needs ruff")
    for cwd in (tmp_path, ROOT):
        assert ruff("check", folder=tmp_path, cwd=cwd).stdout == "All checks passed!\n"
        assert ruff("format", "--check", "--line-length", "120", folder=tmp_path, cwd=cwd).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(chain(NAMES[-1], HOSTILE, [*NAMES, "end"]), id="chain"),
        pytest.param(fan(COLLIDING[:3], [*NAMES[:25], *(f"{c}!" for c in COLLIDING)]), id="fan"),
        pytest.param(fan([*COLLIDING, "éé", "1a", "arg_1a"], NAMES[25:50]), id="inputs"),
    ],
)
def test_models_with_such_names_run_and_can_be_saved_and_exported(tmp_path: Path, text: str) -> None:
    import keras
    import tensorflow as tf

    made = plan(text, tmp_path)
    model = build_model(made)
    rng = np.random.default_rng(5)
    x = {name: rng.normal(size=(2, 3)).astype("f4") for _, name in made.program.inputs}
    want = model.predict(x, verbose=0)
    assert sorted(want) == sorted(v.blob for v, _ in made.program.outputs)  # Caffe's names, whatever they are
    model.save(tmp_path / "net.keras")
    _same(keras.models.load_model(tmp_path / "net.keras").predict(x, verbose=0), want)
    model.export(tmp_path / "saved", verbose=False)
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    _same(saved.serve(x), want)


def _same(have: dict[str, Any], want: dict[str, Any]) -> None:
    assert have.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(np.asarray(have[name]), value, rtol=1e-5, atol=1e-6)


def test_an_emitted_module_is_recognised(tmp_path: Path) -> None:
    assert is_emitted(plan(chain('"""x', ["a"], ["b", "c"]), tmp_path).module_source)
    assert not is_emitted('"""My own network.\n\nIt was converted from Caffe by caffe2tf once."""\n')
    assert not is_emitted("")


def test_the_docstring_lists_inputs_and_outputs(tmp_path: Path) -> None:
    text = (
        'name: "n" layer { name: "d" type: "Input" top: "a/b" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 7 } } }'
        'layer { name: "t" type: "TanH" bottom: "a/b" top: "out" }'
    )
    doc = ast.get_docstring(ast.parse(plan(text, tmp_path).module_source)) or ""
    assert "Input `a-b`: float32 NHWC Nx5x7x3 (Caffe: 2x3x5x7)." in doc
    assert "Output `out`: float32 NHWC Nx5x7x3 (Caffe: 2x3x5x7)." in doc
    assert "sha256" not in doc
    digests = [("net.prototxt", "0123"), ("net.caffemodel", "4567")]
    doc = ast.get_docstring(ast.parse(plan(text, tmp_path).with_digests(digests).module_source)) or ""
    assert "net.prototxt sha256:0123\nnet.caffemodel sha256:4567\n" in doc


def test_the_docstring_says_how_caffe_prepares_images(tmp_path: Path) -> None:
    text = (
        'layer { name: "d" type: "Data" top: "d" data_param { batch_size: 2 }'
        """ transform_param { crop_size: 5 scale: 0.5 mean_file: 'a"\\n.binaryproto' } }"""
        'layer { name: "t" type: "TanH" bottom: "d" top: "out" }'
    )
    doc = ast.get_docstring(ast.parse(plan(text, tmp_path).module_source)) or ""
    lines = doc.splitlines()
    after = lines[lines.index("Input `d`: float32 NHWC Nx5x5x3 (Caffe: 2x3x5x5).") + 1]
    assert after.startswith("    Caffe feeds this input images cropped to 5x5 at the centre, minus the mean image ")
    assert after.endswith(", times 0.5; colour images that convert_imageset stored are BGR.")


def test_the_docstring_does_not_say_it_of_labels(tmp_path: Path) -> None:
    """In this network the images are the target of a loss, and are dropped with it."""
    text = (
        'layer { name: "d" type: "Data" top: "d" top: "l" data_param { batch_size: 2 }'
        " transform_param { crop_size: 1 force_gray: true scale: 0.5 } }"
        'layer { name: "t" type: "TanH" bottom: "l" top: "out" }'
        'layer { name: "r" type: "Reshape" bottom: "d" top: "r" reshape_param { shape { dim: 2 } } }'
        'layer { name: "loss" type: "EuclideanLoss" bottom: "out" bottom: "r" top: "loss" }'
    )
    doc = ast.get_docstring(ast.parse(plan(text, tmp_path).module_source)) or ""
    assert "Input `l`: float32 N (Caffe: 2)." in doc
    assert "Input `d`" not in doc
    assert "Caffe feeds" not in doc


def test_only_a_deep_network_raises_the_recursion_limit(tmp_path: Path) -> None:
    blobs = [f"b{i}" for i in range(503)]
    few, many = (plan(chain("n", blobs[:count], blobs[1 : count + 1]), tmp_path).module_source for count in (400, 502))
    assert "sys" not in few
    assert "import sys\n" in many
    assert "sys.setrecursionlimit(max(sys.getrecursionlimit(), 15" in many


@pytest.mark.parametrize("network", HOSTILE)
def test_only_the_docstring_states_the_provenance(network: str, tmp_path: Path) -> None:
    made = plan(chain(network, NAMES[:3], NAMES[:3]), tmp_path)
    digests = [('a"""b\n.prototxt', "0" * 64), ("c.caffemodel", "1" * 64)]
    told = made.with_digests(digests).module_source
    assert told == render_module(
        made.program, Provenance(files=tuple(digests), version=__version__), loadable=loadable_suffixes()
    )
    assert "1" * 64 in (ast.get_docstring(ast.parse(told)) or "")
