"""What every runtime layer must do, whatever it computes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tests.layers.emitted import check_saved
from tests.layers.oracle import assert_matches

if TYPE_CHECKING:
    import keras

__all__ = ["check_layer", "check_precisions", "draw", "with_dtype"]

Wanted = npt.ArrayLike | Sequence[npt.ArrayLike]


def check_layer(
    layer: keras.layers.Layer,
    want: Wanted,
    *arrays: npt.NDArray[np.float32],
    tolerance: float = 1e-5,
    everywhere: bool = True,
) -> None:
    """The layer computes ``want``: called directly, traced for any batch size, in a model, and saved and loaded again.

    Args:
        layer: the layer, whose weights may be set already.
        want: the output, or a list of the outputs.
        *arrays: the inputs.
        tolerance: largest relative error.
        everywhere: False to call it directly only, which is faster: for all but a few sets of arguments.
    """
    import tensorflow as tf

    outputs = want if isinstance(want, list) else [want]
    given = list(arrays) if len(arrays) > 1 else arrays[0]
    for have, array in zip(tf.nest.flatten(layer(given)), outputs, strict=True):
        assert_matches(have, array, layer.name, tolerance=tolerance)
    check_config(layer)
    if not everywhere:
        return
    check_saved(layer, *arrays)
    signature = [tf.TensorSpec((None, *a.shape[1:]), tf.float32) for a in arrays]
    traced = tf.function(layer, input_signature=[signature if len(arrays) > 1 else signature[0]])
    for have, array in zip(tf.nest.flatten(traced(given)), outputs, strict=True):
        assert_matches(have, array, layer.name, tolerance=tolerance)


def check_config(layer: keras.layers.Layer) -> None:
    """The configuration holds every argument of the constructor, and makes an equal layer."""
    config = layer.get_config()
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    arguments = {p.name for c in type(layer).__mro__ for p in _parameters(c) if p.kind not in kinds}
    assert arguments <= config.keys(), f"{layer.name}: {arguments - config.keys()} are lost when it is saved"
    assert type(layer).from_config(config).get_config() == config


def check_precisions(layer: keras.layers.Layer, *arrays: npt.NDArray[np.float32], tolerance: float = 5e-3) -> None:
    """In mixed precision and in float64 the layer has outputs of that type, and nearly the same values.

    Args:
        layer: the layer in float32, called before.
        *arrays: the inputs, float32.
        tolerance: largest relative error of float16.
    """
    import tensorflow as tf

    given = list(arrays) if len(arrays) > 1 else arrays[0]
    want = tf.nest.flatten(layer(given))
    for dtype, name, limit in (("mixed_float16", "float16", tolerance), ("float64", "float64", 1e-6)):
        for have, array in zip(tf.nest.flatten(with_dtype(layer, dtype, *arrays)(given)), want, strict=True):
            assert have.dtype.name == name, f"{layer.name}: {have.dtype.name} in {dtype}"
            assert_matches(have, array, f"{layer.name} in {dtype}", tolerance=limit)


def with_dtype(layer: keras.layers.Layer, dtype: str, *arrays: npt.NDArray[np.float32]) -> keras.layers.Layer:
    """A copy of a layer that was called before, with its weights and another dtype policy."""
    other = type(layer).from_config({**layer.get_config(), "dtype": dtype})
    other(list(arrays) if len(arrays) > 1 else arrays[0])
    other.set_weights(layer.get_weights())
    return other


def draw(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float32]:
    """Normal values, negative ones among them."""
    return rng.standard_normal(shape).astype(np.float32)


def _parameters(cls: type[Any]) -> list[inspect.Parameter]:
    """The parameters of a class's own constructor, if it is one of the project's."""
    own = cls.__module__.startswith("caffe2tf") and "__init__" in vars(cls)
    return list(inspect.signature(cls).parameters.values()) if own else []
