"""SparseInnerProduct: a fork's fully connected layer for inputs that are mostly 0."""

from __future__ import annotations

from dataclasses import dataclass

from caffe2tf.layers.arithmetic.inner_product import InnerProduct
from caffe2tf.layers.registry import register

__all__ = ["SparseInnerProduct"]


@register("SparseInnerProduct")
@dataclass(frozen=True, slots=True, kw_only=True)
class SparseInnerProduct(InnerProduct):
    """``y = W x + b``, as `InnerProduct`, for inputs that are mostly 0.

    The fork skips products with zeros; here they are computed. Its sparse blobs are ordinary ones here: feed all
    values, including the zeros.

    Parameters, bottoms, tops, trained blobs and Keras weights are those of `InnerProduct`.

    Source: ``src/caffe/layers/sparse_inner_product_layer.cpp`` of github.com/alemagnani/caffe.
    """
