"""What becomes of fields that the schema does not know: a note where they cannot matter, else a problem."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from caffe2tf.errors import Problem
from caffe2tf.layers import Layer, Role, find, is_ours
from caffe2tf.parse.parameters import not_known

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition, UnknownField

__all__ = ["judge_unknown"]

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
        if _is_harmless(cls, field):
            notes.append(f"{field.where}: layer {definition.name!r}: unknown field {field.path!r} left out of account")
        else:
            what = not_known(field.path)
            problems.append(Problem(what=what, layer=definition.name, where=field.where, unsupported=True))
    return problems, notes


def _is_read(cls: type[Layer], field: UnknownField) -> bool:
    """Whether the layer's class reads the field, as `Layer.reads_unknown` says."""
    if cls.reads_unknown is None:
        return not is_ours(cls)
    return field.path.partition(".")[0].partition("[")[0] in cls.reads_unknown


def _is_harmless(cls: type[Layer], field: UnknownField) -> bool:
    if cls.role in (Role.SOURCE, Role.LOSS, Role.SINK):
        return True
    return not _HARMLESS_PARTS.isdisjoint(re.sub(r"\[\d+\]", "", field.path).split("."))
