"""Imports emitted modules: from the folder they were written to, or from the source text of a plan."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from caffe2tf.emit import RUNTIME_MODULE, Plan, stubs_module
from caffe2tf.errors import UsageError
from caffe2tf.quiet import starting_tensorflow

__all__ = ["import_emitted", "load_emitted"]


def import_emitted(path: Path) -> ModuleType:
    """Import the emitted module at ``path``, with the layers that are next to it.

    Layers of another network that are imported already, under the same module name, are left alone.

    Raises:
        UsageError: there is no such module.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no emitted module here; was it moved?")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: this is not a Python module")
    module = importlib.util.module_from_spec(spec)
    with _isolated((RUNTIME_MODULE, stubs_module(path.stem))):
        sys.path.insert(0, str(path.parent))
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.remove(str(path.parent))
    return module


def load_emitted(plan: Plan) -> ModuleType:
    """Execute the source text of a plan as modules, without writing a file; return the module of the network."""
    beside = {RUNTIME_MODULE: plan.runtime_source, stubs_module(plan.module_name): plan.stubs_source}
    with starting_tensorflow() as quiet, _isolated(beside):
        for name, source in beside.items():
            if source is not None:
                sys.modules[name] = _executed(name, source)
        module = _executed(plan.module_name, plan.module_source)
        if quiet:  # TensorFlow logs when it first computes, too
            module.keras.ops.ones(1)
        return module


def _executed(name: str, source: str) -> ModuleType:
    module = ModuleType(name)
    exec(compile(source, f"<{name}.py>", "exec"), module.__dict__)  # noqa: S102 - the text is our own
    return module


@contextmanager
def _isolated(names: Iterable[str]) -> Iterator[None]:
    """Hide modules of these names inside the block, and forget those that the block imports."""
    before = {name: sys.modules.pop(name, None) for name in names}
    try:
        yield
    finally:
        for name, other in before.items():
            sys.modules.pop(name, None)
            if other is not None:
                sys.modules[name] = other
