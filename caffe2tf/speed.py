"""What makes the command line quick besides the code itself, and what each measure saves.

These measures change settings of the whole process, so only the program ``caffe2tf`` uses them, not the library.

``python -m benchmarks.bench_speed`` converts AlexNet with all measures, and without each one. The figures below come
from a virtual machine with 2 Intel Xeon cores, which other programs kept busy. Small ones are therefore uncertain:

| measure | saves |
|---|---|
| `skip_last_collection` | 0.09 s of processor time of 0.46 s, for the digits example; 8 % of AlexNet |
| `limit_blas_threads` | 0.07 s of processor time of 0.44 s, for the digits example; more on machines with more cores |
| `collect_rarely` | 0 to 0.04 s of processor time, for the digits example: no more than the noise |
| `hash_early` | 10 % of the time of AlexNet, whose file has 233 MiB; nothing for small files |
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
