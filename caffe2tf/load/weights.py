"""Attaches trained blobs to the nodes of a graph: by layer name, checked against the shapes that the layers need."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from caffe2tf.diagnostics import Diagnostic
from caffe2tf.errors import LayerError, NetworkError, WeightsError
from caffe2tf.ir import Graph, Member, Node, NodeBlob, format_shape
from caffe2tf.ir.layer import ReadsBlobs
from caffe2tf.ir.weight import Array
from caffe2tf.layers import BlobSpec
from caffe2tf.load.remarks import remarks_of
from caffe2tf.load.sharing import Sharing, find_shared, members_of

if TYPE_CHECKING:
    from caffe2tf.parse import Blob, LayerDefinition, TrainedWeights

__all__ = ["attach_weights", "pair_weights"]

Specs = dict[str, tuple[BlobSpec, ...]]
"""The blobs that each node must have, in the order of the network."""


def attach_weights(
    graph: Graph, definitions: Mapping[str, LayerDefinition], weights: TrainedWeights | None, *, fill: bool
) -> Graph:
    """Return ``graph`` with the blobs of ``weights`` on its nodes.

    Blobs that no file holds are filled by their fillers if ``fill`` is set. If weights are given, this is also done
    without ``fill`` for fillers that the definition states and that are not random: the weights of a bilinear
    upsampling are often not stored.

    Raises:
        NetworkError: layers share parameters that they cannot share, or the parameters need more memory than there is.
        WeightsError: blobs are missing, too many, or have another shape. The message lists all of them.
    """
    attached, error = pair_weights(graph, definitions, weights, fill=fill)
    if error is not None:
        raise error
    return attached


def pair_weights(
    graph: Graph, definitions: Mapping[str, LayerDefinition], weights: TrainedWeights | None, *, fill: bool
) -> tuple[Graph, WeightsError | None]:
    """Do the same as `attach_weights`, but return the error about blobs that do not fit, if there is one."""
    graph = _recognised(graph, definitions, weights)
    specs: Specs = {node.name: node.layer.blobs(*(v.shape for v in graph.read(node))) for node in graph.nodes}
    sharing = find_shared(graph, definitions, specs)
    if sharing.problems:
        raise NetworkError(sharing.problems)
    nodes = [_with_params(node, definitions, len(specs[node.name])) for node in graph.nodes]
    graph = replace(graph, nodes=tuple(nodes), shared=sharing.whole_layers(specs), parameters=sharing.parameters(specs))
    if weights is None and not fill:
        return replace(graph, notes=(*graph.notes, *remarks_of(nodes))), None
    pairing = _Pairing(graph=graph, specs=specs, weights=weights, fill=fill, sharing=sharing)
    names = [(node, definitions[node.name].name) for node in graph.nodes if node.name in definitions]
    pairing.collect(names)
    nodes = [pairing.attach(node) for node in graph.nodes]
    notes = (*graph.notes, *remarks_of(nodes), *_unused({name for _, name in names}, weights))
    return graph.with_nodes(nodes, notes=notes), pairing.error()


def _recognised(graph: Graph, definitions: Mapping[str, LayerDefinition], weights: TrainedWeights | None) -> Graph:
    """Return the graph with layers that depend on the shapes of their trained blobs settled."""
    nodes = []
    for node in graph.nodes:
        definition = definitions.get(node.name)
        blobs = weights.layers.get(definition.name, ()) if weights is not None and definition is not None else ()
        shapes = [tuple(b.shape) for b in blobs if not b.absent]
        layer = node.layer.with_blobs(shapes) if shapes else node.layer
        nodes.append(node if layer is node.layer else replace(node, layer=layer))
    return graph.with_nodes(nodes)


def _with_params(node: Node, definitions: Mapping[str, LayerDefinition], count: int) -> Node:
    """Return the node with the specifications of its `count` trained blobs."""
    return replace(node, params=definitions[node.name].blob_params(count)) if count else node


def _unused(names: set[str], weights: TrainedWeights | None) -> list[Diagnostic]:
    if weights is None:
        return []
    unused = [name for name, blobs in weights.layers.items() if blobs and name not in names]
    return [
        Diagnostic.note(f"the weight file's layer {name!r} is not in this network; it is ignored, as in Caffe")
        for name in unused
    ]


@dataclass(slots=True, kw_only=True)
class _Pairing:
    """The blobs found so far, and what does not fit.

    Attributes:
        found: the blobs, by their place in the network.
        misfits: for each node, what does not fit; if a node gets blobs several times, only the last ones count.
        taken: the nodes that got blobs.
    """

    graph: Graph
    specs: Specs
    weights: TrainedWeights | None
    fill: bool
    sharing: Sharing
    found: dict[Member, Blob] = field(default_factory=dict)
    misfits: dict[str, list[str]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def collect(self, names: Sequence[tuple[Node, str]]) -> None:
        """Take the blobs of all files, layer by layer; each replaces what came before it, as in Caffe.

        Args:
            names: each node with Caffe's name of its layer. If several layers have one name, Caffe gives the blobs of
                binary files to the first of them, and those of HDF5 files to the last.
        """
        first = {name: node for node, name in reversed(names)}
        last = {name: node for node, name in names}
        for load in self.weights.loads if self.weights else ():
            node = (last if load.hdf5 else first).get(load.name)
            if node is not None and self.specs[node.name]:
                self._take(node, load.blobs)

    def attach(self, node: Node) -> Node:
        """Return the node with its blobs, or unchanged if some are missing, which is reported."""
        specs = self.specs[node.name]
        if not specs or self.misfits.get(node.name):
            return node
        owners = [self.sharing.owner.get(m, m) for m in members_of(node.name, specs)]
        have = [self.found.get(o) for o in owners]
        # A shared blob belongs to the first layer, so that layer's filler counts.
        fillers = [self.specs[o.node][o.index] for o in owners]
        if None in have and not self._may_fill(fillers, have):
            want = _listed([s for s, b in zip(specs, have, strict=True) if b is None])
            self.misfits[node.name] = [f"needs {want}, but the file has no blobs for it"]
            return node
        try:
            arrays = [b.array() if b else _filled(f, o) for b, f, o in zip(have, fillers, owners, strict=True)]
            arrays = [a.reshape(s.shape) for a, s in zip(arrays, specs, strict=True)]
            if isinstance(node.layer, ReadsBlobs):
                node = replace(node, layer=node.layer.with_values(arrays))
        except LayerError as e:
            self.misfits[node.name] = [str(e)]
            return node
        except MemoryError:
            message = f"its trained values need more memory than there is: {_listed(specs)}"
            raise NetworkError([Diagnostic(message=message, layer=node.name, where=node.where)]) from None
        return replace(node, blobs=tuple(NodeBlob(array=a, memory=b) for a, b in zip(arrays, have, strict=True)))

    def error(self) -> WeightsError | None:
        """Return the error that lists everything that does not fit; None if all blobs fit."""
        problems = [
            Diagnostic(message=message, layer=node.name, where=node.where)
            for node in self.graph.nodes
            for message in self.misfits.get(node.name, ())
        ]
        if not problems:
            return None
        files = ", ".join(str(f) for f in self.weights.files) if self.weights else "no weight file"
        matched = any(not self.misfits.get(name) for name in self.taken)
        foreign = self.weights is not None and not matched
        remark = " No layer matches. Are these the weights of another network?" if foreign else ""
        return WeightsError(f"the weights ({files}) do not fit the network.{remark}", problems=problems)

    def _take(self, node: Node, blobs: Sequence[Blob]) -> None:
        specs, members = self.specs[node.name], members_of(node.name, self.specs[node.name])
        self.taken.add(node.name)
        lacking = [m for i, m in enumerate(members) if i >= len(blobs) or blobs[i].absent]
        if len(blobs) > len(specs) or not self.sharing.owner.keys() >= set(lacking):
            self.misfits[node.name] = [_wrong_count(specs, blobs)]
            return
        misfits = []
        for spec, blob, member in zip(specs, blobs, members, strict=False):
            if blob.absent:
                continue
            if _same_shape(spec.shape, blob):
                self.found[self.sharing.owner.get(member, member)] = blob
            else:
                want, have = format_shape(spec.shape), format_shape(blob.shape)
                misfits.append(f"{spec.name} is {want} in the network, {have} in the file")
        self.misfits[node.name] = misfits

    def _may_fill(self, specs: Sequence[BlobSpec], have: Sequence[Blob | None]) -> bool:
        lacking = [s.filler for s, b in zip(specs, have, strict=True) if b is None]
        return self.fill or all(f is not None and f.given and not f.is_random for f in lacking)


def _listed(specs: Sequence[BlobSpec]) -> str:
    return ", ".join(f"{s.name} {format_shape(s.shape)}" for s in specs)


def _wrong_count(specs: Sequence[BlobSpec], blobs: Sequence[Blob]) -> str:
    have = [format_shape(b.shape) for b in blobs if not b.absent]
    return f"needs {len(specs)} blobs ({_listed(specs)}), but the file has {len(have)} ({', '.join(have)})"


def _filled(spec: BlobSpec, owner: Member) -> Array:
    if spec.filler is None:
        raise LayerError(f"{spec.name} has no filler, and the file has no blob for it")
    return spec.filler.fill(spec.shape, seed=f"{owner.node}/{owner.index}")


def _same_shape(want: tuple[int, ...], blob: Blob) -> bool:
    """Return whether a blob fits by Caffe's rule.

    The axes must be equal. A blob in the old form may have ones in front, up to four axes (C3D: five).
    """
    if not blob.legacy:
        return tuple(blob.shape) == tuple(want)
    axes = max(4, len(blob.shape))
    if len(want) > axes or math.prod(want) != math.prod(blob.shape):
        return False
    return (1,) * (axes - len(want)) + tuple(want) == (1,) * (axes - len(blob.shape)) + tuple(blob.shape)
