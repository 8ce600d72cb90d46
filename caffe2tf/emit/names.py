"""Names that Keras and Python accept. Names that differ in the network stay different."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from collections.abc import Iterable

__all__ = ["RUNTIME_MODULE", "NameMap", "argument_name", "identifier", "keras_name", "module_name"]

RUNTIME_MODULE = "caffe_layers"
"""Name of the module with the runtime layers that an emitted module imports."""

_ILLEGAL = re.compile(r"[^A-Za-z0-9_.-]")
_RESERVED = frozenset(
    {"keras", "layers", "weights", "build", "model", "load_weights", "x", "np", "os", "sys", "annotations"}
)
_MODULES = frozenset({RUNTIME_MODULE, "numpy", "h5py", "tensorflow", "keras", "caffe2tf"}) | sys.stdlib_module_names
_LONGEST = 60  # characters of a variable, so that lines can be broken, and of a module, whose name is a file name


def keras_name(name: str) -> str:
    """Return ``name`` in the characters that Keras accepts when it builds, runs and exports a model."""
    text = _ILLEGAL.sub("_", name.replace("/", "-"))
    return text if text and text[0] not in "_-." else f"n{text}"


def argument_name(name: str) -> str:
    """Return the name of an input in an exported model. These must be unique, and TensorFlow ignores their case."""
    text = re.sub(r"[^a-z0-9_]", "_", name.lower())
    return text if text[:1].isalpha() else f"arg_{text}"


def identifier(name: str) -> str:
    """Return ``name`` as a Python identifier that shadows no built-in name and no name of the emitted module."""
    text = re.sub(r"[^A-Za-z0-9_]", "_", name)[:_LONGEST]
    if not text or not (text[0].isalpha()):
        text = f"blob_{text.lstrip('_')}"
    taken = keyword.iskeyword(text) or text in _RESERVED or hasattr(builtins, text) or keyword.issoftkeyword(text)
    return f"{text}_" if taken else text


def module_name(network: str) -> str:
    """Return the name of the emitted module of a network. It hides no module that may be imported."""
    text = re.sub(r"[^A-Za-z0-9_]+", "_", network).strip("_")
    text = identifier(text or "network")
    return f"{text}_net" if text in _MODULES else text


class NameMap:
    """Hands out unique names, by adding a number to names that are taken."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._last: dict[tuple[str, str], int] = {}  # where the search for a free number last ended

    def claim(self, wanted: str, *, separator: str = ".") -> str:
        """Return ``wanted``, or the first free one of ``wanted.2``, ``wanted.3``, ..."""
        name, n = wanted, self._last.get((wanted, separator), 1)
        while name in self._taken:
            n += 1
            name = f"{wanted}{separator}{n}"
        self._last[wanted, separator] = n
        self._taken.add(name)
        return name
