"""Types are found without importing every layer, and what is found without importing is what importing registers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from caffe2tf.errors import UsageError
from caffe2tf.layers import Layer, find, register, registered, registry, type_of
from caffe2tf.layers.convolution import Convolution

ROOT = Path(__file__).resolve().parents[2]


def run(script: str) -> str:
    """What a Python program prints that has imported nothing yet."""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_homes_read_off_the_sources_are_where_the_classes_are() -> None:
    ours = {name: cls.__module__ for name, cls in registered().items() if registry.is_ours(cls)}
    assert ours["Convolution"] == "caffe2tf.layers.convolution"
    assert ours == registry._homes()


def test_finding_one_type_imports_its_module_alone() -> None:
    script = (
        "import sys\nfrom caffe2tf.layers import find\n"
        "cls = find('Tile')\n"
        "print(cls.__name__, *(m in sys.modules for m in ('caffe2tf.layers.tile', 'caffe2tf.layers.lstm')))"
    )
    assert run(script) == "Tile True False"


def test_a_type_of_ours_is_taken_even_before_its_module_is_imported() -> None:
    script = (
        "from caffe2tf.layers import Layer, register\nfrom caffe2tf.errors import UsageError\n"
        "try:\n    register('Other', 'Tile')(type('Mine', (Layer,), {}))\n"
        "except UsageError as e:\n    print(e)\n"
    )
    assert run(script).startswith("layer type 'Tile' is implemented twice: by caffe2tf.layers.tile.Tile and by ")


def test_a_type_that_a_literal_line_does_not_tell_is_noticed() -> None:
    script = (
        "from caffe2tf.layers import Layer, register, registered\n"
        "cls = type('Hidden', (Layer,), {'__module__': 'caffe2tf.layers.tile'})\n"
        "register('Hid' + 'den')(cls)\n"
        "try:\n    registered()\n"
        "except RuntimeError as e:\n    print(e)\n"
    )
    assert run(script).endswith(": Hidden")


def test_the_type_of_a_class() -> None:
    assert type_of(Convolution) == "Convolution"
    assert find("Convolution") is Convolution
    assert type_of(type("Unregistered", (Layer,), {})) == "Unregistered"


def test_registering_twice_is_refused_here_too() -> None:
    with pytest.raises(UsageError, match="implemented twice"):
        register("Convolution")(type("Mine", (Layer,), {}))
