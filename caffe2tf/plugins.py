"""Load layers from a user's own Python files. The registry itself finds those of installed packages."""

from __future__ import annotations

import importlib.util
import os
import sys
import zlib
from pathlib import Path

from caffe2tf.errors import Caffe2TFError, UsageError

__all__ = ["load_plugin"]


def load_plugin(path: str | os.PathLike[str]) -> None:
    """Import a Python file whose layer classes register themselves with `caffe2tf.layers.register`.

    Args:
        path: The file to import.

    Raises:
        UsageError: The file cannot be imported; the message gives the cause and the line.

    Example:
        >>> load_plugin("my_layers.py")
        >>> caffe2tf.convert("net.prototxt", out="out")
    """
    try:
        file = Path(path).resolve()
        there = file.is_file()
    except (OSError, RuntimeError) as e:  # RuntimeError: a loop of links, before Python 3.13
        raise UsageError(f"{path}: the plugin cannot be read: {getattr(e, 'strerror', e)}; check its path") from e
    if not there:
        raise UsageError(f"{path}: no such plugin file")
    name = f"caffe2tf_plugin_{zlib.crc32(os.fsencode(file)):08x}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: a plugin must be a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their module by name
    try:
        spec.loader.exec_module(module)
    except Caffe2TFError as e:
        raise UsageError(f"{path}: {e.message}", problems=e.problems, hint=e.hint, about=e.about) from e
    except Exception as e:
        cause = f"{type(e).__name__}: {e}"
        raise UsageError(f"{path}: the plugin cannot be imported: {cause}{_line_in(e, file)}") from e


def _line_in(error: BaseException, file: Path) -> str:
    """Return the line of the plugin where the error arose, as text; empty if it arose elsewhere."""
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""
