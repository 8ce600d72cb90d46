"""Reads ``param_str``, the settings of a Python layer, in the forms in which it is usually written."""

from __future__ import annotations

import ast
import json
import re
from typing import TypeAlias

from caffe2tf.errors import LayerError

__all__ = ["Setting", "read_param_str"]

Setting: TypeAlias = "bool | int | float | str | list[Setting] | dict[str, Setting] | None"

_KEY = re.compile(r"(?:'([^']*)'|\"([^\"]*)\"|([^\s'\"\[\]{},:#&*!|>%@`-][^:#]*?))\s*:(?:\s+(.*))?$")
_INTEGER = re.compile(r"[-+]?[0-9]{1,20}")
_WORDS = {"true": True, "True": True, "yes": True, "false": False, "False": False, "no": False}
_TUPLE = "!!python/tuple"  # the only YAML tag that occurs in practice
_NOTHING = {"", "~", "null", "None"}


def read_param_str(text: str) -> dict[str, Setting]:
    """Read the settings in a ``param_str``.

    It may be a Python dict, with or without braces, JSON, or a subset of YAML: ``key: value`` lines, lists (``[8, 16]``
    or one ``- item`` per line), nested blocks and comments. Anchors, tags other than ``!!python/tuple``, and strings
    over several lines are not supported. An empty text has no settings.

    Example:
        ``read_param_str("feat_stride: 16")`` returns ``{"feat_stride": 16}``.

    Raises:
        LayerError: the text has none of these forms.
    """
    stripped = text.strip()
    for form in (stripped, f"{{{stripped}}}"):
        found = _literal(form)
        if isinstance(found, dict):
            return {str(k): v for k, v in found.items()}
    lines = [line for line in (_uncommented(raw) for raw in text.expandtabs().splitlines()) if line.strip()]
    settings, rest = _block(lines, _indent(lines[0]) if lines else 0)
    if rest or not isinstance(settings, dict):
        line = (rest or lines)[0].strip()
        raise LayerError(
            f"param_str is neither a dict nor `key: value` lines, at {line!r}; read python_param.param_str as plain "
            "text instead"
        )
    return settings


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _uncommented(line: str) -> str:
    outside = re.sub(r"'[^']*'|\"[^\"]*\"", lambda m: "x" * len(m[0]), line)
    found = re.search(r"(^|\s)#", outside)
    return line[: found.start()].rstrip() if found else line.rstrip()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _block(lines: list[str], indent: int) -> tuple[Setting, list[str]]:
    """Read the list or mapping at the start of `lines`; return it with the lines that follow it."""
    if lines and lines[0].lstrip().startswith("- "):
        return _items(lines, indent)
    settings: dict[str, Setting] = {}
    while lines and _indent(lines[0]) == indent:
        found = _KEY.match(lines[0].strip())
        if found is None:
            break
        key = next(k for k in found.groups()[:3] if k is not None)
        value, lines = found[4] or "", lines[1:]
        inner = _indent(lines[0]) if lines else -1
        is_list = bool(lines) and lines[0].lstrip().startswith("- ")
        if not value and (inner > indent or (inner == indent and is_list)):
            settings[key], lines = _block(lines, inner)
        else:
            settings[key] = _scalar(value)
    return settings, lines


def _items(lines: list[str], indent: int) -> tuple[list[Setting], list[str]]:
    items: list[Setting] = []
    while lines and _indent(lines[0]) == indent and lines[0].lstrip().startswith("- "):
        items.append(_scalar(lines[0].lstrip()[2:].strip()))
        lines = lines[1:]
    return items, lines


def _scalar(text: str) -> Setting:
    """Read a value on one line."""
    text = text.removeprefix(_TUPLE).strip()
    if text in _NOTHING or text in _WORDS:
        return _WORDS.get(text)
    if text[0] in "[{":
        found = _literal(text)
        return found if isinstance(found, list | dict) else _flow_list(text)
    if text[0] in "'\"" and text[-1] == text[0] and len(text) > 1:
        return text[1:-1]
    try:
        return int(text) if _INTEGER.fullmatch(text) else float(text)
    except ValueError:
        return text


def _flow_list(text: str) -> Setting:
    """Read ``[a, 1e-3, b]`` with unquoted words; any other text is returned unchanged."""
    if text[-1] != "]" or "[" in text[1:] or "{" in text:
        return text
    return [_scalar(part.strip()) for part in text[1:-1].split(",")] if text[1:-1].strip() else []
