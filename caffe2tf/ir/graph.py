"""The network as frozen data: nodes that read and write values. Each value is written once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from caffe2tf.errors import Position
from caffe2tf.ir.layer import Layer
from caffe2tf.ir.parameter import Parameter
from caffe2tf.ir.value import NodeBlob, Value

__all__ = ["Graph", "Node"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """One layer at its place in the network.

    Attributes:
        name: Caffe's layer name.
        layer: its semantics.
        inputs: ids of the values read, in the order of the bottoms.
        outputs: ids of the values written, in the order of the tops.
        blobs: trained blobs; empty for a layer without any, or a network without weights.
        parts: Caffe layers that this node stands for (more than one after fusion).
        where: the layer's place in the definition.
        owner: the node whose trained blobs this one uses; None where it has its own or none.
        echo: whether it only shows what a write in place did to another name of the same memory.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    blobs: tuple[NodeBlob, ...] = ()
    parts: tuple[str, ...] = ()
    where: Position | None = None
    owner: str | None = None
    echo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """A network. Nodes stand in an order in which each comes after those it reads from.

    Attributes:
        name: Caffe's network name.
        nodes: the layers.
        values: every value by its id.
        outputs: ids of the values that leave the network, in the order of their writing.
        free_batch: whether axis 0 of every input may have any extent when the model runs.
        fixed_rows: whether layers that find a varying number of things give as many rows as they ever can, padded.
        notes: what was left out or decided, for the user to know.
        shared: for each node all of whose trained blobs are those of one node before it, that node.
        parameters: for each node with trained blobs, whose they are; empty where no two nodes share any.
        unbatched: ids of the values whose axis 0 is not the batch.
    """

    name: str
    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    outputs: tuple[str, ...]
    free_batch: bool = True
    fixed_rows: bool = False
    notes: tuple[str, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, tuple[Parameter, ...]] = field(default_factory=dict)
    unbatched: frozenset[str] = frozenset()

    def read(self, node: Node) -> tuple[Value, ...]:
        """The values that ``node`` reads."""
        return tuple(self.values[i] for i in node.inputs)

    def written(self, node: Node) -> tuple[Value, ...]:
        """The values that ``node`` writes."""
        return tuple(self.values[i] for i in node.outputs)

    def writers(self) -> dict[str, str]:
        """For each blob but those that come from outside, the Caffe layer that writes it last."""
        return {v.blob: n.parts[-1] for n in self.nodes if n.inputs or n.blobs for v in self.written(n)}

    def readers(self) -> dict[str, list[Node]]:
        """For each value id, the nodes that read it, once for each bottom."""
        found: dict[str, list[Node]] = {i: [] for i in self.values}
        for node in self.nodes:
            for i in node.inputs:
                found[i].append(node)
        return found

    def final_values(self) -> dict[str, Value]:
        """For each blob, its value after the last write: what Caffe's blob holds after a forward pass."""
        final: dict[str, Value] = {}
        for node in self.nodes:
            for value in self.written(node):
                final[value.blob] = value
        return final

    def unread(self) -> tuple[str, ...]:
        """Ids of the final values of blobs that no layer reads: what Caffe calls the network's outputs."""
        read = {i for n in self.nodes if not n.echo for i in n.inputs}
        taken: dict[str, bool] = {}  # blob -> whether a layer reads it after the last layer that writes it
        for node in self.nodes:
            for value in self.written(node):
                taken[value.blob] = value.id in read or (node.echo and taken.get(value.blob, False))
        return tuple(v.id for blob, v in self.final_values().items() if not taken[blob])

    def with_nodes(self, nodes: Sequence[Node], *, values: Iterable[Value] = (), **changes: Any) -> Self:  # noqa: ANN401 - passed to replace()
        """A new graph of ``nodes``, with ``values`` added or replaced, and those that nobody writes left out."""
        known = dict(self.values) | {v.id: v for v in values}
        written = {i for n in nodes for i in n.outputs}
        return replace(self, nodes=tuple(nodes), values={i: v for i, v in known.items() if i in written}, **changes)
