"""Whether the emitted model can take any batch size."""

from __future__ import annotations

from dataclasses import replace

from caffe2tf.ir import Graph
from caffe2tf.ir.layer import Batch, Role

__all__ = ["find_free_batch"]


def find_free_batch(graph: Graph) -> Graph:
    """Which values carry the batch; its size is fixed where a layer mixes items, or joins them with constants."""
    batched: dict[str, bool] = {}
    free = True
    for node in graph.nodes:
        if node.layer.role in (Role.SOURCE, Role.CONSTANT):
            batched |= dict.fromkeys(node.outputs, node.layer.role is Role.SOURCE)
            continue
        given = [batched[i] for i in node.inputs]
        if not any(given):
            batched |= dict.fromkeys(node.outputs, False)
            continue
        shapes = [v.shape for v in graph.read(node)], [v.shape for v in graph.written(node)]
        batch = node.layer.trace_batch(given, *shapes)
        free = free and batch is not Batch.FIXED
        batched |= dict.fromkeys(node.outputs, batch is not Batch.ABSENT)
    apart = frozenset(i for i, carries in batched.items() if not carries)
    return replace(graph, free_batch=free, unbatched=apart)
