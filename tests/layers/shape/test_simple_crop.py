"""SimpleCrop: the upper left part, every error."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.layers.emitted import calls
from tests.layers.oracle import Array, assert_matches, run_layer

TEXT = 'layer { name: "out" type: "SimpleCrop" bottom: "data" bottom: "like" top: "out" }'
ONE = 'layer { name: "out" type: "SimpleCrop" bottom: "data" top: "out" crop_param { %s } }'


def draw(*shape: int) -> Array:
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape).astype(np.float32)


def test_the_upper_left_part() -> None:
    x, like = draw(2, 3, 7, 8), draw(5, 4, 3, 6)
    assert_matches(run_layer(TEXT, {"data": x, "like": like})["out"], x[:, :, :3, :6])
    assert calls(TEXT, {"data": (2, 3, 7, 8), "like": (2, 4, 3, 6)}) == ["Cropping2D"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ONE % 'blob_name: "like"', 'write it as its second bottom in place of crop_param: bottom: "like"'),
        (ONE % "", "takes 2 bottoms, 1 given"),
        (TEXT.replace('"like"', '"tall"'), "8 values from offset 0 on reach beyond its 7"),
        (TEXT.replace('"like"', '"flat"'), "both bottoms must have 4 axes, not 2x3"),
        (TEXT.replace('top: "out"', 'top: "data"'), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    fed = {"data": draw(2, 3, 7, 8), "like": draw(2, 3, 3, 6), "tall": draw(2, 3, 8, 6), "flat": draw(2, 3)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, fed)
