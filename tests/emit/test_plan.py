"""A conversion thought out to the end: which texts there are, what the module is called, and the weights as views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2tf.emit import Plan
from caffe2tf.errors import NetworkError
from caffe2tf.load import load_graph, open_trained
from caffe2tf.parse import read_network
from caffe2tf.pipeline import plan_conversion
from tests.builders import caffemodel, input_layers

INPUT = input_layers({"data": (2, 3, 4, 5)})
CONV = """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_h: 2 kernel_w: 3 } }
"""
FC = 'layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 7 } }\n'
LRN = 'layer { name: "n" type: "LRN" bottom: "data" top: "n" }\n'


def planned(folder: Path, text: str, blobs: dict[str, Any] | None = None, **options: Any) -> Plan:  # noqa: ANN401
    file = folder / "from file.prototxt"
    file.write_text(text, encoding="utf-8")
    weights = None
    if blobs is not None:
        weights = folder / "net.caffemodel"
        weights.write_bytes(caffemodel(blobs))
    definition = read_network(file)
    with open_trained(definition, weights) as source:
        return plan_conversion(load_graph(definition, source), definition, **options)


@pytest.mark.parametrize(
    ("name", "module"), [("", "from_file"), ("Le Net-5", "Le_Net_5"), ("json", "json_net"), ("keras", "keras_")]
)
def test_the_module_is_called_like_the_network_or_else_its_file(tmp_path: Path, name: str, module: str) -> None:
    assert planned(tmp_path, f'name: "{name}"\n' + INPUT + CONV).module_name == module


def test_there_are_no_more_texts_than_are_needed(tmp_path: Path) -> None:
    plain, own = planned(tmp_path, INPUT + CONV), planned(tmp_path, INPUT + LRN)
    assert (plain.runtime_source, plain.stubs_source) == (None, None)
    assert "class LRN(" in (own.runtime_source or "")
    assert "from caffe_layers import LRN" in own.module_source
    assert "caffe_layers" not in plain.module_source


def test_weights_are_in_the_order_of_the_model_and_not_copied(tmp_path: Path, rng: np.random.Generator) -> None:
    blobs = {
        "fc": [rng.normal(size=(7, 54)), rng.normal(size=7)],
        "conv": [rng.normal(size=(6, 3, 2, 3)), rng.normal(size=6)],
    }
    made = planned(tmp_path, INPUT + CONV + FC, blobs)
    weights = made.weights()
    assert list(weights) == ["conv", "fc"]
    assert {k: w.shape for k, w in weights["conv"].items()} == {"kernel": (2, 3, 3, 6), "bias": (6,)}
    assert not any(part.flags.owndata for each in weights.values() for w in each.values() for part in w.parts)
    conv, fc = (blobs[name][0].astype(np.float32) for name in ("conv", "fc"))
    np.testing.assert_array_equal(weights["conv"]["kernel"].array(), conv.transpose(2, 3, 1, 0))
    rows = fc.reshape(7, 6, 3, 3).transpose(2, 3, 1, 0).reshape(54, 7)  # Flatten gives height, width, channels
    np.testing.assert_array_equal(weights["fc"]["kernel"].array(), rows)
    np.testing.assert_array_equal(weights["fc"]["bias"].array(), blobs["fc"][1].astype(np.float32))


def test_losses_are_kept_where_asked_for(tmp_path: Path) -> None:
    text = input_layers({"x": (2, 3), "y": (2,)})
    text += 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "loss" }\n'
    dropped, kept = planned(tmp_path, text), planned(tmp_path, text, keep_losses=True)
    outputs = [[value.blob for value, _ in made.program.outputs] for made in (dropped, kept)]
    assert outputs[1] == ["loss"]
    assert "loss" not in outputs[0]
    assert "SoftmaxWithLoss(" in kept.module_source
    assert "SoftmaxWithLoss(" not in dropped.module_source


def test_a_network_that_swallows_all_that_it_computes(tmp_path: Path) -> None:
    text = INPUT + CONV + 'layer { name: "s" type: "Silence" bottom: "conv" }\n'
    with pytest.raises(NetworkError, match=r"from file\.prototxt: the network has no output: every blob is read by a"):
        planned(tmp_path, text)
    kept = planned(tmp_path, text, keep_silent=True)
    assert [value.blob for value, _ in kept.program.outputs] == ["conv"]
