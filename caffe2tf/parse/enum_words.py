"""Words that an enum of the schema does not have, such as ``pool: ave``."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from caffe2tf.parse.descriptors import block_of, path_parts

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from caffe2tf.parse.unknown_field import UnknownField

__all__ = ["describe_word"]


def describe_word(message: Message, field: UnknownField) -> str | None:
    """Return what is wrong with an unknown value of an enum; None if the field itself is unknown.

    Args:
        message: The message that the path of `field` starts from.
        field: The field, as `UnknownField` describes it.
    """
    allowed = _words(message, field.path)
    if not allowed or isinstance(field.value, tuple):
        return None
    near = _nearest(str(field.value), allowed)
    meant = f"; did you mean `{near}`?" if near else ""
    return f"{str(field.value)!r} is not a value of `{field.path}`; use one of {', '.join(allowed)}{meant}"


def _words(message: Message, path: str) -> list[str]:
    """Return the values that the field at `path` may have if it is an enum, otherwise nothing."""
    block = block_of(message, path)
    known = None if block is None else block.fields_by_name.get(path_parts(path)[-1])
    return [value.name for value in known.enum_type.values] if known and known.enum_type else []


def _nearest(word: str, allowed: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word.upper(), allowed, n=1)), None)
