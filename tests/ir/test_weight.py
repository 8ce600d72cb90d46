"""A weight consists of its parts one after the other, whatever their strides and dtypes."""

from __future__ import annotations

import numpy as np

from caffe2tf.ir import Weight


def test_parts_follow_each_other_in_row_major_order(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((3, 4)), rng.standard_normal((5, 2)).astype("f4")
    weight = Weight(shape=(11, 2), parts=(a.T, b))
    expected = np.concatenate([a.T.reshape(-1), b.reshape(-1)]).astype("f4").reshape(11, 2)
    np.testing.assert_array_equal(weight.array(), expected)
    assert weight.array().dtype == np.float32
    assert weight.size == 22


def test_of_a_view_with_another_shape(rng: np.random.Generator) -> None:
    kernel = rng.standard_normal((4, 3, 2, 5)).astype("f4")
    weight = Weight.of(kernel.transpose(2, 3, 1, 0), (30, 4))
    assert weight.parts[0].base is kernel
    np.testing.assert_array_equal(weight.array()[7], kernel[:, 1, 0, 2])


def test_the_array_is_a_copy() -> None:
    blob = np.ones(3, "f4")
    array = Weight.of(blob).array()
    array[0] = 5
    assert blob[0] == 1
