"""The generated schema is up to date and has the numbers and defaults that Caffe files rely on."""

from __future__ import annotations

import importlib.util
import pickle
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.protobuf import descriptor_pool, message, text_format

from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """scripts/generate_proto.py as a module; scripts/ is not a package."""
    if importlib.util.find_spec("grpc_tools") is None:  # imported here, its library may conflict with others
        pytest.skip("needs grpcio-tools")
    spec = importlib.util.spec_from_file_location("generate_proto", ROOT / "scripts" / "generate_proto.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_generated_module_is_up_to_date(generator: ModuleType) -> None:
    compiled = generator.compile_schema().descriptor
    # Compared in a pool, because a runtime may write a default differently from the compiler (1e-05, 9.99999975e-06).
    fresh = descriptor_pool.DescriptorPool().AddSerializedFile(compiled.SerializeToString())
    assert len(compiled.message_type) >= 63
    assert type(compiled).FromString(caffe_pb2.DESCRIPTOR.serialized_pb) == type(compiled).FromString(
        fresh.serialized_pb,
    )


def test_the_stub_names_every_message_and_field(generator: ModuleType) -> None:
    stub = generator.STUB.read_text(encoding="utf-8")
    for name, descriptor in caffe_pb2.DESCRIPTOR.message_types_by_name.items():
        body = re.search(rf"^class {name}\(.*?(?=^class |\Z)", stub, flags=re.MULTILINE | re.DOTALL)
        assert body is not None, name
        declared = set(re.findall(r"^    (\w+): (?!_ClassVar)", body[0], flags=re.MULTILINE))
        assert declared >= {field.name for field in descriptor.fields}, name


def test_check_reports_an_outdated_file(generator: ModuleType, tmp_path: Path) -> None:
    current, stale, absent = (tmp_path / name for name in ("current", "stale", "absent"))
    current.write_text("a", encoding="utf-8")
    stale.write_text("b", encoding="utf-8")
    assert generator.outdated({current: "a", stale: "a", absent: "a"}) == [stale, absent]


def test_a_broken_schema_is_refused(generator: ModuleType, tmp_path: Path) -> None:
    broken = tmp_path / "broken.proto"
    broken.write_text(
        'syntax = "proto2";\nmessage M { optional int32 a = 1; optional int32 b = 1; }\n', encoding="utf-8"
    )
    with pytest.raises(generator.GenerationError, match="refused"):
        generator.compile_schema(broken)


@pytest.mark.parametrize(
    ("owner", "field", "default"),
    [
        (caffe_pb2.LRNParameter(), "local_size", 5),
        (caffe_pb2.LRNParameter(), "alpha", 1.0),
        (caffe_pb2.LRNParameter(), "beta", 0.75),
        (caffe_pb2.LRNParameter(), "k", 1.0),
        (caffe_pb2.BatchNormParameter(), "eps", 1e-5),
        (caffe_pb2.BatchNormParameter(), "moving_average_fraction", 0.999),
        (caffe_pb2.MVNParameter(), "eps", 1e-9),
        (caffe_pb2.MVNParameter(), "normalize_variance", True),
        (caffe_pb2.ExpParameter(), "base", -1.0),
        (caffe_pb2.CropParameter(), "axis", 2),
        (caffe_pb2.FlattenParameter(), "end_axis", -1),
        (caffe_pb2.ReshapeParameter(), "num_axes", -1),
        (caffe_pb2.EltwiseParameter(), "operation", caffe_pb2.EltwiseParameter.SUM),
        (caffe_pb2.PoolingParameter(), "round_mode", caffe_pb2.PoolingParameter.CEIL),
        (caffe_pb2.ReductionParameter(), "operation", 1),
        (caffe_pb2.FillerParameter(), "type", "constant"),
        (caffe_pb2.NetState(), "phase", caffe_pb2.TEST),
        (caffe_pb2.NetStateRule(), "phase", caffe_pb2.TRAIN),
        (caffe_pb2.LossParameter(), "normalization", caffe_pb2.LossParameter.VALID),
        (caffe_pb2.V0LayerParameter(), "biasterm", True),
        (caffe_pb2.V0LayerParameter(), "dropout_ratio", 0.5),
        (caffe_pb2.SolverParameter(), "type", "SGD"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, message.Message) else str(value),
)
def test_default(owner: message.Message, field: str, default: float | str) -> None:
    assert not owner.HasField(field)
    value = getattr(owner, field)
    assert value == (pytest.approx(default, rel=1e-6, abs=0) if isinstance(default, float) else default)


def test_blob_data_is_packed_on_the_wire() -> None:
    blob = caffe_pb2.BlobProto(data=[1.5, -2.25], double_data=[-0.5])
    expected = (
        bytes([5 << 3 | 2, 8]) + struct.pack("<2f", 1.5, -2.25) + bytes([8 << 3 | 2, 8]) + struct.pack("<d", -0.5)
    )
    assert blob.SerializeToString() == expected


def test_unpacked_blob_data_is_read() -> None:
    tag = bytes([5 << 3 | 5])
    blob = caffe_pb2.BlobProto.FromString(tag + struct.pack("<f", 0.75) + tag + struct.pack("<f", -3.0))
    assert list(blob.data) == [0.75, -3.0]


@pytest.mark.parametrize(
    ("name", "number"),
    [("NONE", 0), ("CONVOLUTION", 4), ("LRN", 15), ("RELU", 18), ("ABSVAL", 35), ("DECONVOLUTION", 39)],
)
def test_v1_layer_type(name: str, number: int) -> None:
    layer = caffe_pb2.V1LayerParameter()
    text_format.Parse(f"type: {name}", layer)
    assert layer.SerializeToString() == bytes([5 << 3, number])


@pytest.mark.parametrize(
    ("owner", "field", "number"),
    [
        (caffe_pb2.NetParameter, "layers", 2),
        (caffe_pb2.NetParameter, "layer", 100),
        (caffe_pb2.LayerParameter, "blobs", 7),
        (caffe_pb2.LayerParameter, "lrn_param", 118),
        (caffe_pb2.LayerParameter, "batch_norm_param", 139),
        (caffe_pb2.LayerParameter, "clip_param", 148),
        (caffe_pb2.V1LayerParameter, "blob_share_mode", 1002),
        (caffe_pb2.SolverParameter, "weights", 42),
    ],
)
def test_field_number(owner: type[message.Message], field: str, number: int) -> None:
    assert owner.DESCRIPTOR.fields_by_name[field].number == number


def test_text_round_trip() -> None:
    net = caffe_pb2.NetParameter(name="net")
    layer = net.layer.add(name="conv", type="Convolution", bottom=["data"], top=["out"], loss_weight=[-0.5])
    layer.convolution_param.kernel_size.extend([3, 5])
    layer.include.add(phase=caffe_pb2.TRAIN, not_stage=["deploy"])
    text = text_format.MessageToString(net)
    assert 'include {\n    phase: TRAIN\n    not_stage: "deploy"\n  }' in text
    assert text_format.Parse(text, caffe_pb2.NetParameter()) == net
    assert caffe_pb2.NetParameter.FromString(net.SerializeToString()) == net


def test_the_module_has_the_attributes_of_generated_code() -> None:
    for name, descriptor in caffe_pb2.DESCRIPTOR.message_types_by_name.items():
        message_class = getattr(caffe_pb2, name)
        assert message_class.DESCRIPTOR is descriptor
        assert message_class.__module__ == "caffe2tf.proto.caffe_pb2"
    assert caffe_pb2.Phase.items() == [("TRAIN", 0), ("TEST", 1)]
    assert caffe_pb2.Phase.Name(caffe_pb2.TEST) == "TEST"
    assert caffe_pb2.V1LayerParameter.LayerType.Value("POOLING") == caffe_pb2.V1LayerParameter.POOLING == 17


def test_messages_pickle() -> None:
    blob = caffe_pb2.BlobProto(shape=caffe_pb2.BlobShape(dim=[2, 3]), data=[-1.0])
    assert pickle.loads(pickle.dumps(blob)) == blob  # noqa: S301 - our own bytes


OTHER = """
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
other = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
other.message_type.add(name="NetParameter").field.add(name="strange", number=1, type=5, label=1)
found = descriptor_pool.Default().AddSerializedFile(other.SerializeToString())
Other = message_factory.GetMessageClass(found.message_types_by_name["NetParameter"])
"""
OURS = "from caffe2tf.proto import caffe_pb2\n"
BOTH = """
assert Other(strange=-7).SerializeToString() == bytes([8]) + b"\\xf9" + b"\\xff" * 8 + b"\\x01"
assert caffe_pb2.NetParameter(name="n").SerializeToString() == b"\\x0a\\x01n"
assert Other.DESCRIPTOR.full_name == "caffe.NetParameter"
assert caffe_pb2.NetParameter.DESCRIPTOR.full_name == "caffe2tf.caffe.NetParameter"
"""


@pytest.mark.parametrize("program", [OTHER + OURS + BOTH, OURS + OTHER + BOTH], ids=["theirs_first", "ours_first"])
def test_can_be_loaded_together_with_the_schema_of_pycaffe(program: str) -> None:
    # In another process, because a pool keeps all files that were added to it.
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
