"""Types of forks in V1 layers: their modern names and their parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.parse import NetworkDefinition, read_network

WORDS = {
    "BN": "BN",
    "CONVOLUTION3D": "Convolution3D",
    "CONVOLUTION_DEPTHWISE": "ConvolutionDepthwise",
    "CROP": "Crop",
    "DECONVOLUTION3D": "Deconvolution3D",
    "DENSE_IMAGE_DATA": "DenseImageData",
    "ELTWISE_PRODUCT": "Eltwise",
    "ELU": "ELU",
    "INTERP": "Interp",
    "L1_LOSS": "L1Loss",
    "LOCAL": "Local",
    "LOCAL_WEIGHTED_CONVOLUTION": "LocalWeightedConvolution",
    "LRN_MAP": "LRNMap",
    "LSTM_UNIT": "LSTMUnit",
    "NORMALIZE": "Normalize",
    "PERMUTE": "Permute",
    "POOLING3D": "Pooling3D",
    "PRELU": "PReLU",
    "PYTHON": "Python",
    "RESHAPE": "Reshape",
    "ROI_POOLING": "ROIPooling",
    "SMOOTH_L1_LOSS": "SmoothL1Loss",
    "SPP": "SPP",
    "TOPK": "TopK",
    "UPSAMPLE": "Upsample",
    "VIDEO_DATA": "VideoData",
    "VOLUME_DATA": "VolumeData",
}


def read(tmp_path: Path, text: str) -> NetworkDefinition:
    path = tmp_path / "net.prototxt"
    path.write_text(text, encoding="utf-8")
    return read_network(path)


def test_modern_names(tmp_path: Path) -> None:
    text = "".join(f'layers {{ name: "{word}" type: {word} }}\n' for word in WORDS)
    definition = read(tmp_path, text)
    assert {x.name: x.type for x in definition.layers} == WORDS
    assert not any(x.unknown for x in definition.layers)
    noted = [(n.layer, n.message) for n in definition.notes if "is not a V1 type of Caffe" in n.message]
    assert len(noted) == len(WORDS)
    assert ("TOPK", "TOPK is not a V1 type of Caffe; it is read as 'TopK'") in noted


def test_types_of_caffe_itself_are_not_noted(tmp_path: Path) -> None:
    definition = read(tmp_path, 'layers { name: "x" type: CONVOLUTION }\nlayers { name: "y" type: ELTWISE }')
    assert [x.type for x in definition.layers] == ["Convolution", "Eltwise"]
    assert not any("is not a V1 type" in str(n) for n in definition.notes)


def test_parameters_are_read(tmp_path: Path) -> None:
    text = """layers { name: "bn" type: BN bn_param { scale_filler { type: "constant" value: 2 } bn_mode: INFERENCE } }
layers { name: "up" type: UPSAMPLE upsample_param { scale: 3 upsample_w: 7 } }
layers { name: "roi" type: ROI_POOLING roi_pooling_param { pooled_w: 6 spatial_scale: 0.0625 } }
layers { name: "conv" type: CONVOLUTION3D convolution_param { kernel_size: 3 kernel_depth: 5 temporal_pad: 2 } }
layers { name: "pool" type: POOLING3D pooling_param { kernel_depth: 2 temporal_stride: 4 } }
layers { name: "mul" type: ELTWISE_PRODUCT bottom: "a" bottom: "b" }"""
    bn, up, roi, conv, pool, mul = (x.message for x in read(tmp_path, text).layers)
    assert (bn.bn_param.scale_filler.value, bn.bn_param.bn_mode) == (2, type(bn.bn_param).INFERENCE)
    assert (up.upsample_param.scale, up.upsample_param.upsample_w) == (3, 7)
    assert (roi.roi_pooling_param.pooled_w, roi.roi_pooling_param.spatial_scale) == (6, 0.0625)
    assert (conv.convolution_param.kernel_depth, conv.convolution_param.temporal_pad) == (5, 2)
    assert (pool.pooling_param.kernel_depth, pool.pooling_param.temporal_stride) == (2, 4)
    assert mul.eltwise_param.operation == type(mul.eltwise_param).PROD


def test_eltwise_product_multiplies(tmp_path: Path) -> None:
    """Old Caffe had a layer that multiplies before Eltwise, which can also add."""
    path = tmp_path / "net.prototxt"
    path.write_text(
        """input: "a" input_shape { dim: 2 dim: 3 } input: "b" input_shape { dim: 2 dim: 3 }
layers { name: "mul" type: ELTWISE_PRODUCT bottom: "a" bottom: "b" top: "mul" }""",
        encoding="utf-8",
    )
    a = np.array([[1, -2, 3], [4, 5, 6]], np.float32)
    b = np.array([[2, 3, 4], [-1, 0.5, 2]], np.float32)
    out = caffe2tf.run(path, None, {"a": a, "b": b})
    assert out["mul"].tolist() == [[2, -6, 12], [-4, 2.5, 12]]


@pytest.mark.parametrize("word", ["CONVOLUTION", "RELU"])
def test_unknown_fields_of_v1_layers_are_kept(tmp_path: Path, word: str) -> None:
    (x,) = read(tmp_path, f"layers {{ name: 'x' type: {word} wobble_param {{ a: 1 }} }}").layers
    assert [u.path for u in x.unknown] == ["wobble_param"]
