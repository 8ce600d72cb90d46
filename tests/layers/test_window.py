"""Window arithmetic, compared with plain loops and with TensorFlow's "same" padding."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from caffe2tf.errors import LayerError
from caffe2tf.layers.window import StatedWindow, Window, brief, fits_same, per_axis
from caffe2tf.proto.caffe_pb2 import ConvolutionParameter

AXIS = st.tuples(st.integers(1, 30), st.integers(1, 6), st.integers(1, 4), st.integers(0, 5), st.integers(1, 3))


def window(*axes: tuple[int, int, int, int]) -> Window:
    """Return a window of (kernel, stride, pad, dilation) along each axis."""
    kernel, stride, pad, dilation = zip(*axes, strict=True)
    return Window(kernel=kernel, stride=stride, pad=pad, dilation=dilation)


def starts(n: int, k: int, s: int, p: int, d: int) -> list[int]:
    """Return the start of each window whose last value lies inside the padded input."""
    found: list[int] = []
    at = -p
    while at + d * (k - 1) < n + p:
        found.append(at)
        at += s
    return found


def starts_of_same(n: int, k: int, s: int, d: int) -> list[int]:
    """Return the start of each window with TensorFlow's "same" padding.

    Each image of the batch has a single value of 1, and each value of the kernel is its own position, so that the
    output shows which value of the window met the 1.
    """
    import tensorflow as tf

    x = np.eye(n, dtype=np.float32)[:, None, :, None]
    kernel = np.arange(1, k + 1, dtype=np.float32)[None, :, None, None]
    y = tf.nn.conv2d(x, kernel, (1, s), "SAME", dilations=(1, d)).numpy()[:, 0, :, 0]
    found = []
    for o in range(y.shape[1]):
        inside = np.flatnonzero(y[:, o])
        if len(inside) == 0:
            return []
        found.append(int(inside[0]) - d * int(y[inside[0], o] - 1))
    return found


@given(axes=st.lists(AXIS, min_size=1, max_size=3))
def test_convolved(axes: list[tuple[int, int, int, int, int]]) -> None:
    counts = tuple(len(starts(*a)) for a in axes)
    assume(min(counts) > 0)
    assert window(*(a[1:] for a in axes)).convolved(tuple(a[0] for a in axes)) == counts


@given(axes=st.lists(AXIS, min_size=1, max_size=3))
def test_deconvolved(axes: list[tuple[int, int, int, int, int]]) -> None:
    """Each input value adds a window to the output, and the padding is cropped."""
    want = []
    for n, k, s, p, d in axes:
        touched = {i * s + j * d for i in range(n) for j in range(k)}
        want.append(max(touched) + 1 - 2 * p)
    assert window(*(a[1:] for a in axes)).deconvolved(tuple(a[0] for a in axes)) == tuple(want)


@given(axis=AXIS)
def test_extent(axis: tuple[int, int, int, int, int]) -> None:
    _, k, _, _, d = axis
    assert window(axis[1:]).extent == (max(j * d for j in range(k)) + 1,)


def test_is_same_agrees_with_tensorflow() -> None:
    """`Window.is_same` is right for every small axis, with the number of windows rounded down or up."""
    right = wrong = 0
    grid = itertools.product(range(1, 12), range(1, 6), range(1, 4), (1, 2))
    for n, k, s, d in grid:
        theirs = [] if s > 1 and d > 1 else starts_of_same(n, k, s, d)
        for p, up in itertools.product(range(4), (False, True)):
            caffe = starts(n, k, s, p, d)
            if not caffe or not theirs:
                continue
            if up and caffe[-1] + d * (k - 1) + 1 < n + p:
                caffe.append(caffe[-1] + s)
            says = window((k, s, p, d)).is_same((n,), (len(caffe),))
            assert says == (caffe == theirs), (n, k, s, p, d, up)
            right, wrong = right + says, wrong + (not says)
    assert right > 200
    assert wrong > 600


@settings(max_examples=300)
@given(k=st.integers(1, 7), s=st.integers(1, 4), p=st.integers(0, 4), n=st.integers(1, 40))
def test_fits_same_for_an_unknown_extent_fits_each_extent(k: int, s: int, p: int, n: int) -> None:
    if fits_same(None, None, k=k, s=s, p=p):
        assert fits_same(n, len(starts(n, k, s, p, 1)), k=k, s=s, p=p)


def test_unknown_extents() -> None:
    w = window((3, 2, 1, 1), (5, 1, 2, 1))
    assert w.convolved((None, 9)) == (None, 9)
    assert w.deconvolved((4, None)) == (7, None)
    assert not w.is_same((None, 9), (None, 9))
    assert window((3, 1, 1, 1), (5, 1, 2, 1)).is_same((None, 9), (None, 9))
    assert not fits_same(None, None, k=4, s=1, p=1)


def test_per_axis() -> None:
    assert per_axis("stride", [], 2, 1) == (1, 1)
    assert per_axis("stride", [3], 3, 1) == (3, 3, 3)
    assert per_axis("stride", [3, 2], 2, 1) == (3, 2)
    with pytest.raises(LayerError, match="given 3 times, and the input has 2 spatial axes"):
        per_axis("stride", [1, 2, 3], 2, 1)
    with pytest.raises(LayerError, match="kernel_size is required"):
        per_axis("kernel_size", [], 2, None)


def test_brief() -> None:
    assert brief((3, 3)) == 3
    assert brief((3, 2)) == (3, 2)
    assert brief((4,)) == 4


def test_stated_window() -> None:
    p = ConvolutionParameter(kernel_h=3, kernel_w=5, stride=[2], pad_h=1, dilation=[1, 2])
    assert StatedWindow.read(p).over(2) == Window(kernel=(3, 5), stride=(2, 2), pad=(1, 0), dilation=(1, 2))
    three = StatedWindow.read(ConvolutionParameter(kernel_size=[3, 2, 4])).over(3)
    assert three == Window(kernel=(3, 2, 4), stride=(1,) * 3, pad=(0,) * 3, dilation=(1,) * 3)
    ignored = StatedWindow.read(ConvolutionParameter(kernel_size=[3, 1], dilation=[0])).over(2)  # Caffe accepts it
    assert ignored.extent == (1, 1)


def test_extents_are_rounded_towards_zero() -> None:
    """An input of 3 is 2 too small for a window of 5: with a stride of 3 it has one window, with a stride of 2 none."""
    p = ConvolutionParameter(kernel_size=[5], stride=[3])
    assert StatedWindow.read(p).over(1).convolved((3,)) == (1,)
    with pytest.raises(LayerError, match=r"the window \(5\) is larger than the input \(3\) with its padding \(0\)"):
        StatedWindow.read(ConvolutionParameter(kernel_size=[5], stride=[2])).over(1).convolved((3,))


@pytest.mark.parametrize(
    ("p", "spatial", "message"),
    [
        (ConvolutionParameter(kernel_size=[3], kernel_h=3, kernel_w=3), 2, "not both"),
        (ConvolutionParameter(kernel_h=3, kernel_w=3), 3, "for 2 spatial axes, the input has 3"),
        (ConvolutionParameter(kernel_size=[3], stride_h=2, stride_w=1, stride=[2]), 2, "either stride or stride_h"),
        (ConvolutionParameter(kernel_size=[3], pad_h=2, pad=[2]), 2, "either pad or pad_h"),
        (ConvolutionParameter(kernel_h=3), 2, r"kernel_size must be 1 or more along every axis, not \(3, 0\)"),
        (
            ConvolutionParameter(kernel_size=[3], stride_w=2),
            2,
            r"stride must be 1 or more along every axis, not \(0, 2\)",
        ),
        (ConvolutionParameter(), 2, "kernel_size is required"),
    ],
)
def test_errors(p: ConvolutionParameter, spatial: int, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        StatedWindow.read(p).over(spatial)
