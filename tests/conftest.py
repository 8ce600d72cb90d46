"""What all tests share. The environment is settled here, before any of them can import TensorFlow."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from caffe2tf.ir import Graph

ROOT = Path(__file__).resolve().parent.parent
MODELS = Path(os.environ.get("CAFFE2TF_MODELS") or ROOT.parent / "shared" / "models")
"""Trained models that are not ours to pass on, each in a folder of its own; most machines have none."""

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The recordings are of Caffe on a CPU, and so are the tolerances; an empty value lets TensorFlow choose for itself.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
if "PYTEST_XDIST_WORKER" in os.environ:  # the processes share the machine: one thread pool for each core is too many
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

# No deadline: the first example that runs TensorFlow takes seconds. In CI the same examples each time, so that a change
# is judged by its own doing; elsewhere new ones, so that something is learnt.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session", autouse=True)
def checked_passes() -> Iterator[None]:
    """Check every graph that is prepared for emission, as loaded and after each pass."""
    from caffe2tf import passes
    from caffe2tf.ir.check import check_graph

    def checked(step: passes.Pass) -> passes.Pass:
        def run(graph: Graph, keep: passes.Keep) -> Graph:
            if step is first:
                check_graph(graph)
            graph = step.run(graph, keep)
            check_graph(graph, laid_out=step is last, after=step.name)
            return graph

        return replace(step, run=run)

    first, *_, last = passes.PASSES
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "PASSES", tuple(checked(step) for step in passes.PASSES))
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of recordings and files that tests read."""
    return ROOT / "tests" / "data"


@pytest.fixture(scope="session")
def sweep(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 400 random networks with what Caffe computed, each a folder as those of ``data/layers``."""
    folder = tmp_path_factory.mktemp("recorded")
    with tarfile.open(data / "sweep.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "sweep"


@pytest.fixture(scope="session")
def digits() -> Path:
    """The small Caffe project that was trained on digits."""
    return ROOT / "examples" / "digits"


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of trained models that are not ours to pass on; skips where it is absent."""
    if not MODELS.is_dir():
        pytest.skip(f"needs the models that CAFFE2TF_MODELS names; there are none in {MODELS}")
    return MODELS


@pytest.fixture(scope="session")
def definitions() -> list[Path]:
    """Definitions of every kind: the project's own, and those of the models that are not ours, where there are any."""
    folders = (ROOT / "tests" / "data", ROOT / "examples", ROOT / "caffe2tf", MODELS)
    return [path for folder in folders for path in sorted(folder.rglob("*.prototxt"))]


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A number that is always the same for a test, and another for each test."""
    return zlib.crc32(request.node.nodeid.encode())


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """A generator that gives a test the same values each time, negative ones among them where it asks for normals."""
    return np.random.default_rng(seed)
