"""Layers of forks that serve training: data layers become inputs, and losses and metrics are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import NetworkError, UnsupportedError
from caffe2tf.layers import registered
from caffe2tf.layers.loss.loss_base import Loss
from tests.builders import input_layers, layer, write_prototxt
from tests.layers.oracle import run_layer

DATA = layer("AnnotatedData", "data", tops=["data", "label"], parameters="annotated_data_param { anno_type: BBOX }")
HEAD = layer("Convolution", "conv", ["data"], parameters="convolution_param { num_output: 4 kernel_size: 3 }")


def converted(tmp_path: Path, text: str, **shapes: tuple[int, ...]) -> caffe2tf.Conversion:
    net = write_prototxt(tmp_path, text)
    return caffe2tf.convert(net, None, tmp_path / "out", input_shapes=shapes)


def test_the_tops_of_a_data_layer_are_inputs(tmp_path: Path) -> None:
    net = write_prototxt(tmp_path, DATA + HEAD)
    with pytest.raises(
        NetworkError, match=r"'data', 'label'; give their shapes: .*\"data\": \(N, C, H, W\), \"label\""
    ):
        caffe2tf.infer_shapes(net)
    shapes = caffe2tf.infer_shapes(net, input_shapes={"data": (2, 3, 7, 9), "label": (1, 1, 8, 8)})
    assert shapes["conv"] == (2, 4, 5, 7)


@pytest.mark.parametrize(
    ("type_", "bottoms", "parameters"),
    [
        ("MultiBoxLoss", ["conv", "b", "c", "label"], ""),
        ("Yolov3", ["conv", "label"], "yolov3_param { side: 13 }"),
        ("DetectionEvaluate", ["conv", "label"], ""),
        ("MyOwnLoss", ["conv", "label"], "my_param { a: 1 }"),
    ],
)
def test_a_loss_is_left_out_with_its_labels(tmp_path: Path, type_: str, bottoms: list[str], parameters: str) -> None:
    text = DATA + HEAD + "".join(layer("AbsVal", n, ["conv"]) for n in "bc")
    text += layer(type_, "loss", bottoms, parameters=parameters)
    done = converted(tmp_path, text, data=(2, 3, 7, 9), label=(1, 1, 8, 8))
    assert set(done.inputs) == {"data"}
    assert set(done.outputs) <= {"b", "c", "conv"}
    assert any(f"layer 'loss': {type_} is left out" in str(note) for note in done.notes)


def test_exactly_the_computable_losses_override_emit() -> None:
    losses = [cls for cls in registered().values() if issubclass(cls, Loss)]
    assert {cls.computable for cls in losses} == {True, False}
    assert [cls for cls in losses if (cls.emit is Loss.emit) == cls.computable] == []


def test_a_loss_of_a_fork_is_left_out_even_if_losses_are_requested() -> None:
    x, label = np.ones((2, 3), "f4"), np.zeros((2, 3), "f4")
    text = layer("LpqLoss", "unknown", ["x", "label"]) + layer("EuclideanLoss", "known", ["x", "label"])
    out = run_layer(text, {"x": x, "label": label})
    assert set(out) == {"x", "label", "known"}
    assert out["known"] == pytest.approx(6 / 4)


def test_a_loss_of_a_fork_is_refused_if_another_layer_reads_its_value(tmp_path: Path) -> None:
    text = input_layers({"x": (2, 3), "label": (2, 3)})
    text += layer("LpqLoss", "odd", ["x", "label"]) + layer("Power", "p", ["odd"])
    with pytest.raises(UnsupportedError, match=r":3:1: layer 'odd': another layer reads the value of this LpqLoss"):
        converted(tmp_path, text)


def test_hard_example_mining_is_left_out(tmp_path: Path) -> None:
    text = input_layers({"x": (4, 3), "rois": (4, 5), "per": (4,), "labels": (4,), "weights": (4, 8)})
    mined, parameters = ["hard", "hard_weights"], "box_annotator_ohem_param { roi_per_img: 2 }"
    text += layer("BoxAnnotatorOHEM", "ohem", ["rois", "per", "labels", "weights"], mined, parameters)
    text += layer("SoftmaxWithLoss", "loss", ["x", "hard"])
    done = converted(tmp_path, text)
    assert done.outputs == {"prob": (4, 3)}


def test_shapes_of_anchor_targets(tmp_path: Path) -> None:
    python = 'python_param { module: "rpn.anchor_target_layer" layer: "AnchorTargetLayer" }'
    text = input_layers({"score": (1, 18, 6, 8), "gt": (3, 5), "info": (1, 3), "data": (1, 3, 96, 128)})
    text += layer("Python", "t", ["score", "gt", "info", "data"], ["labels", "targets", "in", "out"], python)
    shapes = caffe2tf.infer_shapes(write_prototxt(tmp_path, text))
    assert shapes["labels"] == (1, 1, 54, 8)
    assert shapes["targets"] == shapes["in"] == shapes["out"] == (1, 36, 6, 8)


def test_a_network_starts_after_its_augmentation(tmp_path: Path) -> None:
    augmentation = layer("BlackAugmentation", "aug", ["raw"], ["data"], "augmentation_param { num: 1 }")
    done = converted(tmp_path, input_layers({"raw": (2, 3, 9, 9)}) + augmentation + HEAD, data=(2, 3, 7, 9))
    assert (set(done.inputs), set(done.outputs)) == ({"data"}, {"conv"})


def test_a_bottom_that_no_layer_writes_is_an_input_if_its_shape_is_given(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"'data' is not the top of any earlier layer; .* input_shapes={\"data\""):
        converted(tmp_path, HEAD)
    done = converted(tmp_path, HEAD, data=(2, 3, 7, 9))
    assert done.inputs == {"data": (2, 7, 9, 3)}
    assert any("no layer writes 'data', so it is an input" in str(note) for note in done.notes)
    net = write_prototxt(tmp_path, HEAD)
    assert caffe2tf.run(net, None, {"data": np.ones((1, 3, 4, 5))})["conv"].shape == (1, 4, 2, 3)


def test_a_sum_of_losses_that_only_mines_hard_examples_is_left_out(tmp_path: Path) -> None:
    text = input_layers({"x": (4, 3), "y": (4, 3), "rois": (4, 5), "labels": (4,), "weights": (4, 8)})
    text += layer("LpqLoss", "a", ["x", "labels"]) + layer("JfdaLoss", "b", ["y", "labels"])
    text += layer("Eltwise", "sum", ["a", "b"])
    text += layer("BoxAnnotatorOHEM", "ohem", ["rois", "sum", "labels", "weights"], ["hard", "hard_weights"])
    text += layer("SoftmaxWithLoss", "loss", ["x", "hard"])
    done = converted(tmp_path, text)
    assert set(done.outputs) == {"prob", "y"}
