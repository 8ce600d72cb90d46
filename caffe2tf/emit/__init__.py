"""From a prepared graph to Python source. Nothing is written here, and TensorFlow is not imported.

`emit_graph` returns a `Plan`: the source texts, and the weights as views. Read `plan.py` first.
"""

from caffe2tf.emit.module import is_emitted
from caffe2tf.emit.names import RUNTIME_MODULE, NameMap, identifier
from caffe2tf.emit.plan import Plan, emit_graph
from caffe2tf.emit.program import Program
from caffe2tf.emit.runtime_source import extract_runtime, listed_classes, runtime_names
from caffe2tf.emit.stub_source import is_stubs, stubs_module

__all__ = [
    "RUNTIME_MODULE",
    "NameMap",
    "Plan",
    "Program",
    "emit_graph",
    "extract_runtime",
    "identifier",
    "is_emitted",
    "is_stubs",
    "listed_classes",
    "runtime_names",
    "stubs_module",
]
