"""The network as frozen data in SSA form: nodes read and write values, and each value is written once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from caffe2tf.diagnostics import Diagnostic, Position
from caffe2tf.ir.layer import FeedsInputs, Layer, Role
from caffe2tf.ir.parameter import Parameter
from caffe2tf.ir.value import NodeBlob, Value

if TYPE_CHECKING:
    from caffe2tf.ir.preprocessing import Feed
    from caffe2tf.parse import ParamSpec

__all__ = ["Graph", "Node"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """One layer in the network.

    Attributes:
        name: Caffe's layer name.
        layer: its parameters and rules.
        inputs: ids of the values that it reads, in the order of the bottoms.
        outputs: ids of the values that it writes, in the order of the tops.
        blobs: trained blobs; empty if the layer has none, or no weights were given.
        params: for each trained blob that the layer must have, how it is shared and trained (``lr_mult``,
            ``decay_mult``); known without weights, too.
        parts: names of the Caffe layers in this node; several after fusion.
        where: the position of the layer in the definition.
        owner: the node whose trained blobs this one uses; None if it has its own, or none.
        echo: whether the node only re-reads a blob after another blob in the same memory was overwritten in place.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    blobs: tuple[NodeBlob, ...] = ()
    params: tuple[ParamSpec, ...] = ()
    parts: tuple[str, ...] = ()
    where: Position | None = None
    owner: str | None = None
    echo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """A network. Nodes are in topological order.

    Attributes:
        name: Caffe's network name.
        nodes: the layers.
        values: every value by its id.
        outputs: ids of the network's outputs, in the order in which they are written.
        free_batch: whether the model takes any batch size.
        fixed_rows: whether layers with a varying number of results return the largest possible number of rows, padded.
        notes: what was left out or decided, for the user.
        shared: for each node that shares all of its trained blobs with one earlier node, the name of that node.
        parameters: for each node with trained blobs, their owners; empty if no blobs are shared.
        unbatched: ids of the values whose axis 0 is not the batch.
    """

    name: str
    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    outputs: tuple[str, ...]
    free_batch: bool = True
    fixed_rows: bool = False
    notes: tuple[Diagnostic, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, tuple[Parameter, ...]] = field(default_factory=dict)
    unbatched: frozenset[str] = frozenset()

    def read(self, node: Node) -> tuple[Value, ...]:
        """Return the values that a node reads."""
        return tuple(self.values[i] for i in node.inputs)

    def written(self, node: Node) -> tuple[Value, ...]:
        """Return the values that a node writes."""
        return tuple(self.values[i] for i in node.outputs)

    def feeds(self) -> dict[str, Feed | None]:
        """Return what Caffe feeds into each input, by blob; None if the definition does not say."""
        return {
            value.blob: node.layer.feed(value.blob) if isinstance(node.layer, FeedsInputs) else None
            for node in self.nodes
            if node.layer.role is Role.SOURCE
            for value in self.written(node)
        }

    def writers(self) -> dict[str, str]:
        """Return, for each blob that is not an input, the Caffe layer that writes it last."""
        return {v.blob: n.parts[-1] for n in self.nodes if n.inputs or n.blobs for v in self.written(n)}

    def readers(self) -> dict[str, list[Node]]:
        """Return, for each value id, the nodes that read it; a node appears once for each bottom."""
        found: dict[str, list[Node]] = {i: [] for i in self.values}
        for node in self.nodes:
            for i in node.inputs:
                found[i].append(node)
        return found

    def final_values(self) -> dict[str, Value]:
        """Return the last value of each blob: what Caffe's blob holds after a forward pass."""
        final: dict[str, Value] = {}
        for node in self.nodes:
            for value in self.written(node):
                final[value.blob] = value
        return final

    def unread(self) -> tuple[str, ...]:
        """Return the ids of the last values that no layer reads: Caffe's definition of the network's outputs."""
        read = {i for n in self.nodes if not n.echo for i in n.inputs}
        taken: dict[str, bool] = {}  # blob -> whether a layer reads it after its last write
        for node in self.nodes:
            for value in self.written(node):
                taken[value.blob] = value.id in read or (node.echo and taken.get(value.blob, False))
        return tuple(v.id for blob, v in self.final_values().items() if not taken[blob])

    def with_nodes(self, nodes: Sequence[Node], *, values: Iterable[Value] = (), **changes: Any) -> Self:  # noqa: ANN401 - passed to replace()
        """Return a new graph.

        Args:
            nodes: the nodes of the new graph. Values that none of them writes are removed.
            values: values to add, or to replace by id.
            changes: other fields to replace.
        """
        known = dict(self.values) | {v.id: v for v in values}
        written = {i for n in nodes for i in n.outputs}
        return replace(self, nodes=tuple(nodes), values={i: v for i, v in known.items() if i in written}, **changes)
