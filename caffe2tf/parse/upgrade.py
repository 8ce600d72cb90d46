"""Upgrades a definition to the modern form (V2), in the order of Caffe's own upgrades.

1. V0 layers become V1 layers (`upgrade_v0`).
2. Transformation fields of V1 data layers move into `transform_param`.
3. V1 layers become modern layers (`upgrade_v1`).
4. The `input` fields of the network become one Input layer.
5. BatchNorm layers with three `param` get rates of 0, because Caffe computes all three blobs itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from caffe2tf.diagnostics import Diagnostic
from caffe2tf.parse.draft import Draft, ModernLayer, OldLayer
from caffe2tf.parse.upgrade_v0 import upgrade_v0
from caffe2tf.parse.upgrade_v1 import upgrade_v1
from caffe2tf.proto import caffe_pb2

__all__ = ["upgrade"]

_V1: Final = caffe_pb2.V1LayerParameter
_DATA_BLOCKS: Final = {
    _V1.DATA: "data_param",
    _V1.IMAGE_DATA: "image_data_param",
    _V1.WINDOW_DATA: "window_data_param",
}
_TRANSFORM_FIELDS: Final = ("scale", "mean_file", "crop_size", "mirror")
_DIMS_PER_INPUT: Final = 4
_DIMS_PER_VIDEO: Final = 5  # in C3D 1.0


def upgrade(draft: Draft) -> Draft:
    """Return the modern form of a definition; its `problems` are what Caffe refuses."""
    for step in (upgrade_v0, _upgrade_transforms, upgrade_v1, _upgrade_inputs, _upgrade_batch_norm):
        draft = step(draft)
    return draft


def _upgrade_transforms(draft: Draft) -> Draft:
    layers = []
    notes = []
    for layer in draft.old:
        moved = _with_transform(layer)
        if moved is not layer:
            what = "its transformation fields were moved into `transform_param`"
            notes.append(Diagnostic.note(what, layer=layer.name, where=layer.where))
        layers.append(moved)
    return replace(draft, old=tuple(layers), notes=(*draft.notes, *notes))


def _with_transform(layer: OldLayer) -> OldLayer:
    block = _DATA_BLOCKS.get(layer.message.type)
    if block is None or not layer.message.HasField("type"):
        return layer
    names = [name for name in _TRANSFORM_FIELDS if getattr(layer.message, block).HasField(name)]
    if not names:
        return layer
    message = caffe_pb2.V1LayerParameter()
    message.CopyFrom(layer.message)
    parameters = getattr(message, block)
    for name in names:
        setattr(message.transform_param, name, getattr(parameters, name))
        parameters.ClearField(name)
    return replace(layer, message=message)


def _upgrade_inputs(draft: Draft) -> Draft:
    header = draft.header
    names = list(header.input)
    shapes, dims = list(header.input_shape), list(header.input_dim)
    if not (names or shapes or dims):
        return draft
    bare = caffe_pb2.NetParameter()
    bare.CopyFrom(header)
    for field in ("input", "input_shape", "input_dim"):
        bare.ClearField(field)
    draft = replace(draft, header=bare)
    listed = ", ".join(map(repr, names))
    if not names:
        return _noted(draft, "`input_shape` or `input_dim` without `input` is ignored, as in Caffe")
    if not (shapes or dims):
        return _noted(draft, f"input {listed} without `input_shape` or `input_dim` is ignored, as in Caffe")
    per_input = _dims_per_input(header, draft.layers)
    given = len(shapes) if shapes else len(dims) / per_input
    if given < len(names):
        have = f"{len(shapes)} of `input_shape`" if shapes else f"{len(dims)} of `input_dim`"
        need = f"{len(names)} of `input_shape`, or {per_input * len(names)} of `input_dim`"
        what = f"{len(names)} of `input` need {need}, not {have}"
        return replace(draft, problems=(*draft.problems, Diagnostic(message=what, where=draft.inputs)))
    message = caffe_pb2.LayerParameter(name="input", type="Input", top=names)
    for index in range(len(names)):
        first = index * per_input
        own = shapes[index].dim if shapes else dims[first : first + per_input]
        message.input_param.shape.add().dim.extend(own)
    draft = replace(draft, layers=(ModernLayer(message=message, where=draft.inputs), *draft.layers))
    draft = _noted(draft, f"input {listed} became the top of an Input layer")
    if given > len(names):
        draft = _noted(draft, "there are more input shapes than inputs; the last ones are ignored, as in Caffe")
    return draft


def _dims_per_input(header: caffe_pb2.NetParameter, layers: Sequence[ModernLayer]) -> int:
    """Return how many ``input_dim`` an input has: five in C3D 1.0, whose layers are 3-D, if there are five for each."""
    deep = any(layer.message.type.endswith("3D") for layer in layers)
    fives = len(header.input_dim) == _DIMS_PER_VIDEO * len(header.input)
    return _DIMS_PER_VIDEO if deep and fives else _DIMS_PER_INPUT


def _upgrade_batch_norm(draft: Draft) -> Draft:
    changed = [x for x in draft.layers if x.message.type == "BatchNorm" and len(x.message.param) == 3 and _learns(x)]
    if not changed:
        return draft
    frozen = {id(layer): _frozen(layer) for layer in changed}
    draft = replace(draft, layers=tuple(frozen.get(id(x), x) for x in draft.layers))
    count = len(changed)
    plural = "s" * (count != 1)
    return _noted(draft, f"{count} BatchNorm layer{plural} had three `param`; their rates were set to 0, as in Caffe")


def _learns(layer: ModernLayer) -> bool:
    return any(spec.lr_mult or spec.decay_mult for spec in layer.message.param)


def _frozen(layer: ModernLayer) -> ModernLayer:
    message = caffe_pb2.LayerParameter()
    message.CopyFrom(layer.message)
    for spec in message.param:
        spec.lr_mult = spec.decay_mult = 0.0
    return replace(layer, message=message)


def _noted(draft: Draft, note: str) -> Draft:
    return replace(draft, notes=(*draft.notes, Diagnostic.note(note)))
