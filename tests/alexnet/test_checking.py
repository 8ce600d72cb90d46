"""Checks of AlexNet's weight files and of this machine, and what is refused."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from caffe2tf import alexnet
from caffe2tf.alexnet import checking
from caffe2tf.errors import ParseError, UsageError, WeightsError

if TYPE_CHECKING:
    import keras


@pytest.fixture
def drawn_already(model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_drawn_model", lambda _: model)


@pytest.fixture
def weights(caffemodel: Path, model: keras.Model) -> Path:
    """The file that the model was built from."""
    return caffemodel.with_name("alexnet.npy")


def test_this_machine_and_a_correct_file_pass(weights: Path, caffemodel: Path) -> None:
    steps: list[tuple[int, int]] = []
    report = alexnet.check(weights, caffemodel=caffemodel, progress=lambda *step: steps.append(step))
    assert report.same
    assert len(report.activations.verdicts) == 14
    assert len(report.weights) == 16
    assert all(w.same and w.differing == 0 for w in report.weights)
    assert report.drawn
    assert report.own_activations is not None
    assert len(report.own_activations.verdicts) == 14
    assert report.published is False
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
    plain = json.loads(json.dumps(report.as_dict()))
    assert plain["same"] is True
    assert plain["weights"][0] == {
        "layer": "conv1",
        "weight": "kernel",
        "shape": [11, 11, 3, 96],
        "same": True,
        "differing": 0,
    }


def test_single_changed_bits_are_found(drawn_already: None, weights: Path, caffemodel: Path, scratch: Path) -> None:
    held = np.load(weights, allow_pickle=True).item()
    for array in (held["conv2"][0], held["fc6"][0], held["fc8"][1]):
        flat = array.reshape(-1)
        flat.view(np.uint32)[flat.size // 3] ^= 1
    named = {f"{n}/{k}": a for n, own in held.items() for k, a in zip(("kernel", "bias"), own, strict=True)}
    np.savez(scratch / "a.npz", **named)
    report = alexnet.check(scratch / "a.npz", caffemodel=caffemodel)
    assert not report.same
    assert report.activations.same
    assert [(w.layer, w.weight, w.differing) for w in report.weights if not w.same] == [
        ("conv2", "kernel", 1),
        ("fc6", "kernel", 1),
        ("fc8", "bias", 1),
    ]
    assert not report.drawn
    assert report.own_activations is None
    assert json.loads(json.dumps(report.as_dict()))["same"] is False


def test_without_a_caffemodel_the_weights_are_not_compared(drawn_already: None, weights: Path) -> None:
    report = alexnet.check(weights)
    assert report.same
    assert report.weights == ()
    assert report.published is None


def test_a_wrong_conversion_on_this_machine_is_found(drawn_already: None, model: keras.Model) -> None:
    bias = model.get_layer("conv3").bias
    before = bias.numpy()
    bias.assign(before[::-1])
    try:
        report = alexnet.check()
    finally:
        bias.assign(before)
    assert not report.same
    assert report.activations.first_difference is not None
    assert report.activations.first_difference.blob == "conv3"


def test_a_caffemodel_without_a_weight_file_is_refused(caffemodel: Path) -> None:
    with pytest.raises(UsageError, match="name the weight file"):
        alexnet.check(caffemodel=caffemodel)


def test_a_caffemodel_of_another_network_is_refused(drawn_already: None, weights: Path, digits: Path) -> None:
    with pytest.raises(WeightsError, match="layer 'conv1' does not have AlexNet's blobs"):
        alexnet.check(weights, caffemodel=digits / "digits.caffemodel")


def test_a_weight_file_of_another_network_is_refused_and_differences_listed(data: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        alexnet.build(data / "classic_npy" / "digits_dict_of_lists.npy")
    for expected in (
        "conv1/kernel: shape (5, 5, 1, 16) in the file",
        "fc6/kernel: not in the file",
        "fc3/0: not in the model",
    ):
        assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["gone.npy", "torn.npy", "text.h5", "text.npz", "pickled.npy"])
def test_an_unreadable_file_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.startswith("text"):
        path.write_text("no weights")
    elif name.startswith("torn"):
        np.save(path, np.array({"conv1": [np.ones((3, 5))]}))
        path.write_bytes(path.read_bytes()[:-40])
    elif name.startswith("pickled"):
        path.write_bytes(pickle.dumps(["no", "dict"]))
    with pytest.raises((ParseError, WeightsError), match=name):
        alexnet.build(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.npy", "no such file"),
        ("folder.npy", "this is a directory, but the weight file must be a file; it contains inside.h5"),
        ("pipe.npy", "not a regular file"),
        ("text.txt", r"weights are read from files whose names end in \.h5, \.hdf5, \.npz, \.npy, \.weights\.h5"),
        ("none", "weights are read from files whose names end in"),
    ],
)
def test_the_file_is_checked_before_the_network_is_built(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caffe2tf.alexnet.network._network", lambda: pytest.fail("the network was built"))
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "folder.npy" / "inside.h5").touch()
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "text.txt").touch()
    (tmp_path / "none").touch()
    with pytest.raises((ParseError, UsageError), match=rf"{name}: {message}"):
        alexnet.check(tmp_path / name)


@pytest.mark.parametrize("name", ["bvlc_alexnet.caffemodel", "bvlc_alexnet.caffemodel.h5"])
def test_a_caffemodel_must_be_regenerated_first(name: str) -> None:
    with pytest.raises(UsageError, match=r"caffe2tf\.alexnet\.regenerate\("):
        alexnet.build(name)


def test_a_new_model_can_be_trained_for_other_classes() -> None:
    import keras

    base = alexnet.build()
    base.trainable = False
    head = keras.layers.Dense(3, activation="softmax", name="own")(base.get_layer("drop7").output)
    tuned = keras.Model(base.inputs, head)
    tuned.compile(keras.optimizers.SGD(1e-4), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(3)
    before = tuned.get_layer("own").kernel.numpy()
    tuned.fit(rng.standard_normal((2, 227, 227, 3)).astype(np.float32) * 50, np.array([2, 0]), verbose=0)
    assert not np.array_equal(tuned.get_layer("own").kernel.numpy(), before)
