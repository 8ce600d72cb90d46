"""Fuses a layer with the activation that follows it in place: many Keras layers take an activation as an argument.

**Given** a graph in which each BatchNorm is fused with its Scale, since the activation comes after both.

**Result**: one node for each such pair, named after the first.

1. A layer whose Keras layer takes an activation, and the activation that overwrites its top, become one node.
   `caffe2tf.passes.fuse_in_place` states when two nodes may be joined.
2. A layer takes one activation at most: a second one in place stays a node of its own.
3. A layer with several tops takes none: its Keras layer would apply it to all of them.
"""

from __future__ import annotations

from dataclasses import replace

from caffe2tf.ir import Graph, Node
from caffe2tf.layers.activation.activations import activation_name
from caffe2tf.passes.fuse_in_place import fuse_in_place

__all__ = ["fuse_activations"]


def fuse_activations(graph: Graph) -> Graph:
    """Return the graph with layers and their activations as one node."""
    return fuse_in_place(graph, _join)


def _join(first: Node, second: Node) -> Node | None:
    name = activation_name(second.layer)
    layer = first.layer.with_activation(name) if name and len(first.outputs) == 1 else None
    return None if layer is None else replace(first, layer=layer)
