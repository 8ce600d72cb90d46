"""Calls are broken where the formatter breaks them, whatever their length."""

from __future__ import annotations

import ast
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from caffe2tf.emit.format import INDENT, Group, Item, format_call, format_imports

RUFF = shutil.which("ruff", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
LENGTHS = (1, 2, 5, 9, 20, 40, 59)


def random_call(rng: random.Random) -> list[str]:
    def word() -> str:
        return "v" + rng.choice("abcdefgh") * rng.choice(LENGTHS)

    def item(prefix: str, depth: int = 0) -> Item:
        if depth > 1 or rng.random() < 0.6:
            return prefix + rng.choice([word(), f'"{word() * rng.choice([1, 4])}"', "3", "1e-4"])
        return Group(prefix, "(", [item("", depth + 1) for _ in range(rng.choice([2, 3, 8, 40]))], ")")

    inputs = rng.choice([None, [word()], [word(), word()], [word() for _ in range(30)]])
    arguments = [item("") for _ in range(rng.choice([0, 1, 1, 2]))]
    arguments += [item(f"k{i}=") for i in range(rng.choice([0, 1, 3]))]
    if rng.random() < 0.2:
        entries = [[f'"{word()}": {word()}' for _ in range(rng.choice([1, 2, 9]))] for _ in range(2)]
        arguments = [*(Group("", "{", e, "}") for e in entries), f'name="{word()}"']
    arguments = arguments or ['name="a"']
    if inputs is None and rng.random() < 0.3:
        return format_call([], "return keras.Model", arguments)
    return format_call([word() for _ in range(rng.choice([1, 1, 1, 2, 12]))], "layers.SomeLayer", arguments, inputs)


@pytest.mark.skipif(RUFF is None, reason="needs ruff")
def test_calls_are_formatted(tmp_path: Path) -> None:
    rng = random.Random(7)
    lines = [INDENT + line for _ in range(800) for line in random_call(rng)]
    file = tmp_path / "calls.py"
    file.write_text("\n".join(["def f():", *lines]) + "\n")
    assert RUFF is not None
    command = [RUFF, "format", "--diff", "--isolated", "--no-cache", "--line-length", "120", str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[:3000] + done.stderr


def test_a_call_means_what_it_says() -> None:
    flat = format_call(["y"], "layers.Conv2D", ["3", Group("strides=", "(", ["1", "2"], ")")], ["x"])
    assert flat == ["y = layers.Conv2D(3, strides=(1, 2))(x)"]
    broken = format_call(["y"], "layers.Add", ['name="a"'], [f"a_rather_long_name_{i}" for i in range(9)])
    assert (
        ast.unparse(ast.parse("\n".join(broken)))
        == f"y = layers.Add(name='a')([{', '.join(f'a_rather_long_name_{i}' for i in range(9))}])"
    )
    assert str(Group("k=", "(", ["1"], ")")) == "k=(1,)"


def test_imports_in_their_order() -> None:
    text = format_imports(
        [
            "import tensorflow as tf",
            "import math",
            "from collections.abc import Sequence",
            "import keras",
            "import os",
            "from keras import ops",
            "from keras import layers",
            "from collections.abc import Iterable",
        ]
    )
    assert text == (
        "import math\nimport os\nfrom collections.abc import Iterable, Sequence\n\n"
        "import keras\nimport tensorflow as tf\nfrom keras import layers, ops"
    )


def test_a_long_import_is_broken() -> None:
    text = format_imports(f"from caffe_layers import Layer{i:02}" for i in range(20))
    assert text.splitlines()[:2] == ["from caffe_layers import (", "    Layer00,"]
    assert all(len(line) <= 120 for line in text.splitlines())
