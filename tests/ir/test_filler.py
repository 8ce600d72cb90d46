"""Fillers: FlowNet's diagonal one."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.ir.filler import Filler
from caffe2tf.proto import caffe_pb2
from tests.layers.oracle import assert_matches, run_layer


def diagonal(*values: float, sparse: int = -1) -> Filler:
    return Filler.read(caffe_pb2.FillerParameter(type="diagonal", diag_val=values, sparse=sparse))


@pytest.mark.parametrize("shape", [(3, 4, 2, 5), (4, 3, 1, 3), (3, 3), (2, 5, 3)])
def test_diagonal(shape: tuple[int, ...]) -> None:
    have = diagonal(0.5, -2.0).fill(shape, seed="any")
    assert have.shape == shape
    assert have.dtype == np.float32
    window = int(np.prod(shape[2:]))
    for n, c in np.ndindex(*shape[:2]):
        want = (0.5, -2.0, 1.0, 1.0)[n] / window if n == c else 0
        np.testing.assert_array_equal(have[n, c], np.full(shape[2:], np.float32(want)))


def test_diagonal_is_not_random() -> None:
    assert not diagonal().is_random
    assert diagonal().fill((2, 3), seed="any").tolist() == [[1, 0, 0], [0, 1, 0]]


def test_a_diagonal_convolution_scales_and_smooths() -> None:
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 6)).astype(np.float32)
    text = (
        'layer { name: "out" type: "Convolution" bottom: "data" top: "out" convolution_param { num_output: 2 '
        'kernel_h: 1 kernel_w: 2 weight_filler { type: "diagonal" diag_val: 20 diag_val: -3 } } }'
    )
    want = (x[..., 1:] + x[..., :-1]) / 2 * np.array([20, -3], np.float32)[:, None, None]
    assert_matches(run_layer(text, {"data": x})["out"], want)


def test_a_filler_that_cannot_fill_is_a_problem_of_its_layer() -> None:
    text = (
        'layer { name: "out" type: "InnerProduct" bottom: "data" top: "out" inner_product_param { num_output: 2 '
        'weight_filler { type: "gaussian" std: -1 } } }'
    )
    with pytest.raises(Caffe2TFError, match="layer 'out': a gaussian filler needs"):
        run_layer(text, {"data": np.ones((2, 3), np.float32)})


def test_errors() -> None:
    with pytest.raises(LayerError, match="a diagonal filler takes a blob of at most 4 axes"):
        diagonal().fill((2, 3, 1, 1, 1), seed="any")
    with pytest.raises(LayerError, match="takes no `sparse`: 3 is given"):
        diagonal(sparse=3).fill((2, 3), seed="any")
    with pytest.raises(LayerError, match=r"a uniform filler needs a finite min .* not 1\.0 and 0\.5"):
        Filler(type="uniform", low=1.0, high=0.5).fill((2, 3), seed="any")
    with pytest.raises(LayerError, match=r"a uniform filler needs .* not -inf and 1\.0"):
        Filler(type="uniform", low=float("-inf")).fill((2, 3), seed="any")
    with pytest.raises(LayerError, match=r"a gaussian filler needs .* not 0\.0 and -1\.0"):
        Filler(type="gaussian", std=-1.0).fill((2, 3), seed="any")
    with pytest.raises(LayerError, match=r"a gaussian filler needs .* not nan and 1\.0"):
        Filler(type="gaussian", mean=float("nan")).fill((2, 3), seed="any")
    with pytest.raises(Caffe2TFError, match="unknown filler type 'diagonally'"):
        Filler(type="diagonally").fill((2, 3), seed="any")
