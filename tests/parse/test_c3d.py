"""Weights of C3D 1.0, whose blobs have five extents and field numbers of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import ParseError
from caffe2tf.parse import open_weights
from tests.layers.oracle import assert_matches
from tests.parse.messages import field, varint

Array = np.ndarray[Any, Any]

NET = """input: "data" input_shape { dim: 2 dim: 3 dim: 4 dim: 5 dim: 6 }
layers { name: "conv" type: CONVOLUTION3D bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 kernel_depth: 2 } }
layers { name: "fc" type: INNER_PRODUCT bottom: "conv" top: "fc" inner_product_param { num_output: 4 } }
"""


def blob(values: Array, shape: tuple[int, ...] | None = None) -> bytes:
    shape = shape or (1,) * (5 - values.ndim) + values.shape
    extents = b"".join(varint(number << 3) + varint(d) for number, d in enumerate(shape, 1))
    return extents + field(6, values.astype("<f4").tobytes())


def layer(name: str, type_: int, *blobs: bytes) -> bytes:
    body = field(4, name.encode()) + varint(5 << 3) + varint(type_) + b"".join(field(6, b) for b in blobs)
    return field(2, body)


def test_weights_of_five_axes(tmp_path: Path, rng: np.random.Generator) -> None:
    weight, bias = rng.standard_normal((5, 3, 2, 3, 3)), rng.standard_normal((1, 1, 1, 1, 5))
    matrix, offset = rng.standard_normal((4, 5 * 3 * 3 * 4)), rng.standard_normal(4)
    net, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    net.write_text(NET)
    conv, fc = layer("conv", 30, blob(weight), blob(bias)), layer("fc", 14, blob(matrix), blob(offset))
    weights.write_bytes(field(1, b"net") + conv + fc)
    with open_weights(weights) as trained:
        assert [tuple(b.shape) for b in trained.layers["conv"]] == [(5, 3, 2, 3, 3), (1, 1, 1, 1, 5)]
    data = rng.standard_normal((2, 3, 4, 5, 6)).astype("f4")
    out = caffe2tf.run(net, weights, {"data": data})
    windows = np.lib.stride_tricks.sliding_window_view(data, (2, 3, 3), axis=(2, 3, 4))
    want = np.einsum("nclhwabd,ocabd->nolhw", windows, weight) + bias.reshape(5, 1, 1, 1)
    assert_matches(out["conv"], want)
    assert_matches(out["fc"], want.reshape(2, -1) @ matrix.T + offset)


def test_values_that_do_not_fill_their_shape(tmp_path: Path) -> None:
    weights = tmp_path / "net.caffemodel"
    weights.write_bytes(field(1, b"net") + layer("fc", 14, blob(np.ones(7), (1, 1, 1, 2, 4))))
    with pytest.raises(ParseError, match="layer 'fc', blob 0: it holds 7 values, but its shape 1x1x1x2x4 needs 8"):
        open_weights(weights)
