"""What becomes of fields that the schema does not know: a note where they cannot matter, else a problem."""

from __future__ import annotations

import difflib
import functools
import re
from typing import TYPE_CHECKING

from caffe2tf.errors import Problem
from caffe2tf.layers import Layer, Role, find, is_ours
from caffe2tf.parse.parameters import not_known

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    from caffe2tf.parse import LayerDefinition, NetworkDefinition, UnknownField

__all__ = ["judge_network", "judge_unknown"]

_HARMLESS_PARTS = frozenset(
    {
        *("transform_param", "param", "include", "exclude", "loss_param", "weight_filler", "bias_filler", "engine"),
        # Forks: on which device, with which algorithm, in which memory and number format a layer is computed.
        *("device", "multinode", "quantization_param", "conv_algorithm", "mem_group_size", "can_clobber"),
        *("forward_type", "forward_math", "backward_type", "backward_math", "cudnn_math_override", "debug"),
        *("cudnn_convolution_algo_seeker", "conv_algos_override", "per_fla_fuse", "reshape_every_iter"),
        *("mn_activation_param", "mn_grad_compress_param"),
        # Where results are written or shown.
        *("save_output_param", "visualize", "visualize_threshold", "label_map_file"),
    }
)
"""Messages and fields that say how a network is trained, fed, scheduled or stored, not what it computes."""
_INDEX = re.compile(r"\[\d+\]")
_NEAR = 0.75  # of 1, how alike names are for one to be meant by the other
_STRUCTURE = ("layer", "layers", "input", "input_shape", "input_dim")
"""What a network consists of: who writes it otherwise loses a part of the network."""


def judge_network(definition: NetworkDefinition) -> tuple[list[Problem], list[str]]:
    """Problems and notes on the fields beside the layers that the schema does not know."""
    problems: list[Problem] = []
    notes: list[str] = []
    for field in definition.unknown:
        meant = _meant(definition.header, field.path)
        if meant in _STRUCTURE:
            problems.append(Problem(what=f"field {field.path!r} is not known{_hint(meant)}", where=field.where))
        else:
            notes.append(f"{field.where}: unknown field {field.path!r} left out of account{_hint(meant)}")
    return problems, notes


def judge_unknown(definition: LayerDefinition) -> tuple[list[Problem], list[str]]:
    """Problems and notes on the fields of one layer that the schema does not know."""
    problems: list[Problem] = []
    notes: list[str] = []
    cls = find(definition.type, definition) if definition.unknown else None
    if cls is None:
        return problems, notes  # nothing to judge, or a layer that is itself reported
    for field in definition.unknown:
        if _is_read(cls, field):
            continue
        hint = _hint(_meant(definition.message, field.path))
        if _is_harmless(cls, field):
            what = f"layer {definition.name!r}: unknown field {field.path!r} left out of account{hint}"
            notes.append(f"{field.where}: {what}")
        else:
            what = not_known(field.path) + hint
            problems.append(Problem(what=what, layer=definition.name, where=field.where, unsupported=True))
    return problems, notes


def _is_read(cls: type[Layer], field: UnknownField) -> bool:
    """Whether the layer's class reads the field, as `Layer.reads_unknown` says."""
    if cls.reads_unknown is None:
        return not is_ours(cls)
    return field.path.partition(".")[0].partition("[")[0] in cls.reads_unknown


def _is_harmless(cls: type[Layer], field: UnknownField) -> bool:
    if cls.role in (Role.SOURCE, Role.LOSS, Role.SINK, Role.END):
        return True
    return not _HARMLESS_PARTS.isdisjoint(_parts(field.path))


def _parts(path: str) -> list[str]:
    return _INDEX.sub("", path).split(".")


def _hint(meant: str | None) -> str:
    return f"; did you mean `{meant}`?" if meant else ""


def _meant(message: Message, path: str) -> str | None:
    """The field of the very block in which an unknown one stands that is called nearly so; None where none is."""
    *blocks, name = _parts(path)
    descriptor = message.DESCRIPTOR
    for block in blocks:
        known = descriptor.fields_by_name.get(block)
        if known is None or known.message_type is None:
            return None
        descriptor = known.message_type
    return _nearest(descriptor, name)


@functools.lru_cache(maxsize=1024)
def _nearest(descriptor: Descriptor, name: str) -> str | None:
    known = descriptor.fields_by_name.keys()
    if name in known:  # it is the value of an enum that is not known
        return None
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)), None)
