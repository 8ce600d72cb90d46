"""AlexNet as a Keras model, built by the emitted source, and its activations."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from caffe2tf.alexnet.recorded import definition_path
from caffe2tf.artifacts import load_emitted
from caffe2tf.artifacts.kinds import loadable_suffixes
from caffe2tf.diagnostics import Hint
from caffe2tf.errors import ParseError, UsageError, WeightsError
from caffe2tf.parse.mapped import require_readable
from caffe2tf.pipeline import load, plan_conversion, read_network

if TYPE_CHECKING:
    import keras

    from caffe2tf.ir import Value

__all__ = ["activations", "blob_writers", "build"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    """The emitted AlexNet.

    Attributes:
        module: the emitted module.
        layers: for each blob in the order of the network, the Keras layer that outputs it.
        values: for each blob, its value in the graph.
        writers: for each blob, the Caffe layer that writes it last.
    """

    module: ModuleType
    layers: Mapping[str, str]
    values: Mapping[str, Value]
    writers: Mapping[str, str]


@functools.cache
def _network() -> _Network:
    definition = read_network(definition_path())
    graph = load(definition, fill=True)  # the values are not used, but only a network with weights gets a loader
    plan = plan_conversion(graph, definition)
    computed = {b: v for b, v in plan.program.graph.final_values().items() if v not in dict(plan.program.inputs)}
    return _Network(
        module=load_emitted(plan),
        layers={b: plan.program.taps[v.id].layer for b, v in computed.items()},
        values=computed,
        writers=graph.writers(),
    )


def blob_writers() -> Mapping[str, str]:
    """Return, for each blob except the input, the Caffe layer that writes it last."""
    return _network().writers


def build(weights: str | os.PathLike[str] | None = None) -> keras.Model:
    """Build AlexNet as a Keras model, from the source that `caffe2tf.convert` emits for it.

    To train it for other classes, add a layer after ``model.get_layer("drop7").output``.

    Args:
        weights: a weight file written by `regenerate` or `caffe2tf.convert`. Only arrays are read from
            the pickle in a ``.npy`` file. None keeps Keras' initial weights.

    Returns:
        A model from ``{"data": images}``, (N, 227, 227, 3) float32, BGR with the mean subtracted as in Caffe, to
        ``{"prob": probabilities}``, (N, 1000) float32.

    Raises:
        UsageError: the file name has another suffix.
        ParseError: the file cannot be read.
        WeightsError: names or shapes are not those of AlexNet; all differences are listed.
    """
    if weights is None:
        fresh: keras.Model = _network().module.build()
        return fresh
    path = _weight_file(weights)  # before TensorFlow is imported, so that mistakes show at once
    module = _network().module
    try:
        model: keras.Model = module.build(weights=str(path))
    except ValueError as e:
        raise WeightsError(str(e) if str(path) in str(e) else f"{path}: these are not weights of AlexNet: {e}") from e
    except Exception as e:  # a damaged pickle can raise anything
        raise ParseError(f"{path}: not a readable weight file ({type(e).__name__}: {e})") from e
    return model


def _weight_file(given: str | os.PathLike[str]) -> Path:
    path = Path(given)
    if path.suffix == ".caffemodel" or path.name.endswith(".caffemodel.h5"):
        message = f"{path}: these are weights for Caffe, not for Keras"
        raise UsageError(message, hint=Hint.REGENERATE, about=[str(path)])
    suffixes = tuple(suffix for own in loadable_suffixes().values() for suffix in own)
    require_readable(path, what="weight file", suffixes=suffixes)
    if not path.name.endswith(suffixes):
        raise UsageError(f"{path}: weights are read from files whose names end in {', '.join(suffixes)}")
    return path


def activations(model: keras.Model, images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """Run AlexNet and return all its blobs.

    Args:
        model: the model from `build`, or from the module that `caffe2tf.convert` wrote for AlexNet.
        images: preprocessed images, (N, 3, 227, 227) float32, in Caffe's axis order.

    Returns:
        The 14 blobs by Caffe's name, in the order of the network, float32, in Caffe's axis order. A blob that is
        rewritten in place has its last value.
    """
    import keras  # noqa: PLC0415 - takes seconds, and only running a model needs it

    network = _network()
    whole = keras.Model(model.inputs, [model.get_layer(layer).output for layer in network.layers.values()])
    with keras.device("cpu:0"):  # as in the recording: GPUs may round products to fewer bits (TF32)
        results = whole.predict_on_batch([np.ascontiguousarray(np.moveaxis(images, 1, -1))])
    pairs = zip(network.values.items(), results, strict=True)
    return {b: np.ascontiguousarray(v.layout.to_caffe(np.asarray(r, np.float32))) for (b, v), r in pairs}
