"""Layers of a user's own, in Python files. Installed packages that offer some are found by the registry itself."""

from __future__ import annotations

import importlib.util
import os
import sys
import zlib
from pathlib import Path

from caffe2tf.errors import Caffe2TFError, UsageError

__all__ = ["load_plugin"]


def load_plugin(path: str | os.PathLike[str]) -> None:
    """Imports a Python file, in which layers register themselves with `caffe2tf.layers.register`.

    Raises:
        UsageError: it cannot be imported; the cause is in the message.
    """
    try:
        file = Path(path).resolve()
        there = file.is_file()
    except (OSError, RuntimeError) as e:  # RuntimeError: links that lead to each other, before Python 3.13
        raise UsageError(f"{path}: the plugin cannot be read: {getattr(e, 'strerror', e)}; check its path") from e
    if not there:
        raise UsageError(f"{path}: there is no such plugin file")
    name = f"caffe2tf_plugin_{zlib.crc32(os.fsencode(file)):08x}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: a plugin is a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    except Caffe2TFError as e:
        raise UsageError(f"{path}: {e}") from e
    except Exception as e:
        cause = f"{type(e).__name__}: {e}"
        raise UsageError(f"{path}: the plugin fails when it is imported: {cause}{_line_in(e, file)}") from e


def _line_in(error: BaseException, file: Path) -> str:
    """The last line of the plugin that took part in the error."""
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""
