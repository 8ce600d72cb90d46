"""Leaves out what a converted network does not need: losses, metrics, labels, silenced blobs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from caffe2tf.errors import Problem, UnsupportedError
from caffe2tf.ir import Graph, Node, Value
from caffe2tf.layers import Role, type_of
from caffe2tf.layers.loss.loss_base import Loss

__all__ = ["drop_losses", "drop_sinks", "settle_echoes"]


def drop_losses(graph: Graph, *, keep_computable: bool = False) -> Graph:
    """Without losses and metrics, and without what fed only their targets (labels).

    With ``keep_computable``, only those go that caffe2tf does not know how to compute.

    A loss that contains an activation leaves it behind: SoftmaxWithLoss becomes the Softmax that a deployed network
    ends in. A loss whose value another layer reads stays, with its target. A blob that a loss compares with a target
    stays, too, whatever else reads it (a target may be resized to be as large).

    Raises:
        UnsupportedError: such a loss is one that caffe2tf does not know how to compute.
    """
    used = _used_losses(graph)
    _refuse_unknown_losses(graph, used)
    kept: list[Node] = []
    values: list[Value] = []
    notes: list[str] = []
    targets: set[str] = set()
    predictions: set[str] = set()
    outside = {i for n in graph.nodes if n.layer.role is Role.SOURCE for i in n.outputs}
    lost: set[str] = set()
    losses = {n.name: n.layer for n in graph.nodes if isinstance(n.layer, Loss) and n.name not in used}
    leaving = {name: loss for name, loss in losses.items() if not (keep_computable and loss.computable)}
    last = next((name for name, loss in reversed(leaving.items()) if loss.activation() is not None), "")
    for node in graph.nodes:
        loss = leaving.get(node.name)
        if loss is None:
            kept.append(node)
            continue
        predicted, given = _sides(node, loss.first_target, outside)
        predictions |= predicted - outside
        targets |= given
        type_ = loss.type_name()
        layer = loss.activation()
        lost.update(node.outputs)
        if layer is None:
            notes.append(f"layer {node.name!r} ({type_}) is left out: it serves training or testing")
            continue
        value = _top_of_activation(graph, node, {v.blob for v in values}, final=node.name == last)
        values.append(value)
        kept.append(replace(node, layer=layer, inputs=node.inputs[:1], outputs=(value.id,), blobs=()))
        notes.append(f"layer {node.name!r} ({type_}) becomes {type_of(type(layer))}, blob {value.blob!r}")
    if len(kept) == len(graph.nodes) and not notes:
        return graph
    targets -= predictions
    kept = _without_readers(kept, lost - {v.id for v in values})
    kept = _without_unread(kept, targets, wanted=predictions)
    return _with_outputs(graph.with_nodes(kept, values=values, notes=(*graph.notes, *notes)), targets)


def settle_echoes(graph: Graph, *, keep_values: bool) -> Graph:
    """What a write in place did to other names of the same memory: kept where it is read, or with ``keep_values``.

    A value that only an echo reads is still an output: an echo is no layer of Caffe's.
    """
    echoed = {i for n in graph.nodes if n.echo for i in n.outputs}
    if not echoed:
        return graph
    if keep_values:
        finals = {v.id for v in graph.final_values().values()}
        seen = tuple(i for i in graph.values if i in echoed and i in finals and i not in graph.outputs)
        return replace(graph, outputs=(*graph.outputs, *seen))
    nodes: list[Node] = []
    read = set(graph.outputs)
    for node in reversed(graph.nodes):  # from the end: an echo may be read by a later one
        if node.echo and read.isdisjoint(node.outputs):
            continue
        nodes.append(node)
        read.update(node.inputs)
    return graph.with_nodes(nodes[::-1])


def drop_sinks(graph: Graph, *, keep_values: bool) -> Graph:
    """Without layers that only swallow blobs; with ``keep_values`` the blobs they swallowed are outputs.

    A source that reads blobs (one that augments training data) swallows them, too: its tops come from outside. A layer
    that only marks an end goes as well, and what it read stays an output.
    """
    ends = {n for n in graph.nodes if n.inputs and n.layer.role in (Role.SINK, Role.END, Role.SOURCE)}
    if not ends:
        return graph
    left_out = (Role.SINK, Role.END)
    kept = [replace(n, inputs=()) if n in ends else n for n in graph.nodes if n.layer.role not in left_out]
    swallowed = {i for n in ends if n.layer.role is not Role.END for i in n.inputs}
    if keep_values:
        return _with_outputs(graph.with_nodes(kept), ())
    return _with_outputs(graph.with_nodes(_without_unread(kept, swallowed)), swallowed)


def _refuse_unknown_losses(graph: Graph, used: Collection[str]) -> None:
    problems = [
        Problem(
            what=f"what this {n.layer.type_name()} gives is read by another layer, and it cannot be computed",
            layer=n.name,
            where=n.where,
            unsupported=True,
        )
        for n in graph.nodes
        if n.name in used and isinstance(n.layer, Loss) and not n.layer.computable
    ]
    if problems:
        raise UnsupportedError(problems)


def _used_losses(graph: Graph) -> set[str]:
    """Names of losses whose own value, not that of an activation inside, is read by a layer that stays."""
    readers = graph.readers()
    used: set[str] = set()
    idle: set[str] = set()  # layers whose tops only losses that go, and other such layers, read
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


def _without_readers(nodes: list[Node], lost: Collection[str]) -> list[Node]:
    """Without nodes that read values which nobody gives any more, and those that read theirs."""
    gone = set(lost)
    kept = []
    for node in nodes:
        if gone.isdisjoint(node.inputs) or isinstance(node.layer, Loss):
            kept.append(node)
        else:
            gone.update(node.outputs)
    return kept


def _top_of_activation(graph: Graph, node: Node, taken: Collection[str], *, final: bool) -> Value:
    """The blob of the activation inside a loss: its own second top, else ``prob``, else the layer's name.

    Of several losses, the ``final`` one is the network's own: those before it help to train what feeds them.
    """
    outputs = graph.written(node)
    source = graph.values[node.inputs[0]]
    if len(outputs) > 1:
        return outputs[1]
    used = {v.blob for v in graph.values.values()} | set(taken)
    names = (*(("prob",) if final else ()), f"{node.name}-prob", f"{node.name}-prob-{len(used)}")
    blob = next(n for n in names if n not in used)
    return Value(id=blob, blob=blob, shape=source.shape, layout=source.layout)


def _sides(loss: Node, first_target: int, outside: Collection[str]) -> tuple[set[str], set[str]]:
    """What a loss compares, and with what: where the first comes from outside and the second does not, exchanged.

    EuclideanLoss and its like give the same either way, and an image may be compared with what is to resemble it.
    """
    predicted, given = set(loss.inputs[:first_target]), set(loss.inputs[first_target:])
    exchanged = bool(predicted) and predicted.issubset(outside) and not given.issubset(outside)
    return (given, predicted) if exchanged else (predicted, given)


def _without_unread(nodes: list[Node], candidates: Collection[str], *, wanted: Collection[str] = ()) -> list[Node]:
    """Without nodes all of whose outputs are ``candidates`` that nobody reads, and what then feeds nobody.

    What is ``wanted`` stays, whether anybody reads it or not.
    """
    doomed = set(candidates)
    read: set[str] = set()
    kept: list[Node] = []
    for node in reversed(nodes):  # from the end: whoever could read what a node gives is settled before it
        if node.outputs and doomed.issuperset(node.outputs) and read.isdisjoint(node.outputs):
            behind = () if node.echo else node.inputs  # what an echo shows is a blob of its own
            doomed.update(i for i in behind if i not in wanted)
        else:
            kept.append(node)
            read.update(node.inputs)
    useless = doomed - read
    return [_without_tops(n, useless) if n.layer.role is Role.SOURCE else n for n in reversed(kept)]


def _without_tops(source: Node, useless: Collection[str]) -> Node:
    """A data layer gives images and labels: each is an input of its own."""
    return replace(source, outputs=tuple(o for o in source.outputs if o not in useless))


def _with_outputs(graph: Graph, hidden: Collection[str]) -> Graph:
    return replace(graph, outputs=tuple(i for i in graph.unread() if i not in hidden))
