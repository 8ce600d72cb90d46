"""A small SSD whole: boxes from images, any batch, no transposed feature maps, a fixed number of rows on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import NetworkError
from tests.builders import write_prototxt

CLASSES, PRIORS = 3, 4


def head(name: str, source: str, outputs: int) -> str:
    return f"""
layer {{ name: "{name}" type: "Convolution" bottom: "{source}" top: "{name}"
  convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "{name}_perm" type: "Permute" bottom: "{name}" top: "{name}_perm"
  permute_param {{ order: 0 order: 2 order: 3 order: 1 }} }}
layer {{ name: "{name}_flat" type: "Flatten" bottom: "{name}_perm" top: "{name}_flat" }}
"""


def prior(name: str, source: str, size: int) -> str:
    return f"""
layer {{ name: "{name}" type: "PriorBox" bottom: "{source}" bottom: "data" top: "{name}"
  prior_box_param {{ min_size: {size} max_size: {2 * size} aspect_ratio: 2
    variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }} }}
"""


def joined(name: str, parts: str, axis: int) -> str:
    bottoms = " ".join(f'bottom: "{p}"' for p in parts.split())
    return f'layer {{ name: "{name}" type: "Concat" {bottoms} top: "{name}" concat_param {{ axis: {axis} }} }}\n'


NET = (
    """name: "tiny_ssd"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 40 dim: 56 } } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
  convolution_param { num_output: 8 kernel_size: 3 stride: 4 weight_filler { type: "xavier" } } }
layer { name: "norm" type: "Normalize" bottom: "c1" top: "norm"
  norm_param { across_spatial: false channel_shared: false scale_filler { value: 20 } } }
layer { name: "c2" type: "Convolution" bottom: "c1" top: "c2"
  convolution_param { num_output: 6 kernel_size: 3 stride: 2 weight_filler { type: "xavier" } } }
"""
    + "".join(
        head(f"loc{i}", s, 4 * PRIORS) + head(f"conf{i}", s, CLASSES * PRIORS) for i, s in ((1, "norm"), (2, "c2"))
    )
    + prior("prior1", "norm", 8)
    + prior("prior2", "c2", 16)
    + joined("loc", "loc1_flat loc2_flat", 1)
    + joined("conf", "conf1_flat conf2_flat", 1)
    + joined("priors", "prior1 prior2", 2)
    + f"""
layer {{ name: "by_prior" type: "Reshape" bottom: "conf" top: "by_prior"
  reshape_param {{ shape {{ dim: 0 dim: -1 dim: {CLASSES} }} }} }}
layer {{ name: "prob" type: "Softmax" bottom: "by_prior" top: "prob" softmax_param {{ axis: 2 }} }}
layer {{ name: "prob_flat" type: "Flatten" bottom: "prob" top: "prob_flat" }}
layer {{ name: "found" type: "DetectionOutput" bottom: "loc" bottom: "prob_flat" bottom: "priors" top: "found"
  detection_output_param {{ num_classes: {CLASSES} code_type: CENTER_SIZE keep_top_k: 12 confidence_threshold: 0.3
    nms_param {{ nms_threshold: 0.45 top_k: 40 }} }} }}
"""
)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return write_prototxt(tmp_path, NET)


def images(rng: np.random.Generator, count: int) -> np.ndarray[Any, Any]:
    return (60 * rng.standard_normal((count, 3, 40, 56))).astype("f4")


def test_each_image_is_found_in_as_if_alone(net: Path, rng: np.random.Generator) -> None:
    data = images(rng, 3)
    together = caffe2tf.run(net, None, {"data": data})["found"][0, 0]
    assert set(together[:, 0]) == {0, 1, 2}
    for i in range(3):
        alone = caffe2tf.run(net, None, {"data": data[i : i + 1]})["found"][0, 0]
        np.testing.assert_allclose(together[together[:, 0] == i][:, 1:], alone[:, 1:], rtol=1e-4, atol=1e-5)


def test_shapes_but_for_the_count_are_known(net: Path) -> None:
    shapes = caffe2tf.infer_shapes(net)
    cells = 10 * 14 + 4 * 6
    assert shapes["priors"] == (1, 2, 4 * PRIORS * cells)
    assert shapes["prob"] == (1, PRIORS * cells, CLASSES)
    assert shapes["found"] == (1, 1, None, 7)


def test_the_emitted_model_takes_any_batch_and_moves_no_axes(net: Path, tmp_path: Path) -> None:
    done = caffe2tf.convert(net, None, tmp_path / "out")
    source = done.module.read_text()
    assert "keras.Input((40, 56, 3)" in source
    assert "Transpose" not in source
    assert "Permute" not in source
    model = done.build()
    assert model.get_layer("found").output.shape == (1, 1, None, 7)


def test_a_fixed_number_of_rows(net: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    model = caffe2tf.convert(net, None, tmp_path / "free").build()
    fixed = caffe2tf.convert(net, None, tmp_path / "fixed", fixed_rows=True).build()
    fixed.set_weights(model.get_weights())
    data = {"data": images(rng, 2).transpose(0, 2, 3, 1)}
    some, all_ = np.asarray(model(data)["found"])[0, 0], np.asarray(fixed(data)["found"])[0, 0]
    assert all_.shape == (2 * 12, 7)
    np.testing.assert_array_equal(all_[all_[:, 0] >= 0], some)
    assert (all_[all_[:, 0] < 0] == -1).all()


def test_without_a_limit_no_number_can_be_fixed(tmp_path: Path) -> None:
    net = write_prototxt(tmp_path, NET.replace("keep_top_k: 12 ", ""))
    with pytest.raises(NetworkError, match=r"net.prototxt:\d+:1: layer 'found': .*keep_top_k of 0 or more"):
        caffe2tf.convert(net, None, tmp_path / "out", fixed_rows=True)
