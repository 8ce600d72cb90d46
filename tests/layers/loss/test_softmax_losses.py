"""SoftmaxWithLoss and InfogainLoss: recordings of Caffe, and every parameter against loops in Caffe's order."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError, UnsupportedError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.activation.softmax import Softmax
from caffe2tf.layers.loss.softmax_losses import SoftmaxWithLoss
from tests.builders import layer
from tests.layers.emitted import emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

Shape = tuple[int, ...]
SMALLEST = float(np.finfo(np.float32).tiny)


def softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def expected(
    x: Array, labels: Array, axis: int, mode: str, ignored: int | None, matrix: Array | None = None
) -> tuple[float, Array]:
    """Return the loss and the probabilities, by loops over Caffe's outer, inner and class indices."""
    p = softmax(x, axis)
    axis %= x.ndim
    outer, classes, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    flat, total, valid = p.reshape(outer, classes, inner), 0.0, 0
    for i in range(outer):
        for j in range(inner):
            label = int(labels.reshape(-1)[i * inner + j])
            if label == ignored:
                continue
            valid += 1
            if matrix is None:
                total -= math.log(max(flat[i, label, j], SMALLEST))
                continue
            for k in range(classes):
                total -= matrix.reshape(-1)[label * classes + k] * math.log(max(flat[i, k, j], 1e-20))
    by = {"FULL": outer * inner, "VALID": valid, "BATCH_SIZE": outer, "NONE": 1}[mode]
    return total / max(1, by), p


def loss_layer(type_: str, parameters: str = "", *, bottoms: str = "xy", tops: int = 1) -> str:
    return layer(type_, "out", bottoms, ["loss", "p"][:tops], parameters)


def draw(rng: np.random.Generator, shape: Shape, axis: int, labels: Shape) -> tuple[Array, Array]:
    x = (rng.standard_normal(shape) * 3).astype(np.float32)
    return x, rng.integers(0, shape[axis], labels).astype(np.float32)


@pytest.mark.parametrize("case", recorded("softmax_loss"))
def test_recorded(case: str) -> None:
    check_recorded(case)


PLACES: list[tuple[Shape, int, Shape]] = [
    ((4, 6), 1, (4,)),
    ((4, 6), -1, (4, 1, 1, 1)),
    ((2, 3, 4, 5), 1, (2, 1, 4, 5)),
    ((2, 3, 4, 5), 1, (2, 20)),
    ((2, 3, 4, 5), 2, (2, 3, 5)),
    ((2, 3, 4, 5), -1, (2, 3, 4)),
    ((2, 3, 4, 5), 3, (2, 12)),
    ((3, 4, 2), 1, (3, 2)),
    ((6, 2, 3), 0, (6,)),
]


@pytest.mark.parametrize(("shape", "axis", "labels"), PLACES)
@pytest.mark.parametrize(
    ("parameters", "mode", "ignored"),
    [
        ("", "VALID", None),
        ("ignore_label: 2", "VALID", 2),
        ("normalization: FULL ignore_label: 0", "FULL", 0),
        ("normalization: BATCH_SIZE", "BATCH_SIZE", None),
        ("normalization: NONE ignore_label: 1", "NONE", 1),
        ("normalize: false ignore_label: 1", "BATCH_SIZE", 1),
        ("normalize: true ignore_label: 255", "VALID", 255),
        ("normalize: false normalization: FULL", "FULL", None),
    ],
)
def test_softmax_loss(
    shape: Shape, axis: int, labels: Shape, parameters: str, mode: str, ignored: int | None, rng: np.random.Generator
) -> None:
    x, y = draw(rng, shape, axis, labels)
    if ignored == 255:
        y.reshape(-1)[::3] = 255
    text = f"loss_param {{ {parameters} }} softmax_param {{ axis: {axis} }}"
    out = run_layer(loss_layer("SoftmaxWithLoss", text, tops=2), {"x": x, "y": y})
    want, p = expected(x, y, axis, mode, ignored)
    assert out["loss"].shape == ()
    assert_matches(out["loss"], want)
    assert_matches(out["p"], p)


@pytest.mark.parametrize(("shape", "axis", "labels"), PLACES[:7])
@pytest.mark.parametrize(
    ("parameters", "mode", "ignored"),
    [("", "VALID", None), ("ignore_label: 2", "VALID", 2), ("normalization: BATCH_SIZE", "BATCH_SIZE", None)],
)
def test_infogain_loss(
    shape: Shape, axis: int, labels: Shape, parameters: str, mode: str, ignored: int | None, rng: np.random.Generator
) -> None:
    x, y = draw(rng, shape, axis, labels)
    matrix = rng.standard_normal((1, 1, shape[axis], shape[axis])).astype(np.float32)
    text = f"loss_param {{ {parameters} }} infogain_loss_param {{ axis: {axis} }}"
    out = run_layer(loss_layer("InfogainLoss", text, bottoms="xyh", tops=2), {"x": x, "y": y, "h": matrix})
    want, p = expected(x, y, axis, mode, ignored, matrix)
    assert_matches(out["loss"], want)
    assert_matches(out["p"], p)


def test_probabilities_are_bounded_below() -> None:
    x = np.array([[300, 0, -5], [1, 2, 3]], np.float32)
    y = np.array([1, 0], np.float32)
    have = run_layer(loss_layer("SoftmaxWithLoss"), {"x": x, "y": y})["loss"]
    assert_matches(have, expected(x, y, 1, "VALID", None)[0])
    identity = np.eye(3, dtype=np.float32)
    have = run_layer(loss_layer("InfogainLoss", bottoms="xyh"), {"x": x, "y": y, "h": identity})["loss"]
    assert_matches(have, expected(x, y, 1, "VALID", None, identity)[0])


def test_a_certain_prediction_costs_nothing() -> None:
    scores = np.stack([np.zeros(40), np.full(40, -60.0)], axis=1).astype(np.float32)
    text = loss_layer("SoftmaxWithLoss", "loss_param { normalization: NONE }")
    assert run_layer(text, {"x": scores, "y": np.zeros(40)})["loss"] == 0


def test_the_loss_is_zero_if_all_labels_are_ignored() -> None:
    fed = {"x": np.ones((2, 3), np.float32), "y": np.full(2, 9, np.float32)}
    assert run_layer(loss_layer("SoftmaxWithLoss", "loss_param { ignore_label: 9 }"), fed)["loss"] == 0


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_without_a_class_gives_nan(label: int) -> None:
    fed = {"x": np.ones((2, 3), np.float32), "y": np.array([1, label], np.float32), "h": np.eye(3, dtype=np.float32)}
    assert np.isnan(run_layer(loss_layer("SoftmaxWithLoss"), {n: fed[n] for n in "xy"})["loss"])
    assert np.isnan(run_layer(loss_layer("InfogainLoss", bottoms="xyh"), fed)["loss"])


def test_scores_of_images_are_not_transposed() -> None:
    pool = layer("Pooling", "pool", ["data"], ["x"], "pooling_param { kernel_size: 2 }")
    source = emitted(pool + loss_layer("SoftmaxWithLoss"), {"data": (2, 3, 5, 6), "y": (2, 1, 4, 5)}, keep_losses=True)
    assert "Permute" not in source
    assert 'SoftmaxWithLoss(name="out")' in source
    assert 'keras.Input((5, 6, 3), name="data")' in source


def test_a_softmax_remains_if_the_loss_is_left_out() -> None:
    shapes = {"x": (2, 3, 4, 5), "y": (2, 1, 4, 5)}
    source = emitted(loss_layer("SoftmaxWithLoss"), shapes)
    assert "layers.Softmax(" in source
    assert "SoftmaxWithLoss(" not in source
    loss = SoftmaxWithLoss(axis=2, ignore_label=None, normalization="VALID")
    assert loss.activation() == Softmax(axis=2)


def test_classes_along_axis_0_fix_the_batch() -> None:
    loss = SoftmaxWithLoss(axis=0, ignore_label=None, normalization="VALID")
    assert loss.trace_batch([True, True], [(4, 5), (4,)], [()]) is Batch.FIXED


def test_the_matrix_cannot_be_read_from_a_file(rng: np.random.Generator) -> None:
    """Such a loss can be left out, but not computed."""
    text = loss_layer("InfogainLoss", 'infogain_loss_param { source: "matrix.binaryproto" }')
    assert "layers.Softmax(" in emitted(text, {"x": (4, 6), "y": (4,)})
    x, y = draw(rng, (4, 6), 1, (4,))
    with pytest.raises(UnsupportedError, match=r"from a file \('matrix.binaryproto'\) is not supported"):
        run_layer(text, {"x": x, "y": y})


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        (loss_layer("SoftmaxWithLoss"), ((3, 4), (2,)), "same extent along axis 0, not 3 and 2"),
        (
            loss_layer("SoftmaxWithLoss"),
            ((3, 4), (3, 2)),
            r"one label for each prediction: 3 \(3x4 without axis 1\), not 6",
        ),
        (loss_layer("SoftmaxWithLoss"), ((3, 4, 5), (3,)), r"one label for each prediction: 15"),
        (
            loss_layer("SoftmaxWithLoss", "softmax_param { axis: 2 }"),
            ((3, 4), (3,)),
            "softmax_param.axis: axis 2 is out of",
        ),
        (
            loss_layer("InfogainLoss", "infogain_loss_param { axis: 2 }", bottoms="xyh"),
            ((3, 4), (3,), (4, 4)),
            "infogain_loss_param.axis: axis 2 is out of",
        ),
        (loss_layer("InfogainLoss", bottoms="xyh"), ((3, 4), (3,), (3, 4)), "matrix must have 4 x 4 values, not 12"),
        (
            loss_layer("InfogainLoss"),
            ((3, 4), (3,)),
            "the matrix is required: as a third bottom, or as a file in infogain_loss_param.source",
        ),
        (
            loss_layer("InfogainLoss", "loss_param { normalize: true }", bottoms="xyh"),
            ((3, 4), (3,), (4, 4)),
            "InfogainLoss does not take loss_param.normalize",
        ),
    ],
)
def test_errors(text: str, shapes: tuple[Shape, ...], message: str) -> None:
    fed = {n: np.zeros(s, np.float32) for n, s in zip("xyh", shapes, strict=False)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, fed)
