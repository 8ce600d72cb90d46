"""Trained blobs to the nodes they belong to: by layer name, checked against the shapes that the layers need."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from caffe2tf.errors import LayerError, NetworkError, Problem, WeightsError
from caffe2tf.ir import Graph, Member, Node, NodeBlob, format_shape
from caffe2tf.ir.layer import ChecksBlobs
from caffe2tf.ir.weight import Array
from caffe2tf.layers import BlobSpec
from caffe2tf.load.sharing import Sharing, find_shared, members_of

if TYPE_CHECKING:
    from caffe2tf.parse import Blob, LayerDefinition, WeightSource

__all__ = ["attach_weights", "pair_weights"]

Specs = dict[str, tuple[BlobSpec, ...]]
"""What blobs each node must have, in the order of the network."""


def attach_weights(
    graph: Graph, definitions: Mapping[str, LayerDefinition], weights: WeightSource | None, *, fill: bool
) -> Graph:
    """``graph`` with the blobs of ``weights`` on its nodes.

    A blob that no file holds is filled by its filler where ``fill`` is set, or where weights are given and the filler
    is stated and not random (a bilinear upsampling is often not stored).

    Raises:
        NetworkError: parameters are shared that cannot be, or are more than the memory holds.
        WeightsError: a layer's blobs are missing, too many, or of another shape; all such layers are listed.
    """
    attached, problems = pair_weights(graph, definitions, weights, fill=fill)
    if problems:
        raise WeightsError("\n".join(problems))
    return attached


def pair_weights(
    graph: Graph, definitions: Mapping[str, LayerDefinition], weights: WeightSource | None, *, fill: bool
) -> tuple[Graph, list[str]]:
    """As `attach_weights`, but what does not fit is returned: a heading, then a line for each layer."""
    graph = _understood(graph, definitions, weights)
    specs: Specs = {node.name: node.layer.blobs(*(v.shape for v in graph.read(node))) for node in graph.nodes}
    sharing = find_shared(graph, definitions, specs)
    if sharing.problems:
        raise NetworkError(sharing.problems)
    graph = replace(graph, shared=sharing.whole_layers(specs), parameters=sharing.parameters(specs))
    if weights is None and not fill:
        return graph, []
    pairing = _Pairing(graph=graph, specs=specs, weights=weights, fill=fill, sharing=sharing)
    names = [(node, definitions[node.name].name) for node in graph.nodes if node.name in definitions]
    pairing.collect(names)
    nodes = [pairing.attach(node) for node in graph.nodes]
    unused = _left_over({name for _, name in names}, weights)
    return graph.with_nodes(nodes, notes=(*graph.notes, *unused)), pairing.report()


def _understood(graph: Graph, definitions: Mapping[str, LayerDefinition], weights: WeightSource | None) -> Graph:
    """The layers as their trained blobs show them to be, with what they have to remark."""
    nodes = []
    remarks: dict[str, list[Node]] = {}  # the same is often to be said of many layers
    for node in graph.nodes:
        definition = definitions.get(node.name)
        blobs = weights.layers.get(definition.name, ()) if weights is not None and definition is not None else ()
        shapes = [tuple(b.shape) for b in blobs if not b.absent]
        layer = node.layer.with_blobs(shapes) if shapes else node.layer
        for remark in layer.remarks():
            remarks.setdefault(remark, []).append(node)
        nodes.append(node if layer is node.layer else replace(node, layer=layer))
    notes = (_note(remark, about) for remark, about in remarks.items())
    return graph.with_nodes(nodes, notes=(*graph.notes, *notes))


def _note(remark: str, about: Sequence[Node]) -> str:
    others = f" and {len(about) - 1} more like it" if len(about) > 1 else ""
    return f"{about[0].where}: layer {about[0].name!r}{others}: {remark}"


def _left_over(names: set[str], weights: WeightSource | None) -> list[str]:
    if weights is None:
        return []
    unused = [name for name, blobs in weights.layers.items() if blobs and name not in names]
    return [f"the weight file's layer {name!r} is not in this network; it is ignored, as in Caffe" for name in unused]


@dataclass(slots=True, kw_only=True)
class _Pairing:
    """Progress of the pairing: blobs found so far, and what does not fit."""

    graph: Graph
    specs: Specs
    weights: WeightSource | None
    fill: bool
    sharing: Sharing
    found: dict[Member, Blob] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)  # by node; of its last blobs, where it gets several
    taken: set[str] = field(default_factory=set)

    def collect(self, names: Sequence[tuple[Node, str]]) -> None:
        """The blobs of all files, one layer after the other, each replacing what came before it, as in Caffe.

        Args:
            names: each node and Caffe's name of it. Of several layers of one name, Caffe's binary files go to the
                first, and its HDF5 files to the last.
        """
        first = {name: node for node, name in reversed(names)}
        last = {name: node for node, name in names}
        for load in self.weights.loads if self.weights else ():
            node = (last if load.hdf5 else first).get(load.name)
            if node is not None and self.specs[node.name]:
                self._take(node, load.blobs)

    def attach(self, node: Node) -> Node:
        """The node with its blobs; a problem is kept where one is missing."""
        specs = self.specs[node.name]
        if not specs or self.problems.get(node.name):
            return node
        owners = [self.sharing.owner.get(m, m) for m in members_of(node.name, specs)]
        have = [self.found.get(o) for o in owners]
        # A shared blob is the first layer's: it is that layer's filler that counts.
        fillers = [self.specs[o.node][o.index] for o in owners]
        if None in have and not self._may_fill(fillers, have):
            want = ", ".join(f"{s.name} {format_shape(s.shape)}" for s, b in zip(specs, have, strict=True) if b is None)
            self.problems[node.name] = [f"layer {node.name!r}: needs {want}, the file holds nothing for it"]
            return node
        try:
            arrays = [b.array() if b else _filled(f, o) for b, f, o in zip(have, fillers, owners, strict=True)]
            arrays = [a.reshape(s.shape) for a, s in zip(arrays, specs, strict=True)]
            if isinstance(node.layer, ChecksBlobs):
                node.layer.check_blobs(arrays)
        except LayerError as e:
            self.problems[node.name] = [f"layer {node.name!r}: {e}"]
            return node
        except MemoryError:
            want = ", ".join(f"{s.name} {format_shape(s.shape)}" for s in specs)
            what = f"its trained values need more memory than there is: {want}"
            raise NetworkError([Problem(what=what, layer=node.name, where=node.where)]) from None
        return replace(node, blobs=tuple(NodeBlob(array=a, source=b) for a, b in zip(arrays, have, strict=True)))

    def report(self) -> list[str]:
        """Everything that does not fit, under a heading; empty where all fits."""
        problems = [line for node in self.graph.nodes for line in self.problems.get(node.name, ())]
        if not problems:
            return []
        files = ", ".join(str(f) for f in self.weights.files) if self.weights else "no weight file"
        matched = any(not self.problems.get(name) for name in self.taken)
        foreign = self.weights is not None and not matched
        hint = " Not one layer matches: are these the weights of another network?" if foreign else ""
        return [f"the weights ({files}) do not fit the network.{hint}", *(f"  {p}" for p in problems)]

    def _take(self, node: Node, source: Sequence[Blob]) -> None:
        specs, members = self.specs[node.name], members_of(node.name, self.specs[node.name])
        self.taken.add(node.name)
        lacking = [m for i, m in enumerate(members) if i >= len(source) or source[i].absent]
        if len(source) > len(specs) or not self.sharing.owner.keys() >= set(lacking):
            self.problems[node.name] = [_wrong_count(node, specs, source)]
            return
        problems = []
        for spec, blob, member in zip(specs, source, members, strict=False):
            if blob.absent:
                continue
            if _same_shape(spec.shape, blob):
                self.found[self.sharing.owner.get(member, member)] = blob
            else:
                want, have = format_shape(spec.shape), format_shape(blob.shape)
                problems.append(f"layer {node.name!r}: {spec.name} is {want} in the network, {have} in the file")
        self.problems[node.name] = problems

    def _may_fill(self, specs: Sequence[BlobSpec], have: Sequence[Blob | None]) -> bool:
        lacking = [s.filler for s, b in zip(specs, have, strict=True) if b is None]
        return self.fill or all(f is not None and f.given and not f.is_random for f in lacking)


def _wrong_count(node: Node, specs: Sequence[BlobSpec], source: Sequence[Blob]) -> str:
    want = ", ".join(f"{s.name} {format_shape(s.shape)}" for s in specs)
    have = [format_shape(b.shape) for b in source if not b.absent]
    return f"layer {node.name!r}: needs {len(specs)} blobs ({want}), the file holds {len(have)} ({', '.join(have)})"


def _filled(spec: BlobSpec, owner: Member) -> Array:
    if spec.filler is None:
        raise LayerError(f"{spec.name} has no filler, and the file holds nothing for it")
    return spec.filler.fill(spec.shape, seed=f"{owner.node}/{owner.index}")


def _same_shape(want: tuple[int, ...], blob: Blob) -> bool:
    """Caffe's rule: equal axes; for a blob of the old form, equal with ones in front up to four axes (C3D: five)."""
    if not blob.legacy:
        return tuple(blob.shape) == tuple(want)
    axes = max(4, len(blob.shape))
    if len(want) > axes or math.prod(want) != math.prod(blob.shape):
        return False
    return (1,) * (axes - len(want)) + tuple(want) == (1,) * (axes - len(blob.shape)) + tuple(blob.shape)
