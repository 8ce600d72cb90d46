"""YoloDetectionOutput, Yolov3DetectionOutput, Region: every parameter against Caffe's loops, and every error."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.detection.yolo import Region, YoloDetectionOutput, Yolov3DetectionOutput
from tests.builders import input_layers, layer, write_prototxt
from tests.layers.emitted import built, calls
from tests.layers.oracle import Array, assert_matches, run_layer

F = np.float32
BIASES = (0.73, 0.87, 2.42, 2.65, 1.3, 0.4, 4.3, 7.04, 0.5, 0.2)


class Box(NamedTuple):
    x: np.float32
    y: np.float32
    w: np.float32
    h: np.float32
    label: int
    score: np.float32

    def ends(self) -> tuple[np.float32, ...]:
        half_w, half_h = self.w / F(2), self.h / F(2)
        return self.x - half_w, self.y - half_h, self.x + half_w, self.y + half_h


def sigmoid(x: np.float32 | Array) -> np.float32:
    return F(1 / (1 + np.exp(-np.float64(x))))


def overlap(a: Box, b: Box) -> np.float32:
    left, top, right, bottom = (f(p, q) for f, p, q in zip((max, max, min, min), a.ends(), b.ends(), strict=True))
    shared = F(0) if right < left or bottom < top else (right - left) * (bottom - top)
    with np.errstate(invalid="ignore"):
        return shared / (a.w * a.h + b.w * b.h - shared)


def rows(found: list[Box], threshold: float, images: int) -> Array:
    """Return the top: each box that is kept removes all later ones that overlap it."""
    ordered = sorted(found, key=lambda b: -b.score)
    kept: list[Box] = []
    for box in ordered:
        if not any(overlap(k, box) >= F(threshold) for k in kept):
            kept.append(box)
    lines = [[0, b.label + 1, b.score, *b.ends()] for b in kept]
    return np.array(lines or [[n, *[-1] * 6] for n in range(images)], F)[None, None]


def yolo2(maps: Sequence[Array], classes: int, biases: Sequence[float], least: float, nms: float) -> Array:
    found, boxes = [], len(biases) // 2
    for x in maps[:2]:
        side = x.shape[3]
        for b, j, i, n in product(range(len(x)), range(side), range(side), range(boxes)):
            v = x[b, :, j, i].reshape(boxes, -1)[n]
            chances = np.exp(v[5 : 5 + classes] - v[5 : 5 + classes].max())
            chances /= chances.sum()
            score = sigmoid(v[4]) * chances.max()
            if score >= F(least):
                w, h = np.exp(v[2:4]) * np.array(biases[2 * n : 2 * n + 2], F) / F(side)
                x_, y_ = (F(i) + sigmoid(v[0])) / F(side), (F(j) + sigmoid(v[1])) / F(side)
                found.append(Box(x_, y_, w, h, int(chances.argmax()), score))
    return rows(found, nms, len(maps[0]))


class V3(NamedTuple):
    classes: int = 3
    boxes: int = 2
    biases: tuple[float, ...] = (10, 13, 16, 30, 33, 23, 30, 61)
    mask: tuple[int, ...] = (2, 3, 1, 0)
    scales: tuple[int, ...] = (16, 8)
    least: float = 0.3
    nms: float = 0.45

    def layer(self, bottoms: Sequence[str] = "ab") -> str:
        repeated = {"biases": self.biases, "mask": self.mask, "anchors_scale": self.scales}
        listed = " ".join(f"{k}: {v}" for k, values in repeated.items() for v in values)
        return yolo_layer(
            "Yolov3DetectionOutput",
            bottoms,
            f"num_classes: {self.classes} num_box: {self.boxes} {listed} mask_group_num: {len(bottoms)} "
            f"confidence_threshold: {self.least} nms_threshold: {self.nms}",
        )

    def detections(self, maps: Sequence[Array]) -> Array:
        found, values = [], 5 + self.classes
        for t, x in enumerate(maps):
            _, _, height, width = x.shape
            for b, j, i, n in product(range(len(x)), range(height), range(width), range(self.boxes)):
                v = x[b, n * values : (n + 1) * values, j, i]
                anchor = self.mask[t * (len(self.mask) // len(maps)) + n]
                bias = np.array(self.biases[2 * anchor : 2 * anchor + 2], F)
                w, h = np.exp(v[2:4]) * bias / (np.array([width, height], F) * F(self.scales[t]))
                x_, y_ = (F(i) + sigmoid(v[0])) / F(width), (F(j) + sigmoid(v[1])) / F(height)
                scores = [(c, sigmoid(v[5 + c]) * sigmoid(v[4])) for c in range(self.classes)]
                found += [Box(x_, y_, w, h, c, score) for c, score in scores if score > F(self.least)]
        return rows(found, self.nms, len(maps[0]))


def yolo_layer(kind: str, bottoms: Sequence[str], parameters: str) -> str:
    blocks = {"YoloDetectionOutput": "yolo_detection_output_param", "Region": "region_param"}
    block = blocks.get(kind, "yolov3_detection_output_param")
    return layer(kind, "found", bottoms, ["out"], f"{block} {{ {parameters} }}")


def layer2(bottoms: Sequence[str], classes: int = 3, biases: Sequence[float] = BIASES[:4], rest: str = "") -> str:
    listed = " ".join(f"biases: {b}" for b in biases)
    parameters = f"num_classes: {classes} num_box: {len(biases) // 2} {listed} {rest}"
    return yolo_layer("YoloDetectionOutput", bottoms, parameters)


def draw(rng: np.random.Generator, *shape: int) -> Array:
    return (1.5 * rng.standard_normal(shape)).astype(F)


def test_v2(rng: np.random.Generator) -> None:
    sizes = set()
    for number in range(12):
        classes, boxes, images = int(rng.integers(1, 5)), int(rng.integers(1, 6)), int(rng.integers(1, 4))
        least, nms = float(rng.choice([0.01, 0.3, 0.6, 1.5])), float(rng.choice([0.2, 0.45, 0.9, 2.0]))
        maps = [draw(rng, images, boxes * (5 + classes), s, s) for s in rng.integers(1, 6, 1 + number % 3)]
        text = layer2(
            "abc"[: len(maps)], classes, BIASES[: 2 * boxes], f"confidence_threshold: {least} nms_threshold: {nms}"
        )
        have = run_layer(text, dict(zip("abc", maps, strict=False)))["out"]
        want = yolo2(maps, classes, BIASES[: 2 * boxes], least, nms)
        assert_matches(have, want, text)
        sizes.add(want.shape[2])
    assert len(sizes) > 6


def test_v2_defaults(rng: np.random.Generator) -> None:
    """The defaults are 5 boxes and thresholds of 0.01 and 0.45; channels after the classes are ignored."""
    x = draw(rng, 1, 45, 3, 3)
    text = yolo_layer("YoloDetectionOutput", "a", "num_classes: 2 side: 13 " + " ".join(f"biases: {b}" for b in BIASES))
    assert_matches(run_layer(text, {"a": x})["out"], yolo2([x], 2, BIASES, 0.01, 0.45))


def test_v2_reads_the_square_at_the_top_of_a_high_map(rng: np.random.Generator) -> None:
    x = draw(rng, 2, 16, 5, 3)
    have = run_layer(layer2("a"), {"a": x})["out"]
    assert_matches(have, yolo2([x], 3, BIASES[:4], 0.01, 0.45))


@pytest.mark.parametrize("case", range(10))
def test_v3(case: int, rng: np.random.Generator) -> None:
    p = V3(
        classes=int(rng.integers(1, 5)),
        boxes=int(rng.integers(1, 4)),
        biases=tuple(np.round(rng.uniform(3, 40, 12), 2).tolist()),
        mask=tuple(rng.permutation(6).tolist()) * 2,
        scales=(16, 8, 4),
        least=float(rng.choice([0.01, 0.3, 0.5])),
        nms=float(rng.choice([0.2, 0.45, 0.8])),
    )
    images = int(rng.integers(1, 3))
    maps = [draw(rng, images, p.boxes * (5 + p.classes), *rng.integers(1, 5, 2)) for _ in range(1 + case % 3)]
    have = run_layer(p.layer("abc"[: len(maps)]), dict(zip("abc", maps, strict=False)))["out"]
    assert_matches(have, p.detections(maps), str(p))


@pytest.mark.parametrize("nms", [0.45, 1.5])
def test_v3_suppresses_classes_of_the_same_box(nms: float, rng: np.random.Generator) -> None:
    """A box keeps its best class only, unless its area is 0 or the threshold is greater than 1."""
    maps = [draw(rng, 1, 16, 3, 4), draw(rng, 1, 16, 2, 5)]
    maps[0][:, [2, 3, 10, 11]] = -200  # exp underflows to 0
    p = V3(least=0.2, nms=nms)
    want = p.detections(maps)
    assert len(np.unique(want[0, 0, :, 3:], axis=0)) < want.shape[2]
    assert_matches(run_layer(p.layer(), dict(zip("ab", maps, strict=True)))["out"], want)


def test_v3_without_detections(rng: np.random.Generator) -> None:
    maps = {"a": draw(rng, 3, 16, 2, 3), "b": draw(rng, 3, 16, 4, 5)}
    out = run_layer(V3(least=1.5).layer(), maps)["out"]
    assert np.array_equal(out[0, 0], [[n, *[-1] * 6] for n in range(3)])


def test_v3_after_convolutions_needs_no_transposition() -> None:
    text = "".join(
        layer("Convolution", n, ["x"], parameters=f"convolution_param {{ num_output: 16 kernel_size: {k} }}")
        for n, k in (("a", 3), ("b", 1))
    )
    assert calls(text + V3().layer(), {"x": (1, 3, 5, 6)}) == ["Conv2D", "Conv2D", "Yolov3DetectionOutput"]


def test_any_batch_size_and_saved_models(rng: np.random.Generator, tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    maps = [draw(rng, 2, 16, 3, 3), draw(rng, 2, 16, 4, 4)]
    want = {"v3": V3().detections(maps), "v2": yolo2(maps, 3, BIASES[:4], 0.01, 0.45)}
    for name, text in (("v3", V3().layer()), ("v2", layer2("ab"))):
        model = built(text, {"a": (1, 16, 3, 3), "b": (1, 16, 4, 4)})
        fed = {k: tf.constant(m.transpose(0, 2, 3, 1)) for k, m in zip("ab", maps, strict=True)}
        assert_matches(model(fed)["out"], want[name])
        model.save(tmp_path / f"{name}.keras")
        assert_matches(keras.saving.load_model(tmp_path / f"{name}.keras")(fed)["out"], want[name])
        model.export(tmp_path / name, verbose=False)
        assert_matches(tf.saved_model.load(str(tmp_path / name)).serve(fed)["out"], want[name])
        assert_matches(model.predict(fed, verbose=0)["out"], want[name])


@pytest.mark.parametrize("text", [V3(least=0.4).layer(), layer2("ab", rest="confidence_threshold: 0.4")])
def test_fixed_rows(text: str, rng: np.random.Generator, tmp_path: Path) -> None:
    maps = {"a": draw(rng, 2, 16, 3, 3), "b": draw(rng, 2, 16, 4, 4)}
    net = write_prototxt(tmp_path, input_layers({k: m.shape for k, m in maps.items()}) + text)
    conversion = caffe2tf.convert(net, None, tmp_path / "out", fixed_rows=True)
    have = np.asarray(conversion.build()({k: m.transpose(0, 2, 3, 1) for k, m in maps.items()})["out"])
    found = run_layer(text, maps)["out"]
    assert have.shape == (1, 1, 2 * 2 * (9 + 16), 7)
    assert 2 < found.shape[2] < 100
    assert_matches(have[:, :, : found.shape[2]], found)
    assert (have[:, :, found.shape[2] :] == -1).all()


@pytest.mark.parametrize("softmax", [True, False])
def test_region(softmax: bool, rng: np.random.Generator) -> None:
    """The result is Caffe's, and NHWC feature maps are not transposed."""
    x = draw(rng, 2, 24, 4, 5)
    want = x.reshape(2, 3, 8, 4, 5).copy()
    for n, b, j, i in product(range(2), range(3), range(4), range(5)):
        v = want[n, b, :, j, i]
        v[[0, 1, 3]] = [sigmoid(e) for e in v[[0, 1, 3]]]
        scale = np.exp(v[4:]) / np.exp(v[4:]).sum()
        v[4:] = scale if softmax else [sigmoid(e) for e in v[4:]]
    boxes = "num: 3" if softmax else "num: 9 do_softmax: false mask: 6 mask: 7 mask: 8"
    text = yolo_layer("Region", "x", f"classes: 4 coords: 3 {boxes} anchors: 1.5")
    assert_matches(run_layer(text, {"x": x})["out"], want.reshape(x.shape))
    pool = layer("Pooling", "p", ["x"], parameters="pooling_param { kernel_size: 1 }")
    assert calls(pool + text.replace('bottom: "x"', 'bottom: "p"'), {"x": x.shape}) == ["MaxPooling2D", "Region"]


def test_region_defaults(rng: np.random.Generator) -> None:
    x = draw(rng, 1, 25, 2, 3)
    one = run_layer(yolo_layer("Region", "x", ""), {"x": x})["out"]
    assert_matches(one[:, 5:].sum(1), np.ones((1, 2, 3)))
    assert_matches(one[:, 2:4], x[:, 2:4])
    assert_matches(one, run_layer(yolo_layer("Region", "x", "num_classes: 20 coords: 4 num: 1"), {"x": x})["out"])


def test_batch_and_unknown_extents() -> None:
    v2 = YoloDetectionOutput(num_classes=3, anchors=((1, 2), (3, 4)))
    v3 = Yolov3DetectionOutput(num_classes=3, anchors=(((1, 2), (3, 4)),), strides=(8,))
    for made in (v2, v3):
        assert made.infer((None, None, None, 4)) == ((1, 1, None, 7),)
        assert made.trace_batch([True], [(2, 16, 4, 4)], [(1, 1, None, 7)]) is Batch.ABSENT
    assert v3.infer((2, 16, None, None)) == ((1, 1, None, 7),)
    with pytest.raises(Caffe2TFError, match="width of the feature maps must be known"):
        v2.infer((1, 16, 4, None))
    assert Region(boxes=3).infer((None, 75, None, 5)) == ((None, 75, None, 5),)
    assert Region(boxes=3).trace_batch([True], [(2, 75, 4, 5)], [(2, 75, 4, 5)]) is Batch.KEPT


V2 = "num_classes: 3 num_box: 2 biases: 1 biases: 2 biases: 3 biases: 4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (yolo_layer("YoloDetectionOutput", "a", "num_box: 2"), "yolo_detection_output_param.num_classes is required"),
        (
            yolo_layer("YoloDetectionOutput", "a", V2.replace("num_box: 2", "num_box: 0")),
            "num_box must be 1 or more, not 0",
        ),
        (
            yolo_layer("YoloDetectionOutput", "a", V2.replace("num_classes: 3", "num_classes: 0")),
            "num_classes must be 1 or more, not 0",
        ),
        (
            yolo_layer("YoloDetectionOutput", "a", f"{V2} biases: 5"),
            "a width and a height for each box, not 5 numbers",
        ),
        (
            yolo_layer("YoloDetectionOutput", "a", V2.replace("num_box: 2", "num_box: 3")),
            r"num_box \(3\) boxes, 6 numbers, not 4",
        ),
        (
            yolo_layer("YoloDetectionOutput", "a", V2.replace("num_classes: 3", "num_classes: 4")),
            "require 2 x 9 channels .* the feature map has 16",
        ),
        (
            yolo_layer("YoloDetectionOutput", "a", V2.replace("biases: 3", "biases: inf")),
            "yolo_detection_output_param.biases must be finite, not inf",
        ),
        (yolo_layer("YoloDetectionOutput", "w", V2), "square, as Caffe uses their width as their height, not 3x4"),
        (yolo_layer("YoloDetectionOutput", "f", V2), "must have 4 axes .* not 1x16"),
        (V3().layer().replace("num_classes: 3", ""), "num_classes is required"),
        (V3(boxes=0).layer(), "num_box must be 1 or more, not 0"),
        (V3().layer().replace("mask_group_num: 2", "gaussian_box: true"), "gaussian_box is not supported"),
        (V3().layer().replace("mask_group_num: 2", "mask_group_num: 3"), r"\(3\) must be the number of bottoms, 2"),
        (V3(scales=(8,)).layer(), r"anchors_scale must be 1 or more for each of the 2 bottoms, not \[8\]"),
        (V3(scales=(8, 0)).layer(), r"anchors_scale must be 1 or more .* \[8, 0\]"),
        (V3(mask=(0, 1)).layer(), r"mask must hold num_box \(2\) indices for each of the 2 bottoms, not 2 in total"),
        (V3(mask=(0, 1, 2, 4)).layer(), r"mask holds the index 4, but biases give only 4 \(width"),
        (V3(biases=(1, 2, 3)).layer(), "a width and a height for each box, not 3 numbers"),
        (V3(classes=5).layer(), "require 2 x 10 channels .* a feature map has 16"),
        (V3().layer("af"), "must have 4 axes .* not 1x16"),
        (yolo_layer("Region", "a", "classes: 3 num_classes: 4"), "two names of one parameter"),
        (yolo_layer("Region", "a", "classes: 3 num: 0"), "num must be 1 or more, not 0"),
        (yolo_layer("Region", "a", "classes: 0"), "classes must be 1 or more, not 0"),
        (yolo_layer("Region", "a", "coords: 1"), "coords must be 2 or more, including x and y, not 1"),
        (yolo_layer("Region", "a", "do_softmax: false"), "mask is required if do_softmax is false"),
        (
            yolo_layer("Region", "a", "classes: 4 num: 2"),
            "2 boxes of a cell require 2 x 9 channels .* the bottom has 16",
        ),
        (yolo_layer("Region", "f", "classes: 11"), "must have 4 axes"),
        (yolo_layer("Region", "a", "classes: 3 num: 2 boxes_of_each_grid: 5"), "boxes_of_each_grid"),
    ],
)
def test_errors(text: str, message: str) -> None:
    shapes = {"a": (1, 16, 3, 3), "b": (1, 16, 4, 4), "w": (1, 16, 3, 4), "f": (1, 16)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {k: np.ones(s, F) for k, s in shapes.items() if f'bottom: "{k}"' in text})


def test_v2_under_its_early_name(tmp_path: Path) -> None:
    """A DetectionOutput with one bottom is a YoloDetectionOutput."""
    x = draw(np.random.default_rng(5), 1, 2 * (5 + 3), 4, 4)
    parameters = "num_classes: 3 num_box: 2 confidence_threshold: 0.05 biases: 1 biases: 2 biases: 0.5 biases: 0.7"
    early = layer("DetectionOutput", "found", ["x"], ["out"], f"detection_output_param {{ {parameters} }}")
    found = run_layer(early, {"x": x})["out"]
    assert len(found[0, 0]) > 1
    np.testing.assert_array_equal(found, run_layer(yolo_layer("YoloDetectionOutput", "x", parameters), {"x": x})["out"])
    net = write_prototxt(tmp_path, input_layers({"x": x.shape}) + early)
    assert any(
        "read as the layer of early YOLO forks" in str(note) for note in caffe2tf.convert(net, None, tmp_path).notes
    )
