"""A training definition in place of the deployed one: the result is the deployed network."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

import caffe2tf
from caffe2tf.ir.preprocessing import Backend, Content, Preprocessing
from caffe2tf.load import load_graph
from caffe2tf.parse import read_mean, read_network

DIGITS = ("deploy.prototxt", "train_val.prototxt", "digits.caffemodel", "mean.binaryproto")


def test_data_layers_have_the_shape_of_the_mean_image(digits: Path) -> None:
    shapes = caffe2tf.infer_shapes(digits / "train_val.prototxt")
    assert shapes["data"] == (397, 1, 16, 16)
    assert shapes["label"] == (397,)
    assert caffe2tf.infer_shapes(digits / "train_val.prototxt", phase="TRAIN")["data"] == (64, 1, 16, 16)


def test_without_the_mean_image_the_shape_is_asked_for(digits: Path, tmp_path: Path) -> None:
    shutil.copy(digits / "train_val.prototxt", tmp_path)
    try:
        caffe2tf.infer_shapes(tmp_path / "train_val.prototxt")
    except caffe2tf.NetworkError as e:
        assert 'input_shapes={"data": (N, C, H, W)}' in str(e)  # noqa: PT017 - the message of any such error
    else:
        raise AssertionError("an unknown shape was made up")
    shapes = caffe2tf.infer_shapes(tmp_path / "train_val.prototxt", input_shapes={"data": (5, 1, 16, 16)})
    assert shapes["label"] == (5,)
    assert shapes["fc4"] == (5, 10)


def test_the_graph_says_what_caffe_feeds(digits: Path) -> None:
    graph = load_graph(read_network(digits / "train_val.prototxt"))
    data, label = graph.feeds()["data"], graph.feeds()["label"]
    assert list(graph.feeds()) == ["data", "label"]
    assert data is not None
    assert label is not None
    assert (data.source.path, data.source.backend, data.source.batch_size) == ("test_lmdb", Backend.LMDB, 397)
    assert data.preprocessing == Preprocessing(mean_file="mean.binaryproto", scale=0.0078125)
    assert (label.source, label.content, label.preprocessing) == (data.source, Content.LABELS, None)
    training = load_graph(read_network(digits / "train_val.prototxt"), phase="TRAIN").feeds()["data"]
    assert training is not None
    assert (training.source.path, training.source.batch_size) == ("train_lmdb", 64)
    assert load_graph(read_network(digits / "deploy.prototxt")).feeds() == {"data": None}


def test_it_equals_the_deployed_network(digits: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    weights = digits / "digits.caffemodel"
    train = caffe2tf.convert(digits / "train_val.prototxt", weights, tmp_path / "train")
    deploy = caffe2tf.convert(digits / "deploy.prototxt", weights, tmp_path / "deploy")
    assert dict(train.inputs) == {"data": (397, 16, 16, 1)}
    assert list(train.outputs) == list(deploy.outputs) == ["prob"]
    assert any(
        n.message.endswith(
            "Caffe feeds input 'data' images minus the mean image 'mean.binaryproto', times 0.0078125; "
            "colour images that convert_imageset stored are BGR"
        )
        for n in train.notes
    )
    assert any("'loss'" in str(n) for n in train.notes)
    assert any("'accuracy'" in str(n) for n in train.notes)
    assert train.weights is not None
    assert deploy.weights is not None
    assert train.weights.read_bytes() == deploy.weights.read_bytes()
    images = rng.standard_normal((3, 16, 16, 1)).astype("f4")
    ours, theirs = (c.build()({"data": images}, training=False)["prob"] for c in (train, deploy))
    np.testing.assert_array_equal(ours, theirs)


def test_losses_are_computed_where_asked_for(digits: Path, tmp_path: Path) -> None:
    done = caffe2tf.convert(digits / "train_val.prototxt", digits / "digits.caffemodel", tmp_path, keep_losses=True)
    assert set(done.inputs) == {"data", "label"}
    assert set(done.outputs) == {"loss", "accuracy"}
    test = np.load(digits / "test.npz")
    mean = np.asarray(read_mean(digits / "mean.binaryproto"), "f4").reshape(16, 16)
    images = ((test["images"].reshape(-1, 16, 16).astype("f4") - mean) * 0.0078125)[..., None]
    out = done.build()({"data": images, "label": test["labels"].astype("f4")}, training=False)
    assert abs(float(out["accuracy"]) - 0.9924) < 1e-4
    prob = test["caffe_prob"][np.arange(len(images)), test["labels"]]
    np.testing.assert_allclose(float(out["loss"]), -np.log(prob.astype("f8")).mean(), rtol=1e-4)
