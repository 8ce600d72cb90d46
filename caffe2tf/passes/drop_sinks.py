"""Removes layers that only consume blobs: Silence, writers of files, ends of a drawing.

**Given** a graph that may hold nodes of the roles SINK and END, and sources that read blobs.

**Result**: no sink and no end is left, and sources read nothing. No node is left whose values only a sink needed.

1. A sink (Silence) is removed. Blobs that only sinks read are not outputs of the network, and nodes that only compute
   such blobs are removed as well.
2. An end is removed. The blobs that it reads stay outputs of the network.
3. A source that reads blobs, such as one that augments training data, loses its bottoms, since its tops come from
   outside the network. Otherwise it counts as a sink of what it read.
4. With ``keep_values``, nothing but sinks and ends is removed, and the blobs that only they read are outputs.
"""

from __future__ import annotations

from dataclasses import replace

from caffe2tf.ir import Graph
from caffe2tf.ir.layer import Role
from caffe2tf.passes.dead_values import with_unread_outputs, without_dead_nodes

__all__ = ["drop_sinks"]


def drop_sinks(graph: Graph, *, keep_values: bool) -> Graph:
    """Return the graph without layers that only consume blobs.

    Args:
        graph: with or without such layers.
        keep_values: make the blobs that only sinks read outputs of the network (case 4).
    """
    consumers = {n for n in graph.nodes if n.inputs and n.layer.role in (Role.SINK, Role.END, Role.SOURCE)}
    if not consumers:
        return graph
    staying = [n for n in graph.nodes if n.layer.role not in (Role.SINK, Role.END)]
    kept = [replace(n, inputs=()) if n in consumers else n for n in staying]  # case 3
    if keep_values:
        return with_unread_outputs(graph.with_nodes(kept), ())
    swallowed = {i for n in consumers if n.layer.role is not Role.END for i in n.inputs}  # cases 1 and 2
    return with_unread_outputs(graph.with_nodes(without_dead_nodes(kept, swallowed)), swallowed)
