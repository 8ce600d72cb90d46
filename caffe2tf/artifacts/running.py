"""Runs an emitted model once, and returns every blob as Caffe has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from caffe2tf.artifacts.limits import explained_limits, reason_of
from caffe2tf.emit import Program
from caffe2tf.errors import UsageError
from caffe2tf.ir import Value

if TYPE_CHECKING:
    import keras

__all__ = ["run_model"]


def run_model(
    program: Program, model: keras.Model, fed: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return every blob of one forward pass, in the order of the network and in Caffe's axis order, as float32.

    Args:
        program: the program of which ``model`` was built.
        model: the emitted model, with its weights.
        fed: an array for each input blob, in Caffe's axis order.

    Raises:
        UsageError: the network cannot be computed on these values, or not on this machine.
    """
    with explained_limits(program):
        return _forward(program, model, fed)


def _forward(
    program: Program, model: keras.Model, fed: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[np.float32]]:
    import keras  # noqa: PLC0415 - takes seconds; only running a model needs it
    import tensorflow as tf  # noqa: PLC0415 - takes seconds; only running a model needs it

    finals = program.graph.final_values()
    taps = [program.taps[v.id] for v in finals.values()]
    outputs = {str(n): _output(model, tap.layer, tap.index) for n, tap in enumerate(taps)}
    whole = keras.Model({i.name: i for i in model.inputs}, outputs)
    arrays = {n: np.ascontiguousarray(value.layout.from_caffe(fed[value.blob])) for value, n in program.inputs}
    try:
        results = whole(arrays, training=False)
    except tf.errors.InvalidArgumentError as e:  # for example an index outside a table, which the user fed
        raise UsageError(f"the network cannot be computed on these inputs: {reason_of(e)}") from e
    return {b: _in_caffe_order(value, results[str(n)]) for n, (b, value) in enumerate(finals.items())}


def _output(model: keras.Model, layer: str, index: int) -> keras.KerasTensor:
    output = model.get_layer(layer).output
    return output[index] if isinstance(output, list | tuple) else output


def _in_caffe_order(value: Value, result: object) -> npt.NDArray[np.float32]:
    array = np.asarray(result, np.float32)
    array = np.ascontiguousarray(value.layout.to_caffe(array)) if array.ndim else array
    if array.ndim != value.rank or any(d not in (None, n) for d, n in zip(value.shape, array.shape, strict=True)):
        raise RuntimeError(f"blob {value.blob!r} has shape {array.shape}, but {value.shape} was inferred")
    return array
