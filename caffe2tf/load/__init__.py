"""From a definition, the layer registry and trained blobs to a graph."""

from caffe2tf.load.loader import load_graph, source_tops
from caffe2tf.load.trained import WeightFiles, open_trained

__all__ = ["WeightFiles", "load_graph", "open_trained", "source_tops"]
