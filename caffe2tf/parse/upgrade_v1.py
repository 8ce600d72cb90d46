"""Upgrades V1 layers (2014: ``layers { type: CONVOLUTION }``) to the modern form, by Caffe's rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from caffe2tf.diagnostics import Diagnostic
from caffe2tf.errors import ParseError
from caffe2tf.parse.draft import Draft, ModernLayer, OldLayer, copy_field
from caffe2tf.parse.prototxt import parse_into
from caffe2tf.parse.text_file import TextFile
from caffe2tf.parse.unknown_field import UnknownField
from caffe2tf.proto import caffe_pb2

__all__ = ["modern_type", "upgrade_v1"]

# Modern names that differ from the V1 name by more than case and underscores. Those after TANH are types of forks that
# were never in Caffe's own schema.
_TYPES: Final = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
    "BN": "BN",
    "CONVOLUTION3D": "Convolution3D",
    "CTC_LOSS": "CTCLoss",
    "DECONVOLUTION3D": "Deconvolution3D",
    "ELTWISE_PRODUCT": "Eltwise",
    "ELU": "ELU",
    "GRU": "GRU",
    "LRN_MAP": "LRNMap",
    "LSTM": "LSTM",
    "LSTM_UNIT": "LSTMUnit",
    "POOLING3D": "Pooling3D",
    "PRELU": "PReLU",
    "PSROI_POOLING": "PSROIPooling",
    "RELU6": "ReLU6",
    "RNN": "RNN",
    "ROI_ALIGN": "ROIAlign",
    "ROI_POOLING": "ROIPooling",
    "SPP": "SPP",
    "TOPK": "TopK",
}
_SHARE_MODES: Final = {
    caffe_pb2.V1LayerParameter.STRICT: caffe_pb2.ParamSpec.STRICT,
    caffe_pb2.V1LayerParameter.PERMISSIVE: caffe_pb2.ParamSpec.PERMISSIVE,
}
_OWN: Final = frozenset(("type", "param", "blob_share_mode", "blobs_lr", "weight_decay", "blobs", "layer"))


def upgrade_v1(draft: Draft) -> Draft:
    """Return the draft with all layers modern, in file order."""
    if not draft.old:
        return draft
    count = len(draft.old)
    notes = [Diagnostic.note(f"{count} layer{'s' * (count != 1)} written as `layers` (V1) became `layer`")]
    if draft.layers:
        mixed = "the file has both `layers` and `layer`, which Caffe refuses; all were kept, in file order"
        notes.append(Diagnostic.note(mixed))
    modern = []
    for old in draft.old:
        layer, more = _upgraded(old)
        modern.append(layer)
        notes += more
    layers = sorted((*modern, *draft.layers), key=lambda layer: layer.where)
    return replace(draft, old=(), layers=tuple(layers), notes=(*draft.notes, *notes))


def _upgraded(old: OldLayer) -> tuple[ModernLayer, list[Diagnostic]]:
    message = old.message
    new = caffe_pb2.LayerParameter()
    for field, value in message.ListFields():
        if field.name not in _OWN:
            copy_field(new, field, value)
    _set_params(new, message)
    word = old.word or next((str(x.value) for x in old.unknown if x.path == "type"), "")
    notes = []
    if word == "ELTWISE_PRODUCT":  # the type in old Caffe, before Eltwise could add, and in its forks
        new.eltwise_param.operation = caffe_pb2.EltwiseParameter.PROD
    if word:
        new.type = old.word or modern_type(word)
        what = f"{word} is not a V1 type of Caffe; it is read as {new.type!r}"
        notes.append(Diagnostic.note(what, layer=message.name, where=old.where))
    elif message.HasField("type"):
        new.type = modern_type(caffe_pb2.V1LayerParameter.LayerType.Name(message.type))
    unknown = _taken_up(new, (x for x in old.unknown if x.path != "type"))
    return ModernLayer(message=new, where=old.where, unknown=unknown), notes


def modern_type(word: str) -> str:
    """Return the modern name of a V1 layer type: ``InnerProduct`` for ``INNER_PRODUCT``."""
    return _TYPES.get(word, "".join(part.capitalize() for part in word.split("_")))


def _set_params(new: caffe_pb2.LayerParameter, old: caffe_pb2.V1LayerParameter) -> None:
    """Convert the four parallel lists of V1 to one list of ParamSpec."""
    count = max(len(old.param), len(old.blob_share_mode), len(old.blobs_lr), len(old.weight_decay))
    specs = [new.param.add() for _ in range(count)]
    # The lists may have different lengths: each one is about the first blobs of the layer.
    for spec, name in zip(specs, old.param, strict=False):
        spec.name = name
    for spec, mode in zip(specs, old.blob_share_mode, strict=False):
        spec.share_mode = _SHARE_MODES[mode]
    for spec, rate in zip(specs, old.blobs_lr, strict=False):
        spec.lr_mult = rate
    for spec, decay in zip(specs, old.weight_decay, strict=False):
        spec.decay_mult = decay


def _taken_up(new: caffe_pb2.LayerParameter, unknown: Iterable[UnknownField]) -> tuple[UnknownField, ...]:
    """Parse fields that V1 lacks but the modern layer has into `new`, and return those that stay unknown.

    Forks of 2014 had such blocks in V1, under their names in the modern schema.
    """
    rest: list[UnknownField] = []
    for field in unknown:
        known = new.DESCRIPTOR.fields_by_name.get(field.path)
        if known is None or not field.text:
            rest.append(field)
            continue
        part = caffe_pb2.LayerParameter()
        try:
            parsed = parse_into(part, TextFile(field.text.encode(), field.where.file))
        except ParseError:  # the fork used this name for something else
            rest.append(field)
            continue
        new.MergeFrom(part)
        rest += (replace(inner, where=field.where) for inner in parsed.unknown)
    return tuple(rest)
