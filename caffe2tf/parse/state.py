"""Which layers exist for a NetState (phase, level, stages): Caffe's include and exclude rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from caffe2tf.errors import UsageError
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe2tf.proto.caffe_pb2 import LayerParameter, NetState, NetStateRule

__all__ = ["keeps", "merged"]

_PHASES: Final = {"TRAIN": caffe_pb2.TRAIN, "TEST": caffe_pb2.TEST}


def merged(own: NetState, *, phase: str, stages: Sequence[str], level: int) -> NetState:
    """The state that Caffe builds a network for: `phase` and `level` replace, `stages` add to, the file's `own`.

    Raises:
        UsageError: An argument that no NetState can hold.
    """
    if phase not in _PHASES:
        raise UsageError(f"phase {phase!r}: use 'TEST' or 'TRAIN'")
    if not -(2**31) <= level < 2**31:
        raise UsageError(f"level {level}: use a number that fits 32 bits")
    state = caffe_pb2.NetState()
    state.CopyFrom(own)
    state.phase = _PHASES[phase]
    for stage in stages:
        try:
            state.stage.append(stage)
        except (TypeError, ValueError):  # ValueError: it holds a byte that is no UTF-8
            raise UsageError(f"stage {stage!r}: use the name that the definition uses, which is text") from None
    state.level = level
    return state


def keeps(layer: LayerParameter, state: NetState) -> bool:
    """Whether `layer`, which has rules of one kind at most, exists in `state`."""
    if layer.include:
        return any(_meets(rule, state) for rule in layer.include)
    return not any(_meets(rule, state) for rule in layer.exclude)


def _meets(rule: NetStateRule, state: NetState) -> bool:
    """Whether `state` satisfies every part of `rule`; a rule without parts is always met."""
    if rule.HasField("phase") and rule.phase != state.phase:
        return False
    if rule.HasField("min_level") and state.level < rule.min_level:
        return False
    if rule.HasField("max_level") and state.level > rule.max_level:
        return False
    present = set(state.stage)
    return present.issuperset(rule.stage) and present.isdisjoint(rule.not_stage)
