"""DetectionOutput: recordings of Caffe, every parameter against loops in Caffe's order, and a fixed number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.detection.detection_output import DetectionOutput
from tests.builders import input_layers, layer, write_prototxt
from tests.layers.emitted import built
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

F = np.float32
Parameters = dict[str, Any]

PLAIN: Parameters = {
    "num_classes": 3,
    "share_location": True,
    "background_label_id": 0,
    "code_type": "CORNER",
    "variance_encoded_in_target": False,
    "nms_threshold": 0.3,
    "top_k": -1,
    "eta": 1.0,
    "keep_top_k": -1,
    "confidence_threshold": None,
}


def detection_layer(bottoms: Sequence[str] = ("loc", "conf", "prior"), **changed: object) -> str:
    p = {k: v for k, v in (PLAIN | changed).items() if k in changed or k == "num_classes"}
    nms = " ".join(f"{k}: {p.pop(k)}" for k in ("nms_threshold", "top_k", "eta") if k in p)
    own = " ".join(f"{k}: {str(v).lower() if isinstance(v, bool) else v}" for k, v in p.items() if v is not None)
    parameters = f"detection_output_param {{ {own} nms_param {{ {nms} }} }}"
    return layer("DetectionOutput", "found", bottoms, ["out"], parameters)


def draw(rng: np.random.Generator, images: int, priors: int, p: Parameters, *, equal: bool = False) -> dict[str, Array]:
    """Return random offsets, scores (with ties if `equal`) and priors; some boxes have negative extents."""
    classes = p["num_classes"]
    own = 1 if p["share_location"] else classes
    corner = rng.uniform(-0.1, 0.7, (priors, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.05, 0.6, (priors, 2))], axis=1)
    variances = rng.uniform(0.05, 0.4, (priors, 4))
    scores = rng.uniform(-0.3, 1, (images, priors * classes))
    return {
        "loc": rng.standard_normal((images, priors * own * 4)).astype(F),
        "conf": (np.round(scores, 1) if equal else scores).astype(F),
        "prior": np.stack([boxes.ravel(), variances.ravel()])[None].astype(F),
    }


def decode(offset: Array, prior: Array, variance: Array, p: Parameters) -> Array:
    if not p["variance_encoded_in_target"]:
        offset = variance * offset
    if p["code_type"] == "CORNER":
        return prior + offset
    w, h = prior[2] - prior[0], prior[3] - prior[1]
    if p["code_type"] == "CORNER_SIZE":
        return prior + offset * np.array([w, h, w, h], F)
    x, y = offset[0] * w + (prior[0] + prior[2]) / F(2), offset[1] * h + (prior[1] + prior[3]) / F(2)
    half_w, half_h = np.exp(offset[2]) * w / F(2), np.exp(offset[3]) * h / F(2)
    return np.array([x - half_w, y - half_h, x + half_w, y + half_h], F)


def area(box: Array) -> np.float32:
    return F(0) if box[2] < box[0] or box[3] < box[1] else (box[2] - box[0]) * (box[3] - box[1])


def overlap(a: Array, b: Array) -> np.float32:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return w * h / (area(a) + area(b) - w * h) if w > 0 and h > 0 else F(0)


def best_of_class(boxes: Array, scores: Array, p: Parameters) -> list[int]:
    threshold = p["confidence_threshold"]
    lowest = -np.finfo(F).max if threshold is None else F(threshold)
    order = sorted((i for i, s in enumerate(scores) if s > lowest), key=lambda i: -scores[i])
    if p["top_k"] > -1:
        order = order[: p["top_k"]]
    kept: list[int] = []
    limit = F(p["nms_threshold"])
    for i in order:
        if all(overlap(boxes[i], boxes[k]) <= limit for k in kept):
            kept.append(i)
            if p["eta"] < 1 and limit > 0.5:
                limit *= F(p["eta"])
    return kept


def detections(given: dict[str, Array], p: Parameters) -> Array:
    """Return the rows in Caffe's order."""
    loc, conf, prior = given["loc"], given["conf"], given["prior"]
    rows: list[list[Any]] = []
    classes, priors = p["num_classes"], prior.shape[2] // 4
    box, variance = prior[0].reshape(2, priors, 4)
    for n in range(len(loc)):
        offsets, scores = loc[n].reshape(priors, -1, 4), conf[n].reshape(priors, classes)
        found: list[tuple[np.float32, int, int, Array]] = []
        for c in range(classes):
            if c != p["background_label_id"]:
                own = [
                    decode(offsets[i, 0 if p["share_location"] else c], box[i], variance[i], p) for i in range(priors)
                ]
                found += [(scores[i, c], c, i, own[i]) for i in best_of_class(np.array(own), scores[:, c], p)]
        if -1 < p["keep_top_k"] < len(found):
            found = sorted(found, key=lambda f: -f[0])[: p["keep_top_k"]]
            found = sorted(found, key=lambda f: f[1])
        rows += [[n, c, score, *corners] for score, c, _, corners in found]
    if not rows:
        rows = [[n, *[-1] * 6] for n in range(len(loc))]
    return np.array(rows, F)[None, None]


@pytest.mark.parametrize("case", recorded("fork_detection_output"))
def test_recorded(case: str) -> None:
    check_recorded(case)


def test_every_parameter(rng: np.random.Generator) -> None:
    sizes = set()
    for number in range(40):
        p = PLAIN | {
            "num_classes": int(rng.integers(1, 6)),
            "share_location": bool(rng.integers(2)),
            "background_label_id": int(rng.choice([0, 0, 2, -1, 9])),
            "code_type": ["CORNER", "CENTER_SIZE", "CORNER_SIZE"][number % 3],
            "variance_encoded_in_target": bool(rng.integers(2)),
            "nms_threshold": float(rng.choice([0.0, 0.3, 0.45, 0.7, 1.5])),
            "top_k": int(rng.choice([-1, -5, 0, 3, 7, 400])),
            "eta": float(rng.choice([1.0, 0.9, 0.6])),
            "keep_top_k": int(rng.choice([-1, -2, 0, 1, 4, 9, 200])),
            "confidence_threshold": (None, 0.01, 0.55, 1.5)[rng.integers(4)],
        }
        given = draw(rng, int(rng.integers(1, 4)), int(rng.integers(2, 18)), p, equal=number % 4 == 0)
        want = detections(given, p)
        have = run_layer(detection_layer(**p), given)["out"]
        assert_matches(have, want, str(p))
        sizes.add(want.shape[2])
    assert len(sizes) > 10


def test_defaults(rng: np.random.Generator) -> None:
    given = draw(rng, 2, 11, PLAIN)
    want = detections(given, PLAIN)
    assert want.shape[2] > 10
    assert_matches(run_layer(detection_layer(), given)["out"], want)


def test_eta_lowers_the_threshold_for_all_boxes_that_are_kept(rng: np.random.Generator) -> None:
    """A box is compared with all boxes kept so far, by the lowered threshold."""
    p = PLAIN | {"eta": 0.7, "nms_threshold": 0.9, "num_classes": 2}
    given = draw(rng, 1, 40, p)
    given["loc"] *= F(0.2)
    want = detections(given, p)
    plain = detections(given, p | {"eta": 1.0})
    assert want.shape[2] < plain.shape[2]
    assert_matches(run_layer(detection_layer(**p), given)["out"], want)


def test_real_size(rng: np.random.Generator) -> None:
    p = PLAIN | {
        "num_classes": 21,
        "code_type": "CENTER_SIZE",
        "nms_threshold": 0.45,
        "top_k": 20,
        "keep_top_k": 200,
        "confidence_threshold": 0.5,
    }
    given = draw(rng, 1, 8732, p)
    want = detections(given, p)
    assert want.shape == (1, 1, 200, 7)
    assert_matches(run_layer(detection_layer(**p), given)["out"], want)


def test_images_without_detections(rng: np.random.Generator) -> None:
    p = PLAIN | {"confidence_threshold": 0.5}
    given = draw(rng, 3, 9, p)
    given["conf"][1] = 0.25
    out = run_layer(detection_layer(**p), given)["out"]
    assert set(out[0, 0, :, 0]) == {0, 2}
    assert_matches(out, detections(given, p))
    given["conf"][:] = 0.25
    assert np.array_equal(run_layer(detection_layer(**p), given)["out"][0, 0], [[n, *[-1] * 6] for n in range(3)])


def test_images_to_be_shown_are_ignored(rng: np.random.Generator) -> None:
    given = draw(rng, 2, 7, PLAIN)
    text = detection_layer(("loc", "conf", "prior", "image"), visualize=True)
    have = run_layer(text, given | {"image": rng.standard_normal((2, 3, 4, 5))})["out"]
    assert_matches(have, detections(given, PLAIN))


def test_the_predictions_of_six_feature_maps(rng: np.random.Generator) -> None:
    """Synopsys' Caffe has scores, offsets and priors as separate bottoms."""
    given = draw(rng, 2, 12, PLAIN)
    cuts = np.cumsum([1, 3, 2, 1, 4])
    confs = dict(zip("abcdef", np.split(given["conf"], 3 * cuts, axis=1), strict=True))
    locs = dict(zip("ghijkl", np.split(given["loc"], 4 * cuts, axis=1), strict=True))
    have = run_layer(detection_layer((*"abcdefghijkl", "prior")), confs | locs | {"prior": given["prior"]})["out"]
    assert_matches(have, detections(given, PLAIN))


def test_predictions_of_nhwc_feature_maps(rng: np.random.Generator) -> None:
    """Flattened feature maps are converted to Caffe's order."""
    p = PLAIN | {"num_classes": 2}
    given = draw(rng, 2, 12, p)
    x = given["loc"].reshape(2, 4, 3, 4)
    text = layer("Pooling", "p", ["x"], parameters="pooling_param { kernel_size: 1 }") + layer("Flatten", "loc", ["p"])
    have = run_layer(text + detection_layer(**p), {"x": x, "conf": given["conf"], "prior": given["prior"]})["out"]
    assert_matches(have, detections(given, p))


def test_any_batch_size_and_saved_models(rng: np.random.Generator, tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    p = PLAIN | {"keep_top_k": 5}
    given = draw(rng, 3, 8, p)
    model = built(detection_layer(**p), {k: (1, *a.shape[1:]) for k, a in given.items()})
    want = detections(given, p)
    fed = {k: tf.constant(a) for k, a in given.items()}
    assert_matches(model(fed)["out"], want)
    model.save(tmp_path / "net.keras")
    assert_matches(keras.saving.load_model(tmp_path / "net.keras")(fed)["out"], want)
    model.export(tmp_path / "net", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "net"))
    assert_matches(served.serve(fed)["out"], want)
    one = {k: a[:1] for k, a in given.items()}
    assert_matches(model.predict(one, verbose=0)["out"], detections(one, p))


@pytest.mark.parametrize("keep", [0, 2, 60])
def test_fixed_rows(keep: int, rng: np.random.Generator, tmp_path: Path) -> None:
    p = PLAIN | {"keep_top_k": keep, "confidence_threshold": 0.6}
    given = draw(rng, 3, 9, p)
    given["conf"][1] = 0.25
    net = write_prototxt(tmp_path, input_layers({k: a.shape for k, a in given.items()}) + detection_layer(**p))
    conversion = caffe2tf.convert(net, None, tmp_path / "out", fixed_rows=True)
    have = np.asarray(conversion.build()(given)["out"])
    want = np.full((1, 1, 3 * keep, 7), -1, F)
    found = detections(given, p)[0, 0]
    for n in range(3):
        own = found[(found[:, 0] == n) & (found[:, 1] > -1)]
        want[0, 0, n * keep : n * keep + len(own)] = own
    assert keep == 0 or 0 < (want[..., 0] < 0).sum() < 3 * keep
    assert_matches(have, want)


def test_fixed_rows_require_keep_top_k(tmp_path: Path) -> None:
    shapes = {"loc": (2, 8), "conf": (2, 6), "prior": (1, 2, 8)}
    net = write_prototxt(tmp_path, input_layers(shapes) + detection_layer())
    with pytest.raises(Caffe2TFError, match=r"requires detection_output_param\.keep_top_k of 0 or more"):
        caffe2tf.convert(net, None, tmp_path / "out", fixed_rows=True)


def test_batch_and_unknown_extents() -> None:
    made = DetectionOutput(num_classes=3)
    shapes = [(2, 8), (2, 6), (1, 2, 8)]
    assert made.trace_batch([True, True, False], shapes, [(1, 1, None, 7)]) is Batch.ABSENT
    assert made.trace_batch([True, False, False], shapes, [(1, 1, None, 7)]) is Batch.FIXED
    assert made.infer((None, None), (2, None), (None, 2, None)) == ((1, 1, None, 7),)
    assert made.infer((None, 8, 1, 1), (2, 6), (1, 2, 9, 1)) == ((1, 1, None, 7),)


SIZES = {"loc": (2, 8), "conf": (2, 6), "prior": (1, 2, 8)}


@pytest.mark.parametrize(
    ("text", "changed", "message"),
    [
        (detection_layer().replace("num_classes: 3", ""), {}, "num_classes is required"),
        (detection_layer(nms_threshold=-0.1), {}, "nms_threshold must be 0 or more, not -0.1"),
        (detection_layer(eta=0.0), {}, "eta must be greater than 0 and at most 1, not 0"),
        (detection_layer(eta=1.5), {}, "eta must be greater than 0 and at most 1, not 1.5"),
        (
            detection_layer(("loc",)),
            {},
            "detection_output_param.biases must hold a width and a height for each of num_box",
        ),
        (detection_layer(("loc", "conf")), {}, r"three bottoms \(offsets, scores, priors\), not 2"),
        (
            detection_layer(("loc", "conf", "prior", "loc", "conf")),
            {},
            "RefineDet's DetectionOutput, which has five bottoms, is not supported",
        ),
        (detection_layer(("loc", "conf", "prior") * 2), {}, "not 6; concatenate"),
        (detection_layer(), {"conf": (3, 6)}, "the same batch size, not 2 and 3"),
        (
            detection_layer(),
            {"loc": (2, 12)},
            "2 priors and num_classes 3 .* there must be 8 offsets for each image, 4 for each",
        ),
        (
            detection_layer(share_location=False),
            {},
            "with share_location false, there must be 24 offsets for each image, 12 for",
        ),
        (detection_layer(), {"conf": (2, 4)}, "there must be 6 scores for each image, 3 for each prior, not 4"),
        (detection_layer(), {"loc": (2, 2, 4)}, r"the offsets must be flattened to \(N, values\), not 2x2x4"),
        (detection_layer(), {"prior": (2, 8)}, r"the priors must be \(1, 2, 4 x number of priors\), not 2x8"),
        (detection_layer(), {"prior": (1, 1, 8)}, "has no room for variances"),
        (
            detection_layer((*"abcdefghijkl", "prior")),
            {},
            "the offsets of several feature maps must have 2 axes, not 2x8x1",
        ),
    ],
)
def test_errors(text: str, changed: dict[str, tuple[int, ...]], message: str) -> None:
    shapes = SIZES | dict.fromkeys("abcdef", (2, 6)) | dict.fromkeys("ghijkl", (2, 8, 1)) | changed
    read = {k: np.ones(s, F) for k, s in shapes.items() if f'bottom: "{k}"' in text}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, read)
