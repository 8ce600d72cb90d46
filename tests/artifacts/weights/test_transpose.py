from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest

from caffe2tf.artifacts.weights import transpose
from caffe2tf.artifacts.weights.transpose import copy_blocked, merge_axes, split_regions

Floats = npt.NDArray[np.float32]


def numbers(*shape: int) -> Floats:
    """Every value is different, half of them are negative."""
    count = math.prod(shape)
    return (np.arange(count, dtype=np.float32) - count // 2).reshape(shape)


VIEWS = {
    "dense": numbers(70, 130).T,
    "convolution": numbers(70, 5, 3, 4).transpose(2, 3, 1, 0),
    "flattened": numbers(67, 6, 2, 3).transpose(2, 3, 1, 0),
    "depthwise": numbers(70, 1, 3, 4).transpose(2, 3, 0, 1),
    "deconvolution": numbers(5, 70, 3, 4).transpose(2, 3, 1, 0),
    "flipped": numbers(70, 5, 3, 4).transpose(2, 3, 1, 0)[::-1, ::-1],
    "strided": numbers(140, 5, 3, 4)[::2].transpose(2, 3, 1, 0),
    "five axes": numbers(7, 5, 2, 3, 4).transpose(2, 4, 3, 1, 0),
    "few outputs": numbers(2, 500).T,
    "contiguous": numbers(30, 50),
    "one axis": numbers(200)[::3],
    "one value": numbers(1, 1, 1),
    "repeated": np.broadcast_to(numbers(7, 1), (7, 300)),
}


@pytest.fixture(params=list(VIEWS.values()), ids=list(VIEWS))
def view(request: pytest.FixtureRequest) -> Floats:
    array: Floats = request.param
    return array


@pytest.mark.parametrize("tile", [1 << 15, 256, 7, 1])
def test_copy_equals_the_view(view: Floats, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transpose, "TILE", tile)
    out = np.full(view.shape, np.nan, dtype=np.float32)
    copy_blocked(view, out)
    np.testing.assert_array_equal(out, view)


def test_copy_of_a_large_array_in_the_tiles_of_real_use() -> None:
    view = numbers(300, 40, 6, 5).transpose(2, 3, 1, 0)
    out = np.full((6, 5, 40, 301), np.nan, dtype=np.float32)
    copy_blocked(view, out[..., :300])
    np.testing.assert_array_equal(out[..., :300], view)
    assert np.isnan(out[..., 300]).all()


def test_copy_casts_from_double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transpose, "TILE", 64)
    view = (numbers(40, 30).astype(np.float64) / 3).T
    out = np.empty((30, 40), dtype=np.float32)
    copy_blocked(view, out)
    np.testing.assert_array_equal(out, view.astype(np.float32))


def test_copy_refuses_another_shape() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(2, 3\)"):
        copy_blocked(numbers(3, 2), numbers(2, 3))


def test_merging_keeps_order_and_memory(view: Floats) -> None:
    merged = merge_axes(view)
    np.testing.assert_array_equal(merged.reshape(-1), view.reshape(-1))
    assert np.shares_memory(merged, view)
    assert merged.ndim <= max(1, view.ndim)


@pytest.mark.parametrize(
    ("view", "shape"),
    [
        (numbers(4, 3, 2), (24,)),
        (numbers(4, 3, 2, 5).transpose(2, 3, 1, 0), (10, 3, 4)),
        (numbers(4, 3, 2, 5).transpose(1, 2, 3, 0), (30, 4)),
        (numbers(4, 1, 2, 5).transpose(2, 3, 1, 0), (10, 4)),
        (numbers(4, 3)[:, :2], (4, 2)),
        (numbers(1).reshape(()), (1,)),
    ],
)
def test_merging_leaves_as_few_axes_as_strides_allow(view: Floats, shape: tuple[int, ...]) -> None:
    assert merge_axes(view).shape == shape


@pytest.mark.parametrize("limit", [4, 40, 1000, 1 << 20])
@pytest.mark.parametrize("shortest", [4, 256, 1 << 14])
def test_regions_cover_every_value_once(
    view: Floats, limit: int, shortest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transpose, "SHORTEST_RUN", shortest)
    out = np.full(view.size, np.nan, dtype=np.float32)
    for region in split_regions(view, limit):
        assert region.view.size * 4 <= limit
        values = region.view.reshape(-1)
        for position, first, length in region.runs():
            assert np.isnan(out[position : position + length]).all()
            out[position : position + length] = values[first : first + length]
    np.testing.assert_array_equal(out, view.reshape(-1))


def test_nothing_makes_no_regions() -> None:
    assert list(split_regions(numbers(0, 3), 100)) == []


def test_a_large_dense_weight_is_cut_where_reads_and_writes_stay_long() -> None:
    """The shape of AlexNet's fc6: each read is at least 2,000 bytes in one piece, each write 16 KiB (but the last)."""
    source = np.broadcast_to(np.float32(0), (4096, 256, 6, 6))
    strides = (4 * 9216, 4 * 36, 4 * 6, 4)
    view = np.lib.stride_tricks.as_strided(source, source.shape, strides, writeable=False).transpose(2, 3, 1, 0)
    regions = list(split_regions(view, 8 << 20))
    rows = [math.prod(region.view.shape[:-1]) for region in regions]  # per filter, one run of so many values is read
    assert sum(rows) == 9216
    assert min(rows[:-1]) * 4 >= 2000
    assert min(length * 4 for region in regions for _, _, length in region.runs()) >= 1 << 14
    assert {region.view.shape[-1] for region in regions} == {4096}
    assert all(one.starts < other.starts for one, other in itertools.pairwise(regions))
