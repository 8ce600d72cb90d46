"""A definition, the registry and trained blobs to a graph."""

from caffe2tf.load.loader import load_graph, source_tops
from caffe2tf.load.source import WeightFiles, open_source

__all__ = ["WeightFiles", "load_graph", "open_source", "source_tops"]
