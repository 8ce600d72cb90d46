"""Makes layers that use the same trained blobs one Keras layer, which is called several times.

**Given** a graph whose `Graph.shared` names, for a node all of whose blobs are those of one node before it, that node.

**Result**: `Node.owner` is set where one Keras layer can stand for both nodes.

1. A node whose layer equals that of the node it shares all blobs with gets this node as its owner.
2. A node whose layer differs, in the stride for example, gets none. Its weights are tied one by one when the model is
   emitted.
"""

from __future__ import annotations

from dataclasses import replace

from caffe2tf.ir import Graph

__all__ = ["share_layers"]


def share_layers(graph: Graph) -> Graph:
    """Return the graph with the owners of shared layers."""
    by_name = {node.name: node for node in graph.nodes}
    nodes = []
    for node in graph.nodes:
        owner = by_name.get(graph.shared.get(node.name, ""))
        equal = owner is not None and owner.layer == node.layer
        nodes.append(replace(node, owner=owner.name) if owner is not None and equal else node)
    return graph.with_nodes(nodes)
