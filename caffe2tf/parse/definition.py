"""A network definition as the rest of the program sees it: always modern, whatever the file's age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from caffe2tf.diagnostics import Diagnostic, Position
from caffe2tf.errors import NetworkError
from caffe2tf.parse import state as states
from caffe2tf.parse.parameters import Parameters, Scalar

if TYPE_CHECKING:
    from caffe2tf.proto import caffe_pb2

__all__ = ["LayerDefinition", "NetworkDefinition", "UnknownField", "UnknownValue"]

UnknownValue: TypeAlias = "Scalar | tuple[tuple[str, UnknownValue], ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownField:
    """Something that the schema does not know: a field, or the value of an enum.

    Attributes:
        path: Names from the layer (or the network) down, as in ``convolution_param.foo``; a member of a repeated
            block carries its index, as in ``param[1].foo``. From a binary file the last name is ``#`` and a number.
        value: A number; a bool; a str for text in quotes and for any other word; or the (name, value) pairs of a
            block, in file order.
        where: Where it stands.
        text: The whole field as text format, for writing it back; empty where it came from a binary file.
    """

    path: str
    value: UnknownValue
    where: Position
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDefinition:
    """One layer; `message` is the modern form, without blobs, and is not to be changed."""

    message: caffe_pb2.LayerParameter
    where: Position
    unknown: tuple[UnknownField, ...] = ()

    @property
    def name(self) -> str:
        """The layer's name; layers may share one, and it may be empty."""
        return self.message.name

    @property
    def type(self) -> str:
        """Caffe's modern type name, as in ``InnerProduct``; or the file's own word where Caffe has none."""
        return self.message.type

    @property
    def bottoms(self) -> tuple[str, ...]:
        """Names of the blobs it reads."""
        return tuple(self.message.bottom)

    @property
    def extra(self) -> Parameters:
        """What the layer says in words that the schema does not know: ``definition.extra.block("my_param").size``.

        Unknown fields of a block that the schema knows are in a block of that name.
        """
        return Parameters.of_fields(self.unknown)

    @property
    def tops(self) -> tuple[str, ...]:
        """Names of the blobs it writes."""
        return tuple(self.message.top)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDefinition:
    """A whole definition.

    Attributes:
        name: The network's name, perhaps empty.
        file: The path as it was given.
        layers: In file order.
        header: Everything beside the layers (name, state, force_backward, debug_info); not to be changed.
        unknown: What the schema does not know, at the level of the network.
        state: What the file itself asks for; after `select`, what was selected.
        notes: What was upgraded, or ignored as Caffe ignores it.
    """

    name: str
    file: str
    layers: tuple[LayerDefinition, ...]
    header: caffe_pb2.NetParameter
    unknown: tuple[UnknownField, ...] = ()
    state: caffe_pb2.NetState
    notes: tuple[Diagnostic, ...] = ()

    def select(self, *, phase: str, stages: Sequence[str] = (), level: int = 0) -> NetworkDefinition:
        """The layers that Caffe keeps for one NetState.

        As where Caffe opens a network for a phase: `phase` and `level` replace the file's own, `stages` are added
        to the file's own.

        Args:
            phase: ``"TRAIN"`` or ``"TEST"``.
            stages: Names that the layers' rules may ask for.
            level: Number that the layers' rules may bound.

        Returns:
            The same definition with fewer layers, and the merged state.

        Raises:
            UsageError: `phase` is neither of the two, or `level` is no 32-bit number.
            NetworkError: A layer has both include and exclude rules.
        """
        state = states.merged(self.state, phase=phase, stages=stages, level=level)
        problems = [
            Diagnostic(
                message="it has both `include` and `exclude` rules, which Caffe refuses; keep one kind",
                layer=layer.name,
                where=layer.where,
            )
            for layer in self.layers
            if layer.message.include and layer.message.exclude
        ]
        if problems:
            raise NetworkError(problems)
        return replace(self, layers=tuple(x for x in self.layers if states.keeps(x.message, state)), state=state)
