"""Fuses BatchNorm with the Scale that follows it in place: Keras' BatchNormalization is both.

**Given** a graph whose shared layers have their owners.

**Result**: one node for each such pair, with the blobs of both.

1. A BatchNorm and a Scale that overwrites its top become one BatchNorm with gamma, and with beta if the Scale has a
   bias. `caffe2tf.passes.fuse_in_place` states when two nodes may be joined.
2. They stay apart if one Keras layer cannot be both: the Scale does not scale single channels, or the BatchNorm has a
   scale already, uses the statistics of the batch, or is trained with its statistics frozen (Keras would freeze the
   scale as well).
"""

from __future__ import annotations

from dataclasses import replace

from caffe2tf.ir import Graph, Node
from caffe2tf.layers.arithmetic.scale import Scale
from caffe2tf.layers.normalization.batch_norm import BatchNorm
from caffe2tf.passes.fuse_in_place import fuse_in_place

__all__ = ["fuse_scale"]


def fuse_scale(graph: Graph) -> Graph:
    """Return the graph with each BatchNorm and its Scale as one node."""

    def join(first: Node, second: Node) -> Node | None:
        if not (isinstance(first.layer, BatchNorm) and isinstance(second.layer, Scale)):
            return None
        shape = graph.values[second.inputs[0]].shape
        layer = first.layer.absorb(second.layer, shape)
        if layer is None:
            return None
        return replace(first, layer=layer, blobs=first.blobs + second.blobs, params=first.params + second.params)

    return fuse_in_place(graph, join)
