"""Line breaks of emitted code, as the formatters ruff and black make them."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["INDENT", "WIDTH", "Group", "Item", "format_call", "format_imports"]

WIDTH = 120
INDENT = "    "


@dataclass(frozen=True, slots=True)
class Group:
    """A text and items in brackets, such as ``strides=(2, 3)``."""

    prefix: str
    opening: str
    items: Sequence[Item]
    closing: str

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.items))
        comma = "," if self.opening == "(" and len(self.items) == 1 else ""
        return f"{self.prefix}{self.opening}{inner}{comma}{self.closing}"


Item: TypeAlias = "str | Group"


def format_call(
    targets: Sequence[str], function: str, arguments: Sequence[Item], inputs: Sequence[str] | None = None
) -> list[str]:
    """Return the lines of ``targets = function(arguments)(inputs)`` for the body of a function.

    Args:
        targets: the variables; empty for an expression.
        function: the function, with any text before it in the line.
        arguments: the arguments of the call.
        inputs: the arguments of a call of the result, several as a list; None if the result is not called.
    """
    width = WIDTH - len(INDENT)
    start, head = _assigned(targets, function, width)
    joined = ", ".join(map(str, arguments))
    given: Item = "" if inputs is None else inputs[0] if len(inputs) == 1 else Group("", "[", inputs, "]")
    tail = "" if inputs is None else f"({given})"
    if len(f"{head}({joined}){tail}") <= width:
        return [*start, f"{head}({joined}){tail}"]
    if inputs is not None and len(f"{head}({joined})(") <= width:
        return [*start, f"{head}({joined})(", *_indented(_broken(given, width - len(INDENT))), ")"]
    inner = width - len(INDENT)
    if len(joined) <= inner:
        body = [joined]
    elif len(arguments) == 1:
        body = _broken(arguments[0], inner)
    else:
        body = [line for a in arguments for line in _with_comma(a, inner)]
    lines = [*start, f"{head}(", *_indented(body)]
    if len(f"){tail}") <= width:
        return [*lines, f"){tail}"]
    return [*lines, ")(", *_indented(_broken(given, inner)), ")"]


def format_imports(statements: Iterable[str]) -> str:
    """Return import statements in the usual order: one block for the standard library, one for the rest.

    Args:
        statements: ``import a``, ``import a as b`` and ``from a import b``, one name each, in any order.
    """
    plain: set[str] = set()
    names: defaultdict[str, set[str]] = defaultdict(set)
    for statement in statements:
        if statement.startswith("from "):
            module, _, name = statement.removeprefix("from ").partition(" import ")
            names[module].add(name)
        else:
            plain.add(statement)
    lines = [(s.removeprefix("import ").partition(" ")[0], s) for s in sorted(plain)]
    lines += [(module, _from_import(module, sorted(names[module], key=_by_kind))) for module in sorted(names)]
    standard = [text for module, text in lines if module.partition(".")[0] in sys.stdlib_module_names]
    others = [text for module, text in lines if module.partition(".")[0] not in sys.stdlib_module_names]
    return "\n\n".join("\n".join(block) for block in (standard, others) if block)


def _from_import(module: str, names: Sequence[str]) -> str:
    flat = f"from {module} import {', '.join(names)}"
    if len(flat) <= WIDTH:
        return flat
    return f"from {module} import (\n" + "".join(f"{INDENT}{name},\n" for name in names) + ")"


def _by_kind(name: str) -> tuple[int, str]:
    """Sort constants first, then classes, then the rest, as import sorters do."""
    bare = name.split(maxsplit=1)[0]
    return (0 if bare.isupper() and len(bare) > 1 else 1 if bare[:1].isupper() else 2, name)


def _assigned(targets: Sequence[str], function: str, width: int) -> tuple[list[str], str]:
    """Return the lines before the call, and its line up to the bracket."""
    if not targets:
        return [], function
    flat = f"{', '.join(targets)} = {function}"
    if len(targets) == 1 or len(flat) + 1 <= width:
        return [], flat
    return ["(", *(f"{INDENT}{t}," for t in targets)], f") = {function}"


def _broken(item: Item, width: int) -> list[str]:
    """Return the lines of an item, several if it is too long for one."""
    if isinstance(item, str) or len(str(item)) <= width:
        return [str(item)]
    inner = [line for i in item.items for line in _with_comma(i, width - len(INDENT))]
    return [f"{item.prefix}{item.opening}", *_indented(inner), item.closing]


def _with_comma(item: Item, width: int) -> list[str]:
    lines = _broken(item, width - 1)
    return [*lines[:-1], f"{lines[-1]},"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [INDENT + line for line in lines]
