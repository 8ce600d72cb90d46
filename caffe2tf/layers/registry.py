"""Which class implements which Caffe layer type, and which files hold the Keras layers that those may emit."""

from __future__ import annotations

import difflib
import functools
import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from caffe2tf.errors import Caffe2TFError, UsageError
from caffe2tf.ir.layer import Layer
from caffe2tf.layers.index import MODULES

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition

__all__ = [
    "find",
    "find_offered",
    "is_ours",
    "loaded",
    "nearest",
    "register",
    "register_runtime",
    "registered",
    "runtime_files",
    "type_of",
    "without_implementation",
]

L = TypeVar("L", bound=Layer)

Chooser: TypeAlias = "Callable[[LayerDefinition], type[Layer]]"

_types: dict[str, type[Layer]] = {}
_choosers: dict[type[Layer], Chooser] = {}
_runtime_files: dict[Path, None] = {}  # in the order in which they were registered
_ANY_LOSS = "RegionLoss"  # what a loss of any other name is taken for


def register(*types: str, choose: Chooser | None = None) -> Callable[[type[L]], type[L]]:
    """Class decorator: the class implements the Caffe layer ``types``, the first of which is its proper name.

    ``Python:<module>.<layer>`` is the type of the layers of type ``Python`` that name this module and layer. Fields
    that the schema of caffe2tf lacks are in ``definition.extra``. A class that lists the names of those it reads in
    `Layer.reads_unknown` has any other refused.

    Args:
        types: names of Caffe layer types.
        choose: for a type whose layers have several roles: returns the class for a definition, this one or another.

    Raises:
        UsageError: another class implements one of the types already.
    """

    def add(cls: type[L]) -> type[L]:
        for name in types:
            _import_home(name, asking=cls.__module__)
            other = _types.get(name)
            if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
                raise UsageError(
                    f"layer type {name!r} is implemented twice: by {other.__module__}.{other.__qualname__} "
                    f"and by {cls.__module__}.{cls.__qualname__}; register one of them under another type"
                )
            _types[name] = cls
        if choose is not None:
            _choosers[cls] = choose
        return cls

    return add


def register_runtime(path: str | os.PathLike[str]) -> None:
    """Makes the Keras layers of a Python file ones that `caffe2tf.ir.expr.runtime` may name.

    The file is read, never imported: what an emitted model uses of it (classes, the functions and constants that they
    use, and the imports these need) is copied into the ``caffe_layers.py`` beside the model. It may be the plugin
    itself (``register_runtime(__file__)``), or a file of its own, which then may import Keras at its head.

    Args:
        path: the file; its classes are decorated with ``keras.saving.register_keras_serializable(package="...")``.

    Raises:
        UsageError: there is no such file.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise UsageError(f"{file}: there is no such file of Keras layers")
    _runtime_files[file] = None


def runtime_files() -> tuple[Path, ...]:
    """The files given to `register_runtime`."""
    return tuple(_runtime_files)


def _import_home(type_: str, *, asking: str = "") -> None:
    """Imports the module of ours that implements a type, unless it is the module ``asking``, which is being imported.

    A network needs few of the modules, and importing all of them would take longer than converting most networks.
    """
    home = MODULES.get(type_)
    if home is not None and asking != f"caffe2tf.layers.{home}" and type_ not in _types:
        importlib.import_module(f"caffe2tf.layers.{home}")


@functools.cache
def _import_all() -> None:
    for home in sorted(set(MODULES.values())):
        importlib.import_module(f"caffe2tf.layers.{home}")


def registered() -> Mapping[str, type[Layer]]:
    """Every known layer type and its class."""
    _import_all()
    return MappingProxyType(_types)


def loaded() -> Mapping[str, type[Layer]]:
    """The layer types whose modules have been imported so far, and their classes."""
    return MappingProxyType(_types)


def find(type_: str, definition: LayerDefinition | None = None) -> type[Layer] | None:
    """The class that implements a Caffe layer type, or None; installed packages are asked where we have none.

    Args:
        type_: Caffe's name of the type.
        definition: the layer; one of type ``Python`` is then looked up by the module and class that it names, before
            ``Python`` itself.
    """
    wanted = [type_] if definition is None else [*_python_type(definition), type_]
    for name in wanted:
        _import_home(name)
    if not any(w in _types for w in wanted):
        find_offered()
    known = next((_types[w] for w in wanted if w in _types), None)
    if known is None and type_.endswith("Loss") and type_ != _ANY_LOSS:
        return find(_ANY_LOSS)
    if known is None or definition is None or known not in _choosers:
        return known
    return _choosers[known](definition)


@functools.cache
def find_offered() -> None:
    """Imports what installed packages offer (entry point group ``caffe2tf.layers``); the search takes time.

    Raises:
        UsageError: one of them cannot be imported.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, and seldom needed

    for entry in entry_points(group="caffe2tf.layers"):
        try:
            entry.load()
        except Caffe2TFError:
            raise
        except Exception as e:
            package = entry.dist.name if entry.dist else "an installed package"
            raise UsageError(
                f"the layers that {package} offers ({entry.value}) cannot be imported: {type(e).__name__}: {e}; "
                "update or remove it"
            ) from e


def is_ours(cls: type[Layer]) -> bool:
    """Whether the layer is one of caffe2tf, not of a plugin."""
    return cls.__module__.startswith("caffe2tf.layers.")


def type_of(cls: type[Layer]) -> str:
    """The proper Caffe type name of a registered class; of any other class, its own name."""
    return next((name for name, c in _types.items() if c is cls), cls.__name__)


def nearest(type_: str) -> str | None:
    """The known layer type whose name is most like ``type_``, or None where none is like it."""
    folded = {name.casefold(): name for name in registered()}
    match = difflib.get_close_matches(type_.casefold(), folded, n=1, cutoff=0.6)
    return folded[match[0]] if match else None


def without_implementation(definition: LayerDefinition) -> str:
    """What to tell the user about a layer for whose type `find` has no class."""
    for name in _python_type(definition):
        parameter = definition.message.python_param
        return (
            f"this layer is Python code of its own (module {parameter.module!r}, class {parameter.layer!r}), which "
            f'only you have; write it as a layer of caffe2tf, register it with @register("{name}"), and pass its file '
            "with --plugin"
        )
    if not definition.type:
        words = difflib.get_close_matches("type", [field.path for field in definition.unknown], n=1)
        return "the layer has no type; " + (f"did you mean `type` by {words[0]!r}?" if words else "add one")
    near = nearest(definition.type)
    hint = f"; the nearest known type is {near!r}" if near else ""
    return f"layer type {definition.type!r} is not supported{hint}"


def _python_type(definition: LayerDefinition) -> list[str]:
    """The type under which the code of a Python layer is registered; nothing for any other layer."""
    if definition.type != "Python":
        return []
    parameter = definition.message.python_param
    return [f"Python:{parameter.module}.{parameter.layer}"]
