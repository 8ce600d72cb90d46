"""The same network in the formats of 2013 (V0), 2014 (V1) and today: equal results in every combination."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from google.protobuf import text_format

import caffe2tf
from caffe2tf.errors import NetworkError, WeightsError
from caffe2tf.parse import read_network
from caffe2tf.proto import caffe_pb2
from tests.builders import blob, input_layer, write_caffemodel, write_mean_image, write_prototxt

AGES = ("v0", "v1", "v2")
INPUT = 'name: "old"\ninput: "x" input_dim: 2 input_dim: 3 input_dim: 9 input_dim: 8\n'
V0 = """
layers { bottom: "x" top: "pad1" layer { name: "pad1" type: "padding" pad: 1 } }
layers { bottom: "pad1" top: "c1" layer { name: "c1" type: "conv" num_output: 4 kernelsize: 3 stride: 2
  weight_filler { type: "gaussian" std: 0.1 } bias_filler { value: 0.5 } blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  weight_decay: 0 } }
layers { bottom: "c1" top: "c1" layer { name: "relu1" type: "relu" } }
layers { bottom: "c1" top: "n1" layer { name: "n1" type: "lrn" local_size: 3 alpha: 0.3 beta: 0.6 } }
layers { bottom: "n1" top: "pad2" layer { name: "pad2" type: "padding" pad: 1 } }
layers { bottom: "pad2" top: "p1" layer { name: "p1" type: "pool" pool: MAX kernelsize: 3 stride: 2 } }
layers { bottom: "p1" top: "c2" layer { name: "c2" type: "conv" num_output: 6 kernelsize: 2 group: 2 pad: 1
  biasterm: false } }
layers { bottom: "c2" top: "s1" top: "s2" layer { name: "split" type: "split" } }
layers { bottom: "s1" top: "t" layer { name: "t" type: "tanh" } }
layers { bottom: "s2" top: "g" layer { name: "g" type: "sigmoid" } }
layers { bottom: "c2" top: "b" layer { name: "b" type: "bnll" } }
layers { bottom: "t" bottom: "g" bottom: "b" top: "cat" layer { name: "cat" type: "concat" concat_dim: 1 } }
layers { bottom: "cat" top: "p2" layer { name: "p2" type: "pool" pool: AVE kernelsize: 2 stride: 1 } }
layers { bottom: "p2" top: "f" layer { name: "f" type: "flatten" } }
layers { bottom: "f" top: "f" layer { name: "drop" type: "dropout" dropout_ratio: 0.4 } }
layers { bottom: "f" top: "ip" layer { name: "ip" type: "innerproduct" num_output: 5 } }
layers { bottom: "ip" top: "y" layer { name: "y" type: "softmax" } }
layers { bottom: "ip" bottom: "ip" top: "e" layer { name: "e" type: "euclidean_loss" } }
"""
V1 = """
layers { name: "c1" type: CONVOLUTION bottom: "x" top: "c1" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  param: "w1" param: "b1" convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1
  weight_filler { type: "gaussian" std: 0.1 } bias_filler { value: 0.5 } } }
layers { name: "relu1" type: RELU bottom: "c1" top: "c1" }
layers { name: "n1" type: LRN bottom: "c1" top: "n1" lrn_param { local_size: 3 alpha: 0.3 beta: 0.6 } }
layers { name: "p1" type: POOLING bottom: "n1" top: "p1" pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 } }
layers { name: "gone" type: TANH bottom: "p1" top: "p1" include { phase: TRAIN } }
layers { name: "too" type: TANH bottom: "p1" top: "p1" exclude { phase: TEST } }
layers { name: "c2" type: CONVOLUTION bottom: "p1" top: "c2" convolution_param { num_output: 6 kernel_size: 2 group: 2
  pad: 1 bias_term: false } }
layers { name: "split" type: SPLIT bottom: "c2" top: "s1" top: "s2" }
layers { name: "t" type: TANH bottom: "s1" top: "t" }
layers { name: "g" type: SIGMOID bottom: "s2" top: "g" }
layers { name: "b" type: BNLL bottom: "c2" top: "b" }
layers { name: "cat" type: CONCAT bottom: "t" bottom: "g" bottom: "b" top: "cat" concat_param { concat_dim: 1 } }
layers { name: "p2" type: POOLING bottom: "cat" top: "p2" pooling_param { pool: AVE kernel_size: 2 stride: 1 } }
layers { name: "f" type: FLATTEN bottom: "p2" top: "f" }
layers { name: "drop" type: DROPOUT bottom: "f" top: "f" dropout_param { dropout_ratio: 0.4 } }
layers { name: "ip" type: INNER_PRODUCT bottom: "f" top: "ip" inner_product_param { num_output: 5 } }
layers { name: "y" type: SOFTMAX bottom: "ip" top: "y" }
layers { name: "e" type: EUCLIDEAN_LOSS bottom: "ip" bottom: "ip" top: "e" }
"""
V2 = """
layer { name: "c1" type: "Convolution" bottom: "x" top: "c1" param { name: "w1" lr_mult: 1 decay_mult: 1 }
  param { name: "b1" lr_mult: 2 decay_mult: 0 } convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1
  weight_filler { type: "gaussian" std: 0.1 } bias_filler { value: 0.5 } } }
layer { name: "relu1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "n1" type: "LRN" bottom: "c1" top: "n1" lrn_param { local_size: 3 alpha: 0.3 beta: 0.6 } }
layer { name: "p1" type: "Pooling" bottom: "n1" top: "p1" pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "c2" type: "Convolution" bottom: "p1" top: "c2" convolution_param { num_output: 6 kernel_size: 2 group: 2
  pad: 1 bias_term: false } }
layer { name: "split" type: "Split" bottom: "c2" top: "s1" top: "s2" }
layer { name: "t" type: "TanH" bottom: "s1" top: "t" }
layer { name: "g" type: "Sigmoid" bottom: "s2" top: "g" }
layer { name: "b" type: "BNLL" bottom: "c2" top: "b" }
layer { name: "cat" type: "Concat" bottom: "t" bottom: "g" bottom: "b" top: "cat" concat_param { axis: 1 } }
layer { name: "p2" type: "Pooling" bottom: "cat" top: "p2" pooling_param { pool: AVE kernel_size: 2 stride: 1 } }
layer { name: "f" type: "Flatten" bottom: "p2" top: "f" }
layer { name: "drop" type: "Dropout" bottom: "f" top: "f" dropout_param { dropout_ratio: 0.4 } }
layer { name: "ip" type: "InnerProduct" bottom: "f" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "y" type: "Softmax" bottom: "ip" top: "y" }
layer { name: "e" type: "EuclideanLoss" bottom: "ip" bottom: "ip" top: "e" }
"""
TEXTS = {"v0": INPUT + V0, "v1": INPUT + V1, "v2": INPUT + V2}
SHAPES: dict[str, list[tuple[int, ...]]] = {"c1": [(4, 3, 3, 3), (4,)], "c2": [(6, 2, 2, 2)], "ip": [(5, 162), (5,)]}

Array = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def trained() -> dict[str, list[Array]]:
    rng = np.random.default_rng(11)
    return {name: [rng.normal(0, 0.5, s).astype(np.float32) for s in shapes] for name, shapes in SHAPES.items()}


@pytest.fixture(scope="module")
def x() -> Array:
    return np.random.default_rng(12).normal(0, 2, (2, 3, 9, 8)).astype(np.float32)


def whole(age: str, trained: dict[str, list[Array]]) -> caffe_pb2.NetParameter:
    """Return definition and blobs in one message, in the format of that time."""
    net = text_format.Parse(TEXTS[age], caffe_pb2.NetParameter())
    holders: list[Any] = [layer.layer if age == "v0" else layer for layer in net.layers] + list(net.layer)
    for holder in holders:
        for array in trained.get(holder.name, ()):
            holder.blobs.append(blob(array, legacy=age != "v2"))
    return net


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, trained: dict[str, list[Array]]) -> Path:
    folder = tmp_path_factory.mktemp("ages")
    for age in AGES:
        write_prototxt(folder, TEXTS[age], f"{age}.prototxt")
        (folder / f"{age}.caffemodel").write_bytes(whole(age, trained).SerializeToString())
    return folder


@pytest.fixture(scope="module")
def expected(files: Path, x: Array) -> dict[str, Array]:
    return caffe2tf.run(files / "v2.prototxt", files / "v2.caffemodel", {"x": x})


def same(found: dict[str, Array], expected: dict[str, Array]) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, strict=True, err_msg=name)


def test_the_modern_network_computes_what_the_definition_says(
    expected: dict[str, Array], trained: dict[str, list[Array]]
) -> None:
    assert expected["c1"].shape == (2, 4, 5, 4)
    assert expected["y"].shape == (2, 5)
    assert 0 < (expected["c1"] == 0).mean() < 1
    w, b = trained["ip"]
    np.testing.assert_allclose(expected["ip"], expected["f"] @ w.T + b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("definition", AGES)
@pytest.mark.parametrize("weights", AGES)
def test_any_definition_with_any_weights(
    files: Path, x: Array, expected: dict[str, Array], definition: str, weights: str
) -> None:
    found = caffe2tf.run(files / f"{definition}.prototxt", files / f"{weights}.caffemodel", {"x": x})
    same(found, expected)


@pytest.mark.parametrize("age", AGES)
def test_a_trained_network_alone(files: Path, x: Array, expected: dict[str, Array], age: str) -> None:
    same(caffe2tf.run(files / f"{age}.caffemodel", None, {"x": x}), expected)
    assert caffe2tf.infer_shapes(files / f"{age}.caffemodel") == {b: a.shape for b, a in expected.items()}


@pytest.mark.parametrize("age", AGES)
def test_upgraded(files: Path, x: Array, expected: dict[str, Array], age: str, tmp_path: Path) -> None:
    from caffe2tf.parse import upgrade_file

    new, text = tmp_path / "new.caffemodel", tmp_path / "new.prototxt"
    upgrade_file(files / f"{age}.caffemodel", new)
    upgrade_file(files / f"{age}.caffemodel", text)
    net = caffe_pb2.NetParameter.FromString(new.read_bytes())
    assert len(net.layers) == 0
    assert [len(x.blobs) for x in net.layer if x.blobs] == [2, 1, 2]
    same(caffe2tf.run(new, None, {"x": x}), expected)
    same(caffe2tf.run(text, new, {"x": x}), expected)


def test_both_generations_in_one_definition(
    tmp_path: Path, files: Path, x: Array, expected: dict[str, Array], trained: dict[str, list[Array]]
) -> None:
    """Caffe refuses such files, but forks wrote them. A text keeps its order; binary files have old layers first."""
    old, new = V1.strip().split("\nlayers"), V2.strip().split("\nlayer ")
    text = write_prototxt(
        tmp_path,
        INPUT + "\nlayers".join(old[:10]) + "\n" + "".join(f"layer {layer}\n" for layer in new[8:]),
        "mixed.prototxt",
    )
    definition = read_network(text)
    assert any("both `layers` and `layer`" in str(note) for note in definition.notes)
    same(caffe2tf.run(text, files / "v1.caffemodel", {"x": x}), expected)
    net = whole("v1", trained)
    for layer in whole("v2", trained).layer[9:]:
        net.layer.append(layer)
    del net.layers[11:]
    binary = tmp_path / "mixed.caffemodel"
    binary.write_bytes(net.SerializeToString())
    same(caffe2tf.run(binary, None, {"x": x}), expected)


def test_weights_of_one_layer_in_two_generations(
    tmp_path: Path, files: Path, x: Array, expected: dict[str, Array], trained: dict[str, list[Array]]
) -> None:
    """A weight file may mix the formats; layers are found by name."""
    net = caffe_pb2.NetParameter()
    net.layers.add(name="c2").blobs.append(blob(trained["c2"][0], legacy=True))
    oldest = net.layers.add().layer
    oldest.name = "c1"
    oldest.blobs.extend(blob(array, legacy=True) for array in trained["c1"])
    net.layer.add(name="ip", blobs=map(blob, trained["ip"]))
    weights = tmp_path / "mixed.caffemodel"
    weights.write_bytes(net.SerializeToString())
    same(caffe2tf.run(files / "v0.prototxt", weights, {"x": x}), expected)


DATA = {
    "v0": 'layers {{ top: "x" top: "l" layer {{ name: "d" type: "data" source: "db" batchsize: 2 {fields} }} }}\n',
    "v1": 'layers {{ name: "d" type: DATA top: "x" top: "l" data_param {{ source: "db" batch_size: 2 {fields} }} }}\n',
    "v2": 'layer {{ name: "d" type: "Data" top: "x" top: "l" data_param {{ source: "db" batch_size: 2 }}\n'
    "  transform_param {{ {fields} }} }}\n",
}


@pytest.mark.parametrize("age", AGES)
def test_the_transformation_of_old_data_layers(tmp_path: Path, age: str, rng: np.random.Generator) -> None:
    write_mean_image(tmp_path / "mean.binaryproto", rng.normal(0, 9, (3, 11, 13)))
    fields = 'scale: 0.5 mean_file: "mean.binaryproto" crop_size: 5 mirror: true'
    if age == "v0":
        fields = fields.replace("mean_file", "meanfile").replace("crop_size", "cropsize")
    file = write_prototxt(tmp_path, DATA[age].format(fields=fields))
    assert caffe2tf.infer_shapes(file) == {"x": (2, 3, 5, 5), "l": (2,)}
    transform = read_network(file).layers[0].message.transform_param
    assert (transform.scale, transform.mean_file, transform.crop_size, transform.mirror) == (
        0.5,
        "mean.binaryproto",
        5,
        True,
    )


def batch_norm(params: str) -> str:
    return (
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
        f'layer {{ name: "bn" type: "BatchNorm" bottom: "x" top: "y" {params} }}\n'
    )


def test_the_three_parameters_of_a_batch_norm(tmp_path: Path, rng: np.random.Generator) -> None:
    mean, variance, factor = (np.array(a, np.float32) for a in ([1, -2, 4], [4, 9, 1], [2]))
    weights = write_caffemodel(tmp_path, {"bn": [mean, variance, factor]})
    x = rng.normal(size=(2, 3)).astype(np.float32)
    want = (x - mean / 2) / np.sqrt(variance / 2 + 1e-5)
    for params in ("", "param { lr_mult: 1 } " * 3, "param { } " * 3, "param { lr_mult: 0 }"):
        file = write_prototxt(tmp_path, batch_norm(params))
        np.testing.assert_allclose(caffe2tf.run(file, weights, {"x": x})["y"], want, rtol=1e-5, atol=1e-6)
    file = write_prototxt(tmp_path, batch_norm("param { lr_mult: 1 }"))
    with pytest.raises(NetworkError, match="lr_mult: 0"):
        caffe2tf.run(file, weights, {"x": x})


def test_layers_of_the_same_name_in_two_phases(tmp_path: Path, rng: np.random.Generator) -> None:
    """Each phase has its own parameters of that name; the file holds those of the training phase."""
    text = input_layer("x", (2, 3))
    for phase, outputs in (("TRAIN", 4), ("TEST", 5)):
        text += (
            f'layer {{ name: "fc" type: "InnerProduct" bottom: "x" top: "y" include {{ phase: {phase} }} '
            f"inner_product_param {{ num_output: {outputs} }} }}\n"
        )
    file = write_prototxt(tmp_path, text)
    arrays = [rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=4).astype(np.float32)]
    weights = write_caffemodel(tmp_path, {"fc": arrays})
    x = rng.normal(size=(2, 3)).astype(np.float32)
    found = caffe2tf.run(file, weights, {"x": x}, phase="TRAIN")["y"]
    np.testing.assert_allclose(found, x @ arrays[0].T + arrays[1], rtol=1e-5)
    with pytest.raises(WeightsError, match="weight is 5x3 in the network, 4x3 in the file"):
        caffe2tf.run(file, weights, {"x": x}, phase="TEST")
