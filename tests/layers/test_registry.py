"""The registry finds types without importing all layers, and its index agrees with the registered classes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from caffe2tf.errors import UsageError
from caffe2tf.layers import Layer, find, register, registered, type_of
from caffe2tf.layers.index import MODULES
from caffe2tf.layers.vision.convolution import Convolution
from scripts import generate_index

ROOT = Path(__file__).resolve().parents[2]


def run(script: str) -> str:
    """Return the output of a Python program in a new process."""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_index_is_up_to_date() -> None:
    assert generate_index.main(["--check"]) == 0


def test_index_names_the_modules_of_the_classes() -> None:
    assert registered()["Convolution"] is Convolution
    assert MODULES["Convolution"] == "vision.convolution"


def test_finding_a_type_imports_only_its_module() -> None:
    script = (
        "import sys\nfrom caffe2tf.layers import find\n"
        "cls = find('Tile')\n"
        "modules = ('caffe2tf.layers.shape.tile', 'caffe2tf.layers.recurrent.lstm')\n"
        "print(cls.__name__, *(m in sys.modules for m in modules))"
    )
    assert run(script) == "Tile True False"


def test_own_type_is_taken_before_its_module_is_imported() -> None:
    script = (
        "from caffe2tf.layers import Layer, register\nfrom caffe2tf.errors import UsageError\n"
        "try:\n    register('Other', 'Tile')(type('Mine', (Layer,), {}))\n"
        "except UsageError as e:\n    print(e)\n"
    )
    assert run(script).startswith("layer type 'Tile' is implemented twice: by caffe2tf.layers.shape.tile.Tile and by ")


def test_type_of_a_class() -> None:
    assert type_of(Convolution) == "Convolution"
    assert find("Convolution") is Convolution
    assert type_of(type("Unregistered", (Layer,), {})) == "Unregistered"


def test_registering_a_type_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="implemented twice"):
        register("Convolution")(type("Mine", (Layer,), {}))
