"""What fusions share: joining a node with the one that overwrites its blob in place.

Two nodes may become one only if no blob is lost that Caffe would show, and no sharing of layers is broken:

1. The second node has one bottom and one top, and both are versions of the same blob: the value between is overwritten.
2. Nobody but the second node reads the value between.
3. Neither node shares its Keras layer with another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from caffe2tf.ir import Graph, Node

__all__ = ["fuse_in_place"]


def fuse_in_place(graph: Graph, join: Callable[[Node, Node], Node | None]) -> Graph:
    """Return the graph with pairs of nodes joined.

    Args:
        graph: its layouts are not assigned yet.
        join: returns the first node with the layer and blobs that stand for both, or None if they cannot be one. The
            first node may itself be the result of a fusion. Outputs and parts of the result are set here.
    """
    readers = graph.readers()
    owners = {n.owner for n in graph.nodes}
    nodes: list[Node] = []
    writer: dict[str, int] = {}  # value id -> index in `nodes` of the node that writes it
    for node in graph.nodes:
        joined = None
        index = writer.get(node.inputs[0]) if len(node.inputs) == 1 and len(node.outputs) == 1 else None
        if index is not None and not any(n.owner or n.name in owners for n in (nodes[index], node)):
            before, after = graph.values[node.inputs[0]], graph.values[node.outputs[0]]
            if before.blob == after.blob and len(readers[before.id]) == 1:
                joined = join(nodes[index], node)
        if joined is not None and index is not None:
            joined = replace(joined, outputs=node.outputs, parts=nodes[index].parts + node.parts)
            nodes[index] = joined
        else:
            index = len(nodes)
            nodes.append(node)
        writer |= dict.fromkeys(nodes[index].outputs, index)
    return graph.with_nodes(nodes)
