"""Field numbers to which forks of Caffe gave different meanings, and how a binary file shows which one it means.

A text definition names its fields; a .caffemodel holds only numbers. The tables below are the one place where the
reader (`renumber.py`) and the page docs/forks.md learn what a number may mean. A `Rule` tells one meaning apart from
the others. If no rule holds, the number means what it does in BVLC Caffe, and `Contested.doubtful` decides whether the
user is warned. The facts come from the forks' files ``src/caffe/proto/caffe.proto``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from caffe2tf.parse.contested_rules import (
    ALWAYS,
    INTEGER,
    NEVER,
    REPEATED,
    Rule,
    above,
    beside,
    has_wire,
    in_type,
    without,
)  # fmt: skip
from caffe2tf.parse.wire import DELIMITED, FIXED32

__all__ = ["CONTESTED", "NUMBERS", "V1_TYPES", "Contested", "Meaning", "V1Type"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a number means in some forks.

    Attributes:
        forks: The repositories.
        name: The fork's name of the field.
        declared: Its type there.
        rule: When it is certain that the number has this meaning; never by default.
        read_as: The name of the field as which it is read, if that differs: one that computes the same.
        inside: For a block whose fields have other numbers in the fork: their names by the fork's number.
        why: What the field does there, where the name does not say it.
    """

    forks: str
    name: str
    declared: str
    rule: Rule = NEVER
    read_as: str = ""
    inside: Mapping[int, str] = field(default_factory=dict)
    why: str = ""

    @property
    def target(self) -> str:
        """The name of the field as which it is read."""
        return self.read_as or self.name

    @property
    def is_rival(self) -> bool:
        """Whether some files hold this meaning without showing it: no rule tells it apart for every value."""
        return self.rule is NEVER or bool(self.read_as)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested:
    """A number with several meanings.

    Attributes:
        message: The name of the message that has the field.
        number: The number.
        name: The name of the field in BVLC Caffe or in the schema; empty if neither has the number.
        meanings: The other meanings; the first one whose rule holds is taken.
        doubtful: When the user is warned if none of the rules holds.
    """

    message: str
    number: int
    name: str
    meanings: tuple[Meaning, ...]
    doubtful: Rule = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class V1Type:
    """An enumerator of V1's LayerType that a fork gave to a type of its own.

    Attributes:
        forks: The repositories.
        value: The number.
        name: BVLC's type of that number; empty if there is none.
        word: The fork's type.
        rule: When it is certain that the number has this meaning; the numbers are those of V1's LayerParameter.
    """

    forks: str
    value: int
    name: str
    word: str
    rule: Rule = NEVER


_INTEL, _NVIDIA, _NAIBAF7 = "intel/caffe", "NVIDIA/caffe", "naibaf7/caffe"
_SYNOPSYS = "foss-for-synopsys-dwc-arc-processors/synopsys-caffe"
_DEEPLAB, _PSPNET, _YJXIONG = "TheLegendAli/DeepLab-Context", "hszhao/PSPNet", "yjxiong/caffe"
_HAPPYNEAR, _C3D, _FLOWNET = "happynear/caffe-windows", "facebook/C3D (v1.0)", "lmb-freiburg/flownet2"
_SEGNET, _SEGNET5, _YOLO = "alexgkendall/caffe-segnet", "TimoSaemann/caffe-segnet-cudnn5", "eric612/MobileNet-YOLO"

_IS_C3D: Final = beside(9, DELIMITED)


def _c3d(name: str, declared: str, rule: Rule = _IS_C3D) -> Meaning:
    return Meaning(forks=_C3D, name=name, declared=declared, rule=rule)


_PARAMETERS: Final = (
    Contested(
        message="PoolingParameter",
        number=13,
        name="round_mode",
        doubtful=INTEGER,
        meanings=(
            Meaning(forks=_HAPPYNEAR, name="blobs_lr", declared="float", rule=has_wire(FIXED32)),
            Meaning(forks=_NAIBAF7, name="dilation", declared="repeated uint64", rule=above(1) | REPEATED),
            Meaning(forks="BVLC/caffe#3057", name="ceil_mode", declared="bool", why="1 rounds up, 0 down"),
            Meaning(forks=_INTEL, name="avg_include_pad", declared="bool", why="whether AVE counts padding"),
            Meaning(forks=_SYNOPSYS, name="pad_type", declared="uint32", why="1 pads as TensorFlow's SAME"),
        ),
    ),
    Contested(
        message="PoolingParameter",
        number=5,
        name="kernel_h",
        meanings=(_c3d("kernel_depth", "uint32", in_type("POOLING3D")),),
    ),
    Contested(
        message="PoolingParameter",
        number=6,
        name="kernel_w",
        meanings=(_c3d("temporal_stride", "uint32", in_type("POOLING3D")),),
    ),
    Contested(
        message="ConvolutionParameter",
        number=16,
        name="axis",
        doubtful=above(1),
        meanings=(Meaning(forks=_YJXIONG, name="dilation", declared="uint32", why="what BVLC has under 18"),),
    ),
    Contested(
        message="ConvolutionParameter",
        number=17,
        name="force_nd_im2col",
        doubtful=beside(18) & Rule("the value is 1", lambda _, seen: seen.values == (1,)),
        meanings=(
            Meaning(forks=_DEEPLAB, name="hole", declared="uint32", rule=above(1) & without(18), read_as="dilation"),
            Meaning(
                forks=_YJXIONG, name="dilation_h", declared="uint32", rule=above(1) & beside(18), read_as="dilation"
            ),
        ),
    ),
    Contested(
        message="ConvolutionParameter",
        number=18,
        name="dilation",
        meanings=(
            Meaning(forks=_DEEPLAB, name="hole_h", declared="uint32", rule=beside(19), read_as="dilation"),
            Meaning(
                forks=_YJXIONG, name="dilation_w", declared="uint32", rule=beside(17) & INTEGER, read_as="dilation"
            ),
        ),
    ),
    Contested(
        message="ConvolutionParameter",
        number=19,
        name="",
        meanings=(
            Meaning(forks=_DEEPLAB, name="hole_w", declared="uint32", rule=INTEGER & beside(18), read_as="dilation"),
        ),
    ),
    Contested(message="ConvolutionParameter", number=6, name="stride", meanings=(_c3d("kernel_depth", "uint32"),)),
    Contested(
        message="ConvolutionParameter", number=7, name="weight_filler", meanings=(_c3d("stride", "uint32", INTEGER),)
    ),
    Contested(
        message="ConvolutionParameter",
        number=8,
        name="bias_filler",
        meanings=(_c3d("temporal_stride", "uint32", INTEGER),),
    ),
    Contested(
        message="ConvolutionParameter",
        number=9,
        name="pad_h",
        meanings=(_c3d("weight_filler", "FillerParameter", has_wire(DELIMITED)),),
    ),
    Contested(
        message="ConvolutionParameter",
        number=10,
        name="pad_w",
        meanings=(_c3d("bias_filler", "FillerParameter", has_wire(DELIMITED)),),
    ),
    Contested(message="ConvolutionParameter", number=11, name="kernel_h", meanings=(_c3d("filter_group", "uint32"),)),
    Contested(message="ConvolutionParameter", number=12, name="kernel_w", meanings=(_c3d("temporal_pad", "uint32"),)),
    Contested(
        message="DropoutParameter",
        number=2,
        name="scale_train",
        doubtful=INTEGER,
        meanings=(
            Meaning(forks=_NVIDIA, name="engine", declared="enum", rule=above(1)),
            Meaning(
                forks=f"{_SEGNET}, {_SEGNET5}, {_SYNOPSYS}",
                name="sample_weights_test",
                declared="bool",
                why="drops values in TEST, too",
            ),
            Meaning(forks=_HAPPYNEAR, name="sqrt_scale", declared="bool", why="another scale in training"),
        ),
    ),
    Contested(
        message="LossParameter",
        number=3,
        name="normalization",
        meanings=(Meaning(forks=f"{_SEGNET}, {_SEGNET5}", name="weight_by_label_freqs", declared="bool"),),
    ),
    Contested(
        message="LossParameter",
        number=4,
        name="pre_fixed_normalizer",
        meanings=(
            Meaning(forks=_NVIDIA, name="label_smoothing", declared="float"),
            Meaning(forks=f"{_SEGNET}, {_SEGNET5}", name="class_weighting", declared="repeated float"),
        ),
    ),
)

_BN_OF_PSPNET: Final = {1: "slope_filler", 2: "bias_filler", 3: "momentum", 4: "eps", 5: "frozen", 6: "engine"}
_BN_OF_SYNOPSYS: Final = {
    4: "eps", 5: "frozen", 6: "engine", 7: "slope_filler", 8: "bias_filler", 9: "momentum", 10: "icnet",
}  # fmt: skip
_PROPOSAL: Final = {
    2: "anchor_base_size", 3: "anchor_scale", 4: "anchor_ratio", 5: "max_rois", 7: "rpn_min_size", 8: "rpn_nms_thresh",
}  # fmt: skip
_NEAREST: Final = {
    1: "align_corners", 2: "output_height", 3: "output_width", 5: "scale_height", 6: "scale_width",
    7: "half_pixel_centers", 8: "half_pixel_onnx",
}  # fmt: skip
_BILINEAR: Final = _NEAREST | {8: "pytorch_half_pixel"}
_POOLING3D: Final = {
    2: "pad", 3: "kernel_size", 4: "stride", 5: "pad_h0", 6: "pad_h1", 7: "pad_w0", 8: "pad_w1", 9: "pad_d0",
    10: "pad_d1", 11: "kernel_h", 12: "kernel_w", 13: "kernel_d", 14: "stride_h", 15: "stride_w", 16: "stride_d",
    17: "global_pooling", 18: "ceil_mode",
}  # fmt: skip

# Number, forks, name and layer type of blocks of LayerParameter; the type tells them apart.
_BY_TYPE: Final[tuple[tuple[int, str, str, str, Mapping[int, str]], ...]] = (
    (45, f"{_SEGNET}, {_SEGNET5}, {_SYNOPSYS}", "bn_param", "BN", _BN_OF_SYNOPSYS),
    (137, _SEGNET, "upsample_param", "Upsample", {}),
    (137, _YJXIONG, "bn_param", "BN", _BN_OF_PSPNET),
    (138, _SEGNET, "dense_image_data_param", "DenseImageData", {}),
    (140, _YJXIONG, "video_data_param", "VideoData", {}),
    (141, _YJXIONG, "seg_data_param", "SegData", {}),
    (143, _PSPNET, "interp_param", "Interp", {}),
    (144, _PSPNET, "seg_accuracy_param", "SegAccuracy", {}),
    (145, _PSPNET, "mat_write_param", "MatWrite", {}),
    (146, _PSPNET, "dense_crf_param", "DenseCRF", {}),
    (147, _PSPNET, "domain_transform_param", "DomainTransform", {}),
    (147, _SEGNET5, "upsample_param", "Upsample", {}),
    (148, _PSPNET, "adaptive_bias_channel_param", "AdaptiveBiasChannel", {}),
    (148, _INTEL, "smooth_l1_loss_param", "SmoothL1Loss", {}),
    (148, _NAIBAF7, "mergecrop_param", "MergeCrop", {}),
    (149, _YOLO, "reorg_param", "Reorg", {}),
    (150, _YOLO, "upsample_param", "Upsample", {}),
    (150, _YJXIONG, "roi_pooling_param", "ROIPooling", {}),
    (150, f"{_FLOWNET}, {_SYNOPSYS}", "correlation_param", "Correlation", {}),
    (151, _NVIDIA, "recurrent_param", "LSTM", {}),
    (152, _PSPNET, "bn_param", "BN", _BN_OF_PSPNET),
    (153, _INTEL, "psroi_pooling_param", "PSROIPooling", {}),
    (154, _INTEL, "roi_pooling_param", "ROIPooling", {4: "pooled_size"}),
    (154, f"{_FLOWNET}, {_SYNOPSYS}", "mean_param", "Mean", {}),
    (155, f"{_FLOWNET}, {_SYNOPSYS}", "resample_param", "Resample", {}),
    (156, f"{_FLOWNET}, {_SYNOPSYS}", "downsample_param", "Downsample", {}),
    (159, _INTEL, "reorg_param", "Reorg", {}),
    (159, f"{_FLOWNET}, {_SYNOPSYS}", "flow_warp_param", "FlowWarp", {}),
    (160, _YJXIONG, "scale_param", "Scale", {}),
    (160, f"{_FLOWNET}, {_SYNOPSYS}", "accum_param", "Accum", {}),
    (161, _YJXIONG, "bias_param", "Bias", {}),
    (163, _SYNOPSYS, "interp_param", "Interp", {7: "full_zoom_factor"}),
    (166, _SYNOPSYS, "shuffle_channel_param", "ShuffleChannel", {}),
    (177, _SYNOPSYS, "upsample_param", "Upsample", {}),
    (197, _SYNOPSYS, "reorg_param", "Reorg", {}),
    (200, _HAPPYNEAR, "bn_param", "BN", _BN_OF_PSPNET),
    (202, _HAPPYNEAR, "insanity_param", "Insanity", {}),
    (203, _HAPPYNEAR, "triplet_loss_param", "TripletLoss", {}),
    (204, _HAPPYNEAR, "roi_pooling_param", "ROIPooling", {}),
    (206, _HAPPYNEAR, "sub_region_param", "SubRegion", {}),
    (208, _SYNOPSYS, "depth_to_space_param", "DepthToSpace", {}),
    (210, _SYNOPSYS, "resize_nearest_neighbor_param", "ResizeNearestNeighbor", _NEAREST),
    (211, _HAPPYNEAR, "center_loss_param", "CenterLoss", {}),
    (211, _SYNOPSYS, "gather_param", "Gather", {}),
    (212, _SYNOPSYS, "proposal_param", "Proposal", _PROPOSAL),
    (219, _HAPPYNEAR, "proposal_param", "Proposal", {}),
    (220, _HAPPYNEAR, "psroi_pooling_param", "PSROIPooling", {}),
    (224, _HAPPYNEAR, "permute_param", "Permute", {}),
    (224, _SYNOPSYS, "pad_param", "Pad", {}),
    (226, _SYNOPSYS, "resize_bilinear_param", "ResizeBilinear", _BILINEAR),
    (241, _SYNOPSYS, "squeeze_param", "Squeeze", {}),
    (248, _SYNOPSYS, "clip_param", "Clip", {}),
    (258, _SYNOPSYS, "hard_sigmoid_param", "HardSigmoid", {}),
    (266, _SYNOPSYS, "pooling3d_param", "Pooling3D", _POOLING3D),
)
_BVLC_BLOCKS: Final = {
    137: "embed_param", 138: "tile_param", 140: "elu_param", 141: "bias_param", 143: "input_param", 144: "crop_param",
    145: "parameter_param", 146: "recurrent_param", 147: "swish_param", 148: "clip_param",
    202: "permute_param", 203: "prior_box_param", 204: "detection_output_param", 206: "norm_param",
    211: "relu6_param",
}  # fmt: skip
_MATH: Final = {145: "forward_type", 146: "backward_type", 147: "forward_math", 148: "backward_math"}


def _blocks() -> tuple[Contested, ...]:
    found: dict[int, list[Meaning]] = {}
    for number, name in _MATH.items():
        found[number] = [Meaning(forks=_NVIDIA, name=name, declared="enum", rule=INTEGER)]
    for number, forks, name, type_, inside in _BY_TYPE:
        rule = in_type(type_) & has_wire(DELIMITED)
        meaning = Meaning(forks=forks, name=name, declared="block", rule=rule, inside=inside)
        found.setdefault(number, []).append(meaning)
    return tuple(
        Contested(
            message="LayerParameter", number=number, name=_BVLC_BLOCKS.get(number, ""), meanings=tuple(found[number])
        )
        for number in sorted(found)
    )


def _v1_block(number: int, name: str, type_: str, forks: str) -> Contested:
    meaning = Meaning(forks=forks, name=name, declared="block", rule=in_type(type_))
    return Contested(message="V1LayerParameter", number=number, name="", meanings=(meaning,))


BLOCKS: Final = (
    *_blocks(),
    _v1_block(43, "interp_param", "INTERP", _DEEPLAB),
    _v1_block(45, "padding_param", "PADDING", _DEEPLAB),
    Contested(
        message="V1LayerParameter",
        number=1003,
        name="",
        meanings=(Meaning(forks=_DEEPLAB, name="strict_dim", declared="bool", rule=INTEGER),),
    ),
)
"""Numbers of whole blocks in a layer."""

CONTESTED: Final = (*_PARAMETERS, *BLOCKS)
"""Every contested number."""

NUMBERS: Final[Mapping[str, Mapping[int, Contested]]] = {
    message: {row.number: row for row in CONTESTED if row.message == message}
    for message in dict.fromkeys(row.message for row in CONTESTED)
}
"""The contested numbers of each message."""

V1_TYPES: Final = (
    V1Type(forks=_C3D, value=30, name="ARGMAX", word="CONVOLUTION3D", rule=beside(10, DELIMITED)),
    V1Type(forks=_C3D, value=31, name="THRESHOLD", word="POOLING3D", rule=beside(19, DELIMITED)),
    V1Type(forks=_C3D, value=34, name="MVN", word="DECONVOLUTION3D", rule=beside(10, DELIMITED)),
    V1Type(forks=_DEEPLAB, value=41, name="", word="INTERP", rule=beside(43, DELIMITED)),
    V1Type(forks=_DEEPLAB, value=42, name="", word="PADDING", rule=beside(45, DELIMITED)),
    V1Type(forks=_YOLO, value=61, name="", word="RELU6", rule=ALWAYS),
    V1Type(forks=_C3D, value=25, name="ELTWISE", word="ELTWISE_PRODUCT"),
    V1Type(forks=_DEEPLAB, value=39, name="DECONVOLUTION", word="IMAGE_SEG_DATA", rule=beside(15, DELIMITED)),
)
"""V1 types whose enumerators are contested."""
