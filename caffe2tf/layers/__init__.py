"""Caffe's layers: one file for each family, found and registered on first use."""

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
