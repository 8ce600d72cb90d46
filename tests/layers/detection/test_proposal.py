"""Proposal, PythonProposal: a recording of Caffe, loops in the order of each, ties, padding, and every error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.detection.proposal import Proposal, PythonProposal
from tests.builders import input_layers, layer, write_prototxt
from tests.layers.emitted import emitted, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

F = np.float32
BOTTOMS = ("scores", "offsets", "info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    scales: tuple[float, ...] = (2.0, 4.0)
    feat_stride: int = 16
    base_size: int = 16
    min_size: int = 16
    pre_nms_topn: int = 60
    post_nms_topn: int = 20
    nms_thresh: float = 0.7

    @property
    def anchors(self) -> int:
        return len(self.ratios) * len(self.scales)


def proposal_layer(settings: Settings, *, scores: bool = False) -> str:
    fields = [*(f"ratio: {r}" for r in settings.ratios), *(f"scale: {s}" for s in settings.scales)]
    names = ("feat_stride", "base_size", "min_size", "pre_nms_topn", "post_nms_topn", "nms_thresh")
    fields += [f"{n}: {getattr(settings, n)}" for n in names]
    parameters = f"proposal_param {{ {' '.join(fields)} }}"
    return layer("Proposal", "rois", BOTTOMS, ["rois", "best"] if scores else ["rois"], parameters)


def python_layer(text: str, *, scores: bool = False) -> str:
    python = f'python_param {{ module: "rpn.proposal_layer" layer: "ProposalLayer" param_str: "{text}" }}'
    return layer("Python", "rois", BOTTOMS, ["rois", "best"] if scores else ["rois"], python)


def draw(
    rng: np.random.Generator, anchors: int, size: tuple[int, int], info: npt.ArrayLike, *, levels: int = 0
) -> dict[str, Array]:
    scores = rng.uniform(0, 1, (1, 2 * anchors, *size))
    scores = np.round(scores * levels) / levels if levels else scores
    offsets = rng.standard_normal((1, 4 * anchors, *size)) * 0.3
    return {"scores": scores.astype(F), "offsets": offsets.astype(F), "info": np.array([info], F)}


def moved(anchor: npt.NDArray[np.float32], offsets: npt.NDArray[np.float32], info: Array) -> list[np.floating]:
    """Return an anchor moved, stretched and clipped to the image, in float32."""
    w, h = anchor[2] - anchor[0] + F(1), anchor[3] - anchor[1] + F(1)
    x, y = offsets[0] * w + (anchor[0] + F(0.5) * w), offsets[1] * h + (anchor[1] + F(0.5) * h)
    w, h = F(np.exp(float(offsets[2]))) * w, F(np.exp(float(offsets[3]))) * h
    box = (x - F(0.5) * w, y - F(0.5) * h, x + F(0.5) * w, y + F(0.5) * h)
    return [max(F(0), min(v, most - F(1))) for v, most in zip(box, (info[1], info[0]) * 2, strict=True)]


def overlap(a: list[np.floating], b: list[np.floating], *, apart: bool) -> float:
    if apart and (a[0] > b[2] or a[1] > b[3] or a[2] < b[0] or a[3] < b[1]):
        return 0.0
    width = max(F(0), min(a[2], b[2]) - max(a[0], b[0]) + F(1))
    height = max(F(0), min(a[3], b[3]) - max(a[1], b[1]) + F(1))
    areas = [(v[2] - v[0] + F(1)) * (v[3] - v[1] + F(1)) for v in (a, b)]
    return float(width * height / (areas[0] + areas[1] - width * height))


def suppressed(rows: list[list[np.floating]], s: Settings, *, apart: bool) -> list[list[np.floating]]:
    kept: list[list[np.floating]] = []
    for row in rows[: s.pre_nms_topn]:
        if len(kept) < s.post_nms_topn and all(overlap(k, row, apart=apart) <= F(s.nms_thresh) for k in kept):
            kept.append(row)
    return kept


def quicksort(rows: list[list[np.floating]], start: int, end: int, top: int) -> None:
    """Sort as Caffe does, on which the order of rows of equal score depends."""
    pivot, left, right = rows[start][4], start + 1, end
    while left <= right:
        while left <= end and rows[left][4] >= pivot:
            left += 1
        while right > start and rows[right][4] <= pivot:
            right -= 1
        if left <= right:
            rows[left], rows[right] = rows[right], rows[left]
            left, right = left + 1, right - 1
    rows[start], rows[right] = rows[right], rows[start]
    if start < right - 1:
        quicksort(rows, start, right - 1, top)
    if right + 1 < min(top, end):
        quicksort(rows, right + 1, end, top)


def proposals(fed: Mapping[str, Array], s: Settings) -> list[list[np.floating]]:
    """Return rows of left, top, right, bottom and score by the loops of PVANet's Caffe."""
    info, rows = fed["info"][0], []
    sides = []
    for ratio in map(F, s.ratios):
        width = F(int(np.sqrt(F(s.base_size**2) / ratio) + F(0.5)))
        height = F(int(width * ratio + F(0.5)))
        sides += [(F(0.5) * (width * F(k) - F(1)), F(0.5) * (height * F(k) - F(1))) for k in s.scales]
    middle = F(0.5) * F(s.base_size - 1)
    least = s.min_size * info[3 if len(info) > 3 else 2], s.min_size * info[2]
    for i, j in np.ndindex(fed["scores"].shape[2:]):
        x, y = F(j * s.feat_stride), F(i * s.feat_stride)
        for k, (w, h) in enumerate(sides):
            anchor = np.array([x + (middle - w), y + (middle - h), x + (middle + w), y + (middle + h)], F)
            box = moved(anchor, fed["offsets"][0, 4 * k : 4 * k + 4, i, j], info)
            large = box[2] - box[0] + F(1) >= least[0] and box[3] - box[1] + F(1) >= least[1]
            rows.append([*box, F(large) * fed["scores"][0, s.anchors + k, i, j]])
    quicksort(rows, 0, len(rows) - 1, s.pre_nms_topn)
    return suppressed(rows, s, apart=True)


def python_proposals(fed: Mapping[str, Array], s: Settings) -> list[list[np.floating]]:
    """Return such rows by the rules of py-faster-rcnn's Python layer."""
    info, rows = fed["info"][0], []
    for i, j in np.ndindex(fed["scores"].shape[2:]):
        for k, (ratio, scale) in enumerate((r, c) for r in s.ratios for c in s.scales):
            width = np.round(np.sqrt(256 / ratio))
            half = 0.5 * (scale * np.array([width, np.round(width * ratio)]) - 1)
            center = 7.5 + s.feat_stride * np.array([j, i])
            anchor = np.concatenate([center - half, center + half]).astype(F)
            box = moved(anchor, fed["offsets"][0, 4 * k : 4 * k + 4, i, j], info)
            if min(box[2] - box[0], box[3] - box[1]) + F(1) >= s.min_size * info[2]:
                rows.append([*box, fed["scores"][0, s.anchors + k, i, j]])
    rows.sort(key=lambda row: -row[4])
    return suppressed(rows, s, apart=False)


def check(have: Mapping[str, Array], rows: list[list[np.floating]]) -> None:
    want = np.array(rows, F).reshape(-1, 5)
    assert_matches(have["rois"][:, 1:], want[:, :4], "rois", tolerance=1e-6)
    assert not have["rois"][:, 0].any()
    if "best" in have:
        assert np.array_equal(have["best"].reshape(-1), want[:, 4])


@pytest.mark.parametrize("case", recorded("fork_proposal"))
def test_recorded(case: str) -> None:
    check_recorded(case)


SWEEP = {
    "plain": Settings(),
    "one anchor": Settings(ratios=(1.0,), scales=(3.0,), pre_nms_topn=12, nms_thresh=0.3),
    "base 8": Settings(base_size=8, feat_stride=8, scales=(2.5, 5.0, 9.0), min_size=8),
    "ratios": Settings(ratios=(0.333, 0.667, 1.5, 3.0), feat_stride=12, min_size=20),
    "all": Settings(pre_nms_topn=10000, post_nms_topn=10000, nms_thresh=0.9),
    "first": Settings(pre_nms_topn=1, post_nms_topn=1),
    "strict": Settings(nms_thresh=0.0),
    "small boxes": Settings(scales=(1.0, 2.0), min_size=30, pre_nms_topn=200, post_nms_topn=100),
}


@pytest.mark.parametrize("name", SWEEP)
def test_values(name: str, rng: np.random.Generator) -> None:
    sizes = {(5, 7): (80, 112, 1), (6, 3): (90, 50, 1.25), (4, 6): (60, 100, 0.75, 1.5)}
    size = list(sizes)[list(SWEEP).index(name) % len(sizes)]
    fed = draw(rng, SWEEP[name].anchors, size, sizes[size])
    have = run_layer(proposal_layer(SWEEP[name], scores=True), fed)
    assert have["best"].shape == have["rois"].shape[:1]
    check(have, proposals(fed, SWEEP[name]))


@pytest.mark.parametrize(("name", "levels"), [("plain", 20), ("all", 3), ("small boxes", 20), ("small boxes", 1)])
def test_ties_are_in_the_order_of_caffes_sorting_algorithm(name: str, levels: int, rng: np.random.Generator) -> None:
    fed = draw(rng, SWEEP[name].anchors, (6, 7), (96, 112, 1), levels=levels)
    check(run_layer(proposal_layer(SWEEP[name], scores=True), fed), proposals(fed, SWEEP[name]))


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("'feat_stride': 16", Settings(scales=(8, 16, 32))),
        ("{'feat_stride': 8, 'scales': [2, 3.5]}", Settings(feat_stride=8, scales=(2, 3.5))),
        ("feat_stride: 12\\nscales: !!python/tuple [1, 4]", Settings(feat_stride=12, scales=(1, 4))),
        (
            "{'feat_stride': 16, 'ratios': [0.333, 1, 1.5], 'scales': [2, 3]}",
            Settings(ratios=(0.333, 1, 1.5), scales=(2, 3)),
        ),
    ],
)
def test_the_python_layer(text: str, settings: Settings, rng: np.random.Generator) -> None:
    stride, size = settings.feat_stride, (8, 9)
    fed = draw(rng, settings.anchors, size, (size[0] * stride, size[1] * stride, 1.5))
    have = run_layer(python_layer(text, scores=True), fed)
    assert have["best"].shape == (len(have["rois"]), 1)
    want = python_proposals(fed, replace(settings, pre_nms_topn=6000, post_nms_topn=300))
    assert len(want) > 5
    check(have, want)


def test_all_boxes_may_be_too_small(rng: np.random.Generator) -> None:
    fed = draw(rng, 9, (3, 4), (48, 64, 20))
    have = run_layer(python_layer("'feat_stride': 16", scores=True), fed)
    assert have["rois"].shape == (0, 5)
    assert have["best"].shape == (0, 1)


def test_without_ratios_and_scales_it_is_synopsys_layer(rng: np.random.Generator) -> None:
    text = layer("Proposal", "rois", BOTTOMS, parameters="proposal_param { feat_stride: 16 }")
    fed = draw(rng, 9, (5, 7), (80, 112, 1))
    settings = Settings(scales=(8, 16, 32), pre_nms_topn=6000, post_nms_topn=300)
    check(run_layer(text, fed), python_proposals(fed, settings))


@pytest.mark.parametrize(
    "text", [proposal_layer(Settings(), scores=True), python_layer("'feat_stride': 16", scores=True)]
)
def test_fixed_rows_are_padded_with_zeros(text: str, rng: np.random.Generator) -> None:
    rows, anchors = (300, 9) if "Python" in text else (20, 6)
    fed = draw(rng, anchors, (1, 2), (48, 64, 1))
    found = run_layer(text, fed)
    with TemporaryDirectory() as folder:
        path = write_prototxt(Path(folder), input_layers({n: a.shape for n, a in fed.items()}) + text)
        model = caffe2tf.convert(path, None, Path(folder) / "out", fixed_rows=True).build()
    assert {n: tuple(t.shape) for n, t in model.output.items()} == {
        "rois": (rows, 5),
        "best": (rows, 1) if "Python" in text else (rows,),
    }
    have = model({n: a if a.ndim < 4 else a.transpose(0, 2, 3, 1) for n, a in fed.items()})
    for name, array in found.items():
        if name in ("rois", "best"):
            assert 0 < len(array) < rows
            assert np.array_equal(have[name][: len(array)], array)
            assert not np.asarray(have[name][len(array) :]).any()


def test_proposals_can_be_pooled(rng: np.random.Generator) -> None:
    """No transposition is needed between proposals and pooling."""
    grid = "roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.0625 }"
    pool = layer("ROIPooling", "pool", ["scores", "rois"], parameters=grid)
    pool += layer("InnerProduct", "fc", ["pool"], parameters="inner_product_param { num_output: 5 }")
    fed = draw(rng, 6, (5, 7), (80, 112, 1))
    have = run_layer(proposal_layer(Settings()) + pool, fed)
    assert have["pool"].shape == (len(have["rois"]), 12, 2, 3)
    assert have["fc"].shape == (len(have["rois"]), 5)
    source = emitted(proposal_layer(Settings()) + pool, {n: a.shape for n, a in fed.items()})
    assert "Permute" not in source
    assert "Transpose" not in source


@pytest.mark.parametrize(
    "text", [proposal_layer(Settings(), scores=True), python_layer("feat_stride: 16", scores=True)]
)
def test_saved_models(text: str, rng: np.random.Generator, tmp_path: Path) -> None:
    import tensorflow as tf

    fed = draw(rng, 9 if "Python" in text else 6, (5, 7), (80, 112, 1))
    want = run_layer(text, fed)
    prototxt = write_prototxt(tmp_path, input_layers({n: a.shape for n, a in fed.items()}) + text)
    model = caffe2tf.convert(prototxt, None, tmp_path / "out").build()
    nhwc = {n: a if a.ndim < 4 else a.transpose(0, 2, 3, 1) for n, a in fed.items()}
    for array in reloaded(model, list(nhwc.values())):
        assert_matches(array, want["rois" if array.shape[1:] == (5,) else "best"])
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved").serve({n: tf.constant(a) for n, a in nhwc.items()})
    assert np.array_equal(served["rois"], want["rois"])


def test_emitted_code_and_remarks() -> None:
    shapes = {"scores": (1, 12, 5, 7), "offsets": (1, 24, 5, 7), "info": (1, 3)}
    source = emitted(proposal_layer(Settings()), shapes)
    assert "Proposal(scales=(2.0, 4.0), feat_stride=16, pre_nms_topn=60, post_nms_topn=20, nms_thresh=0.7" in source
    layers = (
        Proposal(ratios=(1.0,), scales=(8.0,), feat_stride=16),
        PythonProposal(ratios=(1.0,), scales=(8.0,), feat_stride=16, ignored=("phase",)),
    )
    assert layers[0].remarks() == ()
    assert "6000 boxes before and 300 after" in layers[1].remarks()[0]
    assert layers[1].remarks()[1] == "keys of param_str that are ignored: phase"
    assert layers[0].trace_batch([True] * 3, [], []) is Batch.FIXED
    assert layers[0].infer((None, 2, None, 4), (1, 4, 5, None), (None, 3)) == ((None, 5), (None,))


PLAIN = proposal_layer(Settings())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN.replace("ratio: 0.5 ratio: 1.0 ratio: 2.0", ""), "ratio and scale must be given together"),
        (PLAIN.replace("ratio: 0.5", "ratio: 0"), "proposal_param.ratio must be greater than 0, not 0"),
        (PLAIN.replace("scale: 2.0", "scale: -1"), "proposal_param.scale must be greater than 0, not -1"),
        (PLAIN.replace("ratio: 0.5", "ratio: nan"), "proposal_param.ratio must be finite, not nan"),
        (PLAIN.replace("scale: 2.0", "scale: inf"), "proposal_param.scale must be finite, not inf"),
        (PLAIN.replace("base_size: 16", "base_size: 0"), "base_size must be 1 or more, not 0"),
        (PLAIN.replace("pre_nms_topn: 60", "pre_nms_topn: 0"), "pre_nms_topn must be 1 or more, not 0"),
        (PLAIN.replace("post_nms_topn: 20", "post_nms_topn: 0"), "post_nms_topn must be 1 or more, not 0"),
        (PLAIN.replace("scale: 2.0", ""), None),  # unused channels are allowed
        (PLAIN.replace("scale: 2.0", "scale: 2.0 scale: 3.0"), "bottom 0 must have 2 channels for each of 9 anchors"),
        (PLAIN.replace('"offsets"', '"scores"'), "bottom 1 must have 4 channels for each of 6 .*, 24 in all, not 12"),
        (PLAIN.replace('"offsets"', '"other"'), "same height and width, not 1x12x5x7 and 1x24x5x6"),
        (PLAIN.replace('"scores"', '"batch"'), "one image at a time; bottom 0 has a batch of 2"),
        (PLAIN.replace('"scores"', '"info"'), r"bottom 0 must have 4 axes \(N, C, H, W\), not 1x3"),
        (PLAIN.replace('"info"', '"short"'), "height, width and scale, not 2 values"),
        (PLAIN.replace('bottom: "info"', ""), "takes 3 bottoms, 2 given"),
        (python_layer(""), "feat_stride is required in param_str"),
        (python_layer("feat_stride: 0"), "feat_stride in param_str must be an integer greater than 0, not 0"),
        (python_layer("feat_stride: 16.5"), "an integer greater than 0, not 16.5"),
        (python_layer("{'feat_stride': 16, 'scales': []}"), r"scales in param_str must be a list of numbers, not \[\]"),
        (
            python_layer("{'feat_stride': 16, 'ratios': ['a']}"),
            r"ratios in param_str must be a list of numbers, not \['a'\]",
        ),
        (python_layer("{'feat_stride': 16, 'scales': [0]}"), "scales in param_str must be greater than 0"),
        (python_layer("{'feat_stride': 16, 'scales': [4]}"), "bottom 0 must have 2 channels .* 6 in all, not 12"),
    ],
)
def test_errors(text: str, message: str | None, rng: np.random.Generator) -> None:
    fed = draw(rng, 6, (5, 7), (80, 112, 1))
    fed |= {"other": fed["offsets"][..., :6], "short": fed["info"][:, :2], "batch": np.ones((2, 12, 5, 7), F)}
    if message is None:
        run_layer(text, fed)
        return
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, fed)
