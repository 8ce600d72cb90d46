"""Files of source code that are in the output folder already: ours, the user's, those of other networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe2tf.artifacts.code.existing import refuse_foreign, refuse_unaccompanied
from caffe2tf.artifacts.code.layers import layers_source
from caffe2tf.artifacts.code.stubs import has_own_stubs
from caffe2tf.emit import extract_runtime, listed_classes
from caffe2tf.errors import OutputError

LAYERS = "caffe_layers.py"


def test_stubs_that_were_worked_on_are_the_users(tmp_path: Path) -> None:
    path, source = tmp_path / "net_stubs.py", '"""STUBS, written by caffe2tf: the layers of net."""\n\nx = 1\n'
    assert not has_own_stubs(path, source)
    assert not has_own_stubs(tmp_path / "none" / "net_stubs.py", source)
    path.write_text(source)
    assert not has_own_stubs(path, source)
    path.write_text(source.replace("x = 1", "x = 2"))
    assert has_own_stubs(path, source)
    assert has_own_stubs(path, None)  # the network has no stubs any more
    path.write_text("# STUBS, and not of ours\n")
    with pytest.raises(OutputError, match=r"net_stubs\.py: this file holds no stubs of caffe2tf"):
        has_own_stubs(path, source)


def test_layers_of_the_other_networks_in_the_folder_are_kept(tmp_path: Path) -> None:
    path = tmp_path / LAYERS
    assert layers_source(path, ["LRN"]) == extract_runtime(["LRN"])
    path.write_text(extract_runtime(["MVN", "LRN"]))
    assert listed_classes(layers_source(path, ["MaxPooling"])) == ["LRN", "MVN", "MaxPooling"]
    assert layers_source(path, ["LRN"]) == path.read_text()


@pytest.mark.parametrize("text", ["", "class LRN: ...\n", "def f(:\n", '"""Layers:\n    LRN\n"""\n'])
def test_layers_that_are_not_of_our_making_are_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / LAYERS).write_text(text)
    with pytest.raises(OutputError, match=rf"{LAYERS}: this file was not written by caffe2tf; move it away"):
        layers_source(tmp_path / LAYERS, ["LRN"])


def test_layers_of_a_plugin_that_is_not_loaded_are_not_lost(tmp_path: Path) -> None:
    path = tmp_path / LAYERS
    path.write_text(extract_runtime(["LRN", "MVN"]).replace("    LRN\n", "    Bending\n    LRN\n"))
    with pytest.raises(OutputError, match="another network in this folder needs Bending, which come from a plugin"):
        layers_source(path, ["MVN"])


def test_unreadable_files_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(OutputError, match="this file cannot be read: Permission denied; choose another folder"):
        layers_source(tmp_path / LAYERS, ["LRN"])


def test_a_module_that_no_conversion_wrote_is_not_replaced(tmp_path: Path) -> None:
    refuse_foreign(tmp_path / "net.py")
    (tmp_path / "net.py").write_text('"""net, converted from Caffe by caffe2tf 1.0."""\n')
    refuse_foreign(tmp_path / "net.py")
    (tmp_path / "net.py").write_text('"""net."""\n')
    with pytest.raises(OutputError, match=r"net\.py: this file was not written by caffe2tf; move it away"):
        refuse_foreign(tmp_path / "net.py")


def test_an_artifact_without_a_module_is_not_replaced(tmp_path: Path) -> None:
    module, file, folder = (tmp_path / name for name in ("net.py", "net.h5", "net_saved"))
    refuse_unaccompanied(module, [file, folder])
    folder.mkdir()
    with pytest.raises(OutputError, match=r"net_saved: this exists, but net\.py, .* does not"):
        refuse_unaccompanied(module, [file, folder])
    module.write_text("x = 1\n")
    refuse_unaccompanied(module, [file, folder])
