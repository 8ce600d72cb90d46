"""``caffe2tf upgrade``: the result for each kind of file, and that networks still compute the same."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import caffe2tf as package
from caffe2tf.parse import read_network
from caffe2tf.proto import caffe_pb2
from tests.cli.command import caffe2tf
from tests.parse.messages import field

V1_MODELS = ("lenet_v1", "cifar10_full_v1")


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    """A trained V1 network of one layer, with an unknown field in every message."""
    net = caffe_pb2.NetParameter(name="old")
    net.input.append("x")
    net.input_dim.extend((2, 3, 1, 1))
    layer = net.layers.add(name="fc", bottom=["x"], top=["y"], blobs_lr=[1, 2], param=["w"])
    layer.type = caffe_pb2.V1LayerParameter.INNER_PRODUCT
    layer.inner_product_param.num_output = 4
    for shape in ((1, 1, 4, 3), (1, 1, 1, 4)):
        size = shape[2] * shape[3]
        layer.blobs.add(
            num=1, channels=1, height=shape[2], width=shape[3], data=np.arange(-3, size - 3), diff=np.ones(size)
        )
    path = tmp_path / "old.caffemodel"
    path.write_bytes(net.SerializeToString())
    return path


def parsed(path: Path) -> caffe_pb2.NetParameter:
    return caffe_pb2.NetParameter.FromString(path.read_bytes())


def test_a_trained_network_keeps_every_blob(tmp_path: Path, v1: Path) -> None:
    new = tmp_path / "new.caffemodel"
    done = caffe2tf("upgrade", v1, "-o", new)
    assert (done.code, done.out) == (0, f"{new}: 2 layers, 2 trained blobs\n")
    assert "note: 1 layer written as `layers` (V1) became `layer`\n" in done.err
    net = parsed(new)
    assert (net.name, len(net.layers), list(net.input), list(net.input_dim)) == ("old", 0, [], [])
    assert [(x.name, x.type) for x in net.layer] == [("input", "Input"), ("fc", "InnerProduct")]
    assert list(net.layer[0].input_param.shape[0].dim) == [2, 3, 1, 1]
    assert [(p.name, p.lr_mult) for p in net.layer[1].param] == [("w", 1), ("", 2)]
    assert list(net.layer[1].blobs) == list(parsed(v1).layers[0].blobs)
    assert sorted(os.listdir(tmp_path)) == ["new.caffemodel", "old.caffemodel"]  # noqa: PTH208 - names are compared


def test_upgrading_twice_changes_nothing(tmp_path: Path, v1: Path) -> None:
    new, again = tmp_path / "new.caffemodel", tmp_path / "again.caffemodel"
    caffe2tf("upgrade", v1, "-o", new)
    caffe2tf("upgrade", new, "-o", again)
    caffe2tf("upgrade", v1, "-o", v1)
    assert again.read_bytes() == new.read_bytes() == v1.read_bytes()


@pytest.mark.parametrize("suffix", ["binaryproto", "old", "CAFFEMODEL"])
def test_any_other_suffix_keeps_the_kind_of_file(tmp_path: Path, v1: Path, suffix: str) -> None:
    new = tmp_path / f"new.{suffix}"
    assert caffe2tf("upgrade", v1, "-o", new).code == 0
    assert len(parsed(new).layer[1].blobs) == 2


@pytest.mark.parametrize("suffix", ["prototxt", "pbtxt", "txt"])
def test_a_prototxt_of_a_trained_network_holds_only_the_definition(tmp_path: Path, v1: Path, suffix: str) -> None:
    new = tmp_path / f"new.{suffix}"
    done = caffe2tf("upgrade", v1, "-o", new)
    assert (done.code, done.out) == (0, f"{new}: 2 layers\n")
    assert f"note: the 2 trained blobs of {v1} are not in the result" in done.err
    assert [x.type for x in read_network(new).layers] == ["Input", "InnerProduct"]


def test_a_text_file_holds_no_weights(tmp_path: Path, digits: Path) -> None:
    done = caffe2tf("upgrade", digits / "deploy.prototxt", "-o", tmp_path / "new.caffemodel")
    assert done.code == 2
    assert "text, which holds no weights" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["digits.solverstate", "mean.binaryproto", "digits.caffemodel.h5"])
def test_other_files_are_refused(tmp_path: Path, digits: Path, name: str) -> None:
    done = caffe2tf("upgrade", digits / name, "-o", tmp_path / "new.caffemodel")
    assert done.code == 2
    assert name in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_leaves_the_output_untouched(tmp_path: Path, v1: Path) -> None:
    new = tmp_path / "new.caffemodel"
    new.write_bytes(b"before")
    v1.write_bytes(v1.read_bytes()[:-5])
    done = caffe2tf("upgrade", v1, "-o", new)
    assert done.code == 2
    assert "is damaged or incomplete" in done.err
    assert new.read_bytes() == b"before"


@pytest.mark.parametrize(
    ("place", "why"),
    [(".", "is a directory"), ("missing/new.caffemodel", "does not exist; create it first")],
)
def test_an_output_that_cannot_be_written(tmp_path: Path, v1: Path, place: str, why: str) -> None:
    done = caffe2tf("upgrade", v1, "-o", tmp_path / place)
    assert done.code == 2
    assert why in done.err
    assert list(tmp_path.iterdir()) == [v1]


def test_unknown_binary_fields_are_kept_if_their_number_is_free(tmp_path: Path) -> None:
    """Field 190 is free in V1 and V2, 141 is a block of V2; 9 and 30 are free in their blocks."""
    filler = field(9, b"in a block")
    block = field(6, b"\x08\x04") + field(30, b"deep")
    modern = field(1, b"m") + field(2, b"ReLU") + field(190, b"modern") + field(117, block)
    old = field(4, b"o") + b"\x28\x12" + field(190, b"old") + field(141, b"clash") + field(18, filler)
    path, new = tmp_path / "net.caffemodel", tmp_path / "new.caffemodel"
    path.write_bytes(field(2, old) + field(100, modern) + field(199, b"network"))
    done = caffe2tf("upgrade", path, "-o", new)
    assert done.code == 0
    assert "layer 'o': unknown field 190 is kept" in done.err
    assert "layer 'o': unknown field 141 is another field in the modern form" in done.err
    data = new.read_bytes()
    for kept in (field(190, b"modern"), field(190, b"old"), field(30, b"deep"), field(199, b"network"), filler):
        assert data.count(kept) == 1, kept
    assert b"clash" not in data
    assert [x.name for x in parsed(new).layer] == ["o", "m"]


@pytest.mark.parametrize("model", V1_MODELS)
def test_upgraded_published_networks_compute_the_same(tmp_path: Path, models: Path, model: str) -> None:
    folder = models / model
    same_results(tmp_path, folder / "deploy.prototxt", folder / "weights.caffemodel")


def test_an_upgraded_recorded_network_computes_the_same(tmp_path: Path, data: Path) -> None:
    folder = data / "layers" / "v1_layers"
    same_results(tmp_path, folder / "net.prototxt", folder / "net.caffemodel")


def same_results(folder: Path, old_net: Path, old_weights: Path) -> None:
    net, weights = folder / "net.prototxt", folder / "net.caffemodel"
    for old, new in ((old_net, net), (old_weights, weights)):
        assert caffe2tf("upgrade", old, "-o", new).code == 0
    before, after = parsed(old_weights), parsed(weights)
    assert len(after.layers) == 0
    blobs = {x.name: list(x.blobs) for x in before.layers if x.blobs}
    assert blobs
    assert {x.name: list(x.blobs) for x in after.layer if x.blobs} == blobs
    shapes = package.infer_shapes(net)
    assert shapes == package.infer_shapes(old_net)
    rng = np.random.default_rng(7)
    top, shape = next(iter(shapes.items()))
    x = rng.normal(size=(2, *[d or 1 for d in shape[1:]])).astype(np.float32)
    one, two = package.run(old_net, old_weights, {top: x}), package.run(net, weights, {top: x})
    assert list(one) == list(two)
    for blob, values in one.items():
        np.testing.assert_array_equal(values, two[blob], strict=True)


def test_memory_stays_small(tmp_path: Path) -> None:
    """The network is larger than the address space that the limit leaves for copies."""
    import tracemalloc

    from caffe2tf.parse import upgrade_file

    net = caffe_pb2.NetParameter()
    values = np.arange(6 << 20, dtype=np.float32)  # 24 MiB
    layer = net.layer.add(name="fc", type="InnerProduct")
    layer.blobs.add(data=values).shape.dim.append(values.size)
    path, new = tmp_path / "net.caffemodel", tmp_path / "new.caffemodel"
    path.write_bytes(net.SerializeToString())
    tracemalloc.start()
    upgrade_file(path, new)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20
    assert new.read_bytes() == path.read_bytes()


def test_a_damaged_file_is_refused_or_upgraded(tmp_path: Path, v1: Path, rng: np.random.Generator) -> None:
    """A flipped byte leads to a readable result or to a message, never to a traceback."""
    from caffe2tf.errors import Caffe2TFError
    from caffe2tf.parse import upgrade_file

    sound, new = v1.read_bytes(), tmp_path / "new.caffemodel"
    refused = 0
    for at in range(len(sound)):
        damaged = bytearray(sound)
        damaged[at] ^= int(rng.integers(1, 256))
        v1.write_bytes(damaged)
        try:
            upgrade_file(v1, new)
        except Caffe2TFError:
            refused += 1
        else:
            caffe_pb2.NetParameter.FromString(new.read_bytes())
    assert 0 < refused < len(sound)


def test_json(v1: Path, tmp_path: Path) -> None:
    done = caffe2tf("upgrade", v1, "-o", tmp_path / "new.caffemodel", "--json")
    said = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert said.keys() == {"out", "layers", "blobs", "notes"}
    assert (said["out"], said["layers"], said["blobs"]) == (str(tmp_path / "new.caffemodel"), 2, 2)
    assert any("Input" in note for note in said["notes"])
