"""Atan: its values, in place or not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import built, reloaded
from tests.layers.oracle import assert_matches, run_layer


@pytest.mark.parametrize("top", ["out", "data"])
def test_values(top: str) -> None:
    x = np.random.default_rng(3).standard_normal((2, 3, 4, 5)).astype(np.float32) * 4
    text = f'layer {{ name: "a" type: "Atan" bottom: "data" top: "{top}" }}'
    assert_matches(run_layer(text, {"data": x})[top], np.arctan(x.astype(np.float64)))
    flat = x.reshape(6, 20)
    assert_matches(reloaded(built(text, {"data": (2, 20)}), [flat])[0], np.arctan(flat.astype(np.float64)))
