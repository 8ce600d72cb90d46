"""What every layer has in common, as typed fields of its definition."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe2tf.diagnostics import Position
from caffe2tf.parse import LayerDefinition, ParamSpec, Phase, ShareMode, StateRule, read_network
from caffe2tf.proto import caffe_pb2

V1 = """layers { name: "x" type: INNER_PRODUCT param: "w" blob_share_mode: STRICT blob_share_mode: PERMISSIVE
  blobs_lr: 0.5 blobs_lr: 2 weight_decay: 3 include { phase: TRAIN min_level: -1 stage: "a" } exclude { max_level: 4 } }
layers { name: "y" type: RELU }
"""
V2 = """layer { name: "x" type: "InnerProduct" phase: TEST param { name: "w" lr_mult: 0.5 decay_mult: 3 }
  param { share_mode: PERMISSIVE lr_mult: 2 }
  include { phase: TRAIN min_level: -1 stage: "a" } exclude { max_level: 4 not_stage: "b" not_stage: "c" } }
layer { name: "y" type: "ReLU" }
"""
PARAMS = (
    ParamSpec(name="w", share_mode=ShareMode.STRICT, lr_mult=0.5, decay_mult=3),
    ParamSpec(name="", share_mode=ShareMode.PERMISSIVE, lr_mult=2, decay_mult=1),
)


def layers(folder: Path, text: str, *, binary: bool = False) -> tuple[LayerDefinition, ...]:
    path = folder / "net.prototxt"
    path.write_text(text)
    definition = read_network(path)
    if not binary:
        return definition.layers
    net = caffe_pb2.NetParameter(layer=[x.message for x in definition.layers])
    path.write_bytes(net.SerializeToString())
    return read_network(path).layers


@pytest.mark.parametrize("text", [V1, V2], ids=["V1", "V2"])
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_params_of_each_age(tmp_path: Path, text: str, binary: bool) -> None:
    x, y = layers(tmp_path, text, binary=binary)
    assert x.params == PARAMS
    assert y.params == ()


def test_params_of_a_v0_layer(tmp_path: Path) -> None:
    text = 'layers { layer { name: "x" type: "conv" blobs_lr: 0.5 blobs_lr: 2 weight_decay: 3 } }'
    (x,) = layers(tmp_path, text)
    assert x.params == (ParamSpec(lr_mult=0.5, decay_mult=3), ParamSpec(lr_mult=2))


def test_three_params_of_a_batch_norm_are_frozen(tmp_path: Path) -> None:
    (x,) = layers(tmp_path, 'layer { name: "x" type: "BatchNorm" param {} param { lr_mult: 3 } param {} }')
    assert x.params == 3 * (ParamSpec(lr_mult=0, decay_mult=0),)


def test_one_specification_for_each_blob(tmp_path: Path) -> None:
    x, y = layers(tmp_path, V2)
    assert x.blob_params(3) == (*PARAMS, ParamSpec(name="", share_mode=ShareMode.STRICT, lr_mult=1, decay_mult=1))
    assert x.blob_params(1) == PARAMS[:1]
    assert y.blob_params(2) == (ParamSpec(), ParamSpec())


def test_rules(tmp_path: Path) -> None:
    x, y = layers(tmp_path, V2)
    assert x.include == (StateRule(phase=Phase.TRAIN, min_level=-1, stages=("a",)),)
    assert x.exclude == (StateRule(max_level=4, not_stages=("b", "c")),)
    assert (y.include, y.exclude) == ((), ())
    old, _ = layers(tmp_path, V1)
    assert (old.include, old.exclude) == (x.include, (StateRule(max_level=4),))


def test_a_layer_has_the_phase_of_the_network_unless_it_states_its_own(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text('layer { name: "x" phase: TRAIN } layer { name: "y" }')
    definition = read_network(path)
    assert [(x.stated_phase, x.phase, x.training) for x in definition.layers] == [
        (Phase.TRAIN, Phase.TRAIN, True),
        (None, None, False),
    ]
    tested, trained = definition.select(phase="TEST"), definition.select(phase="TRAIN")
    assert [x.phase for x in tested.layers] == [Phase.TRAIN, Phase.TEST]
    assert [x.phase for x in trained.layers] == [Phase.TRAIN, Phase.TRAIN]
    assert [x.phase for x in trained.select(phase="TEST").layers] == [Phase.TRAIN, Phase.TEST]
    assert not any(x.message.HasField("phase") for x in tested.layers[1:])  # messages stay as the file has them


def test_layers_of_a_binary_file_are_counted_and_text_has_lines(tmp_path: Path) -> None:
    path = tmp_path / "net"
    path.write_text('layer { name: "x" }\nlayer { name: "y" }')
    definition = read_network(path)
    assert definition.is_text
    assert [x.where for x in definition.layers] == [Position(str(path), 1, 1), Position(str(path), 2, 1)]
    net = caffe_pb2.NetParameter(input=["in"], input_dim=[2, 3, 5, 7])
    net.layer.add(name="new", type="ReLU")
    net.layers.add(name="old", type=caffe_pb2.V1LayerParameter.RELU)
    net.layers.add(name="older", type=caffe_pb2.V1LayerParameter.RELU)
    path.write_bytes(net.SerializeToString())
    definition = read_network(path)
    assert not definition.is_text
    assert [(x.name, x.where) for x in definition.layers] == [
        ("input", Position(str(path))),
        ("old", Position(str(path), layer=0)),
        ("older", Position(str(path), layer=1)),
        ("new", Position(str(path), layer=2)),
    ]
