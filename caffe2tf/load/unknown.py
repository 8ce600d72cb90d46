"""Fields that the schema does not know: a note if the field cannot change the result, otherwise a problem."""

from __future__ import annotations

import difflib
import functools
from typing import TYPE_CHECKING

from caffe2tf.diagnostics import Diagnostic, Severity
from caffe2tf.layers import Layer, Role, find, is_ours
from caffe2tf.parse.descriptors import block_of, path_parts
from caffe2tf.parse.enum_words import describe_word
from caffe2tf.parse.parameters import not_known

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    from caffe2tf.parse import LayerDefinition, NetworkDefinition, UnknownField

__all__ = ["judge_network", "judge_unknown"]

_HARMLESS_PARTS = frozenset(
    {
        *("transform_param", "param", "include", "exclude", "loss_param", "weight_filler", "bias_filler", "engine"),
        # Forks: the device, the algorithm, the memory and the number format with which a layer is computed.
        *("device", "multinode", "quantization_param", "conv_algorithm", "mem_group_size", "can_clobber"),
        *("forward_type", "forward_math", "backward_type", "backward_math", "cudnn_math_override", "debug"),
        *("cudnn_convolution_algo_seeker", "conv_algos_override", "per_fla_fuse", "reshape_every_iter"),
        *("mn_activation_param", "mn_grad_compress_param"),
        # DeepLab: whether shapes of trained blobs are compared with those of the network when weights are copied.
        "strict_dim",
        # Where results are written or displayed.
        *("save_output_param", "visualize", "visualize_threshold", "label_map_file"),
    }
)
"""Messages and fields about training, feeding, scheduling or storing a network. They do not change its result."""
_NEAR = 0.75  # similarity from which on an unknown name is taken for a misspelled one; 1 is equal
_STRUCTURE = ("layer", "layers", "input", "input_shape", "input_dim")
"""Fields that hold the network. If one of them is misspelled, a part of the network would be lost."""


def judge_network(definition: NetworkDefinition) -> list[Diagnostic]:
    """Return a problem or a note for each unknown field outside the layers."""
    found = []
    for field in definition.unknown:
        meant = _meant(definition.header, field.path)
        if meant in _STRUCTURE:
            found.append(Diagnostic(message=f"field {field.path!r} is not known{_did_you(meant)}", where=field.where))
        else:
            found.append(_ignored(field, meant))
    return found


def judge_unknown(definition: LayerDefinition) -> list[Diagnostic]:
    """Return a problem or a note for each unknown field of one layer that the layer does not read."""
    cls = find(definition.type, definition) if definition.unknown else None
    if cls is None:
        return []  # no unknown field, or a layer of unknown type, which is reported itself
    return [_judged(cls, definition, field) for field in definition.unknown if not _is_read(cls, field)]


def _judged(cls: type[Layer], definition: LayerDefinition, field: UnknownField) -> Diagnostic:
    word = describe_word(definition.message, field)
    if _is_harmless(cls, field):
        if word is not None:
            return Diagnostic.note(f"{word}; it is ignored", layer=definition.name, where=field.where)
        return _ignored(field, _meant(definition.message, field.path), layer=definition.name)
    if word is not None:
        return Diagnostic(severity=Severity.UNSUPPORTED, message=word, layer=definition.name, where=field.where)
    meant = _meant(definition.message, field.path)
    return Diagnostic(
        severity=Severity.UNSUPPORTED,
        message=not_known(field.path) + _did_you(meant),
        layer=definition.name,
        where=field.where,
    )


def _ignored(field: UnknownField, meant: str | None, *, layer: str | None = None) -> Diagnostic:
    message = f"unknown field {field.path!r} is ignored{_did_you(meant)}"
    return Diagnostic.note(message, layer=layer, where=field.where)


def _is_read(cls: type[Layer], field: UnknownField) -> bool:
    """Return whether the layer's class reads the field (see `Layer.reads_unknown`)."""
    if cls.reads_unknown is None:
        return not is_ours(cls)
    return field.path.partition(".")[0].partition("[")[0] in cls.reads_unknown


def _is_harmless(cls: type[Layer], field: UnknownField) -> bool:
    if cls.role in (Role.SOURCE, Role.LOSS, Role.SINK, Role.END):
        return True
    return not _HARMLESS_PARTS.isdisjoint(path_parts(field.path))


def _did_you(meant: str | None) -> str:
    return f"; did you mean `{meant}`?" if meant else ""


def _meant(message: Message, path: str) -> str | None:
    """Return the known field of the same block whose name is most like the unknown one, or None."""
    block = block_of(message, path)
    return None if block is None else _nearest(block, path_parts(path)[-1])


@functools.lru_cache(maxsize=1024)
def _nearest(descriptor: Descriptor, name: str) -> str | None:
    known = descriptor.fields_by_name.keys()
    if name in known:  # the field is known; the value of its enum is not
        return None
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)), None)
