"""From a graph to a list of statements: the Keras layers, their inputs, and the names of their results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from caffe2tf.emit.names import NameMap, argument_name, keras_name
from caffe2tf.emit.ties import Tie, find_ties
from caffe2tf.errors import LayerError, diagnose, network_error
from caffe2tf.ir import Graph, Node, Value
from caffe2tf.ir.expr import Call, Construct, Expr, keras
from caffe2tf.layers import Context, Role

__all__ = ["Program", "Statement", "Tap", "write_program"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """``target = construct(inputs)``. Tensors have keys, which `source` turns into variables.

    Attributes:
        targets: keys of the results.
        construct: the layer; None if `uses` refers to an existing one.
        inputs: keys of the tensors that it is called on; None if the layer is only created, and called later.
        name: name of the Keras layer.
        uses: key of a layer object that an earlier statement created.
        comment: name of the Caffe layer, if the Keras name differs by more than ``-`` for ``/``.
    """

    targets: tuple[str, ...]
    construct: Construct | None
    inputs: tuple[str, ...] | None
    name: str
    uses: str | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Tap:
    """The place of a value in the built model: an output of a named Keras layer."""

    layer: str
    index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The statements of the emitted function.

    Attributes:
        graph: the prepared graph, with the notes of this step.
        inputs: (value, name of the Keras input).
        statements: the statements, in order.
        outputs: (value, key of its tensor).
        taps: the place of each value in the built model, by value id.
        owners: for each node with trained blobs of its own, the Keras layer that holds them.
        aliases: the key of the tensor that holds each value, by value id.
        anchor: the first input; None if the network has no inputs.
        ties: weights of different layers that are the same variable.
    """

    graph: Graph
    inputs: tuple[tuple[Value, str], ...]
    statements: tuple[Statement, ...]
    outputs: tuple[tuple[Value, str], ...]
    taps: dict[str, Tap]
    owners: dict[str, str]
    aliases: dict[str, str]
    anchor: Value | None
    ties: tuple[Tie, ...] = ()

    def context(self, node: Node) -> Context:
        """Return the context of a node, which its layer's `convert` needs."""
        return _context(self.graph, node, self.owners.get(node.name, ""), self.anchor)


def write_program(graph: Graph) -> Program:
    """Return the program of a prepared graph."""
    writer = _Writer(graph)
    for node in sorted(
        graph.nodes, key=lambda n: n.layer.role is not Role.SOURCE
    ):  # inputs first: constants are called on one
        writer.write(node)
    return writer.finish()


def _context(graph: Graph, node: Node, name: str, anchor: Value | None) -> Context:
    return Context(
        name=name,
        inputs=graph.read(node),
        outputs=graph.written(node),
        free_batch=graph.free_batch,
        fixed_rows=graph.fixed_rows,
        anchor=anchor,
    )


@dataclass(slots=True)
class _Writer:
    graph: Graph
    names: NameMap = field(default_factory=NameMap)
    inputs: list[tuple[Value, str]] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)  # value id -> key
    taps: dict[str, Tap] = field(default_factory=dict)  # key -> tap
    holders: dict[str, str] = field(default_factory=dict)  # node -> Keras layer that holds its weights, if it has any
    reused: dict[str, str] = field(default_factory=dict)  # owner node -> key of its layer object
    sharers: set[str] = field(default_factory=set)
    anchor: Value | None = None
    arguments: set[str] = field(default_factory=set)  # names of the inputs in an exported model

    def __post_init__(self) -> None:
        self.sharers = {n.owner for n in self.graph.nodes if n.owner}
        sources = (v for n in self.graph.nodes if n.layer.role is Role.SOURCE for v in self.graph.written(n))
        self.anchor = next(sources, None)

    def write(self, node: Node) -> None:
        """Add the statements of a node."""
        if node.layer.role is Role.SOURCE:
            for value in self.graph.written(node):
                name = self._claim_input(value.blob)
                self.inputs.append((value, name))
                self.keys[value.id] = value.id
                self.taps[value.id] = Tap(name)
            return
        main = self.names.claim(keras_name(node.name))
        context = _context(self.graph, node, main, self.anchor)
        try:
            result = node.layer.emit(context, *context.inputs)
        except LayerError as e:  # options of the conversion, such as fixed_rows, may not suit a layer
            raise network_error([diagnose(e, layer=node.name, where=node.where)]) from None
        results = result if isinstance(result, tuple) else (result,)
        if node.owner or node.name in self.sharers or _is_one_layer(results):
            self._write_shared(node, main, results)
        elif isinstance(result, tuple):
            for i, (value, expr) in enumerate(zip(context.outputs, result, strict=True)):
                self._assign(node, (value,), expr, main if i == 0 else self.names.claim(f"{main}-{i}"))
        else:
            self._assign(node, context.outputs, result, main)

    def _claim_input(self, blob: str) -> str:
        name = self.names.claim(keras_name(blob))
        while argument_name(name) in self.arguments:
            name = self.names.claim(keras_name(blob))
        self.arguments.add(argument_name(name))
        return name

    def finish(self) -> Program:
        """Return the program, with the ties between weights."""
        nodes = {n.name: n for n in self.graph.nodes}
        contexts = {n: _context(self.graph, nodes[n], name, self.anchor) for n, name in self.holders.items()}
        ties = find_ties(self.graph, contexts)
        return Program(
            graph=replace(self.graph, notes=(*self.graph.notes, *ties.notes)),
            inputs=tuple(self.inputs),
            statements=tuple(self.statements),
            outputs=tuple((self.graph.values[i], self.keys[i]) for i in self.graph.outputs),
            taps={i: self.taps[k] for i, k in self.keys.items()},
            owners={n: name for n, name in self.holders.items() if nodes[n].blobs},
            aliases=dict(self.keys),
            anchor=self.anchor,
            ties=ties.found,
        )

    def _temporary(self, key: str) -> str:
        """Return a key that is not the id of a value, whatever the names of the blobs."""
        while key in self.graph.values:
            key += "~"
        return key

    def _assign(self, node: Node, values: tuple[Value, ...], expr: Expr, main: str) -> None:
        if isinstance(expr, Value):  # an existing tensor
            self.keys[values[0].id] = self.keys[expr.id]
            return
        keys = tuple(v.id for v in values)
        calls = list(_flatten(expr))
        owner = next((c for c in calls if c.construct.owns_weights), expr)
        temporary: dict[int, str] = {}
        for n, call in enumerate(calls):
            last = call is expr
            name = main if last else self.names.claim(f"{main}-{call.construct.role or n}")
            targets = keys if last else (self._temporary(f"{main}~{n}"),)
            temporary[id(call)] = targets[0]
            inputs = tuple(temporary[id(i)] if isinstance(i, Call) else self.keys[i.id] for i in call.inputs)
            comment = node.name if last and name != node.name.replace("/", "-") else ""
            self.statements.append(
                Statement(targets=targets, construct=call.construct, inputs=inputs, name=name, comment=comment)
            )
            if call is owner:
                self.holders.setdefault(node.name, name)
        for i, key in enumerate(keys):
            self.keys[key] = key
            self.taps[key] = Tap(main, i)

    def _write_shared(self, node: Node, main: str, results: tuple[Expr, ...]) -> None:
        """Create one layer object and call it once for each result; an Identity after each call has the blob's name."""
        outputs = self.graph.written(node)
        for i, (value, expr) in enumerate(zip(outputs, results, strict=True)):
            if not isinstance(expr, Call):
                raise TypeError(f"a shared layer must be a call of a Keras layer, not {expr}")
            calls = list(_flatten(expr))
            core = next((c for c in calls if c.construct.owns_weights), expr)
            key = self.reused.get(node.owner or node.name)
            if key is None:
                key = self._temporary(f"{main}~layer")
                self.reused[node.name] = key
                self.holders[node.name] = main
                self.statements.append(Statement(targets=(key,), construct=core.construct, inputs=None, name=main))
            base = main if node.owner and i == 0 else self.names.claim(f"{main}-{i + 1}")
            held = keras("Identity")(expr)
            self._assign_shared(value, held, core, key, base)

    def _assign_shared(self, value: Value, expr: Call, core: Call, key: str, base: str) -> None:
        temporary: dict[int, str] = {}
        for n, call in enumerate(_flatten(expr)):
            last = call is expr
            target = value.id if last else self._temporary(f"{base}~{n}")
            temporary[id(call)] = target
            inputs = tuple(temporary[id(i)] if isinstance(i, Call) else self.keys[i.id] for i in call.inputs)
            shared = call is core
            name = base if last else "" if shared else self.names.claim(f"{base}-{call.construct.role or n}")
            self.statements.append(
                Statement(
                    targets=(target,),
                    construct=None if shared else call.construct,
                    inputs=inputs,
                    name=name,
                    uses=key if shared else None,
                )
            )
        self.keys[value.id] = value.id
        self.taps[value.id] = Tap(base)


def _flatten(expr: Expr) -> Iterable[Call]:
    """Yield the calls of an expression, inner ones first."""
    if isinstance(expr, Call):
        for inner in expr.inputs:
            yield from _flatten(inner)
        yield expr


def _is_one_layer(results: tuple[Expr, ...]) -> bool:
    """Return whether several results come from one layer that is called several times."""
    calls = [r for r in results if isinstance(r, Call)]
    return len(calls) == len(results) > 1 and len({c.construct for c in calls}) == 1
