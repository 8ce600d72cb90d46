"""Layouts, blocks and their reshapes compared with NumPy; random chains of layers that move values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from caffe2tf.ir.layout import Block, Layout
from caffe2tf.layers.regroup import regroup
from tests.builders import layer
from tests.layers.chains import CHAIN_SHAPES, Chain
from tests.layers.emitted import calls
from tests.layers.oracle import assert_matches, run_layer

EXTENTS = st.sampled_from((1, 1, 2, 3, 4, 5, 6))


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    dims = draw(st.lists(EXTENTS, min_size=1, max_size=4))
    return Block.of(dims, draw(st.permutations(range(len(dims)))))


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Layout, tuple[int, ...]]:
    """Draw a layout and the shape of a blob that may have it."""
    if draw(st.booleans()):
        made = draw(st.lists(blocks(), min_size=1, max_size=3))
        return Layout.flat(made), (draw(EXTENTS), sum(b.size for b in made))
    shape = tuple(draw(st.lists(EXTENTS, min_size=1, max_size=5)))
    rank = len(shape)
    usual = st.sampled_from([Layout.plain(rank), Layout.channels_last(rank)])
    odd = st.permutations(range(rank)).map(lambda axes: Layout(tuple(axes)))
    return draw(usual | odd), shape


@st.composite
def reshapes(draw: st.DrawFn) -> tuple[Layout, tuple[int, ...], tuple[int, ...]]:
    """Draw a layout, the shape of a blob that has it, and another shape with as many values."""
    layout, source = draw(layouts())
    factors = [p for d in source for p in _primes(d)]
    if not draw(st.booleans()):
        factors = draw(st.permutations(factors))
    kept = draw(st.booleans())
    if kept:
        factors = [p for d in source[1:] for p in _primes(d)]
    target = [source[0]] if kept else []
    while factors:
        take = draw(st.integers(0, len(factors)))
        target.append(math.prod(factors[:take]))
        factors = factors[take:]
        assume(len(target) < 7)
    return layout, source, (*target, *(1,) * draw(st.integers(0, 2)))


def _primes(n: int) -> list[int]:
    found, p = [], 2
    while n > 1:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 1
    return found


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(math.prod(shape), dtype=np.float64).reshape(shape) - 3


def fits(layout: Layout, source: tuple[int, ...], after: Layout, target: tuple[int, ...]) -> bool:
    """Return whether a reshape of the tensor gives the blob of shape `target` in layout `after`."""
    tensor = layout.from_caffe(numbered(source)).reshape([target[a] for a in after.axes])
    return np.array_equal(after.to_caffe(tensor), numbered(source).reshape(target))


@given(layouts())
def test_layout_round_trip(case: tuple[Layout, tuple[int, ...]]) -> None:
    layout, shape = case
    array = numbered(shape)
    tensor = layout.from_caffe(array)
    assert tensor.shape == layout.tensor_shape(shape)
    assert np.array_equal(layout.to_caffe(tensor), array)


@given(layouts())
def test_indices_of_a_layout(case: tuple[Layout, tuple[int, ...]]) -> None:
    layout, shape = case
    if layout.blocks:
        row = numbered(shape)[0]
        assert np.array_equal(layout.from_caffe(row[None])[0], row[layout.indices()])
        assert sum(b.size for b in layout.axis_blocks(1, shape[1])) == shape[1]
    else:
        assert [shape[a] for a in layout.axes] == list(layout.tensor_shape(shape))
        assert all(layout.axes[layout.tensor_axis(a)] == a % layout.rank for a in range(-layout.rank, layout.rank))


@given(st.data())
def test_simplified_block_is_equal(data: st.DataObject) -> None:
    dims = data.draw(st.lists(EXTENTS, min_size=1, max_size=5))
    order = data.draw(st.permutations(range(len(dims))))
    block = Block.of(dims, order)
    assert np.array_equal(block.indices(), np.arange(math.prod(dims)).reshape(dims).transpose(order).reshape(-1))
    assert block.is_plain == np.array_equal(block.indices(), np.arange(block.size))
    assert block == Block.of(block.dims, block.order)
    assert 1 not in block.dims or block.dims == (1,)


@settings(max_examples=250)
@given(reshapes())
def test_reshapes_are_exact(case: tuple[Layout, tuple[int, ...], tuple[int, ...]]) -> None:
    layout, source, target = case
    before, after = regroup(layout, source, target)
    assert len(before.axes) == len(source)
    assert len(after.axes) == len(target)
    assert fits(before, source, after, target)


@settings(max_examples=250, suppress_health_check=[HealthCheck.filter_too_much])
@given(reshapes())
def test_reshapes_transpose_only_if_necessary(case: tuple[Layout, tuple[int, ...], tuple[int, ...]]) -> None:
    layout, source, target = case
    assume(len(target) < 6)
    assume(not (source[:1] == target[:1] == (1,) and layout.axes[0] != 0))  # a batch of 1 counts as an axis, too
    before, _ = regroup(layout, source, target)
    if before != layout:
        assert not any(fits(layout, source, Layout(o), target) for o in itertools.permutations(range(len(target))))
        whole = len(target) == 2 and source[:1] == target[:1] and layout.axes[0] == 0
        assert not whole or len(layout.blocks) > 1


@settings(max_examples=250)
@given(reshapes())
def test_result_has_the_usual_layout_if_possible(case: tuple[Layout, tuple[int, ...], tuple[int, ...]]) -> None:
    layout, source, target = case
    before, after = regroup(layout, source, target)
    rank = len(target)
    usual = Layout.channels_last(rank) if rank >= 4 else Layout.plain(rank)
    batch_moved = source[:1] == target[:1] == (1,) and before.axes[0] != 0  # the batch counts even if its extent is 1
    if source != target and not after.blocks and not batch_moved and fits(before, source, usual, target):
        assert after == usual


@pytest.mark.parametrize(
    ("source", "layout", "target", "before", "after"),
    [
        ((7, 3, 4, 5), (0, 2, 3, 1), (7, 3, 20), (0, 2, 3, 1), (0, 2, 1)),
        ((7, 6, 4, 5), (0, 2, 3, 1), (7, 2, 3, 4, 5), (0, 2, 3, 1), (0, 3, 4, 1, 2)),
        ((7, 3), (0, 1), (7, 3, 1, 1), (0, 1), (0, 2, 3, 1)),
        ((7, 3, 1, 1), (0, 2, 3, 1), (7, 3), (0, 2, 3, 1), (0, 1)),
        ((7, 3, 4, 5), (0, 2, 3, 1), (7, 12, 5), (0, 1, 2, 3), (0, 1, 2)),
        ((7, 3, 4, 5), (0, 2, 3, 1), (7, 3, 4, 1, 5), (0, 2, 3, 1), (0, 2, 3, 4, 1)),
        ((7, 2, 3, 4, 5), (0, 3, 4, 2, 1), (7, 6, 4, 5), (0, 3, 4, 1, 2), (0, 2, 3, 1)),
        ((1, 3, 4, 5), (0, 2, 3, 1), (1, 3, 20), (0, 2, 3, 1), (0, 2, 1)),
    ],
)
def test_reshapes_of_axes(
    source: tuple[int, ...],
    layout: tuple[int, ...],
    target: tuple[int, ...],
    before: tuple[int, ...],
    after: tuple[int, ...],
) -> None:
    assert regroup(Layout(layout), source, target) == (Layout(before), Layout(after))


def test_flattened_channels_last_blob_is_restored() -> None:
    image, flat = Layout.channels_last(4), Layout((0, 1), (Block((3, 20), (1, 0)),))
    assert regroup(image, (7, 3, 4, 5), (7, 60)) == (image, flat)
    assert regroup(Layout((0, 1), (Block((3, 4, 5), (1, 2, 0)),)), (7, 60), (7, 3, 4, 5))[1] == image
    assert regroup(flat, (7, 60), (7, 3, 4, 5)) == (flat, image)
    assert regroup(flat, (7, 60), (7, 4, 3, 5))[0] == Layout.plain(2)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32), st.sampled_from(CHAIN_SHAPES))
def test_random_chains(seed: int, shape: tuple[int, ...]) -> None:
    chain = Chain(seed, shape)
    chain.extend(5)
    have = run_layer(chain.text, {"data": chain.values["data"]}, chain.blobs or None)
    assert set(have) == set(chain.values)
    for name, want in chain.values.items():
        assert_matches(have[name], want, f"{name} of\n{chain.text}")


def test_flattening_network_needs_no_transposition() -> None:
    text = (
        layer("Convolution", "conv", ["data"], parameters="convolution_param { num_output: 6 kernel_size: 3 }")
        + layer("Flatten", "flat", ["conv"])
        + layer("Reshape", "other", ["conv"], parameters="reshape_param { shape { dim: 0 dim: -1 } }")
        + layer("Concat", "both", ["flat", "other"])
        + layer("Slice", "first", ["both"], tops=["a", "b"])
        + layer("InnerProduct", "ip", ["b"], parameters="inner_product_param { num_output: 4 }")
        + layer("Reshape", "image", ["ip"], parameters="reshape_param { shape { dim: 0 dim: 0 dim: 1 dim: 1 } }")
        + layer("Convolution", "conv2", ["image"], parameters="convolution_param { num_output: 5 kernel_size: 1 }")
        + layer("Silence", "s", ["a"], tops=[])
    )
    assert calls(text, {"data": (2, 3, 7, 5)}) == [
        *("Conv2D", "Flatten", "Flatten", "Concatenate", "Slice", "Dense", "Reshape", "Conv2D")
    ]
