"""The table of artifact kinds. The command line, `convert`, the emitted loader and `alexnet` take theirs from here.

A new kind of artifact is one file with a ``WRITER`` and one line of `KINDS`. This module imports next to nothing, so
that the command line can show its help at once.
"""

from __future__ import annotations

from typing import Final

from caffe2tf.artifacts.contract import Kind, Role

__all__ = ["KINDS", "find", "kind_of_file", "kinds_of", "loadable_suffixes", "named", "optional", "plain_weight_files"]

_HERE = "caffe2tf.artifacts"

# fmt: off
KINDS: Final[tuple[Kind, ...]] = (
    Kind(name="module", suffixes=(".py",), role="code", writer=f"{_HERE}.code.module",
         help="Keras source of the network"),
    Kind(name="layers", suffixes=(".py",), role="code", writer=f"{_HERE}.code.layers", file_name="caffe_layers.py",
         shared=True, help="source of the layers that Keras lacks"),
    Kind(name="stubs", suffixes=("_stubs.py",), role="code", writer=f"{_HERE}.code.stubs",
         help="classes for you to fill in, one for each unknown layer type"),
    Kind(name="h5", suffixes=(".h5", ".hdf5"), role="weights", writer=f"{_HERE}.weights.h5", loadable=True,
         help="HDF5 by layer name, which Keras reads, too"),
    Kind(name="npz", suffixes=(".npz",), role="weights", writer=f"{_HERE}.weights.npz", loadable=True,
         help="NumPy archive with an entry for each weight"),
    Kind(name="npy", suffixes=(".npy",), role="weights", writer=f"{_HERE}.weights.npy", loadable=True,
         help="pickled dict, as existing AlexNet code reads it"),
    Kind(name="weights.h5", suffixes=(".weights.h5",), role="weights", writer=f"{_HERE}.weights.keras_h5",
         loadable=True, needs_tensorflow=True, help="the weight file of Keras 3; writing it needs TensorFlow"),
)
# fmt: on


def find(name: str) -> Kind:
    """Return the kind of this name.

    Raises:
        KeyError: there is none.
    """
    for kind in KINDS:
        if kind.name == name:
            return kind
    raise KeyError(name)


def kinds_of(role: Role) -> tuple[Kind, ...]:
    """Return all kinds of a role, in the order of the table."""
    return tuple(kind for kind in KINDS if kind.role == role)


def named(role: Role) -> tuple[str, ...]:
    """Return the names of all kinds of a role, the default first."""
    return tuple(kind.name for kind in kinds_of(role))


def optional() -> tuple[str, ...]:
    """Return the names of all kinds that are written on request, in the order of the table."""
    return tuple(kind.name for kind in KINDS if kind.role != "code")


def kind_of_file(name: str) -> Kind | None:
    """Return the kind of weights that a file holds according to its name; None if the name does not tell.

    The longest suffix decides: ``net.weights.h5`` is a ``weights.h5``, not an ``h5``.
    """
    found = [(len(s), kind) for kind in kinds_of("weights") for s in kind.suffixes if name.endswith(s)]
    return max(found, key=lambda one: one[0])[1] if found else None


def loadable_suffixes() -> dict[str, tuple[str, ...]]:
    """Return the suffixes of the weight files that emitted modules load, by kind."""
    return {kind.name: kind.suffixes for kind in KINDS if kind.loadable}


def plain_weight_files() -> tuple[Kind, ...]:
    """Return the kinds of weights that are a single file, and are written without TensorFlow."""
    return tuple(kind for kind in kinds_of("weights") if not (kind.needs_tensorflow or kind.folder))
