"""Finds which values have the batch on axis 0, and whether the emitted model can take any batch size.

**Given** a graph of Caffe's layers, without nodes that reorder axes.

**Result**: `Graph.unbatched` holds the values whose axis 0 is not the batch. `Graph.free_batch` says whether the model
takes any batch size.

1. The values of a source have the batch; constants do not.
2. A node that reads only values without the batch gives such values.
3. Any other layer states what becomes of the batch (`Layer.trace_batch`): its outputs have it (`Batch.KEPT`) or do not
   (`Batch.ABSENT`).
4. A layer that mixes items of the batch, or joins them with constants of a fixed batch size, fixes the batch size
   (`Batch.FIXED`). The model then takes only the size it was converted for.
"""

from __future__ import annotations

from dataclasses import replace

from caffe2tf.ir import Graph
from caffe2tf.ir.layer import Batch, Role

__all__ = ["trace_batch"]


def trace_batch(graph: Graph) -> Graph:
    """Return the graph with `free_batch` and `unbatched` filled in."""
    batched: dict[str, bool] = {}
    free = True
    for node in graph.nodes:
        if node.layer.role in (Role.SOURCE, Role.CONSTANT):  # case 1
            batched |= dict.fromkeys(node.outputs, node.layer.role is Role.SOURCE)
            continue
        given = [batched[i] for i in node.inputs]
        if not any(given):  # case 2
            batched |= dict.fromkeys(node.outputs, False)
            continue
        shapes = [v.shape for v in graph.read(node)], [v.shape for v in graph.written(node)]
        batch = node.layer.trace_batch(given, *shapes)
        free = free and batch is not Batch.FIXED
        batched |= dict.fromkeys(node.outputs, batch is not Batch.ABSENT)
    return replace(graph, free_batch=free, unbatched=frozenset(i for i, has_it in batched.items() if not has_it))
