"""Graph to graph: an ordered list of passes, with the reason for each place in it."""

from __future__ import annotations

from caffe2tf.ir import Graph
from caffe2tf.passes.batch import find_free_batch
from caffe2tf.passes.drop import drop_losses, drop_sinks, settle_echoes
from caffe2tf.passes.fuse import fuse_activations, fuse_scale
from caffe2tf.passes.layouts import assign_layouts
from caffe2tf.passes.share import share_layers

__all__ = ["prepare"]


def prepare(graph: Graph, *, keep_losses: bool = False, keep_silent: bool = False) -> Graph:
    """A graph ready for emission.

    Args:
        graph: as loaded.
        keep_losses: compute losses and metrics.
        keep_silent: keep blobs that only a Silence layer reads as outputs.
    """
    graph = drop_losses(graph, keep_computable=keep_losses)  # first: what only a loss reads goes with it
    graph = drop_sinks(graph, keep_values=keep_silent)
    graph = settle_echoes(graph, keep_values=keep_silent)
    graph = share_layers(graph)  # before fusion: a layer used twice must stay one layer
    graph = fuse_scale(graph)  # before activations: they come after the Scale
    graph = fuse_activations(graph)
    graph = find_free_batch(graph)  # before layouts: it looks at Caffe's layers, not at the reorderings between them
    return assign_layouts(graph)  # last: it settles what every value looks like
