"""SpatialDropout of ENet: its factor, training, what is told, every error."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.activation.spatial_dropout import SpatialDropout
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer


def layer(settings: str = "{'phase': 'TEST', 'p': '0.25'}") -> str:
    escaped = settings.replace("'", "\\'")
    return (
        'layer { name: "out" type: "Python" bottom: "data" top: "out" python_param { module: "spatial_dropout" '
        f"layer: \"SpatialDropoutLayer\" param_str: '{escaped}' }} }}"
    )


def draw(*shape: int) -> Array:
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("phase", ["TEST", "TRAIN"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3), (3,)])
def test_values_are_scaled(phase: str, shape: tuple[int, ...]) -> None:
    x = draw(*shape)
    have = run_layer(layer(f"{{'phase': '{phase}', 'p': '0.1'}}"), {"data": x})["out"]
    assert_matches(have, x / np.float32(1 - 0.1))


def test_json_is_read_as_well() -> None:
    x = draw(2, 3, 4, 5)
    assert_matches(run_layer(layer('{"phase":"TEST","p":0.2}'), {"data": x})["out"], x * 1.25)


def test_training_leaves_out_whole_channels() -> None:
    import keras

    keras.utils.set_random_seed(5)
    assert calls(layer(), {"data": (2, 3, 4, 5)}) == ["ScaledSpatialDropout"]
    model = built(layer(), {"data": (2, 40, 4, 5)})
    x = np.full((6, 4, 5, 40), 3, np.float32)
    found = model({"data": x}, training=True)
    have = np.asarray(next(iter(found.values())))
    assert set(np.unique(have).tolist()) == {0.0, 4.0}
    whole = have.max((1, 2))
    assert np.array_equal(whole, have.min((1, 2)))
    assert not np.array_equal(whole[0], whole[1])
    assert 0.1 < np.mean(whole == 0) < 0.4
    (scaled,) = reloaded(model, [x])
    assert_matches(scaled, np.full((6, 4, 5, 40), 4.0))


def test_the_notes_of_a_conversion() -> None:
    assert SpatialDropout(rate=0.1).remarks() == ()
    assert "asks for phase TRAIN" in SpatialDropout(rate=0.1, always=True).remarks()[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{'phase': 'TEST'}", "phase and p are required in python_param.param_str; p missing"),
        ("", "phase and p are required in python_param.param_str; phase and p missing"),
        ("{'phase': 'TEST', 'p': '1'}", "p in python_param.param_str must be greater than 0 and less than 1, not 1.0"),
        ("{'phase': 'TEST', 'p': 'much'}", "p in python_param.param_str must be a number, not 'much'"),
    ],
)
def test_errors(settings: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(settings), {"data": draw(2, 3, 4, 5)})
