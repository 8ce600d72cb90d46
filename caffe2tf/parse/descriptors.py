"""What a descriptor tells, in the words of every protobuf runtime from 5.28 on."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

__all__ = ["is_repeated"]


def is_repeated(field: Any) -> bool:  # noqa: ANN401 - a field descriptor, of which each runtime has a class of its own
    """Whether the field holds a list: ``is_repeated`` came with 6.31, and what there was before warns since then."""
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)
