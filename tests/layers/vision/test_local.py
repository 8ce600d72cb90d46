"""Local: plain loops in Caffe's order, the parameter block and the blobs of each fork, errors."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from tests import builders
from tests.builders import write_caffemodel, write_prototxt
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer


@dataclass(frozen=True)
class Case:
    """The parameters of one layer; pairs are (height, width)."""

    shape: tuple[int, int, int, int] = (2, 4, 7, 5)
    out: int = 6
    kernel: tuple[int, int] = (3, 2)
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    group: int = 1
    bias: bool = True

    @property
    def places(self) -> tuple[int, int]:
        """The height and width of the output."""
        sides = zip(self.shape[2:], self.kernel, self.stride, self.pad, self.dilation, strict=True)
        down, across = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides)
        return down, across

    @property
    def text(self) -> str:
        """The parameters as text."""
        pairs = {"kernel": self.kernel, "stride": self.stride, "pad": self.pad}
        each = " ".join(f"{name}_h: {h} {name}_w: {w}" for name, (h, w) in pairs.items())
        gaps = " ".join(f"dilation: {d}" for d in self.dilation)
        bias = str(self.bias).lower()
        return f"num_output: {self.out} {each} {gaps} group: {self.group} bias_term: {bias}"

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Draw an input, a weight (o, c, k..., p...) and a bias (o, p...)."""
        w = (self.out, self.shape[1] // self.group, *self.kernel, *self.places)
        return tuple(rng.normal(0, 1, s).astype(np.float32) for s in (self.shape, w, (self.out, *self.places)))  # type: ignore[return-value]

    def computed(self, x: Array, w: Array, b: Array) -> Array:
        """Sum the products of each output value, one after the other."""
        (n, _, height, width), each = self.shape, self.shape[1] // self.group
        y = np.zeros((n, self.out, *self.places))
        for i, o, v, u in np.ndindex(y.shape):
            first = o // (self.out // self.group) * each
            total = float(b[o, v, u]) if self.bias else 0.0
            for c, j, k in itertools.product(range(each), range(self.kernel[0]), range(self.kernel[1])):
                row = v * self.stride[0] + j * self.dilation[0] - self.pad[0]
                column = u * self.stride[1] + k * self.dilation[1] - self.pad[1]
                if 0 <= row < height and 0 <= column < width:
                    total += float(x[i, first + c, row, column]) * float(w[o, c, j, k, v, u])
            y[i, o, v, u] = total
        return y.astype(np.float32)


CASES = (
    Case(),
    Case(stride=(2, 1), pad=(1, 2)),
    Case(pad=(2, 1), stride=(3, 2), kernel=(2, 3), bias=False),
    Case(dilation=(2, 1), kernel=(2, 3)),
    Case(dilation=(2, 3), stride=(2, 1), pad=(1, 2), shape=(1, 3, 7, 8)),
    Case(group=2),
    Case(group=2, stride=(2, 3), pad=(0, 2), kernel=(2, 2), shape=(3, 6, 5, 7)),
    Case(kernel=(7, 5), out=3),
    Case(kernel=(1, 1)),
)


def layer(parameters: str, block: str = "local_param", type_: str = "Local", top: str = "out") -> str:
    return builders.layer(type_, "out", ["data"], [top], f"{block} {{ {parameters} }}")


def stored(c: Case, w: Array, b: Array, *, split: bool = False) -> list[Array]:
    """Return the blobs in Caffe's shapes; if `split`, input channels and kernel have separate axes."""
    values, places = c.kernel[0] * c.kernel[1], c.places[0] * c.places[1]
    middle = (w.shape[1], values) if split else (1, w.shape[1] * values)
    return [w.reshape(c.out, *middle, places), b.reshape(1, 1, c.out, places)][: 1 + c.bias]


@pytest.mark.parametrize("c", CASES)
@pytest.mark.parametrize("split", [False, True])
def test_every_parameter(c: Case, split: bool, rng: np.random.Generator) -> None:
    x, w, b = c.draw(rng)
    have = run_layer(layer(c.text), {"data": x}, {"out": stored(c, w, b, split=split)})["out"]
    assert_matches(have, c.computed(x, w, b))


@pytest.mark.parametrize("shape", [(1, 1, 1, 6), (6,), (1, 1, 6, 20)])
def test_bias_for_each_channel_or_position(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    c = Case()
    x, w, _ = c.draw(rng)
    given = rng.normal(0, 1, shape).astype(np.float32)
    each = given.reshape(6, *(c.places if given.size > 6 else (1, 1)))
    want = c.computed(x, w, np.broadcast_to(each, (6, *c.places)))
    have = run_layer(layer(c.text), {"data": x}, {"out": [w.reshape(6, 1, 24, 20), given]})["out"]
    assert_matches(have, want)


@pytest.mark.parametrize(
    ("type_", "block"),
    [
        ("LocalConvolution", "local_convolution_param"),
        ("LocalWeightedConvolution", "local_weighted_convolution_param"),
        ("Local", "convolution_param"),
    ],
)
def test_parameter_block_of_each_fork(type_: str, block: str, rng: np.random.Generator) -> None:
    c = Case(stride=(1, 2))
    x, w, b = c.draw(rng)
    have = run_layer(layer(c.text, block, type_), {"data": x}, {"out": stored(c, w, b)})["out"]
    assert_matches(have, c.computed(x, w, b))


def test_definition_of_2014(tmp_path: Path, rng: np.random.Generator) -> None:
    c = Case(kernel=(3, 3), stride=(2, 2), pad=(1, 1))
    x, w, b = c.draw(rng)
    block = 'num_output: 6 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "xavier" variance_norm: FAN_OUT }'
    text = f'layers {{ name: "out" type: LOCAL bottom: "data" top: "out" blobs_lr: 1 local_param {{ {block} }} }}'
    net = write_prototxt(tmp_path, f'input: "data" input_dim: 2 input_dim: 4 input_dim: 7 input_dim: 5 {text}')
    weights = write_caffemodel(tmp_path, {"out": stored(c, w, b)})
    assert_matches(caffe2tf.run(net, weights, {"data": x})["out"], c.computed(x, w, b))
    assert np.std(caffe2tf.run(net, None, {"data": x})["out"]) > 0


def test_saved_model_takes_any_batch(rng: np.random.Generator) -> None:
    c = Case(group=2, pad=(1, 0))
    relu = builders.layer("ReLU", "r", ["out"], ["out"])
    text = layer(c.text + ' weight_filler { type: "xavier" } bias_filler { type: "uniform" min: -1 }') + relu
    assert calls(text, {"data": c.shape}) == ["LocallyConnected"]
    model = built(text, {"data": (1, *c.shape[1:])})
    kernel, bias = (rng.normal(0, 1, v.shape).astype(np.float32) for v in model.weights)
    model.set_weights([kernel, bias])
    x, _, _ = c.draw(rng)
    (have,) = reloaded(model, [x.transpose(0, 2, 3, 1)])
    want = c.computed(x, kernel.transpose(5, 4, 2, 3, 0, 1), bias.transpose(2, 0, 1))
    assert_matches(have.transpose(0, 3, 1, 2), np.maximum(want, 0))


def test_all_weights_have_gradients(rng: np.random.Generator) -> None:
    import tensorflow as tf

    c = Case(stride=(2, 1), dilation=(1, 2), kernel=(2, 2))
    model = built(layer(c.text), {"data": c.shape})
    x, _, _ = c.draw(rng)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.nest.flatten(model({"data": x.transpose(0, 2, 3, 1)}))[0] ** 2)
    assert all(g is not None for g in tape.gradient(loss, model.trainable_weights))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer("kernel_size: 3"), "local_param.num_output is required"),
        (layer("num_output: 0 kernel_size: 3"), "local_param.num_output must be 1 or more, not 0"),
        (layer("num_output: 2"), "kernel_size is required"),
        (layer("num_output: 2 kernel_size: 0"), "kernel_size must be 1 or more"),
        (layer("num_output: 2 kernel_size: 6"), r"the window \(6x6\) is larger than the input \(7x5\)"),
        (layer("num_output: 2 kernel_size: 3 group: 4"), "must be a multiple of group"),
        (layer("num_output: 3 kernel_size: 3 group: 3"), "the input's 4 channels must be a multiple of group"),
        (layer("num_output: 2 kernel_size: 3 bias_term: 2"), "local_param.bias_term must be true or false, not 2"),
        (layer("num_output: 2 kernel_size: 3 weight_share_w: 2"), "field 'local_param.weight_share_w' is not known"),
        (layer("num_output: 2 kernel_size: 3 extra: 1", "convolution_param"), "'convolution_param.extra' is not known"),
        (layer("num_output: 2 kernel_size: big"), "local_param.kernel_size cannot be big"),
        (layer("num_output: 2 num_output: 3"), "local_param.num_output cannot be 2, 3"),
        (layer("num_output: 2 weight_filler: 3"), "weight_filler must be one block in braces"),
        (layer("num_output: 2 kernel_size: 3 group: 2", "convolution_param"), "group is supported in local_param only"),
        (layer("num_output: 2 kernel_size: 3 axis: 2"), "local_param.axis must be 1, not 2"),
        (layer("num_output: 2 kernel_size: 3", top="data"), "not computed in place"),
        (
            layer("num_output: 2 } convolution_param { kernel_size: 3"),
            "only one of local_param and convolution_param",
        ),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": np.ones((2, 4, 7, 5), np.float32)})


def test_weights_and_bottoms_of_wrong_shapes(rng: np.random.Generator) -> None:
    c = Case()
    x, w, b = c.draw(rng)
    weight, _ = stored(c, w, b)
    with pytest.raises(Caffe2TFError, match="bias is 1x1x6x20 in the network, 1x1x20x6 in the file"):
        run_layer(layer(c.text), {"data": x}, {"out": [weight, b.reshape(1, 1, 20, 6)]})
    with pytest.raises(Caffe2TFError, match="must have 4 axes, not 3"):
        run_layer(layer(c.text), {"data": x[0]})
