"""Access to field descriptors that works with every protobuf runtime since 5.28."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

__all__ = ["is_repeated"]


def is_repeated(field: Any) -> bool:  # noqa: ANN401 - each protobuf runtime has its own class of field descriptors
    """Return whether a field is repeated.

    The attribute ``is_repeated`` exists since protobuf 6.31, and ``label`` is deprecated since then.
    """
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)
