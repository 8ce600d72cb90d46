"""A conversion thought out to the end: passes, statements, the texts to write, and the weights as views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from caffe2tf.diagnostics import Diagnostic
from caffe2tf.emit.module import Provenance, render_module, with_provenance
from caffe2tf.emit.names import module_name
from caffe2tf.emit.order import keras_order, left_out
from caffe2tf.emit.program import Program, write_program
from caffe2tf.emit.runtime_source import extract_runtime
from caffe2tf.emit.source import runtime_classes
from caffe2tf.emit.stub_source import has_stubs, render_stubs, stubs_module
from caffe2tf.errors import NetworkError
from caffe2tf.ir import Graph, Weight
from caffe2tf.parse import NetworkDefinition
from caffe2tf.passes import prepare
from caffe2tf.version import __version__

__all__ = ["Plan", "plan_conversion"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """A conversion thought out to the end, with nothing written yet.

    Attributes:
        program: what the emitted function does.
        module_name: name of the emitted module, without suffix.
        module_source: its text; `with_digests` gives it the digests that it is written with.
        runtime_source: text of the runtime layers it imports; None where it needs none.
        stubs_source: text of the layers that the user is to fill in; None where there are none.
    """

    program: Program
    module_name: str
    module_source: str
    runtime_source: str | None
    stubs_source: str | None = None

    def with_digests(self, digests: Sequence[tuple[str, str]]) -> Self:
        """The same with (name, sha256) of the files it was made from in the module's docstring."""
        provenance = Provenance(files=tuple(digests), version=__version__)
        return replace(self, module_source=with_provenance(self.module_source, self.program, provenance))

    def weights(self) -> dict[str, Mapping[str, Weight]]:
        """Converted weights by Keras layer, in the order of ``model.layers``: views, nothing is copied yet."""
        owners = self.program.owners
        nodes = {owners[node.name]: node for node in self.program.graph.nodes if node.name in owners}
        return {
            name: nodes[name].layer.convert(nodes[name].blobs, self.program.context(nodes[name]))
            for name in keras_order(self.program)
            if name in nodes
        }


def plan_conversion(
    graph: Graph,
    definition: NetworkDefinition,
    *,
    keep_losses: bool = False,
    keep_silent: bool = False,
    fixed_rows: bool = False,
) -> Plan:
    """Passes and emission of a loaded graph.

    Args:
        graph: as loaded.
        definition: what it was loaded from.
        keep_losses: compute losses and metrics, too.
        keep_silent: keep blobs that only a Silence layer reads as outputs.
        fixed_rows: let layers that find a varying number of things give as many rows as they ever can, padded.

    Raises:
        NetworkError: nothing is left to compute.
    """
    prepared = replace(prepare(graph, keep_losses=keep_losses, keep_silent=keep_silent), fixed_rows=fixed_rows)
    program = write_program(prepared)
    if keep_silent and (missing := left_out(program)):
        program = write_program(replace(prepared, outputs=(*prepared.outputs, *missing)))
    if not program.outputs:
        what = f"{definition.file}: the network has no output: every blob is read by a layer that only swallows it"
        raise NetworkError([Diagnostic(message=what)])
    classes = runtime_classes(program)
    name = module_name(definition.name or Path(definition.file).stem)
    return Plan(
        program=program,
        module_name=name,
        module_source=render_module(
            program, Provenance(files=(), version=__version__), stubs=stubs_module(name) if has_stubs(program) else ""
        ),
        runtime_source=extract_runtime(classes) if classes else None,
        stubs_source=render_stubs(program),
    )
