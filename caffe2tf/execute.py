"""Runs a Caffe network through the source that a conversion emits, and holds it against recorded activations."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from caffe2tf.diagnostics import Hint
from caffe2tf.emit.importing import load_emitted
from caffe2tf.emit.plan import Plan, plan_conversion
from caffe2tf.emit.program import Program
from caffe2tf.errors import Caffe2TFError, NetworkError, UnsupportedError, UsageError, WeightsError, network_error
from caffe2tf.ir import Graph, Shape, Value, Weight, format_shape
from caffe2tf.layers.data.source import Source
from caffe2tf.load import WeightFiles, load_graph, open_trained, source_tops
from caffe2tf.parse import NetworkDefinition, TrainedWeights, read_network
from caffe2tf.quiet import starting_tensorflow
from caffe2tf.verification import Report, Tolerance, compare_blobs, read_reference

if TYPE_CHECKING:
    import keras

__all__ = ["Activations", "build_model", "run", "verify"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activations:
    """The outcome of one forward pass.

    Attributes:
        blobs: every blob in the order in which the network computes them, in Caffe's axis order.
        writers: for each blob but the inputs, the Caffe layer that writes it last.
    """

    blobs: dict[str, npt.NDArray[np.float32]]
    writers: dict[str, str]


def run(
    prototxt: str | os.PathLike[str],
    weights: WeightFiles | None,
    inputs: Mapping[str, npt.ArrayLike],
    *,
    phase: str = "TEST",
    stages: Sequence[str] = (),
    level: int = 0,
) -> dict[str, npt.NDArray[np.float32]]:
    """One forward pass of a network, computed by the Keras source that a conversion emits.

    Args:
        prototxt: the network's definition.
        weights: trained blobs (.caffemodel, .h5, or several of them: the last wins). None takes those that a
            .caffemodel given as definition holds, else fills every blob by the definition's fillers, random ones from
            a fixed seed.
        inputs: an array for each input blob, in Caffe's axis order (N, C, H, W); its shape replaces the definition's.
        phase: TEST or TRAIN; selects layers, with ``stages`` and ``level``.
        stages: stages of the NetState.
        level: level of the NetState.

    Returns:
        Every blob of the network, inputs too, by Caffe's name, float32, in Caffe's axis order; a blob that is
        rewritten in place holds its last value. Losses and metrics are computed.

    Raises:
        Caffe2TFError: the network or its weights cannot be read or converted, or the inputs do not fit.
    """
    state = {"phase": phase, "stages": stages, "level": level}
    return _activations(prototxt, weights, inputs, state).blobs


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
    """Runs a network through its emitted source and compares every blob with recorded activations.

    Args:
        prototxt: the network's definition.
        weights: its trained blobs.
        reference: recorded activations by Caffe's blob names, in Caffe's axis order: arrays, or an ``.npz`` of them
            (``numpy.savez("blobs.npz", **{b: net.blobs[b].data for b in net.blobs})`` in pycaffe). Where a layer
            rewrites an input in place, ``in/<blob>`` is what was fed, and ``out/<blob>`` what to compare with.
        inputs: what the network was fed; what is not given is taken from ``reference``.
        tolerance: when two blobs are the same.
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
    state = {"phase": phase, "stages": stages, "level": level}
    ours = _activations(prototxt, weights, inputs or {}, state, otherwise=recorded.arrays)
    return compare_blobs(ours.blobs, recorded, writers=ours.writers, tolerance=tolerance)


def _activations(
    prototxt: str | os.PathLike[str],
    weights: WeightFiles | None,
    inputs: Mapping[str, npt.ArrayLike],
    state: Mapping[str, Any],
    *,
    otherwise: Mapping[str, npt.ArrayLike] | None = None,
) -> Activations:
    definition = read_network(prototxt)
    sources = source_tops(definition, state)
    given = {k: v for k, v in (otherwise or {}).items() if k in sources} | dict(inputs)
    fed = {name: _numbers(name, a) for name, a in given.items()}
    with open_trained(definition, weights) as source:
        graph = _load(definition, source, {name: a.shape for name, a in fed.items()}, state)
        plan = plan_conversion(graph, definition, keep_losses=True, keep_silent=True)
        fed = _own_values(graph) | fed
        _check_inputs(plan.program, fed)
        with _enough_memory(plan.program):
            model = build_model(plan)
    with _enough_memory(plan.program):
        blobs = _forward(plan.program, model, fed)
    return Activations(blobs=blobs, writers=graph.writers())


def _numbers(name: str, given: npt.ArrayLike) -> npt.NDArray[np.float32]:
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        raise UsageError(f"input {name!r}: an array of numbers is needed, not of {array.dtype}")
    with np.errstate(over="ignore"):  # it is looked for below
        single = array.astype(np.float32)
    beyond = array[np.isinf(single) & ~np.isinf(array)]
    if beyond.size:
        raise UsageError(f"input {name!r} holds {beyond[0]:g}, and networks compute in float32, which ends at 3.4e+38")
    return single


def _load(
    definition: NetworkDefinition,
    source: TrainedWeights | None,
    shapes: Mapping[str, tuple[int, ...]],
    state: Mapping[str, Any],
) -> Graph:
    """The graph for inputs of these shapes, which are to blame where it could be loaded for those of the definition."""
    try:
        return load_graph(definition, source, input_shapes=shapes, fill=source is None, **state)
    except UnsupportedError as e:
        raise _asking_for_arrays(e) from None
    except (NetworkError, WeightsError) as e:
        try:
            graph = load_graph(definition, source, **state)
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
    """Which arrays have another shape than the network's inputs; "" for none."""
    told = [
        f"input {v.blob!r} is {format_shape(shape)} where {format_shape(v.shape)} is expected"
        for v in inputs
        if (shape := shapes.get(v.blob)) is not None and not _fits(shape, v.shape)
    ]
    return ", ".join(told)


def _fits(shape: tuple[int, ...], expected: Shape) -> bool:
    return len(shape) == len(expected) and all(e in (None, d) for d, e in zip(shape, expected, strict=True))


def build_model(plan: Plan) -> keras.Model:
    """The Keras model that the emitted source builds, with its weights assigned by layer name."""
    model: keras.Model = load_emitted(plan).build()
    for layer, own in plan.weights().items():
        _assign(model.get_layer(layer), own)
    return model


def _assign(layer: keras.Layer, own: Mapping[str, Weight]) -> None:
    variables = {v.name: v for v in layer.weights}
    if set(variables) != set(own):
        raise AssertionError(f"{layer.name}: Keras has weights {sorted(variables)}, converted are {sorted(own)}")
    for name, weight in own.items():
        variables[name].assign(weight.array())


def _own_values(graph: Graph) -> dict[str, npt.NDArray[np.float32]]:
    """What sources themselves put into their tops (DummyData), where nothing is given for them."""
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
    if misfit:  # a scalar does not take the place of the definition's shape
        raise UsageError(f"{misfit}; give an array of as many axes")


@contextmanager
def _enough_memory(program: Program) -> Iterator[None]:
    """Tells of a network that is larger than the machine, or than TensorFlow, can compute: of many axes, say."""
    with starting_tensorflow():
        import tensorflow as tf  # noqa: PLC0415 - takes seconds, and is needed here

    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.AbortedError, tf.errors.UnimplementedError) as e:
        layer = _keras_layer(e)
        nodes = {program.taps[i].layer: n.name for n in program.graph.nodes for i in n.outputs if i in program.taps}
        place = f"layer {nodes.get(layer, layer)!r}: " if layer else ""
        memory = isinstance(e, MemoryError | tf.errors.ResourceExhaustedError)
        what = "this needs more memory than there is" if memory else "TensorFlow cannot compute this"
        raise UsageError(f"{place}{what}: {_reason(e)}") from e


def _keras_layer(error: BaseException) -> str:
    """The name of the innermost Keras layer that was being called; empty where that cannot be told."""
    import keras  # noqa: PLC0415 - as above

    callers = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    layers = [c.name for c in callers if isinstance(c, keras.Layer) and not isinstance(c, keras.Model)]
    return layers[-1] if layers else ""


def _reason(error: BaseException) -> str:
    """What TensorFlow says, without where in TensorFlow it says so."""
    text = str(error).partition(" [Op:")[0].rpartition("}} ")[2]
    return text.partition(" on /job:")[0] or type(error).__name__


def _forward(
    program: Program, model: keras.Model, fed: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[np.float32]]:
    import keras  # noqa: PLC0415 - TensorFlow takes seconds to import
    import tensorflow as tf  # noqa: PLC0415 - likewise

    finals = program.graph.final_values()
    taps = [program.taps[v.id] for v in finals.values()]
    outputs = {str(n): _output(model, tap.layer, tap.index) for n, tap in enumerate(taps)}
    whole = keras.Model({i.name: i for i in model.inputs}, outputs)
    arrays = {n: np.ascontiguousarray(value.layout.from_caffe(fed[value.blob])) for value, n in program.inputs}
    try:
        results = whole(arrays, training=False)
    except tf.errors.InvalidArgumentError as e:  # an index beyond a table, say: the values are the user's
        raise UsageError(f"the network cannot be computed on these inputs: {_reason(e)}") from e
    return {b: _in_caffe_order(value, results[str(n)]) for n, (b, value) in enumerate(finals.items())}


def _output(model: keras.Model, layer: str, index: int) -> keras.KerasTensor:
    output = model.get_layer(layer).output
    return output[index] if isinstance(output, list | tuple) else output


def _in_caffe_order(value: Value, result: object) -> npt.NDArray[np.float32]:
    array = np.asarray(result, np.float32)
    array = np.ascontiguousarray(value.layout.to_caffe(array)) if array.ndim else array
    if array.ndim != value.rank or any(d not in (None, n) for d, n in zip(value.shape, array.shape, strict=True)):
        raise RuntimeError(f"blob {value.blob!r} came out as {array.shape}, where {value.shape} was inferred")
    return array
