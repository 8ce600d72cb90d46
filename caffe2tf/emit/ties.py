"""Weights of different Keras layers that are the same Caffe blob, and so become one variable of the emitted model.

Layers that share all their blobs and compute the same are one Keras layer, called several times (the pass
`share_layers`). This module finds the other cases: layers that share a kernel but not the bias, or that use one kernel
with different strides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from caffe2tf.diagnostics import Diagnostic
from caffe2tf.ir import Graph, Node, NodeBlob, Weight
from caffe2tf.ir.origin import Origin, blobs_of
from caffe2tf.ir.parameter import Member, Parameter
from caffe2tf.layers import Context

__all__ = ["Tie", "Ties", "find_ties"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """The Keras layer `layer` uses the weight `weight` of the Keras layer `owner` instead of its own."""

    layer: str
    owner: str
    weight: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """All ties of a network.

    Attributes:
        found: the ties, in the order of the network.
        notes: parameters that layers share in Caffe, but cannot share in the emitted model.
    """

    found: tuple[Tie, ...] = ()
    notes: tuple[Diagnostic, ...] = ()


def find_ties(graph: Graph, contexts: Mapping[str, Context]) -> Ties:
    """Return the ties between layers that hold weights of their own.

    Two weights are the same if they have the same shape and origin (`Weight.origin`): they read the same blobs in the
    same order, or are computed from the same blobs by the same recipe. The layers convert stand-ins for their blobs,
    of which nothing but the identity counts, so that a network without trained blobs has the same ties.

    Args:
        graph: the prepared graph.
        contexts: the place of each node that holds weights.
    """
    search = _Search()
    for node in graph.nodes if graph.parameters else ():
        own = [p for part in node.parts or (node.name,) for p in graph.parameters.get(part, ())]
        if node.name in contexts and own:
            search.visit(node, own, contexts[node.name])
    return Ties(found=tuple(search.ties), notes=tuple(search.notes))


@dataclass(slots=True)
class _Search:
    """The weights of the nodes visited so far, and the blobs that these nodes use."""

    users: dict[Member, str] = field(default_factory=dict)  # blob -> first Caffe layer that uses it
    holders: dict[tuple[str, tuple[int, ...], Origin], str] = field(default_factory=dict)  # weight -> its Keras layer
    ties: list[Tie] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)

    def visit(self, node: Node, own: Sequence[Parameter], context: Context) -> None:
        """Tie the weights of ``node`` to those of the nodes visited before it."""
        shared = {p.owner: p for p in own if p.owner in self.users}
        apart: dict[str, Collection[Member]] = {}  # weights that cannot be tied, and the blobs they are made of
        for name, weight in _converted(node, own, context).items():
            # A weight of unknown origin may be made of any blob of its layer.
            made_of = {p.owner for p in own} if weight.origin is None else blobs_of(weight.origin)
            holder = self._holder(name, weight, context.name)
            if shared.keys().isdisjoint(made_of):
                continue
            if holder != context.name:
                self.ties.append(Tie(layer=context.name, owner=holder, weight=name))
            else:
                apart[name] = made_of
        for blob, parameter in shared.items():
            self._note(node, parameter, [name for name, made_of in apart.items() if blob in made_of])
        for p in own:
            self.users.setdefault(p.owner, node.name)

    def _holder(self, name: str, weight: Weight, layer: str) -> str:
        """The first Keras layer that holds this weight: ``layer`` if no layer before it does."""
        if weight.origin is None:
            return layer
        return self.holders.setdefault((name, weight.shape, weight.origin), layer)

    def _note(self, node: Node, shared: Parameter, apart: Sequence[str]) -> None:
        if apart:
            message = (
                f"parameter {shared.name!r} is shared with layer {self.users[shared.owner]!r}, but Keras needs it in "
                f"another shape or order here: {', '.join(apart)} is a weight of its own that starts with the same "
                "values; training lets the two diverge"
            )
            self.notes.append(Diagnostic.note(message, layer=node.name, where=node.where))


def _converted(node: Node, own: Sequence[Parameter], context: Context) -> Mapping[str, Weight]:
    """The Keras weights of ``node``, made of stand-ins for its blobs: origins are real, values mean nothing."""
    with np.errstate(all="ignore"):
        return node.layer.convert([_stand_in(p) for p in own], context)


def _stand_in(parameter: Parameter) -> NodeBlob:
    # The pages of large zeros take no memory until they are written, and nothing writes them. A single number may be a
    # divisor, so it is 1.
    values = np.zeros(parameter.shape, np.float32)
    return NodeBlob(array=np.ones_like(values) if values.size == 1 else values, member=parameter.owner)
