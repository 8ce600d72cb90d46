"""Accuracy, as Caffe counts it."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.loss.losses import at_label, is_counted, one_or_nan, rows_of_classes

__all__ = ["Accuracy"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Accuracy(keras.layers.Layer):
    """The share of labels whose class is among those with the highest scores; equal scores count as higher.

    Args:
        top_k: how many classes may score as high.
        axis: axis of the classes.
        ignore_label: labels of this value do not count.
        per_class: whether the share for each class is a second output.
    """

    def __init__(
        self,
        top_k: int = 1,
        axis: int = -1,
        ignore_label: int | None = None,
        *,
        per_class: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.top_k = top_k
        self.axis = axis
        self.ignore_label = ignore_label
        self.per_class = per_class

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The share of all, and of each class where it is asked for; 0 where nothing counts."""
        rows = rows_of_classes(inputs[0], self.axis)
        labels = tf.cast(tf.reshape(inputs[1], [-1]), tf.int32)
        better = rows >= at_label(rows, labels)[:, None]  # the class itself is one of them
        right = tf.reduce_sum(tf.cast(better, tf.int32), axis=1) <= self.top_k
        kept = tf.cast(is_counted(labels, self.ignore_label), rows.dtype)
        hits = tf.math.multiply_no_nan(tf.cast(right, rows.dtype) * one_or_nan(rows, labels), kept)
        share = tf.math.divide_no_nan(tf.reduce_sum(hits), tf.reduce_sum(kept))
        if not self.per_class:
            return share
        classes = tf.shape(rows)[1]
        found = tf.clip_by_value(labels, 0, classes - 1)
        sums = [tf.math.unsorted_segment_sum(v, found, classes) for v in (hits, kept)]
        return share, tf.math.divide_no_nan(*sums)

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> object:
        """A scalar, and a value for each class."""
        share = keras.KerasTensor((), dtype=self.compute_dtype)
        classes = keras.KerasTensor((inputs[0].shape[self.axis],), dtype=self.compute_dtype)
        return (share, classes) if self.per_class else share

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {
            **super().get_config(),
            "top_k": self.top_k,
            "axis": self.axis,
            "ignore_label": self.ignore_label,
            "per_class": self.per_class,
        }
