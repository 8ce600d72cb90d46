"""The one way through: read -> load -> passes -> emit -> artifacts.

`convert`, `run`, `verify`, `infer_shapes` and `alexnet` all call the steps below, and compose them nowhere else:

    definition = read_network(prototxt)                        # parse: any file of Caffe to one definition
    with open_trained(definition, weights) as trained:         # parse: trained blobs as views of mapped files
        graph = load(definition, trained, options)             # load: definition, layers and blobs to a graph
        plan = plan_conversion(graph, definition)              # passes and emit: graph to source text
        write_artifacts(plan, folder, kinds)                   # artifacts: files, together or not at all

`convert_network` is these steps in a row.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from caffe2tf.artifacts import Artifact, Kind, write_artifacts
from caffe2tf.artifacts.hashing import hash_jobs
from caffe2tf.artifacts.kinds import loadable_suffixes
from caffe2tf.diagnostics import Diagnostic
from caffe2tf.emit import Plan, emit_graph
from caffe2tf.errors import NetworkError
from caffe2tf.ir import Graph, Shape
from caffe2tf.load import WeightFiles, load_graph, open_trained
from caffe2tf.parse import NetworkDefinition, TrainedWeights, read_network
from caffe2tf.passes import prepare

__all__ = ["Selection", "convert_network", "load", "open_trained", "plan_conversion", "read_network"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is taken of a definition.

    Attributes:
        phase: TEST or TRAIN; selects layers, with ``stages`` and ``level``.
        stages: stages of the NetState.
        level: level of the NetState.
        input_shapes: shapes of inputs by blob, instead of the definition's.
        stub_unknown: whether a layer of unknown type becomes a stub, instead of an error.
    """

    phase: str = "TEST"
    stages: Sequence[str] = ()
    level: int = 0
    input_shapes: Mapping[str, Shape] = field(default_factory=dict)
    stub_unknown: bool = False

    @property
    def state(self) -> dict[str, Any]:
        """The NetState of Caffe that selects layers."""
        return {"phase": self.phase, "stages": self.stages, "level": self.level}


def load(
    definition: NetworkDefinition,
    trained: TrainedWeights | None = None,
    selection: Selection | None = None,
    *,
    fill: bool = False,
) -> Graph:
    """Load the graph of a definition.

    Args:
        definition: the definition.
        trained: trained blobs; None loads the structure alone.
        selection: what to take of the definition; by default, what Caffe runs in the phase TEST.
        fill: whether blobs that no file has are filled by the definition's fillers, random ones from a fixed seed.

    Raises:
        NetworkError: the network is not valid, or has unsupported parts; all problems are in the message.
        WeightsError: the weights belong to another network.
    """
    chosen = selection or Selection()
    return load_graph(
        definition,
        trained,
        **chosen.state,
        input_shapes=chosen.input_shapes,
        fill=fill,
        stub_unknown=chosen.stub_unknown,
    )


def plan_conversion(
    graph: Graph,
    definition: NetworkDefinition,
    *,
    keep_losses: bool = False,
    keep_silent: bool = False,
    fixed_rows: bool = False,
) -> Plan:
    """Run the passes on a loaded graph, and emit the result.

    Args:
        graph: the graph as it was loaded.
        definition: the definition that it was loaded from.
        keep_losses: compute losses and metrics.
        keep_silent: keep blobs that only a Silence layer reads, and every other blob, so that all can be compared.
        fixed_rows: pad detections and proposals to a fixed number of rows.

    Raises:
        NetworkError: the network has no output.
    """
    prepared = replace(prepare(graph, keep_losses=keep_losses, keep_silent=keep_silent), fixed_rows=fixed_rows)
    name = definition.name or Path(definition.file).stem
    plan = emit_graph(prepared, name=name, loadable=loadable_suffixes(), every_blob=keep_silent)
    if not plan.program.outputs:
        what = f"{definition.file}: the network has no output: every blob is read by a layer that only swallows it"
        raise NetworkError([Diagnostic(message=what)])
    return plan


def convert_network(  # noqa: PLR0913 - one parameter for each option
    prototxt: str | os.PathLike[str],
    weights: WeightFiles | None,
    folder: Path,
    kinds: Sequence[Kind],
    *,
    selection: Selection,
    keep_losses: bool = False,
    fixed_rows: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Plan, tuple[Artifact, ...]]:
    """Convert a network and write the results; return the plan and what was written.

    The files that are read are hashed in the background, from the start.

    Args:
        prototxt: the definition.
        weights: trained blobs; None takes those that the definition itself holds.
        folder: where to write.
        kinds: what to write besides the code.
        selection: what to take of the definition.
        keep_losses: compute losses and metrics.
        fixed_rows: pad detections and proposals to a fixed number of rows.
        progress: called with (bytes written, bytes in all).

    Raises:
        Caffe2TFError: the network cannot be read, converted or written.
    """
    definition = read_network(prototxt)
    with open_trained(definition, weights) as trained:
        files = tuple(dict.fromkeys([Path(definition.file), *(trained.files if trained else ())]))
        with hash_jobs(files) as jobs:
            graph = load(definition, trained, selection)
            plan = plan_conversion(graph, definition, keep_losses=keep_losses, fixed_rows=fixed_rows)
            return plan, write_artifacts(plan, folder, kinds, sources=jobs, progress=progress)
