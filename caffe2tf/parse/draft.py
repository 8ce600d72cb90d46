"""A definition on its way to the modern form: layers of every age, with their places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caffe2tf.diagnostics import Diagnostic, Position
from caffe2tf.parse.descriptors import is_repeated

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message

    from caffe2tf.parse.unknown_field import UnknownField
    from caffe2tf.proto import caffe_pb2

__all__ = ["Draft", "ModernLayer", "OldLayer", "copy_field"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OldLayer:
    """A layer written as ``layers { }`` (V1), possibly with a V0 layer inside.

    Attributes:
        message: The layer.
        where: The place of the layer.
        unknown: Fields that the schema does not know.
        word: The layer's type if the schema does not know it, otherwise "".
    """

    message: caffe_pb2.V1LayerParameter
    where: Position
    unknown: tuple[UnknownField, ...] = ()
    word: str = ""

    @property
    def name(self) -> str:
        """The layer's name, in the V0 layer if there is one."""
        return self.message.layer.name if self.message.HasField("layer") else self.message.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ModernLayer:
    """A layer in the modern form (V2): the message, its place, and the fields that the schema does not know."""

    message: caffe_pb2.LayerParameter
    where: Position
    unknown: tuple[UnknownField, ...] = ()

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self.message.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A definition between two upgrades.

    Attributes:
        header: Everything besides the layers.
        old: Layers that are still V0 or V1.
        layers: Layers that are modern.
        inputs: The place of the first ``input`` field.
        unknown: Fields outside the layers that the schema does not know.
        notes: What was upgraded or ignored.
        problems: What Caffe refuses.
    """

    header: caffe_pb2.NetParameter
    old: tuple[OldLayer, ...]
    layers: tuple[ModernLayer, ...]
    inputs: Position
    unknown: tuple[UnknownField, ...] = ()
    notes: tuple[Diagnostic, ...] = ()
    problems: tuple[Diagnostic, ...] = ()


def copy_field(target: Message, field: FieldDescriptor, value: Any) -> None:  # noqa: ANN401 - whatever the field holds
    """Set the field of `target` that has the same name as `field`, a field of another message type."""
    if is_repeated(field):
        getattr(target, field.name).MergeFrom(value)
    elif field.message_type is not None:
        getattr(target, field.name).CopyFrom(value)
    else:
        setattr(target, field.name, value)
