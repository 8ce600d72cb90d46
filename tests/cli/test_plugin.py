"""Plugins on the command line: layer types of a user's own and layers of type Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import caffe2tf as package
from caffe2tf.artifacts import import_emitted
from caffe2tf.layers import registry
from tests.builders import write_prototxt
from tests.cli.command import caffe2tf

RUNTIME_FILE = "caffe_layers.py"
PLUGIN = '''
"""A layer type of a user's own, and one that Caffe runs as Python code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import keras, runtime
from caffe2tf.layers import Elementwise, register, register_runtime

register_runtime(__file__.replace("my_layers", "my_keras"))


@register("Bend")
@dataclass(frozen=True, slots=True, kw_only=True)
class Bend(Elementwise):
    """``y = factor * x + shift`` above 0, x elsewhere."""

    reads_unknown: ClassVar[tuple[str, ...]] = ("bend_param",)

    factor: float = 1.0

    @classmethod
    def read(cls, proto):
        given = dict(next((f.value for f in proto.unknown if f.path == "bend_param"), ()))
        if "factor" not in given:
            raise LayerError("bend_param.factor is required")
        return cls(factor=float(given["factor"]))

    def emit(self, ctx, *inputs):
        return runtime("Bending", self.factor)(*inputs)


@register("Python:sums.RowSum")
@dataclass(frozen=True, slots=True, kw_only=True)
class Negate(Elementwise):
    """The Python layer, which computes -x."""

    scale: float

    @classmethod
    def read(cls, proto):
        return cls(scale=float(proto.message.python_param.param_str))

    def emit(self, ctx, *inputs):
        return keras("Rescaling", self.scale)(*inputs)
'''

KERAS = '''
"""Keras layers of the plugin."""

import keras
import tensorflow as tf

SHIFT = 0.25


def _bent(x, factor):
    return tf.where(x > 0, factor * x + SHIFT, x)


@keras.saving.register_keras_serializable(package="mine")
class Bending(keras.layers.Layer):
    """Computes what Bend computes."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

    def call(self, x):
        return _bent(x, self.factor)


class Unused(keras.layers.Layer):
    """Not used by the model, so not copied."""
'''

NET = """
name: "bent"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "b/1" type: "Bend" bottom: "data" top: "b" bend_param { factor: 3 } }
layer { name: "p" type: "Python" bottom: "b" top: "p"
  python_param { module: "sums" layer: "RowSum" param_str: "-2" } }
"""

X = np.array([[1.0, -2.0, 3.0], [-0.5, 0.25, 4.0]], np.float32)
WANT = -2 * np.where(X > 0, 3 * X + 0.25, X)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the network and the plugin; its layers are unregistered afterwards."""
    write_prototxt(tmp_path, NET)
    (tmp_path / "my_layers.py").write_text(PLUGIN)
    (tmp_path / "my_keras.py").write_text(KERAS)
    registry.registered()
    types, files = dict(registry._types), dict(registry._runtime_files)
    yield tmp_path
    registry._types.clear()
    registry._types.update(types)
    registry._runtime_files.clear()
    registry._runtime_files.update(files)


def test_a_plugin_layer_is_converted_and_runs(folder: Path) -> None:
    np.savez(folder / "in.npz", data=X)
    done = caffe2tf(
        "run", folder / "net.prototxt", "--input", folder / "in.npz", "-o", folder / "out.npz",
        "--plugin", folder / "my_layers.py",
    )  # fmt: skip
    assert done.code == 0, done.err
    with np.load(folder / "out.npz") as blobs:
        np.testing.assert_allclose(blobs["p"], WANT, rtol=1e-6)


def test_only_the_keras_layers_in_use_are_copied(folder: Path) -> None:
    out = folder / "out"
    done = caffe2tf("convert", folder / "net.prototxt", "-o", out, "--plugin", folder / "my_layers.py")
    assert done.code == 0, done.err
    text = (out / RUNTIME_FILE).read_text()
    assert "class Bending(" in text
    assert "SHIFT = 0.25" in text
    assert "def _bent(" in text
    assert "Unused" not in text
    assert "caffe2tf." not in text.partition('"""\n')[2]
    model = import_emitted(out / "bent.py").build()
    np.testing.assert_allclose(model.predict({"data": X}, verbose=0)["p"], WANT, rtol=1e-6)


def test_converting_another_network_keeps_copied_plugin_layers(folder: Path, digits: Path) -> None:
    out = folder / "out"
    assert caffe2tf("convert", folder / "net.prototxt", "-o", out, "--plugin", folder / "my_layers.py").code == 0
    assert caffe2tf("convert", digits / "deploy.prototxt", "-o", out).code == 0  # the plugin is still loaded
    text = (out / RUNTIME_FILE).read_text()
    assert "class Bending(" in text
    assert "class LRN(" in text
    registry._runtime_files.clear()
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    done = caffe2tf("convert", digits / "deploy.prototxt", "-o", out)
    assert done.code == 2
    assert "Bending" in done.err
    assert "--plugin" in done.err
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_a_field_that_the_plugin_does_not_read_is_refused(folder: Path) -> None:
    net = write_prototxt(folder, NET.replace("bend_param {", "bent_param { factor: 2 } bend_param {"))
    done = caffe2tf("inspect", net, "--plugin", folder / "my_layers.py")
    assert done.code == 3
    assert "field 'bent_param' is not known" in done.err
    assert "'bend_param'" not in done.err


def test_layers_lists_plugin_types(folder: Path) -> None:
    done = caffe2tf("layers", "--plugin", folder / "my_layers.py")
    assert any(line.startswith("Bend ") and "factor" in line for line in done.out.splitlines())
    assert any(line.startswith("Python:sums.RowSum ") for line in done.out.splitlines())


def test_without_the_plugin_every_unknown_type_is_reported_with_a_hint(folder: Path) -> None:
    done = caffe2tf("convert", folder / "net.prototxt", "-o", folder / "out")
    assert done.code == 3
    assert "net.prototxt:4:1: layer 'b/1': layer type 'Bend' is not supported" in done.err
    assert (
        "net.prototxt:5:1: layer 'p': this layer is Python code of your own (module 'sums', class 'RowSum')" in done.err
    )
    assert '@register("Python:sums.RowSum")' in done.err
    assert "--plugin" in done.err
    assert not (folder / "out").exists()


def test_layers_of_an_installed_package_are_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package_info = folder / "bending-1.0.dist-info"
    package_info.mkdir()
    (package_info / "METADATA").write_text("Metadata-Version: 2.1\nName: bending\nVersion: 1.0\n")
    (package_info / "entry_points.txt").write_text("[caffe2tf.layers]\nbend = my_layers\n")
    monkeypatch.syspath_prepend(str(folder))
    registry.find_offered.cache_clear()
    try:
        out = package.run(folder / "net.prototxt", None, {"data": X})
        np.testing.assert_allclose(out["p"], WANT, rtol=1e-6)
        (folder / "my_layers.py").write_text("import no_such_module\n")
        monkeypatch.delitem(__import__("sys").modules, "my_layers")
        registry._types.pop("Bend")
        registry.find_offered.cache_clear()
        done = caffe2tf("inspect", folder / "net.prototxt")
        assert done.code == 2
        assert "bending" in done.err
        assert "no_such_module" in done.err
    finally:
        registry.find_offered.cache_clear()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_module\n", "No module named 'no_such_module' (line 1)"),
        ("x = 1\n\ny = x / 0\n", "ZeroDivisionError: division by zero (line 3)"),
        ("def f(:\n", "SyntaxError"),
        (
            'from caffe2tf.layers import Elementwise, register\n\n@register("ReLU")\nclass R(Elementwise):\n    pass\n',
            "layer type 'ReLU' is implemented twice",
        ),
        (
            'from caffe2tf.layers import register_runtime\nregister_runtime("nowhere.py")\n',
            "no such file of Keras layers",
        ),
    ],
)
def test_a_failing_plugin_reports_cause_and_line(folder: Path, text: str, said: str) -> None:
    (folder / "my_layers.py").write_text(text)
    done = caffe2tf("inspect", folder / "net.prototxt", "--plugin", folder / "my_layers.py")
    assert done.code == 2
    assert said in done.err
    assert "my_layers.py" in done.err


@pytest.mark.parametrize("name", ["missing.py", "net.prototxt", "."])
def test_a_path_that_is_not_a_plugin(folder: Path, name: str) -> None:
    done = caffe2tf("inspect", folder / "net.prototxt", "--plugin", folder / name)
    assert done.code == 2
    assert "plugin" in done.err


def test_a_runtime_layer_that_no_file_defines(folder: Path) -> None:
    (folder / "my_keras.py").write_text("import keras\n")
    done = caffe2tf("convert", folder / "net.prototxt", "-o", folder / "out", "--plugin", folder / "my_layers.py")
    assert done.code == 2
    assert "no file defines the runtime layers Bending" in done.err
    assert "register_runtime" in done.err


@pytest.mark.parametrize("line", ["class LRN: pass", "import numpy as tf"])
def test_a_runtime_file_that_conflicts_with_the_packages_layers(folder: Path, line: str) -> None:
    (folder / "my_keras.py").write_text(f"{KERAS}\n\n{line}\n")
    done = caffe2tf("convert", folder / "net.prototxt", "-o", folder / "out", "--plugin", folder / "my_layers.py")
    assert done.code == 2
    assert "my_keras.py" in done.err
    assert "name" in done.err
