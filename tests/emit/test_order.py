"""The emulated order of ``model.layers``, and Keras' own reading of the weight file that depends on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2tf.artifacts import build_model, write_weights
from caffe2tf.emit.order import keras_order
from tests.emit.networks import plan, tangle


@pytest.mark.parametrize("number", range(25))
def test_random_networks_have_the_order_of_keras(tmp_path: Path, number: int) -> None:
    made = plan(tangle(np.random.default_rng(number)), tmp_path)
    model = build_model(made)
    assert keras_order(made.program) == [layer.name for layer in model.layers]


@pytest.mark.parametrize("number", [3, 7, 11, 16])
@pytest.mark.parametrize("by_name", [False, True])
def test_keras_reads_the_h5_file_by_position_and_by_name(tmp_path: Path, number: int, by_name: bool) -> None:
    made = plan(tangle(np.random.default_rng(number)), tmp_path)
    model = build_model(made)
    file = tmp_path / "net.h5"
    write_weights(file, made.weights(), format="h5")
    x = {name: np.random.default_rng(1).normal(size=(2, 4)).astype("f4") for _, name in made.program.inputs}
    want = model.predict(x, verbose=0)
    assert len({w.tobytes() for w in model.get_weights()}) > 2  # reading them in another order would change something
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    model.load_weights(file, by_name=by_name) if by_name else model.load_weights(file)
    _same(model.predict(x, verbose=0), want)


def _same(have: dict[str, Any], want: dict[str, Any]) -> None:
    assert have.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_array_equal(have[name], value)
