"""Joins layers that Keras has as one: only where the blob between them is overwritten, so that no blob is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from caffe2tf.ir import Graph, Node
from caffe2tf.layers.activation.activations import activation_name
from caffe2tf.layers.arithmetic.scale import Scale
from caffe2tf.layers.normalization.batch_norm import BatchNorm

__all__ = ["fuse_activations", "fuse_scale"]


def fuse_scale(graph: Graph) -> Graph:
    """BatchNorm and the Scale that overwrites its top: one BatchNormalization with gamma and beta."""

    def join(first: Node, second: Node) -> Node | None:
        if not (isinstance(first.layer, BatchNorm) and isinstance(second.layer, Scale)):
            return None
        shape = graph.values[second.inputs[0]].shape
        layer = first.layer.absorb(second.layer, shape)
        return None if layer is None else replace(first, layer=layer, blobs=first.blobs + second.blobs)

    return _fuse(graph, join)


def fuse_activations(graph: Graph) -> Graph:
    """A layer and the activation that overwrites its top: one Keras layer with that activation."""

    def join(first: Node, second: Node) -> Node | None:
        name = activation_name(second.layer)
        layer = first.layer.with_activation(name) if name and len(first.outputs) == 1 else None
        return None if layer is None else replace(first, layer=layer)

    return _fuse(graph, join)


def _fuse(graph: Graph, join: Callable[[Node, Node], Node | None]) -> Graph:
    readers = graph.readers()
    owners = {n.owner for n in graph.nodes}  # a layer that others call too must stay what they call
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
