"""Accuracy: the share of correct predictions, as Caffe counts it."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.loss.losses import at_label, compute_in_float32, is_counted, one_or_nan, rows_of_classes

__all__ = ["Accuracy"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Accuracy(keras.layers.Layer):
    """Returns the share of predictions whose true class has one of the `top_k` highest scores.

    As in Caffe, ties count against the prediction: it is correct if at most `top_k` classes, the true class among
    them, score at least as high as the true class. The result is 0 if no label counts, and NaN if a label that counts
    names no class. It is computed in float32 under mixed precision.

    Args:
        top_k: int. Defaults to 1.
        axis: int. The class axis of the scores. Defaults to -1.
        ignore_label: int. Predictions with this label do not count. Defaults to None: all count.
        per_class: bool. Whether the accuracy for each true class is a second output. Defaults to False.

    Input shape:
        A list of the scores, for example ``(N, H, W, classes)``, and the labels, one for each prediction, as numbers:
        for example ``(N, H, W)``.

    Output shape:
        A scalar, or a tuple of a scalar and ``(classes,)`` if `per_class` is true.
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
        compute_in_float32(self)
        self.top_k = top_k
        self.axis = axis
        self.ignore_label = ignore_label
        self.per_class = per_class

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the accuracy, and that of each class if it is requested."""
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
        """Return the spec of a scalar, and of one value for each class."""
        share = keras.KerasTensor((), dtype=self.compute_dtype)
        classes = keras.KerasTensor((inputs[0].shape[self.axis],), dtype=self.compute_dtype)
        return (share, classes) if self.per_class else share

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "top_k": self.top_k,
            "axis": self.axis,
            "ignore_label": self.ignore_label,
            "per_class": self.per_class,
        }
