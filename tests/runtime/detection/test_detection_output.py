from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.layers.detection.test_detection_output import PLAIN, detections, draw
from tests.layers.emitted import check_saved
from tests.layers.oracle import assert_matches

if TYPE_CHECKING:
    import keras

CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "corner size": {"code_type": "CORNER_SIZE", "confidence_threshold": 0.4},
    "centre size": {"code_type": "CENTER_SIZE", "variance_encoded_in_target": True, "keep_top_k": 5},
    "own boxes": {"share_location": False, "num_classes": 4, "background_label_id": 2, "top_k": 4},
    "falling threshold": {"nms_threshold": 0.9, "eta": 0.6, "background_label_id": -1},
}


def make(p: dict[str, Any], *, fixed_rows: bool = False, dtype: str = "float32") -> keras.layers.Layer:
    from caffe2tf.runtime.detection.detection_output import DetectionOutput

    given = p | {"code_type": p["code_type"].lower()}
    return DetectionOutput(given.pop("num_classes"), **given, fixed_rows=fixed_rows, dtype=dtype)


@pytest.mark.parametrize("case", CASES)
def test_values(case: str, rng: np.random.Generator) -> None:
    p = PLAIN | CASES[case]
    fed = draw(rng, 2, 11, p)
    want = detections(fed, p)
    assert want.shape[2] > 4
    made = make(p)
    assert_matches(made(list(fed.values())), want)
    check_saved(made, *fed.values())


@pytest.mark.parametrize("keep", [0, 3, 40])
def test_fixed_rows(keep: int, rng: np.random.Generator) -> None:
    p = PLAIN | {"keep_top_k": keep, "confidence_threshold": 0.5}
    fed = draw(rng, 3, 9, p)
    fed["conf"][1] = 0  # nothing is found in the second image
    found = detections(fed, p)[0, 0]
    want = np.full((3, keep, 7), -1, np.float32)
    for n in (0, 2):
        own = found[(found[:, 0] == n) & (found[:, 1] > 0)]
        want[n, : len(own)] = own
    made = make(p, fixed_rows=True)
    assert_matches(made(list(fed.values())), want.reshape(1, 1, -1, 7))
    assert made.compute_output_shape([a.shape for a in fed.values()]) == (1, 1, 3 * keep, 7)
    if keep:
        check_saved(made, *fed.values())


def test_nothing_is_found(rng: np.random.Generator) -> None:
    p = PLAIN | {"confidence_threshold": 9.0}
    have = make(p)(list(draw(rng, 3, 5, p).values()))
    assert np.array_equal(have, [[[[n, *[-1] * 6] for n in range(3)]]])


def test_static_shape_and_compilation() -> None:
    made = make(PLAIN)
    assert made.compute_output_shape([(2, 8), (2, 6), (1, 2, 8)]) == (1, 1, None, 7)
    assert make(PLAIN | {"keep_top_k": 4}, fixed_rows=True).compute_output_shape([(None, 8)]) == (1, 1, None, 7)
    assert not made.supports_jit


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_other_dtypes(policy: str, rng: np.random.Generator) -> None:
    p = PLAIN | CASES["centre size"]
    fed = draw(rng, 2, 11, p)
    have = make(p, dtype=policy)(list(fed.values()))
    assert have.dtype == "float32"
    assert_matches(have, detections(fed, p))
