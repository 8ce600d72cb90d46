"""Python literals. All text of a network reaches emitted code through `literal`, so that it cannot become code."""

from __future__ import annotations

import math

from caffe2tf.ir.expr import Literal

__all__ = ["literal"]


def literal(value: Literal) -> str:
    """Return the source of ``value`` in its shortest usual form: 1e-4 instead of 0.0001, and double quotes."""
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return repr(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, tuple):
        inner = ", ".join(literal(v) for v in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    raise TypeError(f"{type(value).__name__} cannot be written into source")


def _float(value: float) -> str:
    if not math.isfinite(value):
        return f'float("{value}")'
    plain = repr(value)
    if value == 0 or "e" in plain:
        mantissa, _, exponent = plain.partition("e")
        return f"{mantissa}e{int(exponent)}" if exponent else plain
    digits = plain.strip("-").replace(".", "").strip("0")
    exponent_of_last = -len(plain.partition(".")[2])
    short = f"{'-' if value < 0 else ''}{digits}e{exponent_of_last}"
    return short if len(digits) == 1 and len(short) < len(plain) and float(short) == value else plain


def _string(value: str) -> str:
    """ASCII, so that nothing of a network can look like what it is not; the quotes that need fewer escapes."""
    text = ascii(value)
    quote, inner = text[0], text[1:-1]
    if quote == '"' or ('"' in value and "'" not in value):
        return text  # it holds one kind of quotes, and is written in the other
    bare = inner.replace("\\'", "'")
    doubled = bare.replace('"', '\\"')
    return f'"{doubled}"' if value.count('"') <= value.count("'") else text
