"""Keras weights of different layers that are one blob in Caffe, and become one variable in the emitted model.

Layers that share all their blobs and compute the same are one Keras layer, called twice. What is found here are the
others: those that share the weight and have their own bias, or use one weight with another stride.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from caffe2tf.ir import Graph, Node, NodeBlob
from caffe2tf.ir.parameter import Member, Parameter
from caffe2tf.ir.weight import Array, Weight
from caffe2tf.layers import Context

__all__ = ["Tie", "Ties", "find_ties"]

_DRAWN = 1 << 16  # values of a trial blob beyond which it is told by its address, not by its values


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """The Keras layer `layer` uses the weight `weight` of the Keras layer `owner` in place of its own."""

    layer: str
    owner: str
    weight: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """All ties of a network; `notes` are on parameters that Caffe shares and the emitted model cannot."""

    found: tuple[Tie, ...] = ()
    notes: tuple[str, ...] = ()


def find_ties(graph: Graph, contexts: Mapping[str, Context]) -> Ties:
    """The ties between layers that hold weights of their own.

    Whether two Keras weights are one is tried out: every layer converts trial blobs, one for each of Caffe's, and
    weights that come out the same from the same shared blob are one.

    Args:
        graph: the prepared graph.
        contexts: for each node that holds weights, its place.
    """
    search = _Search()
    for node in graph.nodes if graph.parameters else ():
        own = [p for part in node.parts or (node.name,) for p in graph.parameters.get(part, ())]
        if node.name in contexts and own:
            search.visit(node, own, contexts[node.name])
    return Ties(found=tuple(search.ties), notes=tuple(search.notes))


@dataclass(slots=True)
class _Search:
    """The weights met so far, and the blobs they are made of."""

    trials: dict[tuple[Member, int], _Trial] = field(default_factory=dict)
    layers: dict[Member, str] = field(default_factory=dict)  # blob -> Caffe layer that first used it
    holders: dict[tuple[object, ...], str] = field(default_factory=dict)  # a weight as it came out -> its Keras layer
    ties: list[Tie] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def visit(self, node: Node, own: Sequence[Parameter], context: Context) -> None:
        """One node more."""
        met = {p.owner for p in own if p.owner in self.layers}
        plain = self._converted(node, own, context)
        # Trial blobs drawn anew for what others use too: the weights that change are made of them.
        changed = self._converted(node, own, context, anew=met) if met else plain
        apart = []
        for name, form in plain.items():
            holder = self.holders.setdefault((name, *form), context.name) if form else context.name
            if form == changed[name] and form:
                continue
            if holder != context.name:
                self.ties.append(Tie(layer=context.name, owner=holder, weight=name))
            elif met:
                apart.append(name)
        for p in {p.owner: p for p in own if p.owner in met}.values() if apart else ():
            alone = self._converted(node, own, context, anew={p.owner})
            self._note(node, p, [name for name in apart if alone[name] != plain[name]])
        for p in own:
            self.layers.setdefault(p.owner, node.name)

    def _converted(
        self, node: Node, own: Sequence[Parameter], context: Context, *, anew: Iterable[Member] = ()
    ) -> dict[str, tuple[object, ...]]:
        """Each Keras weight of the node in a form that is equal where the weights are; () where that is not known."""
        trials = [self._trial(p, turn=int(p.owner in set(anew))) for p in own]
        blobs = [NodeBlob(array=t.array.reshape(p.shape)) for t, p in zip(trials, own, strict=True)]
        with np.errstate(all="ignore"):
            return {name: _form(w, trials) for name, w in node.layer.convert(blobs, context).items()}

    def _trial(self, parameter: Parameter, *, turn: int) -> _Trial:
        key = (parameter.owner, turn)
        if key not in self.trials:
            self.trials[key] = _Trial.of(parameter, turn)
        return self.trials[key]

    def _note(self, node: Node, shared: Parameter, apart: Sequence[str]) -> None:
        if apart:
            self.notes.append(
                f"layer {node.name!r}: parameter {shared.name!r} is shared with layer {self.layers[shared.owner]!r}, "
                f"but Keras needs it in another shape or order here: {', '.join(apart)} is a weight of its own that "
                "begins with the same values; training would part them"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trial:
    """A blob to convert on trial: drawn values, or so many of them that only where they lie counts."""

    array: Array
    drawn: bool

    @classmethod
    def of(cls, parameter: Parameter, turn: int) -> _Trial:
        size = int(np.prod(parameter.shape, dtype=np.int64))
        if size > _DRAWN:
            return cls(array=np.empty(size, np.float32), drawn=False)  # never touched, so it takes no memory
        seed = zlib.crc32(f"{parameter.owner.node}/{parameter.owner.index}/{turn}".encode())
        return cls(array=np.random.default_rng(seed).uniform(1, 2, size).astype(np.float32), drawn=True)

    def holds(self, part: Array) -> bool:
        """Whether the values of ``part`` are those of this blob, in place."""
        start, at = (a.__array_interface__["data"][0] for a in (self.array, part))
        return bool(start <= at < start + self.array.nbytes)


def _form(weight: Weight, trials: Sequence[_Trial]) -> tuple[object, ...]:
    """What two weights have in common if and only if they hold the same trial values in the same order."""
    parts: list[object] = []
    for part in weight.parts:
        if any(t.holds(part) for t in trials if not t.drawn):
            parts.append((part.__array_interface__["data"][0], part.dtype.str, part.shape, part.strides))
        elif all(t.drawn for t in trials) or any(t.holds(part) for t in trials if t.drawn):
            parts.append(np.ascontiguousarray(part, dtype=np.float32).tobytes())
        else:
            return ()  # a copy, perhaps of values that were not drawn
    if all(isinstance(part, bytes) for part in parts):
        return weight.shape, b"".join(part for part in parts if isinstance(part, bytes))
    return weight.shape, *parts
