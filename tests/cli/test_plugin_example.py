"""The example of docs/plugins.md works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import caffe2tf

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plugin"


@pytest.fixture(autouse=True)
def _registry_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from caffe2tf.layers import registry

    registry.registered()
    monkeypatch.setattr(registry, "_types", dict(registry._types))
    monkeypatch.setattr(registry, "_runtime_files", dict(registry._runtime_files))


def test_the_example_computes_what_it_says(tmp_path: Path, rng: np.random.Generator) -> None:
    data = (3 * rng.standard_normal((2, 3, 4, 5))).astype("f4")
    np.savez(tmp_path / "in.npz", data=data)
    arguments = ["--plugin", EXAMPLE / "my_layers.py", "-o", tmp_path / "out.npz", "--input", tmp_path / "in.npz"]
    done = caffe2tf("run", EXAMPLE / "net.prototxt", *arguments)
    assert done.code == 0, done.err
    out = np.load(tmp_path / "out.npz")["hswish"]
    np.testing.assert_allclose(out, data * np.clip(data + 2.5, 0, 6) / 6, rtol=1e-5, atol=1e-6)
