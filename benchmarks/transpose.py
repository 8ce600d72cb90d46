"""Measure the time and memory of writing weight files, in comparison with a plain copy of as many bytes.

    python -m benchmarks.transpose [FOLDER]

Each measurement is a separate process. The peak is that of resident memory, including mapped pages.
"""

from __future__ import annotations

import itertools
import math
import mmap
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe2tf.artifacts import write_weights
from caffe2tf.ir.weight import Weight

ALEXNET = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (4096, 256, 6, 6),
    "fc7": (4096, 4096),
    "fc8": (1000, 4096),
}
WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
VGG16 = {f"conv{i}": (o, n, 3, 3) for i, (n, o) in enumerate(itertools.pairwise(WIDTHS), 1)} | {
    "fc6": (4096, 512, 7, 7),
    "fc7": (4096, 4096),
    "fc8": (1000, 4096),
}
NETWORKS = {"alexnet": ALEXNET, "vgg16": VGG16}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mapped:
    """A blob in a memory-mapped file, at a multiple of the page size."""

    memory: mmap.mmap
    offset: int
    nbytes: int

    def release(self) -> None:
        """Release all pages."""
        self.memory.madvise(mmap.MADV_DONTNEED, self.offset, self.nbytes)

    def release_range(self, start: int, stop: int) -> None:
        """Release the pages that lie completely inside a range of elements."""
        first = -(-start * 4 // mmap.PAGESIZE) * mmap.PAGESIZE
        last = stop * 4 // mmap.PAGESIZE * mmap.PAGESIZE
        if last > first:
            self.memory.madvise(mmap.MADV_DONTNEED, self.offset + first, last - first)


def open_weights(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, dict[str, Weight]]:
    """Return the file as weights in Keras' layout; a missing file is created with arbitrary values."""
    places = {}
    end = 0
    for name, shape in shapes.items():
        places[name] = end
        end += -(-math.prod(shape) * 4 // mmap.PAGESIZE) * mmap.PAGESIZE
    if not path.exists():
        np.random.default_rng(0).standard_normal(end // 4, dtype=np.float32).tofile(path)
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    weights = {}
    for name, shape in shapes.items():
        count = math.prod(shape)
        blob = np.frombuffer(memory, np.float32, count, places[name]).reshape(shape)
        source = Mapped(memory=memory, offset=places[name], nbytes=count * 4)
        view = blob.transpose(2, 3, 1, 0) if blob.ndim == 4 else blob.T
        final = (count // shape[0], shape[0]) if name.startswith("fc") else view.shape
        weights[name] = {"kernel": Weight.of(view, final, memory=(source,))}
    return weights


def peak_memory() -> float:
    """Return the peak resident memory of this process in MiB; getrusage would include that of the parent."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def measure(network: str, kind: str, folder: Path) -> None:
    """Write once and print the figures; this runs in the process of one measurement."""
    base = peak_memory()
    start = time.perf_counter()
    weights = open_weights(folder / f"{network}.bin", NETWORKS[network])
    write_weights(folder / f"{network}.{kind}", weights, format=kind)
    seconds = time.perf_counter() - start
    print(f"{network:8} {kind:3} {seconds:6.3f} s   peak {peak_memory():4.0f} MiB (before: {base:.0f} MiB)")


def compare(folder: Path) -> None:
    """Measure every network in every format, and ``cp`` of the same bytes."""
    for network, shapes in NETWORKS.items():
        source = folder / f"{network}.bin"
        open_weights(source, shapes)
        largest = max(math.prod(shape) for shape in shapes.values()) * 4 / 2**20
        print(f"{network}: {source.stat().st_size / 2**20:.0f} MiB, largest weight {largest:.0f} MiB")
        for reflink in ("auto", "never"):
            start = time.perf_counter()
            subprocess.run(["cp", f"--reflink={reflink}", source, folder / "copy"], check=True)  # noqa: S607 - from PATH
            print(f"{network:8} cp  {time.perf_counter() - start:6.3f} s")
            (folder / "copy").unlink()
        for kind in ("h5", "npz", "npy"):
            for _ in range(3):
                subprocess.run([sys.executable, __file__, network, kind, folder], check=True)
                (folder / f"{network}.{kind}").unlink()


if __name__ == "__main__":
    match sys.argv[1:]:
        case [network, kind, folder]:
            measure(network, kind, Path(folder))
        case [folder]:
            compare(Path(folder))
        case _:
            with tempfile.TemporaryDirectory() as temporary:
                compare(Path(temporary))
