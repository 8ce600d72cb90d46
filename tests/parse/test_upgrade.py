"""The five upgrades of a definition, by Caffe's rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format

from caffe2tf.errors import NetworkError
from caffe2tf.parse import NetworkDefinition, read_network
from caffe2tf.proto import caffe_pb2


def read(folder: Path, text: str) -> NetworkDefinition:
    path = folder / "net.prototxt"
    path.write_text(text)
    return read_network(path)


def expect(definition: NetworkDefinition, text: str) -> None:
    """Check that the layers, with all of their fields, are those of `text`."""
    expected = text_format.Parse(text, caffe_pb2.NetParameter())
    actual = caffe_pb2.NetParameter(layer=[x.message for x in definition.layers])
    assert actual == expected, text_format.MessageToString(actual)


def refused(folder: Path, text: str) -> NetworkError:
    with pytest.raises(NetworkError) as caught:
        read(folder, text)
    return caught.value


# --- V0 ---


def test_v0_every_field_of_every_type(tmp_path: Path) -> None:
    definition = read(
        tmp_path,
        """input: "in" input_dim: 2 input_dim: 3 input_dim: 5 input_dim: 7
layers { top: "d" top: "l" layer { name: "data" type: "data" source: "db" batchsize: 6 rand_skip: 4
  scale: 0.5 meanfile: "m" cropsize: 9 mirror: true } }
layers { top: "i" layer { name: "images" type: "images" source: "list" batchsize: 5 rand_skip: 3 shuffle_images: true
  new_height: 11 new_width: 13 } }
layers { top: "w" layer { name: "window" type: "window_data" source: "win" batchsize: 8 det_fg_threshold: 0.7
  det_bg_threshold: 0.2 det_fg_fraction: 0.3 det_context_pad: 16 det_crop_mode: "square" } }
layers { top: "h" layer { name: "hdf5" type: "hdf5_data" source: "h5" batchsize: 12 } }
layers { bottom: "in" top: "c" layer { name: "conv" type: "conv" num_output: 4 biasterm: false pad: 2 kernelsize: 5
  group: 2 stride: 3 weight_filler { type: "gaussian" std: 0.01 } bias_filler { value: -1 }
  blobs_lr: 1 blobs_lr: 2 weight_decay: 3 weight_decay: 0 } }
layers { bottom: "c" top: "p" layer { name: "pool" type: "pool" pool: STOCHASTIC kernelsize: 3 stride: 2 pad: 1 } }
layers { bottom: "p" top: "n" layer { name: "norm" type: "lrn" local_size: 7 alpha: 0.1 beta: 0.2 k: 3 } }
layers { bottom: "n" top: "n" layer { name: "drop" type: "dropout" dropout_ratio: 0.25 } }
layers { bottom: "n" bottom: "p" top: "cat" layer { name: "cat" type: "concat" concat_dim: 0 } }
layers { bottom: "cat" top: "fc" layer { name: "fc" type: "innerproduct" num_output: 10 biasterm: true
  weight_filler { type: "xavier" } bias_filler { value: 2 } } }
layers { bottom: "fc" bottom: "l" layer { name: "info" type: "infogain_loss" source: "H" } }
layers { bottom: "fc" layer { name: "out" type: "hdf5_output" hdf5_output_param { file_name: "o" } } }
""",
    )
    expect(
        definition,
        """layer { name: "input" type: "Input" top: "in" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 7 } } }
layer { name: "data" type: "Data" top: "d" top: "l" data_param { source: "db" batch_size: 6 rand_skip: 4 }
  transform_param { scale: 0.5 mean_file: "m" crop_size: 9 mirror: true } }
layer { name: "images" type: "ImageData" top: "i" image_data_param { source: "list" batch_size: 5 rand_skip: 3
  shuffle: true new_height: 11 new_width: 13 } }
layer { name: "window" type: "WindowData" top: "w" window_data_param { source: "win" batch_size: 8 fg_threshold: 0.7
  bg_threshold: 0.2 fg_fraction: 0.3 context_pad: 16 crop_mode: "square" } }
layer { name: "hdf5" type: "HDF5Data" top: "h" hdf5_data_param { source: "h5" batch_size: 12 } }
layer { name: "conv" type: "Convolution" bottom: "in" top: "c" param { lr_mult: 1 decay_mult: 3 }
  param { lr_mult: 2 decay_mult: 0 } convolution_param { num_output: 4 bias_term: false pad: 2 kernel_size: 5 group: 2
  stride: 3 weight_filler { type: "gaussian" std: 0.01 } bias_filler { value: -1 } } }
layer { name: "pool" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2
  pad: 1 } }
layer { name: "norm" type: "LRN" bottom: "p" top: "n" lrn_param { local_size: 7 alpha: 0.1 beta: 0.2 k: 3 } }
layer { name: "drop" type: "Dropout" bottom: "n" top: "n" dropout_param { dropout_ratio: 0.25 } }
layer { name: "cat" type: "Concat" bottom: "n" bottom: "p" top: "cat" concat_param { concat_dim: 0 } }
layer { name: "fc" type: "InnerProduct" bottom: "cat" top: "fc" inner_product_param { num_output: 10 bias_term: true
  weight_filler { type: "xavier" } bias_filler { value: 2 } } }
layer { name: "info" type: "InfogainLoss" bottom: "fc" bottom: "l" infogain_loss_param { source: "H" } }
layer { name: "out" type: "HDF5Output" bottom: "fc" hdf5_output_param { file_name: "o" } }
""",
    )
    assert [x.where.line for x in definition.layers] == [1, 2, 4, 6, 8, 9, 12, 13, 14, 15, 16, 18, 19]
    assert definition.notes[0].message == "12 layers in the format of 2013 (V0) became V1"


@pytest.mark.parametrize(
    ("old", "modern"),
    [
        ("accuracy", "Accuracy"),
        ("bnll", "BNLL"),
        ("euclidean_loss", "EuclideanLoss"),
        ("flatten", "Flatten"),
        ("im2col", "Im2col"),
        ("multinomial_logistic_loss", "MultinomialLogisticLoss"),
        ("relu", "ReLU"),
        ("sigmoid", "Sigmoid"),
        ("softmax", "Softmax"),
        ("softmax_loss", "SoftmaxWithLoss"),
        ("split", "Split"),
        ("tanh", "TanH"),
        ("my_layer", "my_layer"),
    ],
)
def test_v0_types(tmp_path: Path, old: str, modern: str) -> None:
    assert read(tmp_path, f"layers {{ layer {{ name: 'x' type: '{old}' }} }}").layers[0].type == modern


PADDED = """input: "in" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
layers { bottom: "in" top: "pad1" layer { name: "pad1" type: "padding" pad: 2 } }
layers { bottom: "pad1" top: "c" layer { name: "conv" type: "conv" num_output: 3 kernelsize: 5 } }
layers { bottom: "c" top: "pad2" layer { name: "pad2" type: "padding" pad: 1 } }
layers { bottom: "pad2" top: "p" layer { name: "pool" type: "pool" kernelsize: 3 } }
"""


def test_v0_padding_layers_are_folded(tmp_path: Path) -> None:
    definition = read(tmp_path, PADDED)
    assert [x.name for x in definition.layers] == ["input", "conv", "pool"]
    conv, pool = (x.message for x in definition.layers[1:])
    assert (list(conv.bottom), list(conv.convolution_param.pad)) == (["in"], [2])
    assert (list(pool.bottom), pool.pooling_param.pad) == (["c"], 1)
    assert ("conv", "padding layer 'pad1' became the `pad` of this layer") in [
        (n.layer, n.message) for n in definition.notes
    ]


@pytest.mark.parametrize(
    ("layer", "part"),
    [
        ('bottom: "pad1" layer { name: "x" type: "relu" }', "conv and pool can, not 'relu'"),
        ('bottom: "pad1" bottom: "in" layer { name: "x" type: "conv" }', "one bottom"),
        ('bottom: "nowhere" layer { name: "x" type: "relu" }', "'nowhere'"),
        ('bottom: "pad1" top: "y" layer { name: "x" type: "padding" }', "conv and pool can, not 'padding'"),
    ],
)
def test_v0_padding_that_caffe_refuses(tmp_path: Path, layer: str, part: str) -> None:
    (problem,) = refused(tmp_path, f"{PADDED}layers {{ {layer} }}\n").problems
    assert (problem.layer, problem.where and problem.where.line) == ("x", 6)
    assert part in problem.message


def test_v0_padding_of_two_blobs_is_refused(tmp_path: Path) -> None:
    text = PADDED.replace('top: "pad1"', 'top: "pad1" top: "more"')
    (problem,) = refused(tmp_path, text).problems
    assert problem.layer == "conv"
    assert "exactly one bottom and one top" in problem.message


def test_v0_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = "layers { bottom: 'a' layer { name: 'x' } } layers { bottom: 'b' layer { name: 'y' } }"
    assert [p.layer for p in refused(tmp_path, text).problems] == ["x", "y"]


def test_v0_fields_that_caffe_ignores_are_noted_and_unknown_ones_are_kept(tmp_path: Path) -> None:
    text = "layers { layer { name: 'x' type: 'relu' num_output: 3 new_thing: 4 } include { phase: TEST } }"
    definition = read(tmp_path, text)
    expect(definition, "layer { name: 'x' type: 'ReLU' }")
    assert [(u.path, u.value) for u in definition.layers[0].unknown] == [("new_thing", 4)]
    assert any("`num_output`" in str(note) for note in definition.notes)
    assert any("`include`" in str(note) for note in definition.notes)


def test_v0_and_v1_side_by_side(tmp_path: Path) -> None:
    text = "layers { top: 'a' layer { name: 'x' type: 'data' } } layers { name: 'y' type: TANH bottom: 'a' top: 'a' }"
    definition = read(tmp_path, text)
    expect(definition, "layer{name:'x' type:'Data' top:'a'} layer{name:'y' type:'TanH' bottom:'a' top:'a'}")


# --- transformation fields ---


@pytest.mark.parametrize(
    ("kind", "modern", "block"),
    [
        ("DATA", "Data", "data_param"),
        ("IMAGE_DATA", "ImageData", "image_data_param"),
        ("WINDOW_DATA", "WindowData", "window_data_param"),
    ],
)
def test_transformation_fields_move(tmp_path: Path, kind: str, modern: str, block: str) -> None:
    fields = 'scale: 0.25 mean_file: "m" crop_size: 5 mirror: true'
    definition = read(
        tmp_path,
        f"""layers {{ name: "x" type: {kind} {block} {{ source: "s" batch_size: 3 {fields} }} }}
layers {{ name: "y" type: {kind} {block} {{ crop_size: 7 }} transform_param {{ crop_size: 9 scale: 2 }} }}""",
    )
    expect(
        definition,
        f"""layer {{ name: "x" type: "{modern}" {block} {{ source: "s" batch_size: 3 }}
  transform_param {{ {fields} }} }}
layer {{ name: "y" type: "{modern}" {block} {{ }} transform_param {{ crop_size: 7 scale: 2 }} }}""",
    )


def test_transformation_fields_of_a_modern_layer_stay(tmp_path: Path) -> None:
    text = 'layer { name: "x" type: "Data" data_param { scale: 0.25 } }'
    expect(read(tmp_path, text), text)


# --- V1 ---

_IRREGULAR = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}


@pytest.mark.parametrize("old", list(caffe_pb2.V1LayerParameter.LayerType.keys()))
def test_v1_types(tmp_path: Path, old: str) -> None:
    modern = _IRREGULAR.get(old, old.title().replace("_", ""))
    assert read(tmp_path, f"layers {{ name: 'x' type: {old} }}").layers[0].type == modern


def test_v1_parameters(tmp_path: Path) -> None:
    definition = read(
        tmp_path,
        """layers { name: "x" type: INNER_PRODUCT bottom: "a" bottom: "b" top: "c" top: "d"
  include { phase: TRAIN } exclude { stage: "s" } loss_weight: 0.5 loss_weight: 2
  param: "w" blob_share_mode: STRICT blob_share_mode: PERMISSIVE blobs_lr: 1 blobs_lr: 2 blobs_lr: 3 weight_decay: 4
  inner_product_param { num_output: 5 } blobs { num: 2 } loss_param { normalize: true } transform_param { scale: 3 } }
layers { name: "y" type: RELU weight_decay: 6 }""",
    )
    expect(
        definition,
        """layer { name: "x" type: "InnerProduct" bottom: "a" bottom: "b" top: "c" top: "d"
  include { phase: TRAIN } exclude { stage: "s" } loss_weight: 0.5 loss_weight: 2
  param { name: "w" share_mode: STRICT lr_mult: 1 decay_mult: 4 } param { share_mode: PERMISSIVE lr_mult: 2 }
  param { lr_mult: 3 } inner_product_param { num_output: 5 } loss_param { normalize: true }
  transform_param { scale: 3 } }
layer { name: "y" type: "ReLU" param { decay_mult: 6 } }""",
    )
    assert [x.where.line for x in definition.layers] == [1, 5]


def test_v1_types_of_forks(tmp_path: Path) -> None:
    text = """layers { name: "x" type: PRELU prelu_param { channel_shared: true oddity: 3 } }
layers { name: "y" type: MY_OWN my_param { a: 1 } convolution_param { kernel_wobble: 3 } }"""
    definition = read(tmp_path, text)
    x, y = definition.layers
    assert (x.type, x.message.prelu_param.channel_shared) == ("PReLU", True)
    assert [(u.path, u.value, u.where.line) for u in x.unknown] == [("prelu_param.oddity", 3, 1)]
    assert y.type == "MyOwn"
    assert [(u.path, u.value) for u in y.unknown] == [
        ("my_param", (("a", 1),)),
        ("convolution_param.kernel_wobble", 3),
    ]
    assert any("MY_OWN is not a V1 type" in str(note) for note in definition.notes)


def test_v1_block_with_another_meaning_in_a_fork_stays_unknown(tmp_path: Path) -> None:
    (layer,) = read(tmp_path, "layers { name: 'x' type: PRELU prelu_param { channel_shared: 0.5 } }").layers
    assert [(u.path, u.value) for u in layer.unknown] == [("prelu_param", (("channel_shared", 0.5),))]
    assert not layer.message.HasField("prelu_param")


def test_v1_and_modern_layers_keep_the_order_of_the_file(tmp_path: Path) -> None:
    text = "layer { name: 'a' type: 'X' }\nlayers { name: 'b' type: RELU }\nlayer { name: 'c' }"
    definition = read(tmp_path, text)
    assert [(x.name, x.where.line) for x in definition.layers] == [("a", 1), ("b", 2), ("c", 3)]
    assert any("both `layers` and `layer`" in str(note) for note in definition.notes)


# --- inputs ---


def test_several_inputs_become_one_input_layer(tmp_path: Path) -> None:
    text = """name: "n"
input: "a" input_shape { dim: 2 dim: 3 }
input: "b" input_shape { dim: 5 }
input_dim: 9
layer { name: "x" bottom: "a" }"""
    definition = read(tmp_path, text)
    expect(
        definition,
        """layer { name: "input" type: "Input" top: "a" top: "b"
  input_param { shape { dim: 2 dim: 3 } shape { dim: 5 } } } layer { name: "x" bottom: "a" }""",
    )
    assert [x.where.line for x in definition.layers] == [2, 5]
    assert definition.header == caffe_pb2.NetParameter(name="n")


def test_input_dims_come_in_fours(tmp_path: Path) -> None:
    dims = " ".join(f"input_dim: {n}" for n in (1, 2, 3, 4, 5, 6, 7, 8))
    layer = read(tmp_path, f"input: 'a' input: 'b' {dims} layer {{ }}").layers[0].message
    assert [list(shape.dim) for shape in layer.input_param.shape] == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    "shapes", ["input_dim: 1 input_dim: 2", "input_shape { dim: 1 }", "input_dim: [1, 2, 3, 4, 5, 6, 7]"]
)
def test_too_few_input_shapes_are_refused(tmp_path: Path, shapes: str) -> None:
    (problem,) = refused(tmp_path, f"\ninput: 'a' input: 'b' {shapes} layer {{ }}").problems
    assert "2 of `input`" in problem.message
    assert problem.where
    assert (problem.where.line, problem.where.column) == (2, 1)


def test_more_input_shapes_than_inputs_are_noted(tmp_path: Path) -> None:
    definition = read(tmp_path, "input: 'a' input_shape { dim: 2 } input_shape { dim: 3 } layer { }")
    assert [list(x.dim) for x in definition.layers[0].message.input_param.shape] == [[2]]
    assert any("more input shapes than inputs" in str(note) for note in definition.notes)


@pytest.mark.parametrize("text", ["input: 'a'", "input_dim: 3", "input_shape { dim: 3 }"])
def test_inputs_that_caffe_ignores(tmp_path: Path, text: str) -> None:
    definition = read(tmp_path, f"{text} layer {{ name: 'x' }}")
    expect(definition, "layer { name: 'x' }")
    assert len(definition.notes) == 1
    assert definition.header == caffe_pb2.NetParameter()


# --- BatchNorm ---


def test_three_params_of_batch_norm_are_frozen(tmp_path: Path) -> None:
    text = """layer { name: "a" type: "BatchNorm" param { lr_mult: 1 name: "m" } param { } param { decay_mult: 2 } }
layer { name: "b" type: "BatchNorm" param { lr_mult: 1 } param { lr_mult: 2 } }
layer { name: "c" type: "Scale" param { lr_mult: 1 } param { lr_mult: 2 } param { } }"""
    zero = "lr_mult: 0 decay_mult: 0"
    expect(
        read(tmp_path, text),
        f"""layer {{ name: "a" type: "BatchNorm" param {{ {zero} name: "m" }} param {{ {zero} }} param {{ {zero} }} }}
{text.split(chr(10), 1)[1]}""",
    )
