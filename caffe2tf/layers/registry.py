"""The registry: the class of each Caffe layer type, and the files with Keras layers that plugins may emit."""

from __future__ import annotations

import difflib
import functools
import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from caffe2tf.diagnostics import Hint
from caffe2tf.errors import Caffe2TFError, LayerUnsupportedError, UsageError
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
_ANY_LOSS = "RegionLoss"  # an unknown type that ends in Loss is treated like this one


def register(*types: str, choose: Chooser | None = None) -> Callable[[type[L]], type[L]]:
    """Class decorator that registers a layer class for Caffe layer types.

    The first type is the proper name, the others are aliases. ``Python:<module>.<layer>`` is the type of a layer of
    type ``Python`` with that ``python_param``.

    Example:
        ::

            @register("Gate")
            @dataclass(frozen=True, slots=True, kw_only=True)
            class Gate(Layer): ...

    Args:
        types: names of Caffe layer types.
        choose: a function that returns the class for a definition, if layers of one type have different roles.

    Raises:
        UsageError: one of the types is already registered for another class.
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
    """Register a Python file with Keras layers, for use with `caffe2tf.ir.expr.runtime`.

    The file is read, not imported. The classes that an emitted model uses are copied into the ``caffe_layers.py`` next
    to the model, with the functions, constants and imports that they need. The file may be the plugin itself
    (``register_runtime(__file__)``). A separate file may import Keras at its top without slowing down conversions.

    Args:
        path: the file. Its classes should be decorated with
            ``keras.saving.register_keras_serializable(package="...")``.

    Raises:
        UsageError: the file does not exist.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise UsageError(f"{file}: no such file of Keras layers")
    _runtime_files[file] = None


def runtime_files() -> tuple[Path, ...]:
    """Return the files registered with `register_runtime`."""
    return tuple(_runtime_files)


def _import_home(type_: str, *, asking: str = "") -> None:
    """Import the module of caffe2tf that implements a type, if there is one.

    A network needs few of the modules, and importing all of them would take longer than most conversions.

    Args:
        type_: the layer type.
        asking: a module that is being imported already.
    """
    home = MODULES.get(type_)
    if home is not None and asking != f"caffe2tf.layers.{home}" and type_ not in _types:
        importlib.import_module(f"caffe2tf.layers.{home}")


@functools.cache
def _import_all() -> None:
    for home in sorted(set(MODULES.values())):
        importlib.import_module(f"caffe2tf.layers.{home}")


def registered() -> Mapping[str, type[Layer]]:
    """Return all known layer types and their classes."""
    _import_all()
    return MappingProxyType(_types)


def loaded() -> Mapping[str, type[Layer]]:
    """Return the layer types whose modules have been imported so far, and their classes."""
    return MappingProxyType(_types)


def find(type_: str, definition: LayerDefinition | None = None) -> type[Layer] | None:
    """Return the class for a Caffe layer type, or None if the type is unknown.

    Plugins of installed packages are searched if caffe2tf itself does not know the type.

    Args:
        type_: Caffe's name of the type.
        definition: the layer. With it, a layer of type ``Python`` is looked up by its module and class first.
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
    """Import the plugins of installed packages (entry point group ``caffe2tf.layers``).

    Raises:
        UsageError: a plugin cannot be imported.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, and rarely needed

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
    """Return whether a layer class belongs to caffe2tf, as opposed to a plugin."""
    return cls.__module__.startswith("caffe2tf.layers.")


def type_of(cls: type[Layer]) -> str:
    """Return the proper Caffe type name of a registered class; for any other class, the name of the class."""
    return next((name for name, c in _types.items() if c is cls), cls.__name__)


def nearest(type_: str) -> str | None:
    """Return the known layer type with the most similar name, or None if none is similar."""
    folded = {name.casefold(): name for name in registered()}
    match = difflib.get_close_matches(type_.casefold(), folded, n=1, cutoff=0.6)
    return folded[match[0]] if match else None


def without_implementation(definition: LayerDefinition) -> LayerUnsupportedError:
    """Return the error for a layer whose type `find` has no class for."""
    for name in _python_type(definition):
        parameter = definition.message.python_param
        return LayerUnsupportedError(
            f"this layer is Python code of your own (module {parameter.module!r}, class {parameter.layer!r}); "
            f'write it as a layer of caffe2tf in a plugin, registered with @register("{name}")',
            hint=Hint.PLUGIN,
        )
    if not definition.type:
        words = difflib.get_close_matches("type", [field.path for field in definition.unknown], n=1)
        advice = f"did you mean `type` by {words[0]!r}?" if words else "add one"
        return LayerUnsupportedError(f"the layer has no type; {advice}", hint=Hint.UNKNOWN_TYPE)
    near = nearest(definition.type)
    meant = f"; the nearest known type is {near!r}" if near else ""
    return LayerUnsupportedError(f"layer type {definition.type!r} is not supported{meant}", hint=Hint.UNKNOWN_TYPE)


def _python_type(definition: LayerDefinition) -> list[str]:
    """Return the type under which a Python layer is registered, in a list; an empty list for other layers."""
    if definition.type != "Python":
        return []
    parameter = definition.message.python_param
    return [f"Python:{parameter.module}.{parameter.layer}"]
