"""Parameters that several layers share by name: ``param { name: "w" }``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from caffe2tf.diagnostics import Diagnostic
from caffe2tf.ir import Graph, Member, Parameter, format_shape
from caffe2tf.layers import BlobSpec
from caffe2tf.parse import ShareMode

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition

__all__ = ["Sharing", "find_shared", "members_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """The shared parameters of a network. The first blob of a name owns the parameter.

    Attributes:
        owner: for each blob with a parameter name, the first blob of that name, which may be the blob itself.
        names: the parameter name of each such blob.
        members: for each owner, all blobs of its name, in the order of the network.
        problems: blobs of one name whose shapes do not allow sharing.
    """

    owner: Mapping[Member, Member] = field(default_factory=dict)
    names: Mapping[Member, str] = field(default_factory=dict)
    members: Mapping[Member, tuple[Member, ...]] = field(default_factory=dict)
    problems: tuple[Diagnostic, ...] = ()

    def whole_layers(self, specs: Mapping[str, Sequence[BlobSpec]]) -> dict[str, str]:
        """Return for each node that shares all its blobs, in the same order, with one earlier node: that node.

        Args:
            specs: the blobs of each node, in the order of the network.
        """
        found = {}
        for node, own in specs.items():
            owners = [self.owner.get(Member(node, i)) for i in range(len(own))]
            names = {o.node for o in owners if o is not None}
            in_place = all(o is not None and o.index == i for i, o in enumerate(owners))
            if owners and in_place and len(names) == 1 and node not in names:
                found[node] = names.pop()
        return found

    def parameters(self, specs: Mapping[str, Sequence[BlobSpec]]) -> dict[str, tuple[Parameter, ...]]:
        """Return the shape and the owner of each blob, by node; empty if no two nodes share a blob."""
        if all(len(m) < 2 for m in self.members.values()):
            return {}
        return {
            node: tuple(
                Parameter(shape=spec.shape, owner=self.owner.get(member, member), name=self.names.get(member, ""))
                for member, spec in zip(members_of(node, own), own, strict=True)
            )
            for node, own in specs.items()
            if own
        }


def members_of(node: str, own: Sequence[BlobSpec]) -> list[Member]:
    """Return the places of a node's blobs."""
    return [Member(node, i) for i in range(len(own))]


def find_shared(
    graph: Graph, definitions: Mapping[str, LayerDefinition], specs: Mapping[str, Sequence[BlobSpec]]
) -> Sharing:
    """Return the shared parameters of a network.

    Caffe's rule is checked: the shapes must be equal, or with PERMISSIVE only the numbers of values.

    Args:
        graph: the network.
        definitions: the definition of each node that is a layer.
        specs: the blobs of each node, in the order of the network.
    """
    first: dict[str, tuple[Member, BlobSpec]] = {}
    owner: dict[Member, Member] = {}
    names: dict[Member, str] = {}
    members: dict[Member, list[Member]] = {}
    problems: list[Diagnostic] = []
    for node in graph.nodes:
        if node.name not in definitions:  # an echo, which has no blobs
            continue
        params = definitions[node.name].params
        own = specs[node.name]
        for param, spec, member in zip(params, own, members_of(node.name, own), strict=False):
            if not param.name:
                continue
            of, shape = first.setdefault(param.name, (member, spec))
            if not _may_be_one(spec, shape, permissive=param.share_mode is ShareMode.PERMISSIVE):
                message = (
                    f"parameter {param.name!r} is shared with layer {of.node!r}, but is {format_shape(spec.shape)} "
                    f"here and {format_shape(shape.shape)} there (STRICT needs equal shapes, PERMISSIVE equal counts)"
                )
                problems.append(Diagnostic(message=message, layer=node.name, where=node.where))
                continue
            owner[member], names[member] = of, param.name
            members.setdefault(of, []).append(member)
    frozen = {k: tuple(v) for k, v in members.items()}
    return Sharing(owner=owner, names=names, members=frozen, problems=tuple(problems))


def _may_be_one(a: BlobSpec, b: BlobSpec, *, permissive: bool) -> bool:
    return math.prod(a.shape) == math.prod(b.shape) if permissive else a.shape == b.shape
