"""The size that `zoom_factor` of an Interp stands for, chosen by the layers that follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir import Graph, Shape
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from tests.builders import input_layers, layer, write_prototxt

CHOSEN = "as in the training toolbox of OpenVINO"


def interp(top: str, bottom: str, parameters: str = "zoom_factor: 2") -> str:
    return layer("Interp", top, [bottom], parameters=f"interp_param {{ {parameters} }}")


def load(folder: Path, shapes: dict[str, tuple[int, ...]], text: str) -> Graph:
    return load_graph(read_network(write_prototxt(folder, input_layers(shapes) + text)))


def shape(graph: Graph, blob: str) -> Shape:
    (found,) = (value.shape for value in graph.values.values() if value.blob == blob)
    return found


def notes(graph: Graph) -> list[str]:
    return [str(note) for note in graph.notes if CHOSEN in note.message]


@pytest.mark.parametrize("type_", ["Eltwise", "Concat"])
@pytest.mark.parametrize(("height", "width", "chosen"), [(32, 24, True), (31, 23, False)])
def test_field_interp_zoom(tmp_path: Path, type_: str, height: int, width: int, chosen: bool) -> None:
    text = interp("up", "a") + layer(type_, "sum", ["up", "b"])
    graph = load(tmp_path, {"a": (1, 4, 16, 12), "b": (1, 4, height, width)}, text)
    assert shape(graph, "up") == (1, 4, height, width)
    assert len(notes(graph)) == chosen


def test_the_choice_is_one_for_the_network_and_told_once(tmp_path: Path) -> None:
    text = interp("up", "a") + interp("more", "up", "zoom_factor: 3") + layer("Eltwise", "sum", ["up", "b"])
    graph = load(tmp_path, {"a": (1, 4, 5, 6), "b": (1, 4, 10, 12)}, text)
    assert shape(graph, "more") == (1, 4, 30, 36)
    (note,) = notes(graph)
    assert "layer 'up'" in note
    assert "and 1 more" in note


def test_nothing_behind_it_leaves_the_size_of_deeplab(tmp_path: Path) -> None:
    graph = load(tmp_path, {"a": (1, 4, 5, 6)}, interp("up", "a"))
    assert shape(graph, "up") == (1, 4, 9, 11)
    assert notes(graph) == []


def test_a_network_that_neither_size_fits_is_refused_with_the_size_of_deeplab(tmp_path: Path) -> None:
    text = interp("up", "a") + layer("Eltwise", "sum", ["up", "b"])
    with pytest.raises(Caffe2TFError, match="1x4x9x11"):
        load(tmp_path, {"a": (1, 4, 5, 6), "b": (1, 4, 8, 8)}, text)


def test_problems_of_other_layers_do_not_hinder_the_choice(tmp_path: Path) -> None:
    bad = layer("Pooling", "bad", ["a"], parameters="pooling_param { stride: 0 kernel_size: 2 }")
    text = bad + interp("up", "a") + layer("Eltwise", "sum", ["up", "b"])
    with pytest.raises(Caffe2TFError, match="layer 'bad'") as caught:
        load(tmp_path, {"a": (1, 4, 5, 6), "b": (1, 4, 10, 12)}, text)
    assert "layer 'sum'" not in str(caught.value)


@pytest.mark.parametrize("parameters", ["zoom_factor: 2 shrink_factor: 2", "height: 3 width: 3", "full_zoom_factor: 3"])
def test_other_ways_to_give_the_size_have_one_meaning(tmp_path: Path, parameters: str) -> None:
    text = interp("up", "a", parameters) + layer("Eltwise", "sum", ["up", "b"])
    with pytest.raises(Caffe2TFError, match="layer 'sum'"):
        load(tmp_path, {"a": (1, 4, 5, 6), "b": (1, 4, 10, 12)}, text)
