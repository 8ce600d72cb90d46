"""Passes: functions from Graph to Graph, which prepare a loaded network for emission.

Each pass is a file of its own. Its docstring states what it requires of the graph (*Given*), what holds afterwards
(*Result*), and its cases by number. `PASSES` lists the passes in the order in which they run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from caffe2tf.ir import Graph
from caffe2tf.passes.assign_layouts import assign_layouts
from caffe2tf.passes.drop_losses import drop_losses
from caffe2tf.passes.drop_sinks import drop_sinks
from caffe2tf.passes.fuse_activations import fuse_activations
from caffe2tf.passes.fuse_scale import fuse_scale
from caffe2tf.passes.settle_echoes import settle_echoes
from caffe2tf.passes.share_layers import share_layers
from caffe2tf.passes.trace_batch import trace_batch

__all__ = ["PASSES", "Keep", "Pass", "prepare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What a conversion keeps that a deployed network does not need.

    Attributes:
        losses: losses and metrics.
        silent: blobs that only a Silence layer reads, as outputs.
    """

    losses: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One step of the preparation.

    Attributes:
        name: name of the pass, and of its module.
        run: the pass.
        place: why it runs where it does in `PASSES`.
    """

    name: str
    run: Callable[[Graph, Keep], Graph]
    place: str


PASSES: Final = (
    Pass(
        name="drop_losses",
        run=lambda graph, keep: drop_losses(graph, keep_computable=keep.losses),
        place="first, so that the other passes do not see what only a loss reads",
    ),
    Pass(
        name="drop_sinks",
        run=lambda graph, keep: drop_sinks(graph, keep_values=keep.silent),
        place="after the losses: a sink may read what only a loss has written",
    ),
    Pass(
        name="settle_echoes",
        run=lambda graph, keep: settle_echoes(graph, keep_values=keep.silent),
        place="after all passes that remove readers of echoes",
    ),
    Pass(
        name="share_layers",
        run=lambda graph, _: share_layers(graph),
        place="before fusion: a layer that is used twice must stay one layer",
    ),
    Pass(
        name="fuse_scale",
        run=lambda graph, _: fuse_scale(graph),
        place="before fuse_activations: an activation comes after the Scale",
    ),
    Pass(
        name="fuse_activations",
        run=lambda graph, _: fuse_activations(graph),
        place="after fuse_scale",
    ),
    Pass(
        name="trace_batch",
        run=lambda graph, _: trace_batch(graph),
        place="before layouts: it follows the axes of Caffe's layers, which a reordering would hide",
    ),
    Pass(
        name="assign_layouts",
        run=lambda graph, _: assign_layouts(graph),
        place="last: layouts follow from the final layers and outputs",
    ),
)


def prepare(graph: Graph, *, keep_losses: bool = False, keep_silent: bool = False) -> Graph:
    """Return a graph that is ready for emission: all passes, one after the other.

    Args:
        graph: as loaded.
        keep_losses: compute losses and metrics.
        keep_silent: keep blobs that only a Silence layer reads as outputs.

    Raises:
        UnsupportedError: another layer reads the value of a loss that caffe2tf cannot compute.
    """
    keep = Keep(losses=keep_losses, silent=keep_silent)
    for step in PASSES:
        graph = step.run(graph, keep)
    return graph
