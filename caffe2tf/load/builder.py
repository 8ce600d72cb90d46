"""Builds the graph of a definition, front to back, and collects everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from caffe2tf.diagnostics import Diagnostic, Hint, Severity, in_order
from caffe2tf.errors import LayerError, diagnose, network_error
from caffe2tf.ir import Graph, Node, Shape, Value
from caffe2tf.layers import Layer
from caffe2tf.layers.data.source import Source
from caffe2tf.layers.loss.loss_base import Loss
from caffe2tf.load.memory import Memory, echo_node
from caffe2tf.load.names import AUTOMATIC, Blobs, NodeNames
from caffe2tf.load.reading import infer_tops, read_layer, stub_for
from caffe2tf.load.remarks import grouped
from caffe2tf.load.selection import is_source
from caffe2tf.load.sources import InputShapes, input_node
from caffe2tf.load.unknown import judge_network, judge_unknown
from caffe2tf.parse import Phase

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition, NetworkDefinition

__all__ = ["Built", "build_graph"]

_TRAINED: Final = (
    "it states `phase: TRAIN`, as layers of snapshots do, so Caffe computes as in training even in a network in phase "
    "TEST; the model does so only while it is trained, and otherwise computes as Caffe without that statement"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A graph as far as it could be built.

    Attributes:
        graph: the graph, without trained blobs; it lacks the layers that have a problem, and those that read them.
        definitions: the definition of each node by the node's name. Nodes that are no layer of Caffe have none.
        problems: everything that stands in the way of a conversion.
    """

    graph: Graph
    definitions: Mapping[str, LayerDefinition]
    problems: tuple[Diagnostic, ...]

    def raise_problems(self) -> None:
        """Raise all problems in one error, if there are any."""
        if self.problems:
            raise network_error(self.problems)


def build_graph(
    definition: NetworkDefinition, *, input_shapes: Mapping[str, Shape], stub_unknown: bool = False
) -> Built:
    """Return the graph of a definition without trained blobs. Problems are returned, not raised.

    Args:
        definition: the network, with only the layers that exist in the phase (`select_layers`).
        input_shapes: shapes of inputs by blob, which replace the shapes in the definition.
        stub_unknown: whether a layer of unknown type becomes a stub instead of a problem.
    """
    builder = _Builder(
        file=definition.file,
        stub_unknown=stub_unknown,
        shapes=InputShapes(input_shapes, beside=definition.file),
        tested=definition.state.phase is Phase.TEST,
        found=[*definition.notes, *judge_network(definition)],
    )
    for layer in definition.layers:
        builder.add(layer)
    builder.finish()
    inputs = [top for layer in definition.layers if is_source(layer) for top in layer.tops]
    found = in_order([*builder.found, *grouped(builder.trained), *builder.shapes.unused(inputs)])
    problems = tuple(d for d in found if d.severity is not Severity.NOTE)
    graph = Graph(
        name=definition.name or "network",
        nodes=tuple(builder.nodes),
        values=builder.blobs.values,
        outputs=(),
        notes=tuple(d for d in found if d.severity is Severity.NOTE),
    )
    return Built(
        graph=replace(graph, outputs=graph.unread()),
        definitions=builder.definitions,
        problems=problems,
    )


@dataclass(slots=True, kw_only=True)
class _Builder:
    """The graph so far.

    Attributes:
        file: the path of the definition.
        stub_unknown: whether a layer of unknown type becomes a stub.
        shapes: the shapes that the user gives for inputs.
        found: problems and notes.
        tested: whether the network is in phase TEST.
        trained: notes on layers that state phase TRAIN in a network in phase TEST.
        nodes: the nodes.
        definitions: the definition of each node that is a layer, by the node's name.
        blobs: the value that each blob's name stands for.
        memory: which blobs are aliases.
    """

    file: str
    stub_unknown: bool
    shapes: InputShapes
    found: list[Diagnostic]
    tested: bool
    trained: list[Diagnostic] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    definitions: dict[str, LayerDefinition] = field(default_factory=dict)
    blobs: Blobs = field(default_factory=Blobs)
    memory: Memory = field(default_factory=Memory)
    names: NodeNames = field(init=False)

    def __post_init__(self) -> None:
        self.names = NodeNames(self.definitions)

    def add(self, definition: LayerDefinition) -> None:
        """Add the node of a layer, or what is wrong with it."""
        self.found += judge_unknown(definition)
        bottoms = [self._bottom(blob, definition) for blob in definition.bottoms]
        known = [value for value in bottoms if value is not None]
        layer = shapes = None
        try:
            layer = self._read(definition)
            if len(known) == len(bottoms):
                layer = self.shapes.settle(layer, definition.tops) if isinstance(layer, Source) else layer
                shapes = infer_tops(layer, definition.tops, [value.shape for value in known])
        except LayerError as e:
            self.found.append(diagnose(e, layer=definition.name, where=definition.where))
        tops = definition.tops or ((AUTOMATIC,) if isinstance(layer, Loss) else ())
        self._refuse_rewriting(definition, tops)
        if layer is None or shapes is None:
            for top in tops:
                self.blobs.write_unknown(top, writer=definition.name)
            return
        written = [self.blobs.write(t, s, writer=definition.name) for t, s in zip(tops, shapes, strict=False)]
        self._add_node(definition, layer, known, written)
        self._follow_memory(definition, layer)

    def finish(self) -> None:
        """Bring all aliases up to date, so that each blob has its final value."""
        for blob in self.memory.aliases():
            self._latest(blob)

    def _latest(self, blob: str) -> Value | None:
        """Return the present value of a blob, read again if an alias was overwritten; None if it is unknown."""
        value, outdated = self.blobs.latest(blob), self.memory.refresh(blob)
        if value is None or outdated is None:
            return value
        written, writer = outdated
        value = self.blobs.write(blob, value.shape, writer=writer)
        self.nodes.append(echo_node(writer, written, value))
        return value

    def _bottom(self, blob: str, definition: LayerDefinition) -> Value | None:
        """Return the value that a bottom stands for; None if it is unknown, which is reported once."""
        if blob in self.blobs:
            return self._latest(blob)
        shape = self.shapes.take(blob)
        if shape is None:
            self.found.append(
                Diagnostic(
                    message=f"bottom {blob!r} is not the top of any earlier layer{self.blobs.suggestion(blob)}",
                    layer=definition.name,
                    where=definition.where,
                    hint=Hint.NEW_INPUT,
                    about=(blob,),
                )
            )
            self.blobs.mark_missing(blob)
            return None
        value = self.blobs.write(blob, shape, writer=definition.name)
        node, note = input_node(value, definition.where)
        self.nodes.append(node)
        self.found.append(note)
        return value

    def _read(self, definition: LayerDefinition) -> Layer:
        stub = stub_for(definition, self.shapes) if self.stub_unknown else None
        return read_layer(definition, beside=self.file) if stub is None else stub

    def _refuse_rewriting(self, definition: LayerDefinition, tops: Sequence[str]) -> None:
        """Report the tops that an earlier layer wrote, unless the layer works in place."""
        for i, top in enumerate(tops):
            in_place = i < len(definition.bottoms) and definition.bottoms[i] == top
            again = top in self.blobs.writers or top in tops[:i]
            if again and not in_place and top != AUTOMATIC:
                writer = self.blobs.writers.get(top, definition.name)
                message = f"top {top!r} is already written by layer {writer!r}; rename one of them"
                self.found.append(Diagnostic(message=message, layer=definition.name, where=definition.where))

    def _add_node(
        self, definition: LayerDefinition, layer: Layer, bottoms: Sequence[Value], tops: Sequence[Value]
    ) -> None:
        name, taken = self.names.unique(definition, len(self.nodes))
        if taken:
            message = "an earlier layer has the same name; weights of that name go to the first, as in Caffe"
            self.found.append(Diagnostic.note(message, layer=definition.name, where=definition.where))
        self.definitions[name] = definition
        if self.tested and definition.training and layer.differs_in_training():
            self.trained.append(Diagnostic.note(_TRAINED, layer=definition.name, where=definition.where))
        self.nodes.append(
            Node(
                name=name,
                layer=layer,
                inputs=tuple(value.id for value in bottoms),
                outputs=tuple(value.id for value in tops),
                parts=(name,),
                where=definition.where,
            )
        )

    def _follow_memory(self, definition: LayerDefinition, layer: Layer) -> None:
        """Record new aliases and writes in place."""
        bottoms, tops = definition.bottoms, definition.tops
        if layer.shares_memory(len(bottoms), len(tops)):
            self.memory.share(bottoms[0], tops)
        for bottom, top in zip(bottoms, tops, strict=False):
            written = self.blobs.latest(top) if bottom == top else None
            if written is not None:
                self.memory.write(top, written, writer=definition.name, tops=tops)
