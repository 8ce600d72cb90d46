"""The network between reading and emission: frozen data, without protobuf and TensorFlow."""

from caffe2tf.ir.graph import Graph, Node
from caffe2tf.ir.layout import Block, Layout
from caffe2tf.ir.parameter import Member, Parameter
from caffe2tf.ir.shape import Shape, canonical_axis, count, format_shape
from caffe2tf.ir.value import NodeBlob, Value, computed_weight
from caffe2tf.ir.weight import Array, Releasable, Weight

__all__ = [
    "Array",
    "Block",
    "Graph",
    "Layout",
    "Member",
    "Node",
    "NodeBlob",
    "Parameter",
    "Releasable",
    "Shape",
    "Value",
    "Weight",
    "canonical_axis",
    "computed_weight",
    "count",
    "format_shape",
]
