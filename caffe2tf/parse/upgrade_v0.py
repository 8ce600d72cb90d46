"""Upgrades V0 layers (2013: ``layers { layer { ... } }``) to V1, by Caffe's rules.

A V0 layer has one flat list of parameters for all types; V1 has a block for each type. A V0 layer of type ``padding``
becomes the `pad` of the convolution or pooling that reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from caffe2tf.diagnostics import Diagnostic
from caffe2tf.parse.descriptors import is_repeated
from caffe2tf.parse.draft import Draft, OldLayer
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["upgrade_v0", "v1_type"]

_CONV_AND_DENSE: Final = {"conv": "convolution_param", "innerproduct": "inner_product_param"}
_CONV_AND_POOL: Final = {"conv": "convolution_param", "pool": "pooling_param"}
_CONV: Final = {"conv": "convolution_param"}
_POOL: Final = {"pool": "pooling_param"}
_LRN: Final = {"lrn": "lrn_param"}
_IMAGES: Final = {"images": "image_data_param"}
_WINDOWS: Final = {"window_data": "window_data_param"}
_DATA: Final = {"data": "data_param"}
_SOURCES: Final = {**_DATA, **_IMAGES, **_WINDOWS, "hdf5_data": "hdf5_data_param"}

# V0 field -> (V1 field, V0 type -> V1 block). The field is ignored in all other types.
_FIELDS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "num_output": ("num_output", _CONV_AND_DENSE),
    "biasterm": ("bias_term", _CONV_AND_DENSE),
    "weight_filler": ("weight_filler", _CONV_AND_DENSE),
    "bias_filler": ("bias_filler", _CONV_AND_DENSE),
    "pad": ("pad", _CONV_AND_POOL),
    "kernelsize": ("kernel_size", _CONV_AND_POOL),
    "stride": ("stride", _CONV_AND_POOL),
    "group": ("group", _CONV),
    "pool": ("pool", _POOL),
    "dropout_ratio": ("dropout_ratio", {"dropout": "dropout_param"}),
    "local_size": ("local_size", _LRN),
    "alpha": ("alpha", _LRN),
    "beta": ("beta", _LRN),
    "k": ("k", _LRN),
    "source": ("source", {**_SOURCES, "infogain_loss": "infogain_loss_param"}),
    "batchsize": ("batch_size", _SOURCES),
    "rand_skip": ("rand_skip", {**_DATA, **_IMAGES}),
    "shuffle_images": ("shuffle", _IMAGES),
    "new_height": ("new_height", _IMAGES),
    "new_width": ("new_width", _IMAGES),
    "concat_dim": ("concat_dim", {"concat": "concat_param"}),
    "det_fg_threshold": ("fg_threshold", _WINDOWS),
    "det_bg_threshold": ("bg_threshold", _WINDOWS),
    "det_fg_fraction": ("fg_fraction", _WINDOWS),
    "det_context_pad": ("context_pad", _WINDOWS),
    "det_crop_mode": ("crop_mode", _WINDOWS),
}
# Fields that move into transform_param, in layers of every type.
_TRANSFORM: Final = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}
_SAME: Final = ("name", "blobs_lr", "weight_decay")
_TYPES: Final = {"conv": "CONVOLUTION", "images": "IMAGE_DATA", "innerproduct": "INNER_PRODUCT", "pool": "POOLING"} | {
    word: word.upper()
    for word in (
        "accuracy",
        "bnll",
        "concat",
        "data",
        "dropout",
        "euclidean_loss",
        "flatten",
        "hdf5_data",
        "hdf5_output",
        "im2col",
        "infogain_loss",
        "lrn",
        "multinomial_logistic_loss",
        "relu",
        "sigmoid",
        "softmax",
        "softmax_loss",
        "split",
        "tanh",
        "window_data",
    )
}


def upgrade_v0(draft: Draft) -> Draft:
    """Return the draft with every V0 layer upgraded to V1."""
    count = sum(layer.message.HasField("layer") for layer in draft.old)
    if not count:
        return draft
    padded, notes, problems = _fold_padding(draft.old, draft.header.input)
    upgraded = []
    for layer in padded:
        if layer.message.HasField("layer"):
            new, dropped = _upgraded(layer)
            upgraded.append(new)
            notes += dropped
        else:
            upgraded.append(layer)
    first = Diagnostic.note(f"{count} layer{'s' * (count != 1)} in the format of 2013 (V0) became V1")
    return replace(
        draft, old=tuple(upgraded), notes=(*draft.notes, first, *notes), problems=(*draft.problems, *problems)
    )


def _fold_padding(
    layers: Sequence[OldLayer], inputs: Sequence[str]
) -> tuple[list[OldLayer], list[Diagnostic], list[Diagnostic]]:
    """Remove padding layers; the layers that read them get their `pad` and their bottom."""
    writer: dict[str, OldLayer | None] = dict.fromkeys(inputs)
    kept: list[OldLayer] = []
    notes: list[Diagnostic] = []
    problems: list[Diagnostic] = []
    for layer in layers:
        current = layer
        for index, bottom in enumerate(layer.message.bottom):
            if bottom not in writer:
                what = f"bottom {bottom!r} is neither an input nor the top of an earlier layer; correct its name"
                problems.append(Diagnostic(message=what, layer=layer.name, where=layer.where))
                continue
            padding = writer[bottom]
            if padding is None or padding.message.layer.type != "padding":
                continue
            if obstacle := _obstacle(padding, layer):
                problems.append(Diagnostic(message=obstacle, layer=layer.name, where=layer.where))
                continue
            current = _padded(current, padding, index)
            note = f"padding layer {padding.name!r} became the `pad` of this layer"
            notes.append(Diagnostic.note(note, layer=layer.name, where=layer.where))
        writer |= dict.fromkeys(layer.message.top, layer)
        if layer.message.layer.type != "padding":
            kept.append(current)
    return kept, notes, problems


def _obstacle(padding: OldLayer, layer: OldLayer) -> str:
    """Return why Caffe refuses to fold the layer `padding` into `layer`; "" if it does not."""
    kind = layer.message.layer.type
    if kind not in _CONV_AND_POOL:
        return f"it reads the padding layer {padding.name!r}, but only types conv and pool can, not {kind!r}"
    if len(layer.message.bottom) != 1:
        return f"it reads the padding layer {padding.name!r}, so it must have one bottom only"
    if (len(padding.message.bottom), len(padding.message.top)) != (1, 1):
        return f"it reads the padding layer {padding.name!r}, which must have exactly one bottom and one top"
    return ""


def _padded(layer: OldLayer, padding: OldLayer, index: int) -> OldLayer:
    message = caffe_pb2.V1LayerParameter()
    message.CopyFrom(layer.message)
    message.layer.pad = padding.message.layer.pad
    message.bottom[index] = padding.message.bottom[0]
    return replace(layer, message=message)


def _upgraded(layer: OldLayer) -> tuple[OldLayer, list[Diagnostic]]:
    """Return the V1 form of a V0 layer, and a note for each field that Caffe ignores."""
    old = layer.message.layer
    new = caffe_pb2.V1LayerParameter(bottom=layer.message.bottom, top=layer.message.top)
    what = [
        f"`{field.name}` next to a V0 layer is ignored, as in Caffe"
        for field, _ in layer.message.ListFields()
        if field.name not in ("layer", "bottom", "top", "blobs")
    ]
    for field, value in old.ListFields():
        if field.name in ("type", "blobs"):
            continue
        target = _target(field.name, old.type)
        if target is None:
            what.append(f"`{field.name}` does not apply to type {old.type!r} and is ignored, as in Caffe")
        else:
            _assign(new, target, value)
    word = v1_type(old.type)
    if word is not None:
        new.type = getattr(caffe_pb2.V1LayerParameter, word)
    unknown = tuple(replace(field, path=field.path.removeprefix("layer.")) for field in layer.unknown)
    notes = [Diagnostic.note(w, layer=old.name, where=layer.where) for w in what]
    return replace(layer, message=new, unknown=unknown, word="" if word else old.type), notes


def v1_type(word: str) -> str | None:
    """Return the V1 name of a V0 layer type: ``CONVOLUTION`` for ``conv``. None if it is not a type of Caffe."""
    return _TYPES.get(word)


def _target(name: str, kind: str) -> tuple[str, ...] | None:
    """Return the path of the V1 field for a V0 field of a layer of type `kind`; None if Caffe ignores it."""
    if name in _SAME:
        return (name,)
    if name in _TRANSFORM:
        return "transform_param", _TRANSFORM[name]
    if name == "hdf5_output_param":
        return (name,) if kind == "hdf5_output" else None
    field, blocks = _FIELDS.get(name, ("", {}))
    return (blocks[kind], field) if kind in blocks else None


def _assign(message: Message, path: tuple[str, ...], value: Any) -> None:  # noqa: ANN401 - whatever the field holds
    for name in path[:-1]:
        message = getattr(message, name)
    field = message.DESCRIPTOR.fields_by_name[path[-1]]
    if is_repeated(field):
        target = getattr(message, field.name)
        target.extend(value if hasattr(value, "__len__") else [value])
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)
