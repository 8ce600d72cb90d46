"""Removes losses and metrics, and what only they need.

**Given** a graph as loaded: losses, sinks and echoes are still there, and nothing is fused.

**Result**: no loss or metric is left but those of cases 3 and 4. No node is left that only computes targets for the
losses that were removed. The outputs are the blobs that nobody reads, without those targets. Notes list every loss.

1. A loss that contains an activation becomes that activation: SoftmaxWithLoss becomes the Softmax that a deployed
   network ends in. Its blob is the loss's second top, if there is one. Otherwise it is ``prob`` for the last such loss,
   which is the network's own, and ``<layer>-prob`` for those before it, which only help training.
2. A loss that contains none is removed. So is everything that depends on its value, unless case 3 applies.
3. A loss stays, with its targets, if another layer needs its value. It is an error if caffe2tf cannot compute it.
   Losses that are removed, sinks, and layers that lead to removed losses alone do not count.
4. With ``keep_computable``, every loss stays that caffe2tf can compute.
5. What only feeds targets of removed losses is removed: labels, and the layers that prepare them. A source loses the
   tops that nobody reads any more.
6. Predictions stay, also if they are used to prepare a target (which may be resized to the size of the prediction).
7. If a loss has network inputs where the predictions belong and computed blobs where the targets belong, the two are
   exchanged: an image may be compared with its reconstruction.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from caffe2tf.diagnostics import Diagnostic, Severity
from caffe2tf.errors import UnsupportedError
from caffe2tf.ir import Graph, Node, Value
from caffe2tf.ir.layer import Layer, Role
from caffe2tf.layers import type_of
from caffe2tf.layers.loss.loss_base import Loss
from caffe2tf.passes.dead_values import with_unread_outputs, without_dead_nodes

__all__ = ["drop_losses"]


def drop_losses(graph: Graph, *, keep_computable: bool = False) -> Graph:
    """Return the graph without losses and metrics.

    Args:
        graph: as loaded.
        keep_computable: keep the losses that caffe2tf can compute (case 4).

    Raises:
        UnsupportedError: another layer reads the value of a loss that caffe2tf cannot compute (case 3).
    """
    used = _used_losses(graph)
    _refuse_unknown_losses(graph, used)
    losses = {n.name: n.layer for n in graph.nodes if isinstance(n.layer, Loss) and n.name not in used}
    leaving = {name: loss for name, loss in losses.items() if not (keep_computable and loss.computable)}
    if not leaving:
        return graph
    removal = _Removal.of(graph, leaving)
    targets = removal.targets - removal.predictions
    kept = _without_readers(removal.kept, removal.lost - {v.id for v in removal.values})
    kept = without_dead_nodes(kept, targets, wanted=removal.predictions)
    notes = (*graph.notes, *removal.notes)
    return with_unread_outputs(graph.with_nodes(kept, values=removal.values, notes=notes), targets)


@dataclass(slots=True)
class _Removal:
    """What is left of a graph when losses are removed or become activations."""

    kept: list[Node] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)  # of the activations
    notes: list[Diagnostic] = field(default_factory=list)
    targets: set[str] = field(default_factory=set)
    predictions: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)  # ids of what the losses wrote

    @classmethod
    def of(cls, graph: Graph, leaving: dict[str, Loss]) -> _Removal:
        """Remove the losses ``leaving``, by name."""
        self = cls()
        outside = {i for n in graph.nodes if n.layer.role is Role.SOURCE for i in n.outputs}
        last = next((name for name, loss in reversed(leaving.items()) if loss.activation() is not None), "")
        for node in graph.nodes:
            loss = leaving.get(node.name)
            if loss is None:
                self.kept.append(node)
                continue
            predicted, given = _sides(node, loss.first_target, outside)
            self.predictions |= predicted - outside
            self.targets |= given
            self.lost.update(node.outputs)
            layer, type_ = loss.activation(), loss.type_name()
            if layer is None:  # case 2
                left_out = f"{type_} is left out: it serves training or testing"
                self.notes.append(Diagnostic.note(left_out, layer=node.name, where=node.where))
            else:  # case 1
                self._activate(graph, node, type_, layer, final=node.name == last)
        return self

    def _activate(self, graph: Graph, node: Node, type_: str, layer: Layer, *, final: bool) -> None:
        value = _top_of_activation(graph, node, {v.blob for v in self.values}, final=final)
        self.values.append(value)
        self.kept.append(replace(node, layer=layer, inputs=node.inputs[:1], outputs=(value.id,), blobs=(), params=()))
        becomes = f"{type_} becomes {type_of(type(layer))}, blob {value.blob!r}"
        self.notes.append(Diagnostic.note(becomes, layer=node.name, where=node.where))


def _top_of_activation(graph: Graph, node: Node, taken: Collection[str], *, final: bool) -> Value:
    """The value that the activation inside a loss writes (case 1); ``final`` for the last such loss."""
    outputs = graph.written(node)
    source = graph.values[node.inputs[0]]
    if len(outputs) > 1:
        return outputs[1]
    used = {v.blob for v in graph.values.values()} | set(taken)
    names = (*(("prob",) if final else ()), f"{node.name}-prob", f"{node.name}-prob-{len(used)}")
    blob = next(n for n in names if n not in used)
    return Value(id=blob, blob=blob, shape=source.shape, layout=source.layout)


def _used_losses(graph: Graph) -> set[str]:
    """Names of the losses whose own value, not that of an activation inside, another layer needs (case 3)."""
    readers = graph.readers()
    used: set[str] = set()
    idle: set[str] = set()  # losses that may go, and layers whose values only idle layers read
    read: set[str] = set()
    for node in reversed(graph.nodes):
        if isinstance(node.layer, Loss):
            activated = node.layer.activation() is not None
            if read.isdisjoint(node.outputs[:1] if activated else node.outputs):
                read.update(node.inputs[:1] if activated else ())
                idle.add(node.name)
                continue
            used.add(node.name)
        elif node.layer.role in (Role.SINK, Role.END):
            continue
        else:
            after = [r.name for i in node.outputs for r in readers[i]]
            if after and idle.issuperset(after):
                idle.add(node.name)
                continue
        read.update(node.inputs)
    return used


def _refuse_unknown_losses(graph: Graph, used: Collection[str]) -> None:
    """Raise UnsupportedError if a loss of case 3 cannot be computed."""
    problems = [
        Diagnostic(
            severity=Severity.UNSUPPORTED,
            message=f"another layer reads the value of this {n.layer.type_name()}, which caffe2tf cannot compute",
            layer=n.name,
            where=n.where,
        )
        for n in graph.nodes
        if n.name in used and isinstance(n.layer, Loss) and not n.layer.computable
    ]
    if problems:
        raise UnsupportedError(problems)


def _sides(loss: Node, first_target: int, outside: Collection[str]) -> tuple[set[str], set[str]]:
    """The predictions and the targets of a loss, exchanged if case 7 applies."""
    predicted, given = set(loss.inputs[:first_target]), set(loss.inputs[first_target:])
    exchanged = bool(predicted) and predicted.issubset(outside) and not given.issubset(outside)
    return (given, predicted) if exchanged else (predicted, given)


def _without_readers(nodes: list[Node], lost: Collection[str]) -> list[Node]:
    """The nodes without those that depend on ``lost`` values (case 2)."""
    gone = set(lost)
    kept = []
    for node in nodes:
        if gone.isdisjoint(node.inputs) or isinstance(node.layer, Loss):
            kept.append(node)
        else:
            gone.update(node.outputs)
    return kept
