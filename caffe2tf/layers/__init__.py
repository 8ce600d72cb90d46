"""Caffe's layers: a folder for each family, a file for each layer or group of similar ones.

A module is imported when one of its layer types is first looked up. The names below are the interface for plugins.
"""

from caffe2tf.ir.layer import Arrangement, BlobSpec, Context, Elementwise, Layer, Role
from caffe2tf.layers.registry import (
    find,
    find_offered,
    is_ours,
    nearest,
    register,
    register_runtime,
    registered,
    runtime_files,
    type_of,
    without_implementation,
)

__all__ = [
    "Arrangement",
    "BlobSpec",
    "Context",
    "Elementwise",
    "Layer",
    "Role",
    "find",
    "find_offered",
    "is_ours",
    "nearest",
    "register",
    "register_runtime",
    "registered",
    "runtime_files",
    "type_of",
    "without_implementation",
]
