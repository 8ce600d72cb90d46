"""Keeps the echoes that somebody needs, and removes the others.

In Caffe several blobs may be names of one memory: the top of a Reshape is an alias of its bottom. When a layer
overwrites one of them in place, the others change with it. The loader represents this by *echo* nodes: an echo node
re-reads a blob after another name of the same memory was overwritten in place, and gives the other name a new version.

**Given** a graph in which an echo node follows each such write, whether or not anybody reads its value.

**Result**: every echo that is left has a reader, or its value is an output.

1. An echo that nobody reads is removed. So is one that only removed echoes read.
2. An echo that another node reads stays, and so does one whose value is an output.
3. With ``keep_values``, all echoes stay, and each value that is the last version of its blob is an output, so that a
   caller sees what Caffe's blob holds after the forward pass.
"""

from __future__ import annotations

from dataclasses import replace

from caffe2tf.ir import Graph, Node

__all__ = ["settle_echoes"]


def settle_echoes(graph: Graph, *, keep_values: bool) -> Graph:
    """Return the graph without the echoes that nobody needs.

    Args:
        graph: with or without echoes.
        keep_values: keep all of them, and make the last version of each echoed blob an output (case 3).
    """
    echoed = {i for n in graph.nodes if n.echo for i in n.outputs}
    if not echoed:
        return graph
    if keep_values:
        finals = {v.id for v in graph.final_values().values()}
        seen = tuple(i for i in graph.values if i in echoed and i in finals and i not in graph.outputs)
        return replace(graph, outputs=(*graph.outputs, *seen))
    nodes: list[Node] = []
    read = set(graph.outputs)
    for node in reversed(graph.nodes):  # from the end: a later echo may read an earlier one
        if node.echo and read.isdisjoint(node.outputs):
            continue
        nodes.append(node)
        read.update(node.inputs)
    return graph.with_nodes(nodes[::-1])
