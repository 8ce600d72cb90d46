"""Access to field descriptors that works with every protobuf runtime since 5.28."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["block_of", "is_repeated", "path_parts"]

_INDEX: Final = re.compile(r"\[\d+\]")


def path_parts(path: str) -> list[str]:
    """Return the names in the path of an `UnknownField`, without indices."""
    return _INDEX.sub("", path).split(".")


def block_of(message: Message, path: str) -> Any:  # noqa: ANN401 - each protobuf runtime has its own class of descriptors
    """Return the type of the block that the last name of a path is in; None if the schema lacks that block."""
    descriptor = message.DESCRIPTOR
    for block in path_parts(path)[:-1]:
        known = descriptor.fields_by_name.get(block)
        if known is None or known.message_type is None:
            return None
        descriptor = known.message_type
    return descriptor


def is_repeated(field: Any) -> bool:  # noqa: ANN401 - each protobuf runtime has its own class of field descriptors
    """Return whether a field is repeated.

    The attribute ``is_repeated`` exists since protobuf 6.31, and ``label`` is deprecated since then.
    """
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)
