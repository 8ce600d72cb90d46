"""Layers that state `phase: TRAIN`, as a snapshot of a training writes them, in a network in phase TEST."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from tests.builders import input_layers, layer, write_prototxt

ALL = "".join(
    [
        layer("BatchNorm", "bn", ["data"], parameters="phase: TRAIN"),
        layer(
            "Convolution", "conv", ["bn"], parameters="convolution_param { num_output: 3 kernel_size: 1 } phase: TRAIN"
        ),
        layer("BatchNorm", "bn2", ["conv"], parameters="phase: TRAIN"),
        layer("Dropout", "drop", ["bn2"], ["bn2"], parameters="phase: TRAIN"),
        layer("Pooling", "pool", ["bn2"], parameters="pooling_param { pool: STOCHASTIC kernel_size: 2 } phase: TRAIN"),
    ]
)


def notes(folder: Path, text: str, phase: str = "TEST") -> list[str]:
    net = write_prototxt(folder, input_layers({"data": (2, 3, 4, 6)}) + text)
    return [str(note) for note in load_graph(read_network(net), phase=phase).notes]


def test_layers_of_a_snapshot_are_one_note(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, ALL)
    assert "layer 'bn' and 3 more like it: it states `phase: TRAIN`" in note
    assert "otherwise computes as Caffe without that statement" in note


def test_no_note_where_the_phases_agree(tmp_path: Path) -> None:
    assert notes(tmp_path, ALL, phase="TRAIN") == []
    assert notes(tmp_path, ALL.replace("TRAIN", "TEST")) == []
    assert notes(tmp_path, ALL.replace("phase: TRAIN", "")) == []


@pytest.mark.parametrize(
    "text",
    [
        layer("BatchNorm", "bn", ["data"], parameters="batch_norm_param { use_global_stats: true } phase: TRAIN"),
        layer("Dropout", "drop", ["data"], parameters="dropout_param { dropout_ratio: 0 } phase: TRAIN"),
        layer("Pooling", "pool", ["data"], parameters="pooling_param { pool: MAX kernel_size: 2 } phase: TRAIN"),
        layer("ReLU", "relu", ["data"], parameters="phase: TRAIN"),
    ],
)
def test_no_note_for_layers_that_compute_the_same_in_both_phases(text: str, tmp_path: Path) -> None:
    assert notes(tmp_path, text) == []
