"""The origin of a weight: equal for the same values in the same order, and different for any others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe2tf.ir import Block, Layout, Member, NodeBlob, Weight, computed_weight
from caffe2tf.ir.origin import Recipe, StridedView, blobs_of, origin_of_views

Numbers = npt.NDArray[np.int64]
W, B = Member("conv", 0), Member("conv", 1)


def positions() -> Numbers:
    """A blob whose values are their own positions: a view of it shows what it reads."""
    return np.arange(24).reshape(2, 3, 4)


@st.composite
def views(draw: st.DrawFn, array: Numbers) -> Numbers:
    """A reshaped, sliced and transposed view of ``array``."""
    shape = draw(st.sampled_from([(24,), (2, 3, 4), (6, 4), (1, 2, 12), (4, 3, 2), (2, 2, 6)]))
    view = array.reshape(shape)
    cut = tuple(slice(draw(st.integers(0, n - 1)), n, draw(st.integers(1, 2))) for n in shape)
    return view[cut].transpose(draw(st.permutations(range(len(shape)))))


@given(st.data())
def test_two_views_are_equal_where_they_read_the_same_values_in_the_same_order(data: st.DataObject) -> None:
    array = positions()
    one, two = data.draw(views(array)), data.draw(views(array))
    same = one.size == two.size and one.reshape(-1).tolist() == two.reshape(-1).tolist()
    assert (origin_of_views(W, array, [one]) == origin_of_views(W, array, [two])) is same


@given(st.data())
def test_a_view_in_pieces_is_the_whole_view(data: st.DataObject) -> None:
    array = positions()
    view = data.draw(views(array).filter(lambda v: len(v) > 1))
    cut = data.draw(st.integers(1, len(view) - 1))
    assert origin_of_views(W, array, [view[:cut], view[cut:]]) == origin_of_views(W, array, [view])


def test_a_strided_view_in_numbers() -> None:
    array = positions()
    view = StridedView.of(W, array, array[1:, :, ::2].transpose(2, 1, 0))
    assert view == StridedView(blob=W, offset=12, shape=(2, 3, 1), strides=(2, 4, 12))
    assert view.simplified() == StridedView(blob=W, offset=12, shape=(2, 3), strides=(2, 4))


def test_a_copy_is_no_view_and_another_blob_is_another_origin() -> None:
    array = positions()
    assert origin_of_views(W, array, [array.copy()]) is None
    assert origin_of_views(W, array, [array, array[[1, 0]]]) is None
    assert origin_of_views(W, array, [array]) != origin_of_views(B, array, [array])
    assert origin_of_views(W, array, [array]) != origin_of_views(W, array, [array[::-1]])


def test_the_weights_of_a_blob_know_it() -> None:
    array = np.zeros((2, 3), np.float32)
    blob = NodeBlob(array=array, member=W)
    assert blob.weight().origin == (StridedView(blob=W, offset=0, shape=(6,), strides=(1,)),)
    assert blob.weight(shape=(6,)).origin == blob.weight().origin != blob.weight(array.T).origin
    assert blob.weight(array * 2).origin is None
    assert NodeBlob(array=array).weight().origin is None
    assert Weight.of(array).origin is None


def test_computed_weights_are_equal_by_recipe_blobs_and_dependencies() -> None:
    array = np.zeros(3, np.float32)
    w, b = (NodeBlob(array=array, member=m) for m in (W, B))

    def made(recipe: str, *blobs: NodeBlob, depends: object = None) -> Weight:
        return computed_weight((array,), (3,), recipe=recipe, blobs=blobs, depends=depends)

    origin = made("sum", w, b, depends=2).origin
    assert origin == made("sum", w, b, depends=2).origin == Recipe(name="sum", blobs=(W, B), depends=2)
    assert blobs_of(origin) == {W, B}
    others = [made("product", w, b, depends=2), made("sum", b, w, depends=2), made("sum", w, b), made("sum", w)]
    assert len({origin, *(o.origin for o in others)}) == 5
    assert made("sum", w, NodeBlob(array=array)).origin is None


@pytest.mark.parametrize(
    "blocks", [(), (Block((3, 4), (1, 0)),), (Block((2, 3), (1, 0)), Block((2,), (0,)), Block((2, 2), (1, 0)))]
)
def test_a_flattened_axis_is_put_in_order_by_views_alone(blocks: tuple[Block, ...]) -> None:
    layout, array = Layout((0, 1), blocks), np.arange(12 * 5).reshape(12, 5)
    pieces = layout.ordered_views(array)
    assert all(np.shares_memory(p, array) for p in pieces)
    want = array[layout.indices()] if blocks else array
    np.testing.assert_array_equal(np.concatenate([p.reshape(-1) for p in pieces]), want.reshape(-1))
