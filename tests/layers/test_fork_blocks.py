"""Parameter blocks outside the schema: each value of a field that a layer reads is accepted or refused clearly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError, UnsupportedError
from caffe2tf.layers.registry import registered
from caffe2tf.parse import Parameters
from tests.builders import input_layers, layer, write_prototxt

NEVER = ("inf", "-inf", "nan", "1e39", "SOME_WORD", "{{ a: 1 }}")  # 1e39: beyond float32
VALUES = (*NEVER, "-1", "2.5", "3 {0}: 4")
READ = {
    "local_param": {"num_output", "kernel_size", "stride", "pad", "dilation", "group", "bias_term", "axis"},
    "augmentation_param": {"crop_width", "crop_height", "recompute_mean", "mean_per_pixel", "mean"}
    | {"augment_during_test"},
}
"""The fields that are read, for blocks that may contain more; in all other blocks, each field is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A valid layer with fields outside the schema, which `infer` and `emit` use.

    Attributes:
        type: the type of the layer.
        block: the parameter block.
        members: the fields of the block that are tested, with valid values.
        inside: the block inside `block` that contains the members, if they are not in `block` itself.
        bottoms: the shapes of the bottoms.
        known: the fields of `block` that the schema has.
        unread: names that accept any value, as this layer does not read them.
    """

    type: str
    block: str
    members: str = ""
    inside: str = ""
    bottoms: Sequence[Sequence[int]] = ((2, 3, 6, 8),)
    known: str = ""
    unread: Sequence[str] = ()

    def text(self, members: str) -> str:
        """Return the network with other members."""
        names = {f"in{i}": shape for i, shape in enumerate(self.bottoms)}
        inside = f"{self.inside} {{ {members} }}" if self.inside else members
        parameters = f"{self.block} {{ {self.known} {inside} }}"
        return input_layers(names) + layer(self.type, "out", list(names), parameters=parameters)

    @property
    def path(self) -> str:
        """The block of the members as messages name it."""
        return f"{self.block}.{self.inside}" if self.inside else self.block

    def without(self, name: str) -> str:
        """Return the members without those of one name."""
        pairs = zip(self.members.split()[::2], self.members.split()[1::2], strict=True)
        return " ".join(f"{key} {value}" for key, value in pairs if key != f"{name}:")


WINDOW = "num_output: 2 kernel_size: 3"
CROP = "crop_width: 5 crop_height: 4"
QUANTISED = ["input_scale", "input_zero_point"]
OF_FILLERS = ["diag_val", "max", "mean", "min", "std", "type", "value"]  # read only if the blob is not trained
SAMPLES = [
    Sample(type="BN", block="bn_param", members="moving_average: true decay: 0.1 var_eps: 1e-5 axis: 1 icnet: true"),
    Sample(
        type="DataAugmentation",
        block="augmentation_param",
        members=f"{CROP} recompute_mean: 0 mean_per_pixel: false mean: 3 mean: 4 mean: 5",
    ),
    Sample(
        type="DataAugmentation",
        block="augmentation_param",
        members=f"{CROP} augment_during_test: true",
        bottoms=((2, 3, 6, 8), (2, 3, 6, 8)),
    ),
    Sample(
        type="ContinuationIndicator",
        block="continuation_indicator_param",
        members="time_step: 4 batch_size: 3",
        bottoms=(),
        unread=["axis"],
    ),
    Sample(type="ExpandDimsND", block="expand_dims_nd_param", members="axis: 1"),
    Sample(type="Interp", block="interp_param", members="full_zoom_factor: 2"),
    Sample(
        type="Interp",
        block="interp_param",
        members="use_blob_size: 1",
        unread=["full_zoom_factor"],
        bottoms=((2, 3, 6, 8), (2, 3, 4, 4)),
    ),
    Sample(type="Local", block="local_param", members=WINDOW),
    Sample(
        type="Local", block="local_param", inside="weight_filler", members="std: 1", known=WINDOW, unread=OF_FILLERS
    ),
    Sample(
        type="LocalConvolution",
        block="convolution_param",
        known=WINDOW,
        members="shared_bias: true",
        unread=["shared_bias"],
    ),
    Sample(type="Mul", block="mul_param", members="mul_shape: 6 mul_shape: 8"),
    Sample(
        type="PriorBox", block="prior_box_param", known="min_size: 4", members="tf: true", bottoms=((2, 3, 4, 5),) * 2
    ),
    Sample(
        type="PriorBox",
        block="prior_box_param",
        known="min_size: 4",
        members="offset_h: 0.2 offset_w: 0.3",
        bottoms=((2, 3, 4, 5), (2, 3, 9, 8)),
    ),
    Sample(
        type="PriorBox",
        block="prior_box_param",
        members="box_width: 3 box_height: 4",
        bottoms=((2, 3, 4, 5), (2, 3, 9, 8)),
    ),
    Sample(
        type="ResizeBilinear",
        block="resize_bilinear_param",
        members="scale_height: 2 scale_width: 1.5",
        unread=[*QUANTISED, "output_depth", "scale_depth"],
    ),
    Sample(
        type="ResizeBilinear",
        block="resize_bilinear_param",
        known='data_format: "NCHWD"',
        members="scale_depth: 2",
        unread=QUANTISED,
        bottoms=((2, 3, 4, 5, 6),),
    ),
    Sample(type="ResizeNearestNeighbor", block="resize_nearest_neighbor_param", members="scale_height: 2"),
    Sample(type="Reverse", block="reverse_param", members="axis: 1"),
    Sample(type="SimpleCrop", block="crop_param", unread=["blob_name"], bottoms=((2, 3, 6, 8), (2, 3, 4, 4))),
    Sample(type="SpaceToBatchND", block="space_to_batch_nd_param", members="block_shape: 1 paddings: 1 paddings: 2"),
    Sample(type="BatchToSpaceND", block="batch_to_space_nd_param", members="block_shape: 1 crops: 1 crops: 1"),
    Sample(type="Unstack", block="unstack_param", members="axis: 1 num: 1"),
]
each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.type} {s.members}")


def convert(text: str, folder: Path) -> None:
    """Convert a network, and check that the module compiles."""
    module = caffe2tf.convert(write_prototxt(folder, text), None, folder).module
    compile(module.read_text(encoding="utf-8"), "module", "exec")


def problem_of(text: str, folder: Path) -> str:
    """Return the message of the error that a conversion raises; an empty string if it succeeds."""
    try:
        convert(text, folder)
    except Caffe2TFError as e:
        return str(e)
    return ""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Record, by block, the names that layers allow in it."""
    allowed: dict[str, set[str]] = {}
    only = Parameters.only

    def recording(self: Parameters, *names: str) -> Parameters:
        allowed.setdefault(self._name, set()).update(names)
        return only(self, *names)

    monkeypatch.setattr(Parameters, "only", recording)
    return allowed


def test_each_layer_with_such_a_block_has_a_sample() -> None:
    reading = {cls for cls in registered().values() if cls.reads_unknown is not None}
    assert {registered()[s.type] for s in SAMPLES} == reading


@each_sample
def test_each_value_is_accepted_or_refused(sample: Sample, names: dict[str, set[str]], tmp_path: Path) -> None:
    convert(sample.text(sample.members), tmp_path)
    read = READ.get(sample.path, names[sample.path])
    assert read
    assert read <= names[sample.path]
    for name in sorted(read):
        others = sample.without(name)
        for value in VALUES:
            text = sample.text(f"{others} {name}: {value.format(name)}")
            problem = problem_of(text, tmp_path)
            if value in NEVER and name not in sample.unread:
                assert f"{sample.path}.{name}" in problem, text


@each_sample
def test_other_fields_are_unsupported(sample: Sample, tmp_path: Path) -> None:
    text = sample.text(f"{sample.members} other: 1 other: 2 another {{ a: 1 }}")
    path = sample.path
    message = f"fields '{path}.other', '{path}.another' are not known, and may change what the layer computes"
    with pytest.raises(UnsupportedError, match=message):
        convert(text, tmp_path)
