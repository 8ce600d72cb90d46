"""Verification: compare activations with recorded ones and report a verdict for each blob."""

from caffe2tf.verification.archive import read_arrays, write_arrays
from caffe2tf.verification.compare import BlobVerdict, Tolerance
from caffe2tf.verification.reference import Reference, read_reference
from caffe2tf.verification.report import Report, compare_blobs

__all__ = [
    "BlobVerdict",
    "Reference",
    "Report",
    "Tolerance",
    "compare_blobs",
    "read_arrays",
    "read_reference",
    "write_arrays",
]
