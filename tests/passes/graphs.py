"""Small graphs, built node by node: what the tests of single passes work on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from caffe2tf.ir import Graph, Layout, Node, Shape, Value
from caffe2tf.ir.check import check_graph
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Layer, Role
from caffe2tf.layers.activation.activations import ReLU
from caffe2tf.layers.arithmetic.inner_product import InnerProduct
from caffe2tf.layers.arithmetic.parameter import Parameter
from caffe2tf.layers.data.sinks import Silence
from caffe2tf.layers.data.source import Input
from caffe2tf.layers.loss.softmax_losses import SoftmaxWithLoss
from caffe2tf.layers.shape.split import Split
from caffe2tf.layers.vision.convolution import Convolution
from caffe2tf.layers.window import Stated, StatedWindow

SOFTMAX_LOSS = SoftmaxWithLoss(axis=1, ignore_label=None, normalization="VALID")
CONVOLUTION = Convolution(
    num_output=4,
    group=1,
    bias=True,
    axis=1,
    window=StatedWindow(
        kernel=Stated(name="kernel_size", values=(1,)),
        stride=Stated(name="stride"),
        pad=Stated(name="pad"),
        dilation=Stated(name="dilation"),
    ),
    weight_filler=Filler(),
    bias_filler=Filler(),
)


def dense(num_output: int = 5) -> InnerProduct:
    return InnerProduct(
        num_output=num_output, bias=True, axis=1, transpose=False, weight_filler=Filler(), bias_filler=Filler()
    )


def node(name: str, layer: Layer, inputs: str = "", outputs: str | None = None, **changes: Any) -> Node:  # noqa: ANN401 - passed to Node()
    """A node that reads and writes values of these ids, separated by spaces; by default it writes one of its name."""
    return Node(
        name=name,
        layer=layer,
        inputs=tuple(inputs.split()),
        outputs=tuple((name if outputs is None else outputs).split()),
        **{"parts": (name,), **changes},
    )


def source(name: str, *shapes: Shape, outputs: str | None = None) -> Node:
    return node(name, Input(shapes=shapes or ((2, 3),)), outputs=outputs)


def constant(name: str, shape: tuple[int, ...]) -> Node:
    return node(name, Parameter(shape=shape))


def relu(name: str, inputs: str, outputs: str | None = None) -> Node:
    return node(name, ReLU(), inputs, outputs)


def silence(name: str, inputs: str) -> Node:
    return node(name, Silence(), inputs, "")


def echo(name: str, read: str, written: str) -> Node:
    """What ``read``, an overwritten alias, makes of another name of its memory: the version ``written``."""
    return node(name, Split(count=1), read, written, echo=True)


def build(*nodes: Node, **changes: Any) -> Graph:  # noqa: ANN401 - passed to Graph()
    """A sound graph of ``nodes``: shapes as the layers infer them, Caffe's layouts, unread blobs as outputs.

    A value ``x#2`` is the second version of the blob ``x``.
    """
    values: dict[str, Value] = {}
    for n in nodes:
        given = () if n.layer.role is Role.SOURCE else n.inputs
        shapes = n.layer.infer(*(values[i].shape for i in given))
        for id_, shape in zip(n.outputs, shapes, strict=False):
            values[id_] = Value(id=id_, blob=id_.partition("#")[0], shape=shape, layout=Layout.plain(len(shape)))
    graph = Graph(name="g", nodes=nodes, values=values, outputs=())
    graph = replace(graph, **{"outputs": graph.unread(), **changes})
    check_graph(graph)
    return graph


def names(graph: Graph) -> list[str]:
    return [n.name for n in graph.nodes]


def by_name(graph: Graph, name: str) -> Node:
    return next(n for n in graph.nodes if n.name == name)
