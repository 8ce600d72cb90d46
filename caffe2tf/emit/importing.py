"""Imports an emitted module from its folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from caffe2tf.errors import UsageError

__all__ = ["import_emitted"]


def import_emitted(path: Path) -> ModuleType:
    """The module at ``path``, with the runtime layers that lie beside it and not those of another network.

    Raises:
        UsageError: the module is not there.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no emitted module; was it moved?")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: this is no Python module")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.pop("caffe_layers", None)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
        sys.modules.pop("caffe_layers", None)
        if before is not None:
            sys.modules["caffe_layers"] = before
    return module
