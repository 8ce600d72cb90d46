"""Phases, network states, and the include and exclude rules that select layers for a state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from caffe2tf.errors import UsageError
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe2tf.proto.caffe_pb2 import NetStateRule

__all__ = ["NetState", "Phase", "StateRule"]


class Phase(StrEnum):
    """What a network is built for."""

    TRAIN = "TRAIN"
    TEST = "TEST"

    @classmethod
    def named(cls, name: str) -> Phase:
        """Return the phase of this name.

        Raises:
            UsageError: There is no such phase.
        """
        if name not in cls.__members__:
            raise UsageError(f"phase {name!r}: use 'TEST' or 'TRAIN'")
        return cls[name]

    @classmethod
    def stated(cls, message: caffe_pb2.LayerParameter | NetStateRule) -> Phase | None:
        """Return the phase that a message states, or None if it states none."""
        return _PHASES[message.phase] if message.HasField("phase") else None


_PHASES: Final = {caffe_pb2.TRAIN: Phase.TRAIN, caffe_pb2.TEST: Phase.TEST}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetState:
    """The state that Caffe builds a network for.

    Attributes:
        phase: TRAIN or TEST.
        level: A number that rules may bound.
        stages: Names that rules may ask for.
    """

    phase: Phase = Phase.TEST
    level: int = 0
    stages: tuple[str, ...] = ()

    @classmethod
    def of(cls, message: caffe_pb2.NetState) -> Self:
        """Return the state that a message describes."""
        return cls(phase=_PHASES[message.phase], level=message.level, stages=tuple(message.stage))

    def merged(self, *, phase: str, stages: Sequence[str], level: int) -> NetState:
        """Return the state of a network that is opened with these arguments, as Caffe merges them.

        `phase` and `level` replace those of the file, `stages` are added to those of the file.

        Raises:
            UsageError: No NetState can hold one of the arguments.
        """
        if not -(2**31) <= level < 2**31:
            raise UsageError(f"level {level}: use a number that fits 32 bits")
        for stage in stages:
            if not _is_text(stage):
                raise UsageError(f"stage {stage!r}: use the name that the definition uses, which is text")
        return NetState(phase=Phase.named(phase), level=level, stages=(*self.stages, *stages))


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRule:
    """One ``include`` or ``exclude`` rule of a layer; a state meets it if it meets every part that is given.

    Attributes:
        phase: The phase that the state must have, or None.
        min_level: The lowest level that the state may have, or None.
        max_level: The highest level that the state may have, or None.
        stages: Stages that the state must all have.
        not_stages: Stages of which the state must have none.
    """

    phase: Phase | None = None
    min_level: int | None = None
    max_level: int | None = None
    stages: tuple[str, ...] = ()
    not_stages: tuple[str, ...] = ()

    @classmethod
    def of(cls, message: NetStateRule) -> Self:
        """Return the rule that a message describes."""
        return cls(
            phase=Phase.stated(message),
            min_level=message.min_level if message.HasField("min_level") else None,
            max_level=message.max_level if message.HasField("max_level") else None,
            stages=tuple(message.stage),
            not_stages=tuple(message.not_stage),
        )

    def is_met_by(self, state: NetState) -> bool:
        """Return whether a state meets the rule; every state meets a rule without parts."""
        if self.phase not in (None, state.phase):
            return False
        if self.min_level is not None and state.level < self.min_level:
            return False
        if self.max_level is not None and state.level > self.max_level:
            return False
        return set(state.stages).issuperset(self.stages) and set(state.stages).isdisjoint(self.not_stages)


def _is_text(stage: object) -> bool:
    """Return whether a stage is a string that UTF-8 can encode; arguments of a command may hold other bytes."""
    return isinstance(stage, str) and stage.encode("utf-8", "ignore").decode("utf-8") == stage
