"""Layers that share one parameter but not all: one variable in the emitted model, whatever is done with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

import caffe2tf
from caffe2tf.emit.ties import Tie, find_ties
from caffe2tf.ir import Graph, Layout, Member, Node, NodeBlob, Parameter, Value, Weight, computed_weight
from caffe2tf.ir.expr import Expr
from caffe2tf.layers import Context, Elementwise
from tests.builders import caffemodel, input_layers
from tests.layers.oracle import assert_matches

if TYPE_CHECKING:
    import keras

FILL = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'


def dense(name: str, bottom: str, param: str, extra: str = "", outputs: int = 5) -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" {param} '
        f"inner_product_param {{ num_output: {outputs} {FILL} {extra} }} }}\n"
    )


def conv(name: str, bottom: str, param: str, extra: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" {param} '
        f"convolution_param {{ num_output: 4 kernel_h: 2 kernel_w: 3 {FILL} {extra} }} }}\n"
    )


W, WB = 'param { name: "w" }', 'param { name: "w" } param { name: "b" }'
OWN_BIAS = input_layers({"x": (2, 5)}) + dense("one", "x", W) + dense("two", "one", W)
OWN_PAD = input_layers({"x": (2, 3, 6, 7)}) + conv("one", "x", WB, "pad: 1") + conv("two", "x", WB, "stride: 2")
PERMISSIVE = input_layers({"x": (2, 6)}) + (
    dense("one", "x", 'param { name: "w" }', outputs=4)
    + dense("two", "one", 'param { name: "w" share_mode: PERMISSIVE }', outputs=6)
    + dense("three", "two", 'param { name: "w" share_mode: PERMISSIVE }', outputs=4)
)
TRANSPOSED = input_layers({"x": (2, 5)}) + dense("one", "x", WB) + dense("two", "one", WB, "transpose: true")


def convert(folder: Path, text: str, blobs: Mapping[str, Sequence[npt.ArrayLike]] | None = None) -> caffe2tf.Conversion:
    file = folder / "net.prototxt"
    file.write_text(text)
    weights = None
    if blobs is not None:
        weights = folder / "net.caffemodel"
        weights.write_bytes(caffemodel(blobs))
    return caffe2tf.convert(file, weights, folder / "out")


def names(model: keras.Model) -> list[str]:
    return [v.path for v in model.trainable_weights]


def blobs_of(rng: np.random.Generator) -> dict[str, list[npt.NDArray[np.float64]]]:
    kernel = rng.normal(size=(5, 5))
    return {"one": [kernel, rng.normal(size=5)], "two": [kernel, rng.normal(size=5)]}


@pytest.mark.parametrize(
    ("text", "weights", "untied"),
    [
        (OWN_BIAS, ["one/kernel", "one/bias", "two/bias"], 0),
        (OWN_PAD, ["one/kernel", "one/bias"], 0),
        (PERMISSIVE, ["one/kernel", "one/bias", "two/kernel", "two/bias", "three/bias"], 1),
        (TRANSPOSED, ["one/kernel", "one/bias", "two/kernel"], 1),
    ],
    ids=["own-bias", "own-pad", "permissive", "transposed"],
)
def test_the_weights_of_a_model(tmp_path: Path, text: str, weights: list[str], untied: int) -> None:
    done = convert(tmp_path, text)
    assert names(done.build()) == weights
    notes = [note for note in done.notes if "a weight of its own" in note.message]
    assert len(notes) == untied
    for note in notes:
        assert note.layer == "two"
        assert note.message.startswith("parameter 'w' is shared with layer 'one'")
        assert "kernel is a weight of its own" in note.message


def test_whole_layers_are_one_without_weights_too(tmp_path: Path) -> None:
    done = convert(tmp_path, input_layers({"x": (2, 5)}) + dense("one", "x", WB) + dense("two", "one", WB))
    assert names(done.build()) == ["one/kernel", "one/bias"]
    assert "share_weight" not in done.module.read_text()


def test_large_weights_are_tied_as_small_ones_are(tmp_path: Path) -> None:
    text = input_layers({"x": (2, 300)}) + dense("one", "x", WB, outputs=300) + dense("two", "one", W, outputs=300)
    turned = dense("three", "two", WB, "transpose: true", outputs=300)
    done = convert(tmp_path, text + turned)
    assert names(done.build()) == ["one/kernel", "one/bias", "two/bias", "three/kernel"]
    (note,) = (note for note in done.notes if "a weight of its own" in note.message)
    assert note.layer == "three"
    assert note.message.startswith("parameter 'w' is shared with layer 'one'")


def test_statistics_are_tied_only_if_their_factor_is_shared_too(tmp_path: Path) -> None:
    frozen = "lr_mult: 0"
    text = input_layers({"x": (2, 3, 4, 5)})
    for name, bottom, third in (("one", "x", "f"), ("two", "one", "g"), ("three", "two", "f")):
        shared = "".join(f'param {{ name: "{p}" {frozen} }} ' for p in ("m", "v", third))
        text += f'layer {{ name: "{name}" type: "BatchNorm" bottom: "{bottom}" top: "{name}" {shared} }}\n'
    third = 'layer { name: "s" type: "Scale" bottom: "three" top: "three" scale_param { bias_term: true } }\n'
    model = convert(tmp_path, text + third).build()
    assert [v.path for v in model.weights if "moving" in v.path] == [
        "one/moving_mean",
        "one/moving_variance",
        "two/moving_mean",
        "two/moving_variance",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed(Elementwise):
    """A layer with two blobs, whose weights are a view of the first and values computed from the second."""

    recipe: str

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        raise NotImplementedError

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        del ctx
        one, two = blobs
        double = two.array * 2
        made = computed_weight((double,), (3,), recipe=self.recipe, blobs=[two]) if self.recipe else Weight.of(double)
        return {"view": one.weight(), "double": made}


@pytest.mark.parametrize(
    ("recipes", "tied", "noted"),
    [
        (("double", "double"), ["view", "double"], []),
        (("double", "other"), ["view"], ["'v'"]),
        (("", ""), ["view"], ["'u'", "'v'"]),  # it may be made of either blob
    ],
    ids=["same recipe", "another recipe", "unknown origin"],
)
def test_computed_weights_are_tied_if_their_recipe_is_the_same(
    recipes: tuple[str, str], tied: list[str], noted: list[str]
) -> None:
    value = Value(id="x", blob="x", shape=(2, 3), layout=Layout.plain(2))
    layers = {n: Computed(recipe=r) for n, r in zip(("one", "two"), recipes, strict=True)}
    nodes = [Node(name=n, layer=layer, inputs=("x",), outputs=()) for n, layer in layers.items()]
    own = tuple(Parameter(shape=(3,), owner=Member("one", i), name="uv"[i]) for i in range(2))
    graph = Graph(name="g", nodes=tuple(nodes), values={"x": value}, outputs=(), parameters=dict.fromkeys(layers, own))
    contexts = {n: Context(name=f"keras_{n}", inputs=(value,), outputs=()) for n in layers}
    ties = find_ties(graph, contexts)
    assert list(ties.found) == [Tie(layer="keras_two", owner="keras_one", weight=w) for w in tied]
    assert [note.message.partition("parameter ")[2][:3] for note in ties.notes] == noted
    assert all("'one'" in n.message and "double is a weight of its own" in n.message for n in ties.notes)


def test_one_step_of_training_changes_both_uses_alike(tmp_path: Path, rng: np.random.Generator) -> None:
    import keras
    import tensorflow as tf

    blobs = blobs_of(rng)
    model = convert(tmp_path, OWN_BIAS, blobs).build()
    x = rng.normal(size=(2, 5)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = keras.ops.sum(keras.ops.square(model({"x": x})["two"]))
    kernel = model.get_layer("one").kernel
    assert model.get_layer("two").kernel is kernel
    found = np.asarray(tape.gradient(loss, kernel.value))
    w, (b1, b2) = blobs["one"][0], (blobs["one"][1], blobs["two"][1])
    hidden = x @ w.T + b1
    out = 2 * (hidden @ w.T + b2)
    np.testing.assert_allclose(found, (out.T @ hidden + (out @ w).T @ x).T, rtol=1e-4)

    model.compile(optimizer=keras.optimizers.SGD(0.01), loss={"two": "mse"})
    before = np.array(kernel)
    model.fit({"x": x}, {"two": np.ones((2, 5), np.float32)}, epochs=1, verbose=0)
    assert np.abs(np.asarray(kernel) - before).max() > 1e-4
    now = np.asarray(kernel)
    want = (x @ now + b1_of(model)) @ now + np.asarray(model.get_layer("two").bias)
    np.testing.assert_allclose(np.asarray(model({"x": x})["two"]), want, rtol=1e-4, atol=1e-5)


def b1_of(model: keras.Model) -> npt.NDArray[np.float32]:
    return np.asarray(model.get_layer("one").bias)


@pytest.mark.parametrize("weights_format", ["h5", "npz", "npy", "weights.h5"])
def test_every_weight_file_loads(tmp_path: Path, rng: np.random.Generator, weights_format: str) -> None:
    file, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    file.write_text(OWN_PAD)
    kernel, bias = rng.normal(size=(4, 3, 2, 3)), rng.normal(size=4)
    weights.write_bytes(caffemodel({"one": [kernel, bias], "two": [kernel, bias]}))
    done = caffe2tf.convert(file, weights, tmp_path / "out", weights_format=weights_format)
    model = done.build()
    assert len(model.weights) == 2
    np.testing.assert_array_equal(model.get_layer("two").kernel, kernel.transpose(2, 3, 1, 0).astype(np.float32))
    x = rng.normal(size=(2, 3, 6, 7)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (2, 3), (2, 3))
    one = np.einsum("bchwij,ocij->bohw", windows, kernel) + bias[:, None, None]
    outputs = model({"x": x.transpose(0, 2, 3, 1)})
    for name, want in (("one", one), ("two", one[:, :, 1:-1:2, 1:-1:2])):  # the second reads no padding
        assert_matches(np.asarray(outputs[name]).transpose(0, 3, 1, 2), want, name)


def test_keras_own_files(tmp_path: Path, rng: np.random.Generator) -> None:
    """Its weight files keep what is tied tied; a model saved whole comes back with the same values, untied."""
    import keras

    done = convert(tmp_path, OWN_BIAS, blobs_of(rng))
    model = done.build()
    x = rng.normal(size=(2, 5)).astype(np.float32)
    want = np.asarray(model({"x": x})["two"])
    model.save_weights(tmp_path / "k.weights.h5")
    model.save(tmp_path / "k.keras")
    other = convert(tmp_path, OWN_BIAS).build()
    other.load_weights(tmp_path / "k.weights.h5")
    again = keras.models.load_model(tmp_path / "k.keras")
    for loaded, count in ((other, 3), (again, 4)):
        assert len(loaded.trainable_weights) == count
        np.testing.assert_array_equal(np.asarray(loaded({"x": x})["two"]), want)


def test_an_exported_model_computes_the_same(tmp_path: Path, rng: np.random.Generator) -> None:
    import tensorflow as tf

    model = convert(tmp_path, OWN_BIAS, blobs_of(rng)).build()
    x = rng.normal(size=(2, 5)).astype(np.float32)
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(served.serve({"x": x})["two"], np.asarray(model({"x": x})["two"]), rtol=1e-6)
