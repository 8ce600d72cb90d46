"""`run` and `verify`: compute a Caffe network with the emitted source, and compare it with recorded activations."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe2tf.artifacts import build_model, run_model
from caffe2tf.diagnostics import Hint
from caffe2tf.emit import Program
from caffe2tf.errors import Caffe2TFError, NetworkError, UnsupportedError, UsageError, WeightsError, network_error
from caffe2tf.ir import Graph, Shape, Value, format_shape
from caffe2tf.layers.data.source import Source
from caffe2tf.load import WeightFiles, source_tops
from caffe2tf.parse import NetworkDefinition, TrainedWeights
from caffe2tf.pipeline import Selection, load, open_trained, plan_conversion, read_network
from caffe2tf.verification import Report, Tolerance, compare_blobs, read_reference

__all__ = ["Activations", "run", "verify"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activations:
    """The blobs of one forward pass.

    Attributes:
        blobs: every blob, in the order of the network and in Caffe's axis order.
        writers: for each blob except the inputs, the Caffe layer that writes it last.
        fed: the inputs.
        rounding: returns the largest change of a blob when each input value moves to an adjacent float32.
    """

    blobs: dict[str, npt.NDArray[np.float32]]
    writers: dict[str, str]
    fed: dict[str, npt.NDArray[np.float32]]
    rounding: Callable[[str], float]


def run(
    prototxt: str | os.PathLike[str],
    weights: WeightFiles | None,
    inputs: Mapping[str, npt.ArrayLike],
    *,
    phase: str = "TEST",
    stages: Sequence[str] = (),
    level: int = 0,
) -> dict[str, npt.NDArray[np.float32]]:
    """Run one forward pass of a network with the Keras source that a conversion emits.

        blobs = caffe2tf.run("deploy.prototxt", "net.caffemodel", {"data": images})

    Args:
        prototxt: the network's definition.
        weights: trained blobs (.caffemodel, .h5, or several of them: the last one wins). None takes the blobs that a
            .caffemodel given as definition holds, or else fills every blob by the definition's fillers, random ones
            from a fixed seed.
        inputs: an array for each input blob, in Caffe's axis order (N, C, H, W). Its shape replaces the definition's.
        phase: TEST or TRAIN; selects layers, with ``stages`` and ``level``.
        stages: stages of the NetState.
        level: level of the NetState.

    Returns:
        Every blob of the network by Caffe's name, float32, in Caffe's axis order. The inputs, losses and metrics are
        among them. A blob that is rewritten in place has its last value.

    Raises:
        Caffe2TFError: the network or its weights cannot be read or converted, or the inputs do not fit.
    """
    selection = Selection(phase=phase, stages=stages, level=level)
    return _activations(prototxt, weights, inputs, selection).blobs


def verify(  # noqa: PLR0913 - one parameter for each choice
    prototxt: str | os.PathLike[str],
    weights: WeightFiles | None,
    reference: str | os.PathLike[str] | Mapping[str, npt.ArrayLike],
    inputs: Mapping[str, npt.ArrayLike] | None = None,
    *,
    tolerance: Tolerance | None = None,
    phase: str = "TEST",
    stages: Sequence[str] = (),
    level: int = 0,
) -> Report:
    """Run a network with the emitted source, and compare every blob with recorded activations.

    Args:
        prototxt: the network's definition.
        weights: its trained blobs.
        reference: recorded activations by Caffe's blob names, in Caffe's axis order: arrays, or an ``.npz`` of them
            (``numpy.savez("blobs.npz", **{b: net.blobs[b].data for b in net.blobs})`` in pycaffe). If a layer rewrites
            an input in place, ``in/<blob>`` is the array that was fed, and ``out/<blob>`` the one to compare with.
        inputs: the arrays that the network was fed; missing ones are taken from ``reference``.
        tolerance: the largest difference at which two blobs count as the same.
        phase: TEST or TRAIN; selects layers, with ``stages`` and ``level``.
        stages: stages of the NetState.
        level: level of the NetState.

    Returns:
        A verdict for every blob of the reference, in the order of the network.

    Raises:
        VerificationError: there is nothing to compare.
        Caffe2TFError: a file cannot be read or converted, or an input is missing.
    """
    recorded = read_reference(reference)
    selection = Selection(phase=phase, stages=stages, level=level)
    ours = _activations(prototxt, weights, inputs or {}, selection, otherwise=recorded.arrays)
    return compare_blobs(
        ours.blobs, recorded, writers=ours.writers, tolerance=tolerance, fed=ours.fed, rounding=ours.rounding
    )


def _activations(
    prototxt: str | os.PathLike[str],
    weights: WeightFiles | None,
    inputs: Mapping[str, npt.ArrayLike],
    selection: Selection,
    *,
    otherwise: Mapping[str, npt.ArrayLike] | None = None,
) -> Activations:
    """Run the network on ``inputs``, and on arrays of ``otherwise`` for inputs that are not among them."""
    definition = read_network(prototxt)
    sources = source_tops(definition, selection.state)
    given = {k: v for k, v in (otherwise or {}).items() if k in sources} | dict(inputs)
    fed = {name: _numbers(name, a) for name, a in given.items()}
    with open_trained(definition, weights) as trained:
        graph = _load(definition, trained, {name: a.shape for name, a in fed.items()}, selection)
        plan = plan_conversion(graph, definition, keep_losses=True, keep_silent=True)
        fed = _own_values(graph) | fed
        _check_inputs(plan.program, fed)
        model = build_model(plan)
    blobs = run_model(plan.program, model, fed)

    @functools.cache
    def moved() -> dict[str, npt.NDArray[np.float32]]:
        return run_model(plan.program, model, {name: _adjacent(a) for name, a in fed.items()})

    def rounding(blob: str) -> float:
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            change = np.abs(moved()[blob].astype(np.float64) - blobs[blob])
        return float(np.max(change, initial=0.0, where=np.isfinite(change)))

    return Activations(blobs=blobs, writers=graph.writers(), fed=fed, rounding=rounding)


def _adjacent(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return an array whose values are moved to an adjacent float32, up and down in a fixed random order."""
    up = np.random.default_rng(0).integers(2, size=array.shape).astype(bool)
    return np.nextafter(array, np.where(up, np.float32(np.inf), np.float32(-np.inf)), dtype=np.float32)


def _numbers(name: str, given: npt.ArrayLike) -> npt.NDArray[np.float32]:
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        raise UsageError(f"input {name!r}: an array of numbers is needed, not of {array.dtype}")
    with np.errstate(over="ignore"):  # checked below
        single = array.astype(np.float32)
    beyond = array[np.isinf(single) & ~np.isinf(array)]
    if beyond.size:
        raise UsageError(f"input {name!r} holds {beyond[0]:g}, and networks compute in float32, which ends at 3.4e+38")
    return single


def _load(
    definition: NetworkDefinition,
    trained: TrainedWeights | None,
    shapes: Mapping[str, tuple[int, ...]],
    selection: Selection,
) -> Graph:
    """Load the graph for inputs of these shapes.

    If that fails, but the graph loads for the shapes of the definition, the error blames the inputs.
    """
    try:
        return load(definition, trained, replace(selection, input_shapes=shapes), fill=trained is None)
    except UnsupportedError as e:
        raise _asking_for_arrays(e) from None
    except (NetworkError, WeightsError) as e:
        try:
            graph = load(definition, trained, selection)
        except Caffe2TFError:
            raise _asking_for_arrays(e) from None
        inputs = [v for n in graph.nodes if isinstance(n.layer, Source) for v in graph.written(n)]
        misfit = _misfit(inputs, shapes)
        if not misfit or not shapes.keys() <= {v.blob for v in inputs}:
            raise
        raise UsageError(f"{misfit}; the network cannot take that: {e}") from e


def _asking_for_arrays(error: NetworkError | WeightsError) -> NetworkError | WeightsError:
    """Return the error with hints for `run` and `verify`, which take arrays, not shapes."""
    if isinstance(error, WeightsError):
        return error
    shapes = (Hint.INPUT_SHAPE, Hint.NEW_INPUT)
    return network_error([replace(p, hint=Hint.INPUT_ARRAY) if p.hint in shapes else p for p in error.problems])


def _misfit(inputs: Sequence[Value], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return which arrays have another shape than the network's inputs, as text; "" if none has."""
    told = [
        f"input {v.blob!r} is {format_shape(shape)} where {format_shape(v.shape)} is expected"
        for v in inputs
        if (shape := shapes.get(v.blob)) is not None and not _fits(shape, v.shape)
    ]
    return ", ".join(told)


def _fits(shape: tuple[int, ...], expected: Shape) -> bool:
    return len(shape) == len(expected) and all(e in (None, d) for d, e in zip(shape, expected, strict=True))


def _own_values(graph: Graph) -> dict[str, npt.NDArray[np.float32]]:
    """Return the values that data layers themselves put into their tops (DummyData)."""
    own = {}
    for node in graph.nodes:
        if isinstance(node.layer, Source):
            for i, value in enumerate(graph.written(node)):
                shape = tuple(d for d in value.shape if d is not None)
                array = node.layer.default(i, shape)
                if array is not None:
                    own[value.blob] = np.asarray(array, np.float32)
    return own


def _check_inputs(program: Program, fed: Mapping[str, npt.NDArray[Any]]) -> None:
    missing = [v for v, _ in program.inputs if v.blob not in fed]
    if missing:
        names = ", ".join(f"{v.blob!r} ({format_shape(v.shape)})" for v in missing)
        raise UsageError(f"no array is given for input {names}", hint=Hint.INPUT_ARRAY, about=[v.blob for v in missing])
    misfit = _misfit([v for v, _ in program.inputs], {name: a.shape for name, a in fed.items()})
    if misfit:  # the shape of a scalar does not replace the definition's
        raise UsageError(f"{misfit}; give an array of as many axes")
