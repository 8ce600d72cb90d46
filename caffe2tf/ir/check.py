"""Verifies that a graph is sound: a check for tests, to run between passes. Users' conversions do not run it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from caffe2tf.errors import LayerError
from caffe2tf.ir.graph import Graph, Node
from caffe2tf.ir.layer import Role
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import format_shape
from caffe2tf.ir.value import Value

__all__ = ["BrokenGraphError", "check_graph", "violations"]


class BrokenGraphError(Exception):
    """A pass or the loader has built a graph that is not sound."""


def check_graph(graph: Graph, *, laid_out: bool = False, after: str = "") -> None:
    """Raise BrokenGraphError, with all violations, if ``graph`` is not sound.

    Args:
        graph: the graph, before or after any pass.
        laid_out: whether layouts are assigned, so that they must be those that the layers ask for.
        after: what has built the graph, for the message.
    """
    if found := violations(graph, laid_out=laid_out):
        raise BrokenGraphError(f"graph {graph.name!r} after {after or 'loading'}: {'; '.join(found)}")


def violations(graph: Graph, *, laid_out: bool = False) -> list[str]:
    """Return what is wrong with ``graph``, a sentence each; see `check_graph`.

    In a sound graph

    - names of nodes are unique;
    - values are filed under their ids, and each is written exactly once;
    - nodes read and write values that exist, and each value is written before it is read;
    - outputs of the network exist, and none is listed twice;
    - a layer is given bottoms that it accepts, and its tops have the shapes that it infers from them;
    - a Caffe layer is part of one node alone, apart from echoes, which name the layer that overwrote the blob;
    - an echo has one input and one output;
    - the owner of a node is an equal layer before it that has no owner itself;
    - a node with trained blobs has as many specifications of how they are trained, or none;
    - the layout of a value fits its shape;
    - values without the batch exist;
    - once layouts are assigned, nodes read and write the layouts that their layers ask for, and outputs of the network
      are in Caffe's order or channels last.
    """
    problems = [problem for rule in _STRUCTURE for problem in rule(graph)]
    if problems:  # the other rules look values up
        return problems
    rules = (*_MEANING, *(_LAID_OUT if laid_out else ()))
    return [problem for rule in rules for problem in rule(graph)]


def _names(graph: Graph) -> Iterator[str]:
    for name, count in Counter(n.name for n in graph.nodes).items():
        if count > 1:
            yield f"{count} nodes are named {name!r}"


def _values(graph: Graph) -> Iterator[str]:
    for id_, value in graph.values.items():
        if value.id != id_:
            yield f"value {value.id!r} is filed under {id_!r}"
    written = Counter(i for n in graph.nodes for i in n.outputs)
    for id_ in graph.values:
        if written[id_] != 1:
            yield f"value {id_!r} is written {written[id_]} times"


def _order(graph: Graph) -> Iterator[str]:
    before: set[str] = set()
    for node in graph.nodes:
        for id_ in node.inputs:
            if id_ not in graph.values:
                yield f"node {node.name!r} reads value {id_!r}, which does not exist"
            elif id_ not in before:
                yield f"node {node.name!r} reads value {id_!r} before it is written"
        for id_ in node.outputs:
            if id_ not in graph.values:
                yield f"node {node.name!r} writes value {id_!r}, which does not exist"
        before.update(node.outputs)


def _outputs(graph: Graph) -> Iterator[str]:
    for id_, count in Counter(graph.outputs).items():
        if id_ not in graph.values:
            yield f"output {id_!r} does not exist"
        if count > 1:
            yield f"output {id_!r} is listed {count} times"


def _shapes(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.layer.role is Role.SOURCE:  # a source may have lost tops that nobody reads
            continue
        have = [v.shape for v in graph.written(node)]
        try:
            want = node.layer.infer(*(v.shape for v in graph.read(node)))
        except LayerError as e:
            yield f"node {node.name!r} does not take its inputs: {e}"
            continue
        if len(have) > len(want):
            yield f"node {node.name!r} has {len(have)} outputs, its layer gives {len(want)}"
        for id_, shape, inferred in zip(node.outputs, have, want, strict=False):
            if shape != inferred:
                yield f"value {id_!r} is {format_shape(shape)}, node {node.name!r} gives {format_shape(inferred)}"


def _parts(graph: Graph) -> Iterator[str]:
    for part, count in Counter(p for n in graph.nodes if not n.echo for p in n.parts).items():
        if count > 1:
            yield f"layer {part!r} is part of {count} nodes"


def _echoes(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.echo and (len(node.inputs), len(node.outputs)) != (1, 1):
            yield f"echo {node.name!r} has {len(node.inputs)} inputs and {len(node.outputs)} outputs"


def _owners(graph: Graph) -> Iterator[str]:
    before: dict[str, Node] = {}
    for node in graph.nodes:
        if node.owner is not None:
            owner = before.get(node.owner)
            if owner is None:
                yield f"the owner {node.owner!r} of node {node.name!r} does not stand before it"
            elif owner.owner is not None:
                yield f"the owner {node.owner!r} of node {node.name!r} has an owner itself"
            elif owner.layer != node.layer:
                yield f"the owner {node.owner!r} of node {node.name!r} is another layer"
        before[node.name] = node


def _params(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.blobs and node.params and len(node.params) != len(node.blobs):
            yield f"node {node.name!r} has {len(node.blobs)} trained blobs and {len(node.params)} specifications"


def _layouts(graph: Graph) -> Iterator[str]:
    for value in graph.values.values():
        if not _fits(value):
            yield f"the layout {value.layout} of value {value.id!r} does not fit its shape {format_shape(value.shape)}"


def _fits(value: Value) -> bool:
    layout = value.layout
    if sorted(layout.axes) != list(range(value.rank)):
        return False
    return not layout.blocks or (value.rank == 2 and sum(b.size for b in layout.blocks) == value.shape[1])


def _unbatched(graph: Graph) -> Iterator[str]:
    for id_ in sorted(graph.unbatched - graph.values.keys()):
        yield f"value {id_!r} without the batch does not exist"


def _arrangements(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.layer.role in (Role.SOURCE, Role.CONSTANT):  # their layouts are free
            continue
        inputs, outputs = graph.read(node), graph.written(node)
        want = node.layer.arrange(inputs, outputs)
        for value, layout in zip((*inputs, *outputs), (*want.inputs, *want.outputs), strict=True):
            if value.layout != layout:
                yield f"node {node.name!r} asks for value {value.id!r} in {layout}, not {value.layout}"


def _guessable(graph: Graph) -> Iterator[str]:
    for id_ in graph.outputs:
        value = graph.values[id_]
        if value.layout not in (Layout.plain(value.rank), Layout.channels_last(value.rank)):
            yield f"output {id_!r} is in {value.layout}, neither in Caffe's order nor channels last"


Rule = Callable[[Graph], Iterator[str]]
_STRUCTURE: tuple[Rule, ...] = (_names, _values, _order, _outputs)
_MEANING: tuple[Rule, ...] = (_shapes, _parts, _echoes, _owners, _params, _layouts, _unbatched)
_LAID_OUT: tuple[Rule, ...] = (_arrangements, _guessable)
