"""Layers that use the same trained blobs become one Keras layer, called several times."""

from __future__ import annotations

from dataclasses import replace

from caffe2tf.ir import Graph

__all__ = ["share_layers"]


def share_layers(graph: Graph) -> Graph:
    """Fills in `Node.owner` for layers all of whose trained blobs belong to an equal layer before them."""
    first = {node.name: node for node in graph.nodes}
    nodes = []
    for node in graph.nodes:
        owner = first.get(graph.shared.get(node.name, ""))
        equal = owner is not None and owner.layer == node.layer
        nodes.append(replace(node, owner=owner.name) if owner is not None and equal else node)
    return graph.with_nodes(nodes)
