"""What forks add for training alone: data layers become inputs, losses and metrics are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import NetworkError, UnsupportedError
from caffe2tf.layers import registered
from caffe2tf.layers.loss.loss_base import Loss
from tests.builders import input_layers
from tests.layers.oracle import run_layer

DATA = (
    'layer { name: "data" type: "AnnotatedData" top: "data" top: "label" annotated_data_param { anno_type: BBOX } }\n'
)
HEAD = (
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
    "convolution_param { num_output: 4 kernel_size: 3 } }\n"
)


def converted(tmp_path: Path, text: str, **shapes: tuple[int, ...]) -> caffe2tf.Conversion:
    net = tmp_path / "net.prototxt"
    net.write_text(text)
    return caffe2tf.convert(net, None, tmp_path / "out", input_shapes=shapes)


def test_the_tops_of_a_data_layer_are_inputs(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(DATA + HEAD)
    with pytest.raises(
        NetworkError, match=r"'data', 'label'; give their shapes: .*\"data\": \(N, C, H, W\), \"label\""
    ):
        caffe2tf.infer_shapes(net)
    shapes = caffe2tf.infer_shapes(net, input_shapes={"data": (2, 3, 7, 9), "label": (1, 1, 8, 8)})
    assert shapes["conv"] == (2, 4, 5, 7)


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [
        ('type: "MultiBoxLoss" bottom: "conv" bottom: "b" bottom: "c" bottom: "label"', {"b", "c", "conv"}),
        ('type: "Yolov3" bottom: "conv" bottom: "label" yolov3_param { side: 13 }', {"b", "c", "conv"}),
        ('type: "DetectionEvaluate" bottom: "conv" bottom: "label"', {"b", "c", "conv"}),
        ('type: "MyOwnLoss" bottom: "conv" bottom: "label" my_param { a: 1 }', {"b", "c", "conv"}),
    ],
)
def test_a_loss_is_left_out_with_its_labels(tmp_path: Path, loss: str, outputs: set[str]) -> None:
    text = DATA + HEAD
    text += "".join(f'layer {{ name: "{n}" type: "AbsVal" bottom: "conv" top: "{n}" }}\n' for n in "bc")
    text += f'layer {{ name: "loss" top: "loss" {loss} }}\n'
    done = converted(tmp_path, text, data=(2, 3, 7, 9), label=(1, 1, 8, 8))
    assert set(done.inputs) == {"data"}
    assert set(done.outputs) <= outputs
    kind = loss.partition('"')[2].partition('"')[0]
    assert any(f"layer 'loss': {kind} is left out" in str(note) for note in done.notes)


def test_only_losses_that_are_never_computed_do_without_an_emit_of_their_own() -> None:
    losses = [cls for cls in registered().values() if issubclass(cls, Loss)]
    assert {cls.computable for cls in losses} == {True, False}
    assert [cls for cls in losses if (cls.emit is Loss.emit) == cls.computable] == []


def test_it_is_left_out_even_where_losses_are_computed() -> None:
    x, label = np.ones((2, 3), "f4"), np.zeros((2, 3), "f4")
    text = (
        'layer { name: "odd" type: "LpqLoss" bottom: "x" bottom: "label" top: "odd" }\n'
        'layer { name: "even" type: "EuclideanLoss" bottom: "x" bottom: "label" top: "even" }\n'
    )
    out = run_layer(text, {"x": x, "label": label})
    assert set(out) == {"x", "label", "even"}
    assert out["even"] == pytest.approx(6 / 4)


def test_one_whose_value_is_read_is_refused(tmp_path: Path) -> None:
    text = (
        input_layers({"x": (2, 3), "label": (2, 3)})
        + 'layer { name: "odd" type: "LpqLoss" bottom: "x" bottom: "label" top: "odd" }\n'
        + 'layer { name: "p" type: "Power" bottom: "odd" top: "p" }\n'
    )
    with pytest.raises(UnsupportedError, match=r":3:1: layer 'odd': another layer reads the value of this LpqLoss"):
        converted(tmp_path, text)


def test_hard_examples_and_their_losses_are_left_out(tmp_path: Path) -> None:
    text = input_layers({"x": (4, 3), "rois": (4, 5), "per": (4,), "labels": (4,), "weights": (4, 8)})
    text += (
        'layer { name: "ohem" type: "BoxAnnotatorOHEM" bottom: "rois" bottom: "per" bottom: "labels" bottom: "weights" '
        'top: "hard" top: "hard_weights" box_annotator_ohem_param { roi_per_img: 2 } }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "hard" top: "loss" }\n'
    )
    done = converted(tmp_path, text)
    assert done.outputs == {"prob": (4, 3)}


def test_anchor_targets_have_the_shapes_of_the_scores(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    python = 'python_param { module: "rpn.anchor_target_layer" layer: "AnchorTargetLayer" }'
    net.write_text(
        input_layers({"score": (1, 18, 6, 8), "gt": (3, 5), "info": (1, 3), "data": (1, 3, 96, 128)})
        + 'layer { name: "t" type: "Python" bottom: "score" bottom: "gt" bottom: "info" bottom: "data" '
        + f'top: "labels" top: "targets" top: "in" top: "out" {python} }}\n'
    )
    shapes = caffe2tf.infer_shapes(net)
    assert shapes["labels"] == (1, 1, 54, 8)
    assert shapes["targets"] == shapes["in"] == shapes["out"] == (1, 36, 6, 8)


def test_a_network_begins_behind_its_augmentation(tmp_path: Path) -> None:
    text = (
        input_layers({"raw": (2, 3, 9, 9)})
        + 'layer { name: "aug" type: "BlackAugmentation" bottom: "raw" top: "data" augmentation_param { num: 1 } }\n'
        + HEAD
    )
    done = converted(tmp_path, text, data=(2, 3, 7, 9))
    assert (set(done.inputs), set(done.outputs)) == ({"data"}, {"conv"})


def test_a_bottom_that_nobody_gives_is_an_input_where_its_shape_is_given(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"'data' is not the top of any earlier layer; .* input_shapes={\"data\""):
        converted(tmp_path, HEAD)
    done = converted(tmp_path, HEAD, data=(2, 3, 7, 9))
    assert done.inputs == {"data": (2, 7, 9, 3)}
    assert any("no layer writes 'data', so it is an input" in str(note) for note in done.notes)
    net = tmp_path / "net.prototxt"
    assert caffe2tf.run(net, None, {"data": np.ones((1, 3, 4, 5))})["conv"].shape == (1, 4, 2, 3)


def test_a_sum_of_losses_that_only_chooses_examples_goes_with_them(tmp_path: Path) -> None:
    text = input_layers({"x": (4, 3), "y": (4, 3), "rois": (4, 5), "labels": (4,), "weights": (4, 8)})
    text += (
        'layer { name: "a" type: "LpqLoss" bottom: "x" bottom: "labels" top: "a" }\n'
        'layer { name: "b" type: "JfdaLoss" bottom: "y" bottom: "labels" top: "b" }\n'
        'layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }\n'
        'layer { name: "ohem" type: "BoxAnnotatorOHEM" bottom: "rois" bottom: "sum" bottom: "labels" bottom: "weights" '
        'top: "hard" top: "hard_weights" }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "hard" top: "loss" }\n'
    )
    done = converted(tmp_path, text)
    assert set(done.outputs) == {"prob", "y"}
