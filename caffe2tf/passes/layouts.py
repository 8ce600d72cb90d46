"""Settles in what order each Keras tensor holds its blob, with as few reorderings as the network allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from caffe2tf.ir import Graph, Layout, Node, Value
from caffe2tf.layers import Role
from caffe2tf.passes.reorder import Reorder

__all__ = ["assign_layouts"]


def assign_layouts(graph: Graph) -> Graph:
    """Gives every value its layout, and puts a Reorder in where a layer reads another than the one that reaches it.

    Every layer says which layouts it reads and gives. What is free are the layouts of the network's inputs (and of
    constant blobs): channels last from four axes on, where Caffe itself names the axes; the other way round where
    that needs fewer reorderings.
    """
    free = [v for n in graph.nodes if n.layer.role in (Role.SOURCE, Role.CONSTANT) for v in graph.written(n)]
    chosen = {v.id: Layout.channels_last(v.rank) if v.rank >= 4 else Layout.plain(v.rank) for v in free}
    best = _Assignment.of(graph, chosen)
    for value in free:
        if best.reorders == 0:
            break
        other = Layout.plain(value.rank)
        if chosen[value.id] == other:
            other = Layout.channels_last(value.rank)
        trial = _Assignment.of(graph, chosen | {value.id: other})
        if trial.reorders < best.reorders:
            chosen, best = chosen | {value.id: other}, trial
    return graph.with_nodes(_apart(best), values=best.values.values(), outputs=best.outputs)


def _apart(assignment: _Assignment) -> list[Node]:
    """The nodes, without the sharing of one Keras layer where two users need its weights in another order."""

    def layouts(node: Node) -> list[Layout]:
        return [assignment.values[i].layout for i in node.inputs]

    by_name = {n.name: n for n in assignment.nodes}
    return [
        replace(n, owner=None) if n.owner and layouts(n) != layouts(by_name[n.owner]) else n for n in assignment.nodes
    ]


@dataclass(slots=True)
class _Assignment:
    """The graph with the layouts that follow from a choice for its inputs."""

    values: dict[str, Value]
    nodes: list[Node] = field(default_factory=list)
    outputs: tuple[str, ...] = ()
    reorders: int = 0
    made: dict[tuple[str, Layout], str] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, chosen: Mapping[str, Layout]) -> _Assignment:
        """Follows the layouts from the inputs to the outputs."""
        self = cls(values=dict(graph.values))
        for node in graph.nodes:
            if node.layer.role in (Role.SOURCE, Role.CONSTANT):
                layouts = tuple(chosen[i] for i in node.outputs)
                self.nodes.append(node)
            else:
                inputs = tuple(self.values[i] for i in node.inputs)
                wanted = node.layer.arrange(inputs, graph.written(node))
                ids = tuple(self._in_layout(v, want) for v, want in zip(inputs, wanted.inputs, strict=True))
                self.nodes.append(replace(node, inputs=ids))
                layouts = wanted.outputs
            for i, layout in zip(node.outputs, layouts, strict=True):
                self.values[i] = replace(self.values[i], layout=layout)
        self.outputs = tuple(self._as_output(self.values[i]) for i in graph.outputs)
        return self

    def _as_output(self, value: Value) -> str:
        """What leaves the network is in Caffe's order or channels last: nobody could guess any other."""
        if value.layout in (Layout.plain(value.rank), Layout.channels_last(value.rank)):
            return value.id
        return self._in_layout(value, Layout.plain(value.rank))

    def _in_layout(self, value: Value, layout: Layout) -> str:
        if value.layout == layout:
            return value.id
        if (value.id, layout) not in self.made:
            suffix = "plain" if layout.is_plain else "reordered"
            id_ = f"{value.id}@{suffix}"
            while id_ in self.values:
                id_ += "+"
            self.values[id_] = replace(value, id=id_, layout=layout)
            name = f"{value.id}-{suffix}".replace("#", "-")
            layer = Reorder(source=value.layout, target=layout)
            self.nodes.append(Node(name=name, layer=layer, inputs=(value.id,), outputs=(id_,)))
            self.made[value.id, layout] = id_
            self.reorders += 1
        return self.made[value.id, layout]
