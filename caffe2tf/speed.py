"""What makes the command line quick besides the code itself, each with what it saves.

These measures change settings of the whole process, so only the program ``caffe2tf`` uses them, not the library.

"""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["collect_rarely", "hash_early", "limit_blas_threads", "skip_last_collection"]


@contextmanager
def collect_rarely() -> Iterator[None]:
    """Let the garbage collector run rarely inside the block: imports create many objects, but no garbage."""
    thresholds = gc.get_threshold()
    gc.set_threshold(200_000)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def skip_last_collection() -> None:
    """Let the interpreter end without its last garbage collection, which would visit every object once more."""
    atexit.register(gc.freeze)


def limit_blas_threads() -> None:
    """Keep NumPy from starting a thread for each processor: no command uses them. The user's own setting stays."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def hash_early(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Begin to hash the files that a conversion will read, in background threads, while this one still imports."""
    from caffe2tf.artifacts.hashing import begin_hashing  # noqa: PLC0415 - only conversions need it

    for path in paths:
        begin_hashing(Path(path))
