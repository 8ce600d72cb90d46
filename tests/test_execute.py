"""Running a network through its emitted source."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import caffe2tf
from caffe2tf.artifacts import build_model
from caffe2tf.artifacts.weights.keras_h5 import save_keras_weights
from tests.builders import input_layer, input_layers, layer, write_caffemodel, write_prototxt
from tests.emit.networks import plan, tangle
from tests.layers.oracle import check_recorded, run_layer

X = np.random.default_rng(8).normal(size=(2, 3, 5, 7)).astype("f4")


def test_values_that_no_network_can_take_are_the_users_mistake(tmp_path: Path) -> None:
    file = write_prototxt(
        tmp_path,
        'layer { name: "i" type: "Input" top: "i" input_param { shape { dim: 2 } } }\n'
        'layer { name: "e" type: "Embed" bottom: "i" top: "e" embed_param { input_dim: 3 num_output: 4 } }\n',
    )
    with pytest.raises(caffe2tf.UsageError, match=r"the network cannot be computed on these inputs: .*3"):
        caffe2tf.run(file, None, {"i": [1, 3]})


def test_every_blob_in_the_order_of_the_network_and_in_place_ones_as_they_end() -> None:
    text = (
        'layer { name: "p" type: "Power" bottom: "d" top: "p" power_param { scale: -2 shift: 1 } }\n'
        'layer { name: "r" type: "ReLU" bottom: "p" top: "p" }\n'
        'layer { name: "s" type: "Split" bottom: "p" top: "a" top: "b" }\n'
        'layer { name: "q" type: "Silence" bottom: "b" }\n'
    )
    out = run_layer(text, {"d": X})
    assert list(out) == ["d", "p", "a", "b"]
    np.testing.assert_allclose(out["p"], np.maximum(1 - 2 * X, 0), rtol=1e-6)
    np.testing.assert_array_equal(out["b"], out["p"])
    assert {a.dtype for a in out.values()} == {np.dtype("f4")}


def test_a_blob_of_which_a_layer_reads_the_shape_alone() -> None:
    text = (
        'layer { name: "c" type: "Convolution" bottom: "d" top: "c" '
        'convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }\n'
        'layer { name: "r" type: "ReLU" bottom: "c" top: "c" }\n'
        'layer { name: "b" type: "PriorBox" bottom: "c" bottom: "d" top: "b" prior_box_param { min_size: 2 } }\n'
        'layer { name: "p" type: "Power" bottom: "d" top: "p" power_param { scale: -2 } }\n'
    )
    out = run_layer(text, {"d": X})
    assert list(out) == ["d", "c", "b", "p"]
    assert out["c"].shape == (2, 4, 3, 5)
    assert out["c"].min() == 0 < out["c"].max()
    assert out["b"].shape == (1, 2, 60)


def test_without_weights_fillers_fill_and_always_alike() -> None:
    text = (
        'layer { name: "i" type: "InnerProduct" bottom: "d" top: "i" '
        'inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }'
    )
    a, b = (run_layer(text, {"d": X})["i"] for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a).max() > 0


def test_the_inputs_decide_the_shapes() -> None:
    assert run_layer('layer { name: "t" type: "TanH" bottom: "d" top: "t" }', {"d": X[:, :2]})["t"].shape == (
        2,
        2,
        5,
        7,
    )


@pytest.mark.parametrize("case", ["shared_weights", "residual_block", "names_with_slashes", "v1_layers"])
def test_recordings(case: str) -> None:
    check_recorded(case)


def test_a_missing_input_is_named_with_its_shape(tmp_path: Path) -> None:
    net = write_prototxt(
        tmp_path,
        input_layers({"a": (2, 3), "b": (4, 5)}) + 'layer { name: "t" type: "TanH" bottom: "b" top: "t" }',
    )
    with pytest.raises(caffe2tf.UsageError, match=r"no array is given for input 'b' \(4x5\); give .* `inputs`"):
        caffe2tf.run(net, None, {"a": np.ones((2, 3))})


def test_inputs_that_are_no_numbers(tmp_path: Path) -> None:
    net = write_prototxt(
        tmp_path, input_layers({"a": (2, 3)}) + 'layer { name: "t" type: "TanH" bottom: "a" top: "t" }'
    )
    with pytest.raises(caffe2tf.UsageError, match="input 'a': an array of numbers"):
        caffe2tf.run(net, None, {"a": np.array(["x"])})


@pytest.mark.parametrize("shape", [(), (2,), (3, 5), (3, 5, 7), (1, 2, 3, 5, 7), (0, 3, 5, 7), (1, 3, 1, 1)])
def test_inputs_of_a_shape_that_does_not_fit_are_named_with_the_expected_one(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    pooling = 'layer { name: "p" type: "Pooling" bottom: "a" top: "p" pooling_param { kernel_size: 2 } }\n'
    net = write_prototxt(tmp_path, input_layers({"a": (1, 3, 5, 7), "b": (2, 3)}) + pooling)
    told = "x".join(map(str, shape)) or "scalar"
    with pytest.raises(caffe2tf.UsageError, match=rf"input 'a' is {told} where 1x3x5x7 is expected"):
        caffe2tf.run(net, None, {"a": np.ones(shape), "b": np.ones((2, 3))})
    if shape:
        with pytest.raises(caffe2tf.UsageError, match=rf"input 'a' is {told} .*, input 'b' is 4 where 2x3 is expected"):
            caffe2tf.run(net, None, {"a": np.ones(shape), "b": np.ones(4)})


def test_a_scalar_for_a_network_that_takes_any_other_shape(tmp_path: Path) -> None:
    net = write_prototxt(
        tmp_path,
        input_layers({"a": (1, 3, 5, 7)}) + 'layer { name: "r" type: "ReLU" bottom: "a" top: "r" }',
    )
    with pytest.raises(caffe2tf.UsageError, match="input 'a' is scalar where 1x3x5x7 is expected"):
        caffe2tf.run(net, None, {"a": np.float32(3)})


def test_weights_that_fit_another_size_of_the_input(digits: Path) -> None:
    net = digits / "deploy.prototxt", digits / "digits.caffemodel"
    with pytest.raises(caffe2tf.UsageError, match=r"(?s)input 'data' is 1x1x28x28 where .* is expected; .*'fc3'"):
        caffe2tf.run(*net, {"data": np.ones((1, 1, 28, 28))})


def test_an_input_is_not_blamed_for_other_mistakes(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(caffe2tf.NetworkError, match="'more', which is not an input"):
        caffe2tf.run(digits / "deploy.prototxt", None, {"data": np.ones((2, 1, 16, 16)), "more": np.ones(2)})
    other = write_prototxt(
        tmp_path, (digits / "deploy.prototxt").read_text().replace("num_output: 10", "num_output: 11"), "other.prototxt"
    )
    with pytest.raises(caffe2tf.WeightsError, match="fc4"):
        caffe2tf.run(other, digits / "digits.caffemodel", {"data": np.ones((2, 1, 16, 16))})


def test_inputs_that_float32_cannot_hold(tmp_path: Path) -> None:
    net = write_prototxt(tmp_path, input_layers({"a": (2,)}) + 'layer { name: "r" type: "ReLU" bottom: "a" top: "r" }')
    with pytest.raises(caffe2tf.UsageError, match=r"input 'a' holds -1e\+308, and networks compute in float32"):
        caffe2tf.run(net, None, {"a": np.array([np.inf, -1e308])})
    assert caffe2tf.run(net, None, {"a": np.array([np.inf, -3e38])})["r"].tolist() == [np.inf, 0]


@pytest.mark.parametrize(
    ("error", "what"),
    [
        ("ResourceExhaustedError", "this needs more memory than there is"),
        ("MemoryError", "this needs more memory than there is"),
        ("AbortedError", "TensorFlow cannot compute this"),
        ("UnimplementedError", "TensorFlow cannot compute this"),
    ],
)
def test_a_network_that_is_larger_than_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, what: str
) -> None:
    """The errors are made: what the system does when the memory is really gone is not for a test to find out."""
    import tensorflow as tf

    text = "{{function_node Tile}} OOM when allocating tensor with shape[1,9] on /job:localhost [Op:Tile]"
    made = MemoryError(text) if error == "MemoryError" else getattr(tf.errors, error)(None, None, text)

    def fail(*_: object) -> None:
        raise made

    tile = 'layer { name: "a/tile" type: "Tile" bottom: "a" top: "t" tile_param { tiles: 2 } }\n'
    net = write_prototxt(tmp_path, input_layers({"a": (2, 3)}) + tile)
    told = r"OOM when allocating tensor with shape\[1,9\]$"
    with monkeypatch.context() as patched:
        patched.setattr("caffe2tf.artifacts.running._in_caffe_order", fail)
        with pytest.raises(caffe2tf.UsageError, match=f"^{what}: {told}"):
            caffe2tf.run(net, None, {"a": np.ones((2, 3))})
    monkeypatch.setattr("tensorflow.tile", fail)
    with pytest.raises(caffe2tf.UsageError, match=f"^layer 'a/tile': {what}: {told}"):
        caffe2tf.run(net, None, {"a": np.ones((2, 3))})


def test_weights_that_are_larger_than_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("caffe2tf.ir.filler.Filler.fill", fail)
    net = write_prototxt(
        tmp_path,
        input_layers({"a": (2, 3)})
        + 'layer { name: "f" type: "InnerProduct" bottom: "a" top: "f" inner_product_param { num_output: 5 } }',
    )
    with pytest.raises(
        caffe2tf.NetworkError,
        match=r"net\.prototxt:2:1: layer 'f': its trained values need more memory than there is: weight 5x3, bias 5",
    ):
        caffe2tf.run(net, None, {"a": np.ones((2, 3))})


def test_verify_where_an_input_is_rewritten_in_place(tmp_path: Path) -> None:
    net = write_prototxt(
        tmp_path,
        input_layers({"data": (1, 3, 5, 7)})
        + 'layer { name: "p" type: "Power" bottom: "data" top: "data" power_param { scale: -2 shift: 1 } }\n'
        + 'layer { name: "t" type: "TanH" bottom: "data" top: "z" }\n',
    )
    weights = write_caffemodel(tmp_path, {"none": [[1.0]]})
    x = X[:1]
    left = {"out/data": 1 - 2 * x, "out/z": np.tanh(1 - 2 * x)}
    report = caffe2tf.verify(net, weights, {"in/data": x, **left})
    assert [(v.blob, v.same) for v in report.verdicts] == [("data", True), ("z", True)]
    assert not caffe2tf.verify(net, weights, {"in/data": -x, **left}).same
    report = caffe2tf.verify(net, weights, {"in/data": x, "out/z": left["out/z"]})
    assert (report.same, report.unreferenced) == (True, ("data",))


def test_verify_takes_inputs_from_the_reference_or_beside_it(digits: Path) -> None:
    net = digits / "deploy.prototxt", digits / "digits.caffemodel"
    x = np.random.default_rng(0).normal(size=(2, 1, 16, 16))
    blobs = caffe2tf.run(*net, {"data": x})
    assert caffe2tf.verify(*net, blobs).same
    alone = {"prob": blobs["prob"]}
    assert caffe2tf.verify(*net, alone, {"data": x}).same
    report = caffe2tf.verify(*net, alone, {"data": -x})
    assert report.first_difference is not None
    assert report.first_difference.layer == "prob"


def test_the_runtime_layers_of_two_networks_do_not_meet(digits: Path, tmp_path: Path) -> None:
    sys.modules.pop("caffe_layers", None)
    caffe2tf.run(digits / "deploy.prototxt", None, {"data": np.ones((1, 1, 16, 16))})
    assert "caffe_layers" not in sys.modules


def test_keras_weights_that_came_out_otherwise_are_refused(tmp_path: Path) -> None:
    made = plan(tangle(np.random.default_rng(11)), tmp_path)
    model = build_model(made)
    weights = made.weights()
    target = tmp_path / "w.weights.h5"
    save_keras_weights(model, target, weights)
    assert target.is_file()
    layer = next(layer for layer in model.layers if layer.weights)
    layer.weights[0].assign(np.asarray(layer.weights[0]) + 1)
    target.unlink()
    with pytest.raises(caffe2tf.OutputError, match=f"layer '{layer.name}'"):
        save_keras_weights(model, target, weights)
    assert not [p for p in tmp_path.iterdir() if p.name != "net.prototxt"]


def test_keras_weights_that_would_not_fit_are_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(tangle(np.random.default_rng(11)), tmp_path)
    model = build_model(made)
    monkeypatch.setattr(model, "save_weights", lambda _: pytest.fail("it is begun"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(caffe2tf.OutputError, match=r"w\.weights\.h5: no space left on the device"):
        save_keras_weights(model, tmp_path / "w.weights.h5", made.weights())
    assert [p.name for p in tmp_path.iterdir()] == ["net.prototxt"]


def test_a_network_deeper_than_python_lets_calls_go(tmp_path: Path) -> None:
    depth = 1100
    types = [("TanH", "AbsVal")[i % 2] for i in range(depth)]
    layers = [f'layer {{ name: "l{i}" type: "{t}" bottom: "b{i}" top: "b{i + 1}" }}' for i, t in enumerate(types)]
    net = write_prototxt(tmp_path, input_layers({"b0": (1, 2)}) + "\n".join(layers))
    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(1000)
        blobs = caffe2tf.run(net, None, {"b0": np.array([[-0.5, 2]])})
    finally:
        sys.setrecursionlimit(before)
    want = np.array([[-0.5, 2]])
    for i in range(depth):
        want = np.abs(want) if i % 2 else np.tanh(want)
    np.testing.assert_allclose(blobs[f"b{depth}"], want, rtol=1e-5)


def test_field_verify_tiny(tmp_path: Path) -> None:
    """Wrong values below 1e-6 are a difference; what rounding leaves of a sum that cancels is not."""
    x = np.array([[0.1, -0.7, 3.3], [2.9, 0.3, -1.7]], np.float32)
    text = input_layer("data", x.shape)
    text += layer("Power", "tiny", ["data"], parameters="power_param { scale: 1e-8 }")
    sums_to_zero = "eltwise_param { coeff: 0.1 coeff: 0.2 coeff: -0.3 }"
    text += layer("Eltwise", "zero", ["data"] * 3, parameters=sums_to_zero)
    net = write_prototxt(tmp_path, text)
    reference = caffe2tf.run(net, None, {"data": x})
    other = reference | {"zero": reference["zero"] + np.float32(1e-7)}
    report = caffe2tf.verify(net, None, other)
    assert report.same
    assert next(v.note for v in report.verdicts if v.blob == "zero").startswith("difference 1e-07 is rounding")
    report = caffe2tf.verify(net, None, reference | {"tiny": -reference["tiny"]})
    assert [v.blob for v in report.verdicts if not v.same] == ["tiny"]


def test_an_input_that_is_not_the_recorded_one_differs(tmp_path: Path) -> None:
    net = write_prototxt(tmp_path, input_layer("data", (2, 3)) + layer("TanH", "t", ["data"]))
    x = np.array([[0.1, -0.7, 3.3], [2.9, 0.3, -1.7]], np.float32)
    report = caffe2tf.verify(net, None, caffe2tf.run(net, None, {"data": x}), {"data": 2 * x})
    assert [(v.blob, v.same) for v in report.verdicts] == [("data", False), ("t", False)]
