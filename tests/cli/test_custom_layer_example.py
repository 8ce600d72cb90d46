"""The commands on the page of examples/custom_layer work as shown."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.builders import caffemodel
from tests.cli.command import caffe2tf

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "custom_layer"


@pytest.fixture(autouse=True)
def _registry_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from caffe2tf.layers import registry

    registry.registered()
    monkeypatch.setattr(registry, "_types", dict(registry._types))
    monkeypatch.setattr(registry, "_runtime_files", dict(registry._runtime_files))


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    shutil.copytree(EXAMPLE, tmp_path / "example")
    monkeypatch.chdir(tmp_path / "example")
    return (EXAMPLE / "README.md").read_text()


def commands(page: str) -> list[tuple[list[str], str]]:
    """Each command of the page, with the output that the page shows."""
    return [(m[1].split()[1:], m[2]) for m in re.finditer(r"```\n\$ (caffe2tf .*)\n((?:.*\n)*?)```", page)]


def test_every_command_matches_the_page(page: str) -> None:
    (refused, message), (stub, _), (plugin, _) = commands(page)
    done = caffe2tf(*refused)
    assert (done.code, done.err) == (3, message)
    done = caffe2tf(*stub)
    assert done.code == 0, done.err
    assert "class Gate(keras.layers.Layer):" in Path("out/gated_stubs.py").read_text()
    shutil.rmtree("out")
    done = caffe2tf(*plugin)
    assert done.code == 0, done.err
    assert "class GateLayer(" in Path("out/caffe_layers.py").read_text()


def test_the_plugin_computes_its_formula(page: str, rng: np.random.Generator) -> None:
    del page
    data = (3 * rng.standard_normal((2, 3, 4, 5))).astype("f4")
    slope, matrix, bias = rng.standard_normal(3), rng.standard_normal((4, 60)), rng.standard_normal(4)
    Path("net.caffemodel").write_bytes(caffemodel({"gate": [slope], "fc": [matrix, bias]}))
    np.savez("in.npz", data=data)
    done = caffe2tf(
        *("run", "net.prototxt", "net.caffemodel", "--input", "in.npz", "-o", "out.npz", "--plugin", "my_layers.py")
    )
    assert done.code == 0, done.err
    out = np.load("out.npz")
    gate = data / (1 + np.exp(-(slope[:, None, None] * data + 0.5)))
    np.testing.assert_allclose(out["gate"], gate, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(out["fc"], gate.reshape(2, 60) @ matrix.T + bias, rtol=1e-4, atol=1e-4)


def test_a_plugin_for_a_published_network(models: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    """The type Pushin of lenet_pushin scales the first part of a blob's values and zeroes the rest."""
    model = models / "lenet_pushin"
    plugin = tmp_path / "pushin.py"
    plugin.write_text(PUSHIN)
    arguments = [model / "deploy.prototxt", model / "weights.caffemodel"]
    refused = caffe2tf("convert", *arguments, "-o", tmp_path / "out")
    assert refused.code == 3
    assert "deploy.prototxt:111:1: layer 'push1': layer type 'Pushin' is not supported" in refused.err
    np.savez(tmp_path / "in.npz", data=rng.standard_normal((3, 1, 28, 28)).astype("f4"))
    out = tmp_path / "out.npz"
    done = caffe2tf("run", *arguments, "--input", tmp_path / "in.npz", "-o", out, "--plugin", plugin)
    assert done.code == 0, done.err
    pushed = np.load(out)["ip1"].reshape(-1)
    assert np.count_nonzero(pushed[300:]) == 0
    assert np.count_nonzero(pushed[:300]) > 50


PUSHIN = '''
"""Pushin keeps the first `ratio` of all values of a blob, times 1 / (1 - ratio); the rest becomes 0."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from caffe2tf.ir.expr import runtime
from caffe2tf.layers import Layer, register, register_runtime

register_runtime(__file__)


@register("Pushin")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pushin(Layer):
    """The Caffe layer; `PushinLayer` computes it."""

    ratio: float

    @classmethod
    def read(cls, proto):
        return cls(ratio=proto.extra.pushin_param.pushin_ratio)

    def infer(self, *inputs):
        return (inputs[0],)

    def emit(self, ctx, *inputs):
        return runtime("PushinLayer", self.ratio)(inputs[0])


@keras.saving.register_keras_serializable(package="mine")
class PushinLayer(keras.layers.Layer):
    def __init__(self, ratio, **kwargs):
        super().__init__(**kwargs)
        self.ratio = ratio

    def call(self, x):
        kept = tf.cast(tf.cast(tf.size(x), tf.float32) * self.ratio, tf.int32)
        mask = tf.reshape(tf.cast(tf.range(tf.size(x)) < kept, x.dtype), tf.shape(x))
        return x * mask / (1.0 - self.ratio)
'''
