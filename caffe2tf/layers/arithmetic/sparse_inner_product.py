"""SparseInnerProduct: a fully connected layer of a fork, faster for inputs that are mostly 0."""

from __future__ import annotations

from dataclasses import dataclass

from caffe2tf.layers.arithmetic.inner_product import InnerProduct
from caffe2tf.layers.registry import register

__all__ = ["SparseInnerProduct"]


@register("SparseInnerProduct")
@dataclass(frozen=True, slots=True, kw_only=True)
class SparseInnerProduct(InnerProduct):
    """`InnerProduct`, with its parameters and blobs: its fork leaves out the products with zeros, here they are made.

    The fork's sparse blob is an ordinary one here: feed all values, the zeros too.
    """
