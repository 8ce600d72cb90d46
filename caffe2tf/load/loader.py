"""Builds the graph: layers to nodes, rewritten blobs to one value for each write, everything in the way collected."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from caffe2tf.errors import LayerError, LayerUnsupportedError, NetworkError, Problem, UnsupportedError
from caffe2tf.ir import Graph, Layout, Node, Shape, Value, format_shape
from caffe2tf.ir.layer import PER_BOTTOM, PerBottom, ReadsImages
from caffe2tf.layers import Layer, find, without_implementation
from caffe2tf.layers.data.source import Input, Source
from caffe2tf.layers.loss.loss_base import Loss
from caffe2tf.load.memory import Memory, echo_layer
from caffe2tf.load.selection import is_source, select_layers, unwritten
from caffe2tf.load.unknown import judge_network, judge_unknown
from caffe2tf.load.weights import attach_weights
from caffe2tf.parse.blobs import check_shape

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition, NetworkDefinition, WeightSource
    from caffe2tf.proto.caffe_pb2 import Phase

__all__ = ["AUTOMATIC", "Builder", "load_graph", "source_tops"]

_PHASES: dict[str, Phase] = {"TRAIN": 0, "TEST": 1}  # type: ignore[dict-item]  # the numbers of the schema's enum
AUTOMATIC = "(automatic)"
"""Caffe's name for the top of a loss whose definition names none."""

_COMPARED = 50_000  # names in all, after which no more hints are looked for: a second's work
_HINT = (
    "a layer type of your own can be added in one file (--plugin my_layers.py), or filled in after the conversion "
    "(--on-unknown stub)"
)


def load_graph(  # noqa: PLR0913 - one parameter for each choice
    definition: NetworkDefinition,
    weights: WeightSource | None = None,
    *,
    phase: str = "TEST",
    stages: Sequence[str] = (),
    level: int = 0,
    input_shapes: Mapping[str, Shape] | None = None,
    fill: bool = False,
    stub_unknown: bool = False,
) -> Graph:
    """The graph of a definition, with trained blobs attached by layer name.

    Args:
        definition: what was read.
        weights: trained blobs; None for the structure alone.
        phase: TEST or TRAIN.
        stages: stages of the NetState that selects layers.
        level: level of the NetState.
        input_shapes: shapes of inputs, by blob, in place of the definition's own.
        fill: whether blobs that no file holds are filled by the definition's fillers, random ones from a seed.
        stub_unknown: whether a layer of unknown type becomes a stub, which the user fills in, and not a problem.

    Raises:
        UnsupportedError: something cannot be converted; everything found is in the message.
        NetworkError: the network is not sound Caffe.
        WeightsError: the weights are of another network.
    """
    selected = select_layers(definition, phase=phase, stages=stages, level=level)
    builder = Builder.read(selected, phase=phase, shapes=input_shapes or {}, stub_unknown=stub_unknown)
    builder.raise_problems()
    return attach_weights(builder.graph(), builder.definitions, weights, fill=fill)


def source_tops(definition: NetworkDefinition, state: Mapping[str, Any]) -> tuple[str, ...]:
    """The blobs that come from outside for a NetState (``phase``, ``stages``, ``level``).

    Those of data layers in order, then those that no layer gives, which are inputs where a shape is given for them.
    """
    layers = select_layers(definition, **state).layers
    return (*(t for d in layers if is_source(d) for t in d.tops), *sorted(unwritten(layers)))


@dataclass(slots=True)
class Builder:
    """What is known while the layers are read one after the other."""

    phase: str
    shapes: dict[str, Shape]
    stub_unknown: bool = False
    name: str = "network"
    file: str = ""
    nodes: list[Node] = field(default_factory=list)
    definitions: dict[str, LayerDefinition] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    current: dict[str, str | None] = field(default_factory=dict)  # blob -> value id; None: written by a broken layer
    writers: dict[str, str] = field(default_factory=dict)  # blob -> the layer that first wrote it
    memory: Memory = field(default_factory=Memory)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    used_shapes: set[str] = field(default_factory=set)
    unknown_types: bool = False
    compared: int = 0  # names that missing ones were compared with
    writes: dict[str, int] = field(default_factory=dict)  # blob -> the number of its latest value
    namesakes: dict[str, int] = field(default_factory=dict)  # layer name -> the number of the latest layer that has it

    @classmethod
    def read(
        cls, definition: NetworkDefinition, *, phase: str, shapes: Mapping[str, Shape], stub_unknown: bool = False
    ) -> Builder:
        """All layers of a definition whose layers are selected already; problems are kept, not raised."""
        builder = cls(
            phase=phase,
            shapes=dict(shapes),
            stub_unknown=stub_unknown,
            name=definition.name or "network",
            file=definition.file,
        )
        builder.problems, notes = judge_network(definition)
        builder.notes += [*definition.notes, *notes]
        for layer in definition.layers:
            builder.add(layer)
        builder.check_inputs(definition)
        return builder

    def graph(self) -> Graph:
        """What was read, without trained blobs."""
        graph = Graph(name=self.name, nodes=tuple(self.nodes), values=self.values, outputs=(), notes=tuple(self.notes))
        return replace(graph, outputs=graph.unread())

    def add(self, definition: LayerDefinition) -> None:
        """One layer more, with whatever is wrong with it."""
        definition = _in_phase(definition, self.phase)
        problems, notes = judge_unknown(definition)
        self.problems += problems
        self.notes += notes
        inputs = self._resolve(definition)
        layer = self._read(definition)
        shapes = self._infer(definition, layer, inputs) if layer is not None and None not in inputs else None
        tops = definition.tops or ((AUTOMATIC,) if isinstance(layer, Loss) else ())
        outputs = self._write(definition, tops, shapes)
        if layer is not None and shapes is not None:
            name = self._unique(definition)
            node = Node(
                name=name,
                layer=layer,
                inputs=tuple(i for i in inputs if i is not None),
                outputs=outputs,
                parts=(name,),
                where=definition.where,
            )
            self.nodes.append(node)
            self.definitions[name] = definition
            self._follow_memory(definition, layer)

    def check_inputs(self, definition: NetworkDefinition) -> None:
        """Shapes given for blobs that are not inputs."""
        for blob in sorted(set(self.shapes) - self.used_shapes):
            have = ", ".join(repr(t) for d in definition.layers for t in d.tops if is_source(d)) or "none"
            self.problems.append(Problem(what=f"a shape is given for {blob!r}, which is no input; inputs: {have}"))

    def raise_problems(self) -> None:
        """Everything in the way, in one error."""
        if self.problems:
            kind = UnsupportedError if any(p.unsupported for p in self.problems) else NetworkError
            raise kind(self.problems, hint=self.hint)
        if not self.nodes:
            raise NetworkError([Problem(what=f"no layer is left for phase {self.phase}")])

    @property
    def hint(self) -> str:
        """How to go on where layer types are unknown; empty where they are not."""
        return _HINT if self.unknown_types else ""

    def _report(self, definition: LayerDefinition, what: str, *, unsupported: bool = False) -> None:
        self.problems.append(Problem(what=what, layer=definition.name, where=definition.where, unsupported=unsupported))

    def _unique(self, definition: LayerDefinition) -> str:
        name = definition.name
        if not name:
            name = f"{definition.type.lower()}{len(self.nodes)}"
        if name not in self.definitions:
            return name
        n = self.namesakes.get(name, 1) + 1
        while f"{name}#{n}" in self.definitions:
            n += 1
        self.namesakes[name] = n
        self.notes.append(
            f"{definition.where}: a layer {name!r} stands before this one; "
            "weights of that name go to the first, as in Caffe"
        )
        return f"{name}#{n}"

    def _resolve(self, definition: LayerDefinition) -> list[str | None]:
        ids: list[str | None] = []
        for blob in definition.bottoms:
            if blob not in self.current and blob in self.shapes:
                self._add_input(blob, definition)
            elif blob not in self.current:
                self._report(
                    definition,
                    f"bottom {blob!r} is not the top of any layer before it{self._meant(blob)}; if it is an input of "
                    f"the network, give its shape: --input-shape {blob}=N,C,H,W",
                )
                self.current[blob] = None
            ids.append(self.current[blob])
        return ids

    def _meant(self, blob: str) -> str:
        """A hint at a blob that is called nearly so; where much is missing, only what is missing first gets one."""
        if self.compared > _COMPARED:
            return ""
        self.compared += len(self.writers)
        close = difflib.get_close_matches(blob, self.writers, n=1)
        return f"; did you mean {close[0]!r}?" if close else ""

    def _add_input(self, blob: str, reader: LayerDefinition) -> None:
        """A part of a network reads blobs of the rest: they are inputs, where the user says what they look like."""
        shape = self.shapes[blob]
        value = Value(id=self._fresh(blob), blob=blob, shape=shape, layout=Layout.plain(len(shape)))
        self.values[value.id] = value
        self.current[blob] = value.id
        self.writers[blob] = reader.name
        self.used_shapes.add(blob)
        layer = Input(shapes=(shape,), names=(blob,))
        self.nodes.append(Node(name=f"{blob}@input", layer=layer, inputs=(), outputs=(value.id,), where=reader.where))
        self.notes.append(f"{reader.where}: no layer gives {blob!r}: it is an input, of the shape that you gave")

    def _read(self, definition: LayerDefinition) -> Layer | None:
        cls = find(definition.type, definition)
        if cls is None and self.stub_unknown:
            return self._stub(definition)
        if cls is None:
            self._report(definition, without_implementation(definition), unsupported=True)
            self.unknown_types = True
            return None
        try:
            _check_counts(cls, definition)
            layer = cls.read(definition)
            return self._with_images(layer) if isinstance(layer, ReadsImages) and layer.files() else layer
        except LayerError as e:
            self._report(definition, str(e), unsupported=isinstance(e, LayerUnsupportedError))
            return None

    def _with_images(self, layer: ReadsImages) -> Layer:
        from caffe2tf.load.inputs import read_images  # noqa: PLC0415 - few networks have such layers

        return read_images(layer, beside=self.file)

    def _stub(self, definition: LayerDefinition) -> Layer:
        """What stands for a layer of unknown type; one that reads nothing is an input."""
        from caffe2tf.ir.stub import Stub  # noqa: PLC0415 - likewise
        from caffe2tf.layers.data.fork_sources import ForkData  # noqa: PLC0415 - few networks have such layers

        self.used_shapes.update(t for t in definition.tops if t in self.shapes)
        if not definition.bottoms:
            return ForkData.read(definition)
        return Stub.of(definition, [self.shapes.get(t) for t in definition.tops])

    def _infer(
        self, definition: LayerDefinition, layer: Layer, inputs: Sequence[str | None]
    ) -> tuple[Shape, ...] | None:
        if isinstance(layer, Source):
            self.used_shapes.update(t for t in definition.tops if t in self.shapes)
        shapes = [self.values[i].shape for i in inputs if i is not None]
        try:
            if isinstance(layer, Source):
                layer = self._settled(layer, [self.shapes.get(t) for t in definition.tops])
            out = layer.infer(*shapes)
            specs = layer.blobs(*shapes)
        except LayerError as e:
            given_text = ", ".join(format_shape(s) for s in shapes)
            context = f" (bottoms: {given_text})" if shapes else ""
            self._report(definition, f"{e}{context}", unsupported=isinstance(e, LayerUnsupportedError))
            return None
        if any(d is not None and d < 1 for s in out for d in s):
            tops = ", ".join(format_shape(s) for s in out)
            self._report(definition, f"its tops would be empty ({tops})")
            return None
        named = [(f"top {top!r}", shape) for top, shape in zip(definition.tops, out, strict=False)]
        for what, shape in (*named, *((f"its {spec.name}", spec.shape) for spec in specs)):
            try:
                check_shape([d for d in shape if d is not None])
            except ValueError as e:
                self._report(definition, f"{what}: {e}")
                return None
        return out

    def _settled(self, layer: Source, given: Sequence[Shape | None]) -> Source:
        """A source with the shapes that are given, or told by files that its definition names."""
        if isinstance(layer, Input):
            return layer.with_shapes(given)
        from caffe2tf.load.inputs import settle_shapes  # noqa: PLC0415 - few networks have such sources

        return settle_shapes(layer, given, beside=self.file)

    def _write(
        self, definition: LayerDefinition, tops: Sequence[str], shapes: Sequence[Shape] | None
    ) -> tuple[str, ...]:
        ids = []
        for i, blob in enumerate(tops):
            in_place = i < len(definition.bottoms) and definition.bottoms[i] == blob
            if blob in self.writers and not in_place and blob != AUTOMATIC:
                self._report(
                    definition, f"top {blob!r} is already written by layer {self.writers[blob]!r}; rename one of them"
                )
            self.writers.setdefault(blob, definition.name)
            if shapes is None:
                self.current[blob] = None
                continue
            shape = shapes[i]
            value = Value(id=self._fresh(blob), blob=blob, shape=shape, layout=Layout.plain(len(shape)))
            self.values[value.id] = value
            self.current[blob] = value.id
            ids.append(value.id)
        return tuple(ids)

    def _follow_memory(self, definition: LayerDefinition, layer: Layer) -> None:
        """Blobs that are one memory: new names of it, and what a write in place does to the others."""
        bottoms, tops = definition.bottoms, definition.tops
        if layer.shares_memory(len(bottoms), len(tops)):
            self.memory.share(bottoms[0], tops)
        for bottom, top in zip(bottoms, tops, strict=False):
            written = self.current[top]
            for other in self.memory.others(top) if bottom == top else ():
                old = self.current.get(other)
                if old is None or written is None or other in tops:
                    continue
                value = replace(self.values[old], id=self._fresh(other))
                self.values[value.id] = value
                self.current[other] = value.id
                echo = echo_layer(self.values[written].shape, value.shape)
                name = f"{definition.name}@{other}"
                parts = (definition.name,)
                self.nodes.append(
                    Node(name=name, layer=echo, inputs=(written,), outputs=(value.id,), parts=parts, echo=True)
                )

    def _fresh(self, blob: str) -> str:
        """An id that no value has: names are never given back, and so the search goes on where it last ended."""
        name, n = blob, self.writes.get(blob, 1)
        while name in self.values:
            n += 1
            name = f"{blob}#{n}"
        self.writes[blob] = n
        return name


def _in_phase(definition: LayerDefinition, phase: str) -> LayerDefinition:
    """A layer that states no phase of its own has the network's."""
    if definition.message.HasField("phase"):
        return definition
    message = type(definition.message)()
    message.CopyFrom(definition.message)
    message.phase = _PHASES[phase]
    return replace(definition, message=message)


def _check_counts(cls: type[Layer], definition: LayerDefinition) -> None:
    for what, have, allowed in (
        ("bottom", len(definition.bottoms), cls.bottoms),
        ("top", len(definition.tops), cls.tops),
    ):
        if isinstance(allowed, PerBottom):
            continue
        low, high = allowed
        if have < low or (high is not None and have > high):
            want = f"{low} or more" if high is None else str(low) if low == high else f"{low} to {high}"
            raise LayerError(f"a {definition.type} layer takes {want} {what}s, {have} given")
    if cls.tops is PER_BOTTOM and len(definition.bottoms) != len(definition.tops):
        raise LayerError(
            f"a {definition.type} layer has one top for each bottom: "
            f"{len(definition.bottoms)} bottoms and {len(definition.tops)} tops are given"
        )
