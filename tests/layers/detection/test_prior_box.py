"""PriorBox and PriorBoxClustered: recordings of Caffe, and every parameter against Caffe's loops in float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.detection.prior_box import PriorBox
from tests.builders import layer
from tests.layers.emitted import built, emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

F = np.float32


@dataclass(frozen=True)
class Prior:
    """The parameters in a definition."""

    minima: tuple[float, ...] = (12,)
    maxima: tuple[float, ...] = ()
    ratios: tuple[float, ...] = ()
    flip: bool | None = None
    clip: bool | None = None
    variance: tuple[float, ...] = ()
    image: dict[str, int] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    offset: float | None = None

    @property
    def text(self) -> str:
        """Return the fields of the parameter block."""
        parts = [f"{k}: {v}" for k, v in {**self.image, **self.steps}.items()]
        for name, numbers in (
            *(("min_size", self.minima), ("max_size", self.maxima)),
            *(("aspect_ratio", self.ratios), ("variance", self.variance)),
        ):
            parts += [f"{name}: {v}" for v in numbers]
        for name, one in (("flip", self.flip), ("clip", self.clip), ("offset", self.offset)):
            parts += [] if one is None else [f"{name}: {str(one).lower()}"]
        return " ".join(parts)

    def boxes(self) -> list[tuple[F, F]]:
        """Return width and height of each box of a cell."""
        ratios = [F(1)]
        for ratio in map(F, self.ratios):
            if not any(abs(float(ratio) - float(r)) < 1e-6 for r in ratios):
                ratios.append(ratio)
                if self.flip is not False:
                    ratios.append(F(1 / float(ratio)))
        found = []
        for i, low in enumerate(self.minima):
            size = int(low)
            found.append((F(size), F(size)))
            if self.maxima:
                side = F(math.sqrt(size * int(self.maxima[i])))
                found.append((side, side))
            others = [np.sqrt(r) for r in ratios if abs(float(r) - 1) >= 1e-6]
            found += [(F(size) * root, F(size) / root) for root in others]
        assert len(found) == len(ratios) * len(self.minima) + len(self.maxima)
        return found


def grid(p: Prior, boxes: list[tuple[F, F]], rows: int, columns: int, height: int, width: int) -> Array:
    """Return boxes and variances by Caffe's loops."""
    height = p.image.get("img_size", p.image.get("img_h", height))
    width = p.image.get("img_size", p.image.get("img_w", width))
    down = F(p.steps.get("step", p.steps.get("step_h", F(height) / F(rows))))
    across = F(p.steps.get("step", p.steps.get("step_w", F(width) / F(columns))))
    offset = F(0.5 if p.offset is None else p.offset)
    values: list[F] = []
    variances: list[F] = []
    four = (p.variance or (0.1,)) * (1 if len(p.variance) == 4 else 4)
    for row in range(rows):
        for column in range(columns):
            x, y = float((F(column) + offset) * across), float((F(row) + offset) * down)
            for w, h in boxes:
                values.append(F((x - float(w) / 2.0) / width))
                values.append(F((y - float(h) / 2.0) / height))
                values.append(F((x + float(w) / 2.0) / width))
                values.append(F((y + float(h) / 2.0) / height))
                variances += [F(v) for v in four]
    if p.clip:
        values = [min(max(v, F(0)), F(1)) for v in values]
    return np.array([[values, variances]], np.float32)


def prior(p: Prior, *, name: str = "out", bottoms: Sequence[str] = ("feat", "data")) -> str:
    return layer("PriorBox", name, bottoms, parameters=f"prior_box_param {{ {p.text} }}")


def blank(*shape: int) -> Array:
    return np.full(shape, -1.5, np.float32)


CASES = (
    Prior(),
    Prior(minima=(30.7,), maxima=(60.9,), ratios=(2,)),
    Prior(minima=(12, 20.5), maxima=(24, 33), ratios=(2, 3)),
    Prior(minima=(12, 20, 31), ratios=(2, 0.5, 3, 1, 2, 1.0000005), flip=True),
    Prior(minima=(11, 25), ratios=(2, 0.5, 3), flip=False),
    Prior(minima=(0.4, 15)),
    Prior(clip=True, minima=(40,), ratios=(3,), maxima=(55,)),
    Prior(variance=(0.3,)),
    Prior(variance=(0.1, 0.15, 0.2, 0.25), ratios=(2,)),
    Prior(image={"img_size": 300}),
    Prior(image={"img_h": 37, "img_w": 71}, clip=True),
    Prior(steps={"step": 8.5}),
    Prior(steps={"step_h": 7.25, "step_w": 9.1}, ratios=(1.7,)),
    Prior(steps={"step": 16}, image={"img_size": 90}, offset=0.25, maxima=(13,)),
    Prior(offset=0),
    Prior(offset=-0.3, ratios=(4, 5), clip=False),
)


@pytest.mark.parametrize("case", recorded("fork_prior_box_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("case", recorded("fork_prior_box_"))
def test_recorded_bit_for_bit(case: str, data: object) -> None:
    folder = f"{data}/layers/{case}"
    with np.load(f"{folder}/blobs.npz") as arrays:
        fed = {k.removeprefix("in/"): arrays[k] for k in arrays.files if k.startswith("in/")}
        assert np.array_equal(caffe2tf.run(f"{folder}/net.prototxt", None, fed)["out"], arrays["out/out"])


@pytest.mark.parametrize(("rows", "columns", "height", "width"), [(3, 5, 47, 61), (1, 2, 30, 300), (7, 4, 300, 33)])
def test_every_parameter(rows: int, columns: int, height: int, width: int) -> None:
    text = "".join(prior(p, name=f"p{i}") for i, p in enumerate(CASES))
    out = run_layer(text, {"feat": blank(2, 3, rows, columns), "data": blank(2, 3, height, width)})
    for i, p in enumerate(CASES):
        want = grid(p, p.boxes(), rows, columns, height, width)
        assert_matches(out[f"p{i}"], want, p.text, tolerance=0)


@pytest.mark.parametrize("part", range(3))
def test_random_parameters(part: int, rng: np.random.Generator) -> None:
    del part
    rows, columns, height, width = (int(rng.integers(*r)) for r in ((1, 7), (2, 9), (20, 400), (20, 400)))
    cases = [_drawn(rng) for _ in range(12)]
    text = "".join(prior(p, name=f"p{i}") for i, p in enumerate(cases))
    out = run_layer(text, {"feat": blank(1, 2, rows, columns), "data": blank(1, 3, height, width)})
    for i, p in enumerate(cases):
        assert_matches(out[f"p{i}"], grid(p, p.boxes(), rows, columns, height, width), p.text, tolerance=0)


def _drawn(rng: np.random.Generator) -> Prior:
    def number(low: float, high: float) -> float:
        return round(float(rng.uniform(low, high)), 3)

    minima = tuple(number(2, 60) for _ in range(rng.integers(1, 4)))
    image: dict[str, int] = [{}, {"img_size": 200}, {"img_h": 123, "img_w": 77}][rng.integers(3)]
    steps: dict[str, float] = [{}, {"step": number(2, 30)}, {"step_h": number(2, 9), "step_w": 3.3}][rng.integers(3)]
    return Prior(
        minima=minima,
        maxima=tuple(v + number(0.1, 40) for v in minima) if rng.random() < 0.5 else (),
        ratios=tuple(number(0.2, 5) for _ in range(rng.integers(0, 4))),
        flip=[None, True, False][rng.integers(3)],
        clip=[None, True, False][rng.integers(3)],
        variance=tuple(number(0.05, 0.5) for _ in range(rng.choice([0, 1, 4]))),
        image=image,
        steps=steps,
        offset=None if rng.random() < 0.5 else number(-1, 1),
    )


def test_in_every_layout(rng: np.random.Generator) -> None:
    """Rows and columns are Caffe's axes 2 and 3 in any layout; the extent of a missing axis is 1."""
    x = rng.normal(0, 1, (2, 3, 12, 10)).astype(np.float32)
    window = 'num_output: 4 kernel_h: 3 kernel_w: 2 stride: 2 weight_filler { type: "xavier" }'
    text = layer("Convolution", "c", ["data"], parameters=f"convolution_param {{ {window} }}")
    text += layer("Permute", "m", ["c"], parameters="permute_param { order: 0 order: 3 order: 1 }")
    text += layer("Reshape", "three", ["c"], parameters="reshape_param { shape { dim: 0 dim: -1 dim: 4 } }")
    text += layer("Flatten", "two", ["c"])
    grids = {"c": (5, 5), "m": (4, 5), "three": (4, 1), "two": (1, 1)}
    p = Prior(minima=(3,), ratios=(2,), maxima=(5,))
    text += "".join(prior(p, name=f"{b}p", bottoms=(b, "data")) for b in grids)
    text += prior(p, name="swapped", bottoms=("data", "m"))
    out = run_layer(text, {"data": x})
    assert out["m"].shape == (2, 5, 4, 5)
    for name, (rows, columns) in grids.items():
        assert_matches(out[f"{name}p"], grid(p, p.boxes(), rows, columns, 12, 10), name, tolerance=0)
    assert_matches(out["swapped"], grid(p, p.boxes(), 12, 10, 4, 5), tolerance=0)


def test_the_image_is_optional_if_its_size_is_given() -> None:
    p = Prior(image={"img_h": 37, "img_w": 71})
    out = run_layer(prior(p, bottoms=("feat",)), {"feat": blank(2, 3, 4, 5)})["out"]
    assert_matches(out, grid(p, p.boxes(), 4, 5, 0, 0), tolerance=0)
    assert ")(feat)" in emitted(prior(p), {"feat": (2, 3, 4, 5), "data": (2, 3, 9, 9)})


def test_the_batch_size_stays_free() -> None:
    """The boxes are the same for any batch size, also if two grids are concatenated."""
    head = layer(
        "Convolution", "c", ["data"], parameters="convolution_param { num_output: 4 kernel_size: 3 stride: 2 }"
    )
    p, q = Prior(ratios=(2,)), Prior(minima=(5,))
    text = head + prior(p, name="p", bottoms=("c", "data")) + prior(q, name="q", bottoms=("data", "data"))
    text += layer("Concat", "all", ["p", "q"], parameters="concat_param { axis: 2 }")
    model = built(text, {"data": (2, 3, 9, 7)})
    shapes = sorted(tuple(o.shape) for o in model.outputs)
    assert shapes[0] == (1, 2, 4 * (4 * 3 * 3 + 9 * 7))
    assert len(model.outputs) == 1
    assert model.inputs[0].shape[0] is None


def test_unknown_extents() -> None:
    p = Prior(minima=(9,), maxima=(20,), ratios=(3,), clip=True, variance=(0.1, 0.2, 0.3, 0.4))
    assert PriorBox.infer(_read(p), (2, 4, None, 5), (2, 3, 9, 9)) == ((1, 2, None),)
    assert PriorBox.infer(_read(p), (2, 4, 3, 5), (2, 3, None, 9)) == ((1, 2, 4 * 15 * 4),)


def _read(p: Prior) -> PriorBox:
    return PriorBox(
        sizes=tuple((float(w), float(h)) for w, h in p.boxes()),
        variances=(0.1,),
        image_size=None,
        steps=None,
        offset=0.5,
        clip=False,
    )


def test_emitted_code() -> None:
    p = Prior(minima=(30,), maxima=(60,), ratios=(2,), variance=(0.1, 0.1, 0.2, 0.2), steps={"step": 8}, clip=True)
    text = emitted(prior(p), {"feat": (2, 4, 5, 6), "data": (2, 3, 40, 48)})
    assert "(42.426407, 42.426407)" in text
    assert "variances=(0.1, 0.1, 0.2, 0.2)" in text
    assert "steps=(8.0, 8.0)" in text
    assert "offset" not in text.partition("def build")[2]


CLUSTERED = "width: 9.5 height: 20.25 width: 31 height: 7"
SIZES = [(F(9.5), F(20.25)), (F(31), F(7))]


@pytest.mark.parametrize("block", ["prior_box_clustered_param", "prior_box_param"])
@pytest.mark.parametrize(
    "p",
    [
        Prior(minima=(), variance=(0.1, 0.2, 0.3, 0.4), steps={"step": 16}),
        Prior(minima=(), clip=False, offset=0.1, image={"img_h": 37, "img_w": 71}),
        Prior(minima=(), clip=True, steps={"step_w": 9.3, "step_h": 4}, image={"img_size": 64}, flip=True),
    ],
)
def test_clustered(block: str, p: Prior) -> None:
    text = layer("PriorBoxClustered", "out", ["feat", "data"], parameters=f"{block} {{ {CLUSTERED} {p.text} }}")
    out = run_layer(text, {"feat": blank(2, 3, 4, 5), "data": blank(2, 3, 47, 61)})["out"]
    clip = p.clip if p.clip is not None else block == "prior_box_clustered_param"
    want = grid(Prior(**{**vars(p), "clip": clip}), SIZES, 4, 5, 47, 61)
    assert_matches(out, want, tolerance=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "prior_box_param.min_size is required"),
        ("min_size: 0", "min_size must be greater than 0, not 0"),
        ("min_size: 4 min_size: -3", "min_size must be greater than 0, not -3"),
        (
            "min_size: 4 min_size: 5 max_size: 9",
            "max_size must be given as often as min_size or not at all, not 1 times for 2",
        ),
        ("min_size: 4 max_size: 4", "each max_size must be greater than its min_size, not 4.0 for 4.0"),
        ("min_size: 4 aspect_ratio: 0", "aspect_ratio must be greater than 0, not 0"),
        ("min_size: 4 variance: 0.1 variance: 0.2", "variance must be given once or four times, not 2 times"),
        ("min_size: 4 variance: -0.5", "variance must be greater than 0, not -0.5"),
        ("min_size: 4 img_size: 5 img_h: 5", "give either prior_box_param.img_size or img_h and img_w, not both"),
        ("min_size: 4 img_size: 0", "img_size must be greater than 0, not 0"),
        ("min_size: 4 img_h: 5", "img_w must be greater than 0, not 0"),
        ("min_size: 4 img_w: 5", "img_h must be greater than 0, not 0"),
        ("min_size: 4 step: 5 step_w: 5", "give either prior_box_param.step or step_h and step_w, not both"),
        ("min_size: 4 step: -5", "step must be greater than 0, not -5"),
        ("min_size: 4 step_w: 5", "step_h must be greater than 0, not 0"),
        ("min_size: 4 step_h: 5 step_w: -1", "step_w must be greater than 0, not -1"),
        ("min_size: inf", "min_size must be finite, not inf"),
        ("min_size: 4 min_size: nan", "min_size must be finite, not nan"),
        ("min_size: 4 max_size: inf", "max_size must be finite, not inf"),
        ("min_size: 4 max_size: nan offset_h: 1 offset_w: 1", "max_size must be finite, not nan"),
        ("min_size: 4 aspect_ratio: inf", "aspect_ratio must be finite, not inf"),
        ("min_size: 4 variance: nan", "variance must be finite, not nan"),
        ("min_size: 4 step: inf", "step must be finite, not inf"),
        ("min_size: 4 step_h: 2 step_w: nan", "step_w must be finite, not nan"),
        ("min_size: 4 offset: -inf", "prior_box_param.offset must be finite, not -inf"),
        ("box_width: inf box_height: 4", "prior_box_param.box_width must be finite numbers, not inf"),
        ("min_size: 4 clip_order: true", "field 'prior_box_param.clip_order' is not known"),
        ("min_size: 4 faceboxes: true", "prior_box_param.faceboxes, which may change the boxes, is not supported"),
        ("min_size: 4 tf: 2", "prior_box_param.tf must be true or false, not 2"),
        ("min_size: 4 offset_h: yes offset_w: 1", "prior_box_param.offset_h must be finite numbers, not 'yes'"),
        (
            "min_size: 4 offset_h: 1",
            "offset_h and offset_w must be given equally often, once or twice, not 1 and 0 times",
        ),
        ("min_size: 4" + " offset_h: 1 offset_w: 1" * 3, "once or twice, not 3 and 3 times"),
        ("min_size: 4 offset_h: 1 offset_w: 1 offset: 0.5", "give one min_size, at most one max_size, and no offset"),
        ("min_size: 4 min_size: 5 offset_h: 1 offset_w: 1", "give one min_size, at most one max_size, and no offset"),
        (
            "box_width: 4 box_width: 3 box_height: 1",
            "box_width and box_height must be given equally often, .* not 2 and 1 times",
        ),
        ("box_width: 4 box_height: 0", "box_height must be greater than 0, not 0"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(
            layer("PriorBox", "out", ["feat", "data"], parameters=f"prior_box_param {{ {text} }}"),
            {"feat": blank(2, 3, 4, 5), "data": blank(2, 3, 47, 61)},
        )


@pytest.mark.parametrize("block", ["prior_box_clustered_param", "prior_box_param"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "width and height must be given equally often, at least once, not 0 and 0 times"),
        (
            "width: 3 width: 4 height: 5",
            "width and height must be given equally often, at least once, not 2 and 1 times",
        ),
        ("width: 3 height: -4", "height must be greater than 0, not -4"),
        ("width: 0 height: 4", "width must be greater than 0, not 0"),
        ("width: 3 height: inf", "height must be finite, not inf"),
        ("width: 3 height: 4 offset: nan", "offset must be finite, not nan"),
        ("width: 3 height: 4 step_h: 2", "step_w must be greater than 0, not 0"),
        ("width: 3 height: 4 variance: 1 variance: 2", "variance must be given once or four times, not 2 times"),
        ("width: 3 height: 4 depth: 5", "depth"),
        ('width: 3 height: "4"', "height"),
    ],
)
def test_errors_of_clustered_priors(block: str, text: str, message: str) -> None:
    definition = layer("PriorBoxClustered", "out", ["feat", "data"], parameters=f"{block} {{ {text} }}")
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(definition, {"feat": blank(2, 3, 4, 5), "data": blank(2, 3, 47, 61)})


def test_errors_of_the_bottoms() -> None:
    with pytest.raises(Caffe2TFError, match="the size of the image is required: as second bottom, or as img_size"):
        run_layer(prior(Prior(), bottoms=("feat",)), {"feat": blank(2, 3, 4, 5)})
    with pytest.raises(Caffe2TFError, match="the first bottom must have at most 4 axes, not 1x2x3x4x5"):
        run_layer(prior(Prior()), {"feat": blank(1, 2, 3, 4, 5), "data": blank(2, 3, 47, 61)})
    with pytest.raises(Caffe2TFError, match="the second bottom must have at most 4 axes, not 1x2x3x4x5"):
        run_layer(prior(Prior()), {"data": blank(1, 2, 3, 4, 5), "feat": blank(2, 3, 47, 61)})
