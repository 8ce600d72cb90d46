"""An emitted module is imported with what lies beside it, and leaves no trace in the process."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from caffe2tf.artifacts.importing import import_emitted
from caffe2tf.errors import UsageError


def write(folder: Path, name: str, said: str) -> Path:
    folder.mkdir()
    (folder / "caffe_layers.py").write_text(f"SAID = {said!r}\n")
    (folder / f"{name}_stubs.py").write_text(f"SAID = {said + ' stubs'!r}\n")
    path = folder / f"{name}.py"
    path.write_text(f"import caffe_layers\nimport {name}_stubs\nSAID = (caffe_layers.SAID, {name}_stubs.SAID)\n")
    return path


def test_each_network_has_the_layers_beside_it(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, "net", name) for name in ("one", "two"))
    first, second, again = (import_emitted(path) for path in (one, two, one))
    assert first.SAID == again.SAID == ("one", "one stubs")
    assert second.SAID == ("two", "two stubs")
    assert first is not again


def test_modules_of_those_names_elsewhere_are_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = ModuleType("caffe_layers")
    monkeypatch.setitem(sys.modules, "caffe_layers", mine)
    before = dict(sys.modules), list(sys.path)
    assert import_emitted(write(tmp_path / "out", "net", "ours")).SAID == ("ours", "ours stubs")
    assert sys.modules["caffe_layers"] is mine
    assert (dict(sys.modules), list(sys.path)) == before


def test_a_module_that_fails_leaves_no_trace_either(tmp_path: Path) -> None:
    path = write(tmp_path / "out", "net", "ours")
    path.write_text(path.read_text() + "raise RuntimeError(SAID[0])\n")
    before = dict(sys.modules), list(sys.path)
    with pytest.raises(RuntimeError, match="ours"):
        import_emitted(path)
    assert (dict(sys.modules), list(sys.path)) == before


def test_files_that_are_not_modules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"net\.py: there is no emitted module here; was it moved\?"):
        import_emitted(tmp_path / "net.py")
    with pytest.raises(UsageError, match="there is no emitted module"):
        import_emitted(tmp_path)
    (tmp_path / "net.txt").write_text("x = 1\n")
    with pytest.raises(UsageError, match=r"net\.txt: this is not a Python module"):
        import_emitted(tmp_path / "net.txt")
