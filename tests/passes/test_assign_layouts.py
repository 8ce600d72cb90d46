"""Layouts: every case that `caffe2tf.passes.assign_layouts` numbers."""

from __future__ import annotations

import pytest

from caffe2tf.ir import Graph, Layout, Node, Shape
from caffe2tf.ir.check import check_graph
from caffe2tf.layers.shape.flatten import Flatten
from caffe2tf.layers.shape.permute import Permute
from caffe2tf.layers.shape.reshape import Reshape
from caffe2tf.passes.assign_layouts import assign_layouts
from caffe2tf.passes.reorder import Reorder
from tests.passes.graphs import CONVOLUTION, build, by_name, constant, dense, names, node, relu, source

IMAGE = source("image", (2, 3, 4, 5))
CONV = node("conv", CONVOLUTION, "image")
ROWS = Reshape(shape=(0, 5, -1), axis=0, num_axes=-1)
CHANNELS_LAST = Layout((0, 2, 3, 1))


def laid_out(*nodes: Node) -> Graph:
    done = assign_layouts(build(*nodes))
    check_graph(done, laid_out=True)
    return done


def reorders(graph: Graph) -> list[str]:
    return [n.name for n in graph.nodes if isinstance(n.layer, Reorder)]


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((2, 3), (0, 1)), ((2, 3, 4), (0, 1, 2)), ((2, 3, 4, 5), (0, 2, 3, 1)), ((2, 3, 4, 5, 6), (0, 2, 3, 4, 1))],
)
def test_1_free_values_are_channels_last_from_four_axes_on(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    done = laid_out(source("x", shape), relu("r", "x"), constant("c", shape), relu("s", "c"))
    assert {v.layout for v in done.values.values()} == {Layout(axes)}


def test_2_readers_that_want_one_layout_share_a_reorder() -> None:
    done = laid_out(IMAGE, CONV, node("a", ROWS, "conv"), node("b", ROWS, "conv"))
    assert reorders(done) == ["conv-plain"]
    assert by_name(done, "a").inputs == by_name(done, "b").inputs == ("conv@plain",)
    assert done.values["conv"].layout == CHANNELS_LAST
    assert done.values["conv@plain"].layout.is_plain
    assert by_name(done, "conv-plain").layer == Reorder(source=CHANNELS_LAST, target=Layout.plain(4))


def test_2_the_id_of_a_reordered_value_collides_with_no_blob() -> None:
    done = laid_out(IMAGE, CONV, relu("other", "image", "conv@plain"), node("a", ROWS, "conv"))
    assert by_name(done, "a").inputs == ("conv@plain+",)


def test_3_an_input_takes_the_layout_that_needs_fewer_reorders() -> None:
    assert laid_out(IMAGE, node("a", ROWS, "image")).values["image"].layout.is_plain
    three: Shape = (2, 3, 4)
    done = laid_out(source("image", three), CONV)
    assert done.values["image"].layout == Layout((0, 2, 1))
    assert reorders(done) == []


def test_4_an_output_is_in_an_order_that_a_caller_can_guess() -> None:
    flatten = node("flat", Flatten(axis=1, end_axis=-1), "conv")
    done = laid_out(IMAGE, CONV, flatten)
    assert done.outputs == ("flat@plain",)
    assert done.values["flat@plain"].blob == "flat"
    assert laid_out(IMAGE, CONV).outputs == ("conv",)
    assert reorders(laid_out(IMAGE, CONV, flatten, node("fc", dense(), "flat"))) == []


def test_5_a_layer_is_not_shared_where_its_weights_differ_in_order() -> None:
    wide = source("wide", (2, 3, 4, 5))
    turned = node("turned", Permute(order=(0, 3, 1, 2)), "conv2")
    convs = node("conv", CONVOLUTION, "image"), node("conv2", CONVOLUTION, "wide")
    flat = [node(f"{n}-flat", Flatten(axis=1, end_axis=-1), n) for n in ("conv", "turned")]
    fcs = node("fc", dense(), "conv-flat"), node("fc2", dense(), "turned-flat", owner="fc")
    done = laid_out(IMAGE, wide, *convs, turned, *flat, *fcs)
    assert by_name(done, "fc2").owner is None
    same = node("same", Flatten(axis=1, end_axis=-1), "conv2")
    done = laid_out(IMAGE, wide, *convs, flat[0], same, fcs[0], node("fc2", dense(), "same", owner="fc"))
    assert by_name(done, "fc2").owner == "fc"


def test_a_graph_that_needs_no_reorder_keeps_its_nodes() -> None:
    assert names(laid_out(IMAGE, CONV, relu("r", "conv"))) == ["image", "conv", "r"]
