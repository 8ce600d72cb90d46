"""Chooses the layout of every value: in which order the Keras tensor holds the values of the blob.

**Given** a graph whose values all have Caffe's own layout, and which no later pass changes.

**Result**: every node reads its inputs and gives its outputs in the layouts that its layer asks for (`Layer.arrange`).
The outputs of the network are in Caffe's order or channels last.

1. Network inputs and constants are free: nothing before them fixes their layout. From four axes on they are channels
   last, where Caffe itself names the axes; with fewer they are in Caffe's order.
2. Layouts follow from there, node by node. Where a layer reads another layout than the one that reaches it, a `Reorder`
   node is put in front. All readers that want a value in the same layout share one `Reorder`.
3. A free value takes the other of the two layouts of case 1 if the graph then has fewer `Reorder` nodes.
4. An output in any other layout than Caffe's order or channels last is put in Caffe's order: a caller could not guess
   any other.
5. A node that shares another's Keras layer, but reads other layouts, gets a Keras layer of its own, since it needs the
   weights in another order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from caffe2tf.ir import Graph, Layout, Node, Value
from caffe2tf.ir.layer import Role
from caffe2tf.passes.reorder import Reorder

__all__ = ["assign_layouts"]


def assign_layouts(graph: Graph) -> Graph:
    """Return the graph with a layout for every value, and as few `Reorder` nodes as possible."""
    free = [v for n in graph.nodes if n.layer.role in (Role.SOURCE, Role.CONSTANT) for v in graph.written(n)]
    chosen = {v.id: Layout.channels_last(v.rank) if v.rank >= 4 else Layout.plain(v.rank) for v in free}
    best = _Assignment.of(graph, chosen)
    for value in free:  # case 3
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
    """The nodes, with Keras layers of their own for those of case 5."""

    def layouts(node: Node) -> list[Layout]:
        return [assignment.values[i].layout for i in node.inputs]

    by_name = {n.name: n for n in assignment.nodes}
    return [
        replace(n, owner=None) if n.owner and layouts(n) != layouts(by_name[n.owner]) else n for n in assignment.nodes
    ]


@dataclass(slots=True)
class _Assignment:
    """The graph with the layouts that follow from a choice for its free values.

    Attributes:
        values: all values, with their layouts.
        nodes: the nodes, with the `Reorder` nodes that they need.
        outputs: ids of the outputs.
        reorders: the number of `Reorder` nodes.
        made: for each value and layout, the id of the reordered value.
    """

    values: dict[str, Value]
    nodes: list[Node] = field(default_factory=list)
    outputs: tuple[str, ...] = ()
    reorders: int = 0
    made: dict[tuple[str, Layout], str] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, chosen: Mapping[str, Layout]) -> _Assignment:
        """Follow the layouts from the free values, whose layouts are ``chosen``, to the outputs (case 2)."""
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
        """The id of an output in a layout that a caller can guess (case 4)."""
        if value.layout in (Layout.plain(value.rank), Layout.channels_last(value.rank)):
            return value.id
        return self._in_layout(value, Layout.plain(value.rank))

    def _in_layout(self, value: Value, layout: Layout) -> str:
        """The id of ``value`` in ``layout``: its own, or that of a `Reorder`, added if it is the first to need one."""
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
