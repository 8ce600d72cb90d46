"""A definition on its way to the modern form: layers of every age, with where they stood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caffe2tf.diagnostics import Diagnostic, Position
from caffe2tf.parse.descriptors import is_repeated

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message

    from caffe2tf.parse.definition import LayerDefinition, UnknownField
    from caffe2tf.proto import caffe_pb2

__all__ = ["Draft", "OldLayer", "copy_field"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OldLayer:
    """A layer written as ``layers { }`` (V1), perhaps with a V0 layer inside; `word` is a type the schema lacks."""

    message: caffe_pb2.V1LayerParameter
    where: Position
    unknown: tuple[UnknownField, ...] = ()
    word: str = ""

    @property
    def name(self) -> str:
        """The layer's name, whichever of the two generations holds it."""
        return self.message.layer.name if self.message.HasField("layer") else self.message.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One definition between two upgrades; `header` has no layers, `inputs` is where its ``input`` fields begin."""

    header: caffe_pb2.NetParameter
    old: tuple[OldLayer, ...]
    layers: tuple[LayerDefinition, ...]
    inputs: Position
    unknown: tuple[UnknownField, ...] = ()
    notes: tuple[Diagnostic, ...] = ()
    problems: tuple[Diagnostic, ...] = ()


def copy_field(target: Message, field: FieldDescriptor, value: Any) -> None:  # noqa: ANN401 - whatever the field holds
    """Sets the field of `target` that has the name of `field`, which belongs to another message, to `value`."""
    if is_repeated(field):
        getattr(target, field.name).MergeFrom(value)
    elif field.message_type is not None:
        getattr(target, field.name).CopyFrom(value)
    else:
        setattr(target, field.name, value)
