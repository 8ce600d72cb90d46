"""Brings an emitted module to life: from its folder, or from the texts of a plan."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from caffe2tf.emit.names import RUNTIME_MODULE
from caffe2tf.emit.plan import Plan
from caffe2tf.emit.stub_source import stubs_module
from caffe2tf.errors import UsageError
from caffe2tf.quiet import starting_tensorflow

__all__ = ["import_emitted", "load_emitted"]


def import_emitted(path: Path) -> ModuleType:
    """The module at ``path``, with the layers that lie beside it and not those of another network.

    Raises:
        UsageError: the module is not there.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no emitted module; was it moved?")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: this is no Python module")
    module = importlib.util.module_from_spec(spec)
    with _apart((RUNTIME_MODULE, stubs_module(path.stem))):
        sys.path.insert(0, str(path.parent))
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.remove(str(path.parent))
    return module


def load_emitted(plan: Plan) -> ModuleType:
    """The module that the plan would write, and what would lie beside it, without writing anything."""
    beside = {RUNTIME_MODULE: plan.runtime_source, stubs_module(plan.module_name): plan.stubs_source}
    with starting_tensorflow() as quiet, _apart(beside):
        for name, source in beside.items():
            if source is not None:
                sys.modules[name] = _executed(name, source)
        module = _executed(plan.module_name, plan.module_source)
        if quiet:  # what is computed first may be told of, too
            module.keras.ops.ones(1)
        return module


def _executed(name: str, source: str) -> ModuleType:
    module = ModuleType(name)
    exec(compile(source, f"<{name}.py>", "exec"), module.__dict__)  # noqa: S102 - our own text
    return module


@contextmanager
def _apart(names: Iterable[str]) -> Iterator[None]:
    """Modules of these names that are imported within the block are seen by nobody else, nor are others in it."""
    before = {name: sys.modules.pop(name, None) for name in names}
    try:
        yield
    finally:
        for name, other in before.items():
            sys.modules.pop(name, None)
            if other is not None:
                sys.modules[name] = other
