"""Writes weights to their places in a file: two threads transpose and write them block by block (`Region`)."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caffe2tf.artifacts.weights.transpose import Region, copy_blocked, split_regions

if TYPE_CHECKING:
    from caffe2tf.ir.weight import Array, Weight

__all__ = ["FLOAT32", "Place", "fill"]

BOX_BYTES = 4 << 20  # size of a block, and so of the buffer of each thread
THREADS = 2  # one transposes while the other is in a system call; more threads are not faster
WINDOW_BYTES = 64 << 20  # source bytes in progress at once, unless a single weight is larger

FLOAT32 = np.dtype("<f4")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """A weight and the offset of its values in the file, in bytes."""

    weight: Weight
    offset: int


def fill(
    file: int,
    places: Sequence[Place],
    progress: Callable[[int], None] | None = None,
    settled: Callable[[int], None] | None = None,
) -> None:
    """Write every weight to its place, as little-endian float32 in row-major order.

    Args:
        file: descriptor of a file open for writing.
        places: the weights and their offsets; they must not overlap.
        progress: called from this thread with the number of bytes written since the last call.
        settled: called from this thread with an offset before which all weights are written.

    Raises:
        OSError: the file cannot be written.
        ValueError: the parts of a weight do not add up to its shape.
    """
    sizes = [sum(part.nbytes for part in place.weight.parts) for place in places]
    window = max([WINDOW_BYTES, *sizes])
    threads = min(THREADS, os.cpu_count() or 1)
    writer = _Writer(file)
    flights: deque[_Flight] = deque()
    under_way = 0  # source bytes of all flights
    settle = settled or (lambda _: None)
    lowest = list(itertools.accumulate((p.offset for p in reversed(places)), min))[
        ::-1
    ]  # lowest offset from each place on
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="weights")
    try:
        for number, (place, size) in enumerate(zip(places, sizes, strict=True)):
            while flights and under_way + size > window:
                under_way -= flights[0].size
                flights.popleft().land(progress)
                settle(lowest[number - len(flights)])
            jobs = [pool.submit(writer.write, job) for job in _jobs(place)]
            flights.append(_Flight(weight=place.weight, jobs=jobs, size=size))
            under_way += size
        while flights:
            flights.popleft().land(progress)
            settle(lowest[-len(flights)] if flights else 0)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Flight:
    """A weight whose blocks the threads are writing."""

    weight: Weight
    jobs: list[Future[int]]
    size: int

    def land(self, progress: Callable[[int], None] | None) -> None:
        """Wait until the weight is written, then release its sources."""
        for job in as_completed(self.jobs):
            written = job.result()
            if progress is not None:
                progress(written)
        for memory in self.weight.memory:
            memory.release()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    """A block, the offset of its part in the file, and the weight if the block may release what it has read."""

    region: Region
    offset: int
    sole: Weight | None


def _jobs(place: Place) -> Iterator[_Job]:
    weight = place.weight
    if sum(part.size for part in weight.parts) != weight.size:
        raise ValueError(f"parts {[part.shape for part in weight.parts]} do not make up shape {weight.shape}")
    # Otherwise a position in the part is not a position in the source.
    sole = weight if len(weight.parts) == 1 and len(weight.memory) == 1 else None
    offset = place.offset
    for part in weight.parts:
        for region in split_regions(part, BOX_BYTES):
            yield _Job(region=region, offset=offset, sole=sole)
        offset += part.size * FLOAT32.itemsize


class _Writer:
    """Writes blocks. Each thread has a buffer of its own, which it reuses for every block."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._local = threading.local()
        # The system lets one thread at a time write to a file. Waiting for this lock sleeps; the system may spin.
        self._writing = threading.Lock()

    def write(self, job: _Job) -> int:
        """Write a block; return its number of bytes."""
        view = job.region.view
        direct = view.dtype == FLOAT32 and view.flags.c_contiguous
        values = view.reshape(-1) if direct else self._transposed(view)
        with self._writing:
            for position, first, length in job.region.runs():
                run = values[first : first + length].data.cast("B")
                self._write_all(run, job.offset + position * FLOAT32.itemsize)
        if direct and job.sole is not None:
            start = job.region.starts[0]
            job.sole.memory[0].release_range(start, start + view.size)
        return values.nbytes

    def _transposed(self, view: Array) -> Array:
        buffer: Array | None = getattr(self._local, "buffer", None)
        if buffer is None or buffer.size < view.size:
            buffer = np.empty(view.size, dtype=FLOAT32)
            self._local.buffer = buffer
        values = buffer[: view.size]
        copy_blocked(view, values.reshape(view.shape))
        return values

    def _write_all(self, data: memoryview, offset: int) -> None:
        while data:
            if sys.platform == "win32":  # no positioned writes there
                os.lseek(self._file, offset, os.SEEK_SET)
                written = os.write(self._file, data)
            else:
                written = os.pwrite(self._file, data, offset)
            data = data[written:]
            offset += written
