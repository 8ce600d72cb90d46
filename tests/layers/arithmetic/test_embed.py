"""Embed: recordings of Caffe, and plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.oracle import assert_matches, check_recorded, recorded, run_layer


def embed(parameters: str = "input_dim: 7 num_output: 4", bottom: str = "data") -> str:
    return layer("Embed", "out", [bottom], parameters=f"embed_param {{ {parameters} }}")


@pytest.mark.parametrize("case", recorded("embed"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 5), (2, 3, 4, 5)])
def test_rows(shape: tuple[int, ...], bias: bool, rng: np.random.Generator) -> None:
    index = rng.integers(0, 7, shape)
    fraction = rng.choice([0, 0.75], shape)  # is truncated
    w, b = (rng.normal(0, 2, s).astype(np.float32) for s in ((7, 4), (4,)))
    text = embed(f"input_dim: 7 num_output: 4 bias_term: {str(bias).lower()}")
    out = run_layer(text, {"data": index + fraction}, {"out": [w, b] if bias else [w]})
    want = np.empty((*shape, 4), np.float32)
    for place in np.ndindex(shape):
        want[place] = w[index[place]] + (b if bias else 0)
    assert_matches(out["out"], want)


def test_blobs_in_other_layouts(rng: np.random.Generator) -> None:
    text = layer("Pooling", "pool", ["data"], parameters="pooling_param { kernel_size: 1 }")
    text += layer("Flatten", "flat", ["pool"])
    index = rng.integers(0, 7, (2, 3, 4, 5))
    w, b = (rng.normal(0, 2, s).astype(np.float32) for s in ((7, 4), (4,)))
    text += embed(bottom="pool") + embed(bottom="flat").replace('"out"', '"rows"')
    out = run_layer(text, {"data": index}, {"out": [w, b], "rows": [w, b]})
    assert_matches(out["out"], w[index] + b)
    assert_matches(out["rows"], (w[index] + b).reshape(2, 60, 4))


def test_errors() -> None:
    for given, missing in (("input_dim: 3", "num_output"), ("num_output: 3", "input_dim")):
        with pytest.raises(Caffe2TFError, match=f"embed_param.{missing} is required"):
            run_layer(embed(given), {"data": np.zeros((2, 3))})
        with pytest.raises(Caffe2TFError, match=f"embed_param.{missing} must be 1 or more, not 0"):
            run_layer(embed(f"{given} {missing}: 0"), {"data": np.zeros((2, 3))})
