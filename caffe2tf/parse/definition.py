"""A network definition as the rest of the program sees it: always modern, whatever the age of the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from caffe2tf.diagnostics import Diagnostic, Position
from caffe2tf.errors import NetworkError
from caffe2tf.parse.param_spec import ParamSpec
from caffe2tf.parse.parameters import Parameters
from caffe2tf.parse.state import NetState, Phase, StateRule
from caffe2tf.parse.unknown_field import UnknownField

if TYPE_CHECKING:
    from caffe2tf.proto import caffe_pb2

__all__ = ["LayerDefinition", "NetworkDefinition"]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDefinition:
    """One layer.

    A layer class reads its own parameters from `message`, as in ``definition.message.pooling_param``. Everything that
    is the same for all layers is a field or property of the definition.

    Attributes:
        message: The layer in the modern form, without blobs. It must not be changed.
        where: The place of the layer.
        unknown: Fields of the layer that the schema does not know.
        include: Rules of which the network's state must meet one, if there are any.
        exclude: Rules of which the network's state must meet none.
        stated_phase: The phase that the layer states for itself, or None.
        phase: The phase that the layer works in. After `NetworkDefinition.select`, this is the phase of the network
            unless the layer states its own; before, it is `stated_phase`.
        params: How the first trained blobs of the layer are shared and trained, one for each ``param`` (`blob_params`).
    """

    message: caffe_pb2.LayerParameter
    where: Position
    unknown: tuple[UnknownField, ...]
    include: tuple[StateRule, ...]
    exclude: tuple[StateRule, ...]
    stated_phase: Phase | None
    phase: Phase | None
    params: tuple[ParamSpec, ...]

    @classmethod
    def of(cls, message: caffe_pb2.LayerParameter, *, where: Position, unknown: tuple[UnknownField, ...] = ()) -> Self:
        """Return the definition of the layer that a modern message describes."""
        phase = Phase.stated(message)
        return cls(
            message=message,
            where=where,
            unknown=unknown,
            include=_each(StateRule.of, message.include),
            exclude=_each(StateRule.of, message.exclude),
            stated_phase=phase,
            phase=phase,
            params=_each(ParamSpec.of, message.param),
        )

    @property
    def name(self) -> str:
        """The name of the layer. It may be empty, and several layers may have the same name."""
        return self.message.name

    @property
    def type(self) -> str:
        """Caffe's modern name of the type, such as ``InnerProduct``, or the word in the file if Caffe has none."""
        return self.message.type

    @property
    def bottoms(self) -> tuple[str, ...]:
        """The names of the blobs that the layer reads."""
        return tuple(self.message.bottom)

    @property
    def tops(self) -> tuple[str, ...]:
        """The names of the blobs that the layer writes."""
        return tuple(self.message.top)

    @property
    def training(self) -> bool:
        """Whether the layer works in phase TRAIN."""
        return self.phase is Phase.TRAIN

    @property
    def extra(self) -> Parameters:
        """The fields that the schema does not know, as a tree: ``definition.extra.block("my_param").size``.

        Unknown fields of a block that the schema knows are in a block of the same name.
        """
        return Parameters.of_fields(self.unknown)

    def blob_params(self, count: int) -> tuple[ParamSpec, ...]:
        """Return one specification for each of the layer's `count` trained blobs: `params`, then defaults."""
        return (*self.params[:count], *(ParamSpec() for _ in range(count - len(self.params))))

    def exists_in(self, state: NetState) -> bool:
        """Return whether Caffe keeps the layer in this state; it must not have both include and exclude rules."""
        if self.include:
            return any(rule.is_met_by(state) for rule in self.include)
        return not self.exclude or not any(rule.is_met_by(state) for rule in self.exclude)

    def in_phase(self, phase: Phase) -> Self:
        """Return the layer in a network of this phase; a layer that states a phase keeps it."""
        return type(self)(  # `replace` is three times slower, and a network has hundreds of layers
            message=self.message,
            where=self.where,
            unknown=self.unknown,
            include=self.include,
            exclude=self.exclude,
            stated_phase=self.stated_phase,
            phase=self.stated_phase or phase,
            params=self.params,
        )


def _each(of: Callable[[Any], Item], messages: Sequence[Any]) -> tuple[Item, ...]:
    """Return what `of` makes of each message. Most lists are empty, and protobuf is slow to iterate over those."""
    return tuple([of(message) for message in messages]) if messages else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDefinition:
    """A whole definition.

    Attributes:
        name: The name of the network; it may be empty.
        file: The path as it was given.
        is_text: Whether the file is text. Text holds no trained blobs; a binary file may.
        layers: The layers, in file order.
        header: Everything besides the layers (name, state, force_backward, debug_info). It must not be changed.
        unknown: Fields of the network, outside the layers, that the schema does not know.
        state: The state in the file; after `select`, the state that was selected.
        notes: What was upgraded, or ignored as Caffe ignores it.
    """

    name: str
    file: str
    is_text: bool
    layers: tuple[LayerDefinition, ...]
    header: caffe_pb2.NetParameter
    unknown: tuple[UnknownField, ...] = ()
    state: NetState
    notes: tuple[Diagnostic, ...] = ()

    def select(self, *, phase: str, stages: Sequence[str] = (), level: int = 0) -> NetworkDefinition:
        """Return the definition with the layers that Caffe keeps for one state.

        As when Caffe opens a network for a phase, `phase` and `level` replace those of the file, and `stages` are
        added to those of the file.

        Args:
            phase: ``"TRAIN"`` or ``"TEST"``.
            stages: Names that the layers' rules may ask for.
            level: A number that the layers' rules may bound.

        Returns:
            The definition with fewer layers and the merged state. Each layer has its `LayerDefinition.phase`.

        Raises:
            UsageError: `phase` is neither of the two, `level` does not fit 32 bits, or a stage is not text.
            NetworkError: Some layers have both include and exclude rules; all of them are listed.
        """
        state = self.state.merged(phase=phase, stages=stages, level=level)
        problems = [
            Diagnostic(
                message="it has both `include` and `exclude` rules, which Caffe refuses; keep one kind",
                layer=layer.name,
                where=layer.where,
            )
            for layer in self.layers
            if layer.include and layer.exclude
        ]
        if problems:
            raise NetworkError(problems)
        kept = tuple(layer.in_phase(state.phase) for layer in self.layers if layer.exists_in(state))
        return replace(self, layers=kept, state=state)
