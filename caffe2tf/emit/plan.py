"""The plan of a conversion: everything that is to be written, as source text and views of weights.

The steps, each in its module: the statements of the program (`program`), their source (`source`, `format`, `literals`),
the module around it (`module`, `loader`), the runtime layers that it imports (`runtime_source`), stubs (`stub_source`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from caffe2tf.emit.module import Provenance, render_module, with_provenance
from caffe2tf.emit.names import module_name
from caffe2tf.emit.order import keras_order, left_out
from caffe2tf.emit.program import Program, write_program
from caffe2tf.emit.runtime_source import extract_runtime
from caffe2tf.emit.source import runtime_classes
from caffe2tf.emit.stub_source import has_stubs, render_stubs, stubs_module
from caffe2tf.ir import Graph, Weight
from caffe2tf.version import __version__

__all__ = ["Plan", "emit_graph"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """A conversion that is complete, except that nothing is written yet.

    Attributes:
        program: the statements of the emitted function.
        module_name: name of the emitted module, without suffix.
        module_source: its text, without the digests of the files that it is made from; see `with_digests`.
        runtime_classes: the runtime layers and functions that it imports, sorted.
        runtime_source: text of the module that defines them; None if there are none.
        stubs_source: text of the layers for the user to fill in; None if there are none.
    """

    program: Program
    module_name: str
    module_source: str
    runtime_classes: tuple[str, ...]
    runtime_source: str | None
    stubs_source: str | None = None

    def with_digests(self, digests: Sequence[tuple[str, str]]) -> Self:
        """Return the plan with (name, SHA-256) of the files it was made from in the docstring of the module."""
        provenance = Provenance(files=tuple(digests), version=__version__)
        return replace(self, module_source=with_provenance(self.module_source, self.program, provenance))

    def weights(self) -> dict[str, Mapping[str, Weight]]:
        """Return the converted weights by Keras layer, in the order of ``model.layers``, as views of Caffe's blobs."""
        owners = self.program.owners
        nodes = {owners[node.name]: node for node in self.program.graph.nodes if node.name in owners}
        return {
            name: nodes[name].layer.convert(nodes[name].blobs, self.program.context(nodes[name]))
            for name in keras_order(self.program)
            if name in nodes
        }


def emit_graph(graph: Graph, *, name: str, loadable: Mapping[str, Sequence[str]], every_blob: bool = False) -> Plan:
    """Emit a graph that the passes have prepared.

    Args:
        graph: the prepared graph.
        name: name of the network; the module is named after it.
        loadable: suffixes of the weight files that the emitted module loads, by kind; see `loader_source`.
        every_blob: make blobs that no output depends on outputs, too, so that the model computes them.
    """
    program = write_program(graph)
    if every_blob and (missing := left_out(program)):
        program = write_program(replace(graph, outputs=(*graph.outputs, *missing)))
    classes = runtime_classes(program)
    module = module_name(name)
    stubs = stubs_module(module) if has_stubs(program) else ""
    return Plan(
        program=program,
        module_name=module,
        module_source=render_module(program, Provenance(files=(), version=__version__), loadable=loadable, stubs=stubs),
        runtime_classes=tuple(classes),
        runtime_source=extract_runtime(classes) if classes else None,
        stubs_source=render_stubs(program),
    )
