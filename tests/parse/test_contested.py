"""Field numbers of binary files to which forks gave different meanings (docs/forks.md)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from caffe2tf.parse import NetworkDefinition, read_network, upgrade_file
from caffe2tf.parse.contested import CONTESTED, V1_TYPES
from caffe2tf.parse.wire import varint_bytes
from caffe2tf.proto import caffe_pb2

V2, V1 = 100, 2
CONVOLUTION, POOLING, DROPOUT = 106, 121, 108


def block(at: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return varint_bytes(at << 3 | 2) + varint_bytes(len(body)) + body


def number(at: int, value: int) -> bytes:
    return varint_bytes(at << 3) + varint_bytes(value)


def real(at: int, bits: bytes) -> bytes:
    return varint_bytes(at << 3 | 5) + bits


def layer(type_: str, *parts: bytes, name: str = "one") -> bytes:
    return block(V2, block(1, name.encode()), block(2, type_.encode()), *parts)


def old_layer(value: int, *parts: bytes) -> bytes:
    return block(V1, block(4, b"one"), number(5, value), *parts)


def read(folder: Path, *layers: bytes) -> NetworkDefinition:
    file = folder / "net.caffemodel"
    file.write_bytes(b"".join(layers))
    return read_network(file)


def unknown(net: NetworkDefinition) -> list[tuple[str, object]]:
    return [(field.path, field.value) for field in net.layers[0].unknown]


def doubts(net: NetworkDefinition) -> Sequence[str]:
    return [str(note) for note in net.notes if "is read as" in note.message and "field" in note.message]


def test_field_fork_numbers(tmp_path: Path) -> None:
    """DeepLab's `hole` of 2 cannot be the bool `force_nd_im2col`; the upgraded file says `dilation`."""
    hole = old_layer(4, block(10, number(1, 4), number(4, 3), number(3, 2), number(17, 2)))
    net = read(tmp_path, hole)
    parameters = net.layers[0].message.convolution_param
    assert (list(parameters.dilation), parameters.force_nd_im2col, doubts(net)) == ([2], False, [])
    for name in ("new.caffemodel", "new.prototxt"):
        upgrade_file(tmp_path / "net.caffemodel", tmp_path / name)
        assert read_network(tmp_path / name).layers[0].message.convolution_param == parameters
    assert "dilation: 2" in (tmp_path / "new.prototxt").read_text()


@pytest.mark.parametrize("value", [0, 1])
def test_a_number_that_is_not_told_apart_is_a_note_with_all_meanings(tmp_path: Path, value: int) -> None:
    pool = block(POOLING, number(13, value))
    net = read(tmp_path, layer("Pooling", pool, name="p"), layer("Pooling", pool, name="q"))
    (note,) = doubts(net)
    assert net.layers[0].message.pooling_param.round_mode == value
    assert "net.caffemodel[0]: layer 'p'" in note
    assert "and 1 more" in note
    assert all(f"`{name}`" in note for name in ("round_mode", "ceil_mode", "avg_include_pad", "pad_type"))
    assert "text definition" in note
    assert "dilation" not in note


@pytest.mark.parametrize(
    ("type_", "parts", "want"),
    [
        ("Pooling", block(POOLING, number(13, 2)), ("pooling_param.dilation", 2)),
        ("Pooling", block(POOLING, real(13, b"\0\0\x80\x3f")), ("pooling_param.blobs_lr", 0x3F800000)),
        ("Dropout", block(DROPOUT, number(2, 2)), ("dropout_param.engine", 2)),
        ("ReLU", number(147, 1), ("forward_math", 1)),
        ("Gather", block(211, b""), ("gather_param", "")),
    ],
)
def test_a_field_that_the_schema_lacks_has_its_name(
    tmp_path: Path, type_: str, parts: bytes, want: tuple[str, object]
) -> None:
    net = read(tmp_path, layer(type_, parts))
    assert unknown(net) == [want]
    assert doubts(net) == []


@pytest.mark.parametrize("value", [0, 1])
def test_dropout_is_doubtful(tmp_path: Path, value: int) -> None:
    (note,) = doubts(read(tmp_path, layer("Dropout", block(DROPOUT, number(2, value)))))
    assert "`sample_weights_test`" in note
    assert "`sqrt_scale`" in note


@pytest.mark.parametrize(
    ("fields", "dilation"),
    [
        (number(17, 3) + number(18, 2), [3, 2]),  # yjxiong's dilation_h and dilation_w
        (number(18, 3) + number(19, 2), [3, 2]),  # DeepLab's hole_h and hole_w
        (number(18, 4), [4]),  # BVLC's dilation
        (number(17, 1), []),
    ],
)
def test_dilation_of_every_fork(tmp_path: Path, fields: bytes, dilation: list[int]) -> None:
    net = read(tmp_path, layer("Convolution", block(CONVOLUTION, number(1, 4), fields)))
    assert list(net.layers[0].message.convolution_param.dilation) == dilation
    assert (unknown(net), doubts(net)) == ([], [])


@pytest.mark.parametrize(("value", "doubtful"), [(1, False), (2, True), (2**64 - 3, False)])
def test_axis_of_a_convolution(tmp_path: Path, value: int, doubtful: bool) -> None:
    net = read(tmp_path, layer("Convolution", block(CONVOLUTION, number(1, 4), number(16, value))))
    assert bool(doubts(net)) == doubtful


def test_blocks_are_told_apart_by_the_type_of_the_layer(tmp_path: Path) -> None:
    """137 is BVLC's embed_param, SegNet's upsample_param and yjxiong's bn_param."""
    eps = real(4, b"\0\0\0\x3f")
    net = read(
        tmp_path,
        layer("Embed", block(137, number(1, 7))),
        layer("Upsample", block(137, number(1, 3), number(6, 9))),
        layer("BN", block(137, eps, number(5, 1))),
        layer("Interp", block(143, number(3, 8))),
        layer("Input", block(143, block(1, number(1, 5)))),
        layer("Scale", block(160, number(1, 2))),
    )
    embed, upsample, bn, interp, input_, scale = (one.message for one in net.layers)
    assert embed.embed_param.num_output == 7
    assert (upsample.upsample_param.scale, upsample.upsample_param.upsample_h) == (3, 9)
    assert (bn.bn_param.eps, bn.bn_param.frozen) == (0.5, True)
    assert interp.interp_param.zoom_factor == 8
    assert list(input_.input_param.shape[0].dim) == [5]
    assert scale.scale_param.axis == 2
    assert not any(one.unknown for one in net.layers)


def test_upgrade_keeps_the_numbers_of_a_modern_fork(tmp_path: Path) -> None:
    read(tmp_path, one := layer("Interp", block(143, number(3, 8))))
    upgrade_file(tmp_path / "net.caffemodel", tmp_path / "new.caffemodel")
    assert (tmp_path / "new.caffemodel").read_bytes() == one
    upgrade_file(tmp_path / "net.caffemodel", tmp_path / "new.prototxt")
    assert "zoom_factor: 8" in (tmp_path / "new.prototxt").read_text()


def test_upgrade_freezes_the_statistics_of_a_modern_fork(tmp_path: Path) -> None:
    """NVIDIA's `forward_type` (145) keeps its bytes, and the rates of the three `param` become 0, as in Caffe."""
    read(tmp_path, layer("BatchNorm", *[block(6, real(3, b"\0\0\x80\x3f"))] * 3, number(145, 1)))
    upgrade_file(tmp_path / "net.caffemodel", tmp_path / "new.caffemodel")
    assert number(145, 1) in (tmp_path / "new.caffemodel").read_bytes()
    new = read_network(tmp_path / "new.caffemodel")
    assert [spec.lr_mult for spec in new.layers[0].message.param] == [0, 0, 0]
    assert unknown(new) == [("forward_type", 1)]


def test_v1_types_of_deeplab(tmp_path: Path) -> None:
    net = read(tmp_path, old_layer(41, block(43, number(3, 8)), number(1003, 0)))
    assert net.layers[0].type == "Interp"
    assert net.layers[0].message.interp_param.zoom_factor == 8
    assert unknown(net) == [("strict_dim", 0)]
    net = read(tmp_path, old_layer(42, block(45, number(1, 2**64 - 3), number(2, 2**64 - 1))))
    parameters = net.layers[0].message.padding_param
    assert (net.layers[0].type, parameters.pad_beg, parameters.pad_end) == ("Padding", -3, -1)
    assert unknown(net) == []


def test_upgrade_of_deeplab_reads_back(tmp_path: Path) -> None:
    interp = old_layer(41, block(43, number(3, 8)), number(1003, 0))
    padding = old_layer(42, block(45, number(1, 2**64 - 3)))
    old = read(tmp_path, interp, padding)
    upgrade_file(tmp_path / "net.caffemodel", tmp_path / "new.caffemodel")
    new = read_network(tmp_path / "new.caffemodel")
    assert [one.message for one in new.layers] == [one.message for one in old.layers]
    assert not any(one.unknown for one in new.layers)


def test_v1_types_and_numbers_of_c3d(tmp_path: Path) -> None:
    filler = block(9, block(1, b"xavier"))
    fields = number(1, 4) + number(4, 3) + number(6, 2) + number(7, 5) + number(8, 6) + filler + number(12, 1)
    net = read(
        tmp_path,
        old_layer(30, block(10, fields)),
        old_layer(31, block(19, number(5, 2), number(6, 3))),
        old_layer(30, block(23, number(1, 1))),
    )
    convolution, pooling, argmax = (one.message for one in net.layers)
    assert [one.type for one in net.layers] == ["Convolution3D", "Pooling3D", "ArgMax"]
    have = convolution.convolution_param
    assert (have.kernel_depth, list(have.stride), have.temporal_stride, have.temporal_pad) == (2, [5], 6, 1)
    assert have.weight_filler.type == "xavier"
    assert (pooling.pooling_param.kernel_depth, pooling.pooling_param.temporal_stride) == (2, 3)
    assert argmax.argmax_param.out_max_val


def test_the_table_agrees_with_the_schema() -> None:
    """The names of a row are those of the schema, and each number stands once."""
    keys = [(row.message, row.number) for row in CONTESTED]
    assert len(set(keys)) == len(keys)
    for row in CONTESTED:
        known = caffe_pb2.DESCRIPTOR.message_types_by_name[row.message].fields_by_number.get(row.number)
        assert (known.name if known else "") == row.name, row
    types = {value.number: value.name for value in caffe_pb2.V1LayerParameter.LayerType.DESCRIPTOR.values}
    assert all(types.get(one.value, "") == one.name for one in V1_TYPES)
