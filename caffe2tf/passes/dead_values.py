"""What the passes that remove nodes share: dead values, and the outputs that are left."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from caffe2tf.ir import Graph, Node
from caffe2tf.ir.layer import Role

__all__ = ["with_unread_outputs", "without_dead_nodes"]


def without_dead_nodes(nodes: list[Node], dead: Collection[str], *, wanted: Collection[str] = ()) -> list[Node]:
    """Remove the nodes that only compute dead values, and then those that only compute what these read.

    A node is removed if nobody reads any of its values and all of them are dead. What it reads is then dead, too,
    unless somebody else reads it. A source keeps the tops that are not dead: each is an input of its own.

    An echo that is removed leaves what it reads alive: that is a blob of its own, and may be an output.

    Args:
        nodes: in the order of the graph.
        dead: ids of values that are dead unless somebody reads them.
        wanted: ids of values that stay alive whether or not anybody reads them.
    """
    doomed = set(dead)
    read: set[str] = set()
    kept: list[Node] = []
    for node in reversed(nodes):  # from the end, so that all readers of a value are decided before its writer
        if node.outputs and doomed.issuperset(node.outputs) and read.isdisjoint(node.outputs):
            behind = () if node.echo else node.inputs
            doomed.update(i for i in behind if i not in wanted)
        else:
            kept.append(node)
            read.update(node.inputs)
    useless = doomed - read
    return [_without_tops(n, useless) if n.layer.role is Role.SOURCE else n for n in reversed(kept)]


def with_unread_outputs(graph: Graph, hidden: Collection[str]) -> Graph:
    """Return the graph with those blobs as outputs that no layer reads, except the values ``hidden``."""
    return replace(graph, outputs=tuple(i for i in graph.unread() if i not in hidden))


def _without_tops(source: Node, useless: Collection[str]) -> Node:
    return replace(source, outputs=tuple(o for o in source.outputs if o not in useless))
