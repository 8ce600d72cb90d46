"""Caffe's files: definitions of any age to one modern form, and weights as lazily mapped arrays."""

from caffe2tf.parse.blobs import Blob
from caffe2tf.parse.definition import LayerDefinition, NetworkDefinition, UnknownField
from caffe2tf.parse.mean import read_mean
from caffe2tf.parse.network import read_network
from caffe2tf.parse.upgrade_file import Upgraded, upgrade_file
from caffe2tf.parse.weights import WeightSource, open_weights
from caffe2tf.parse.write import format_prototxt, write_prototxt

__all__ = [
    "Blob",
    "LayerDefinition",
    "NetworkDefinition",
    "UnknownField",
    "Upgraded",
    "WeightSource",
    "format_prototxt",
    "open_weights",
    "read_mean",
    "read_network",
    "upgrade_file",
    "write_prototxt",
]
