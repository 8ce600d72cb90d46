"""Imports an emitted module from its folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from caffe2tf.emit.stub_source import stubs_module
from caffe2tf.errors import UsageError

__all__ = ["import_emitted"]


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
    beside = ("caffe_layers", stubs_module(path.stem))
    before = {name: sys.modules.pop(name, None) for name in beside}
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
        for name, other in before.items():
            sys.modules.pop(name, None)
            if other is not None:
                sys.modules[name] = other
    return module
