"""SimpleCrop: the upper left region, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.emitted import calls
from tests.layers.oracle import Array, assert_matches, run_layer

TEXT = layer("SimpleCrop", "out", ["data", "like"])
ONE = layer("SimpleCrop", "out", ["data"], parameters="crop_param { %s }")


def draw(*shape: int) -> Array:
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape).astype(np.float32)


def test_upper_left_region() -> None:
    x, like = draw(2, 3, 7, 8), draw(5, 4, 3, 6)
    assert_matches(run_layer(TEXT, {"data": x, "like": like})["out"], x[:, :, :3, :6])
    assert calls(TEXT, {"data": (2, 3, 7, 8), "like": (2, 4, 3, 6)}) == ["Cropping2D"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ONE % 'blob_name: "like"', 'replace crop_param by a second bottom: bottom: "like"'),
        (ONE % "", "takes 2 bottoms, 1 given"),
        (TEXT.replace('"like"', '"tall"'), "8 values from offset 0 on exceed its extent of 7"),
        (TEXT.replace('"like"', '"flat"'), "both bottoms must have 4 axes, not 2x3"),
        (TEXT.replace('top: "out"', 'top: "data"'), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    fed = {"data": draw(2, 3, 7, 8), "like": draw(2, 3, 3, 6), "tall": draw(2, 3, 8, 6), "flat": draw(2, 3)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, fed)
