"""Losses and metrics, with the values that Caffe reports. They are layers: the first result is a scalar."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = [
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SoftmaxWithLoss",
    "at_label",
    "is_counted",
    "one_or_nan",
    "rows_of_classes",
]


class _ScalarLoss(keras.layers.Layer):
    """A layer of several inputs whose output is a scalar."""

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> object:
        """A scalar, whatever the inputs."""
        del inputs
        return keras.KerasTensor((), dtype=self.compute_dtype)


class _SoftmaxLoss(keras.layers.Layer):
    """A loss on the softmax of scores, with labels that name classes.

    Args:
        axis: axis of the classes.
        batch_axes: the axes that normalization by BATCH_SIZE counts.
        ignore_label: labels of this value do not count.
        normalization: what the sum is divided by: FULL, VALID, BATCH_SIZE or NONE.
        with_probabilities: whether the softmax is a second output.
    """

    def __init__(
        self,
        axis: int = -1,
        batch_axes: Sequence[int] = (0,),
        ignore_label: int | None = None,
        normalization: str = "VALID",
        *,
        with_probabilities: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.batch_axes = tuple(batch_axes)
        self.ignore_label = ignore_label
        self.normalization = normalization
        self.with_probabilities = with_probabilities

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The loss, and the probabilities where they are asked for."""
        logarithms = tf.nn.log_softmax(inputs[0], axis=self.axis)  # near a probability of 1 more exact than its log
        labels = tf.cast(tf.reshape(inputs[1], [-1]), tf.int32)
        each = self._each(rows_of_classes(logarithms, self.axis), labels, *inputs[2:])
        kept = is_counted(labels, self.ignore_label)
        batch = 1
        for axis in self.batch_axes:
            batch *= tf.shape(logarithms)[axis]
        loss = _normalized(each, kept, self.normalization, batch)
        return (loss, tf.nn.softmax(inputs[0], axis=self.axis)) if self.with_probabilities else loss

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> object:
        """A scalar, and the shape of the scores."""
        loss = keras.KerasTensor((), dtype=self.compute_dtype)
        probabilities = keras.KerasTensor(inputs[0].shape, dtype=self.compute_dtype)
        return (loss, probabilities) if self.with_probabilities else loss

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "batch_axes": self.batch_axes,
            "ignore_label": self.ignore_label,
            "normalization": self.normalization,
            "with_probabilities": self.with_probabilities,
        }


@keras.saving.register_keras_serializable(package="caffe2tf")
class SoftmaxWithLoss(_SoftmaxLoss):
    """Sum of ``-log(p)``, p being the softmax of the scores at the class of the label, normalized."""

    def _each(self, rows: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        smallest = -87.336544  # the logarithm of the smallest normal float32 number
        return -tf.maximum(at_label(rows, labels), smallest)


@keras.saving.register_keras_serializable(package="caffe2tf")
class InfogainLoss(_SoftmaxLoss):
    """Sum of ``-H[label, k] * log(p[k])`` over classes k, p being the softmax of the scores, normalized.

    The matrix H (classes, classes) is the third input.
    """

    def _each(self, rows: tf.Tensor, labels: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
        classes = tf.shape(rows)[1]
        weights = tf.gather(tf.reshape(matrix, [classes, classes]), tf.clip_by_value(labels, 0, classes - 1))
        smallest = -46.051702  # the logarithm of 1e-20
        return -tf.reduce_sum(weights * tf.maximum(rows, smallest), axis=1) * one_or_nan(rows, labels)


@keras.saving.register_keras_serializable(package="caffe2tf")
class SigmoidCrossEntropyLoss(_ScalarLoss):
    """Sum of ``-(t log(p) + (1 - t) log(1 - p))``, p being the sigmoid of the first input, normalized.

    Args:
        ignore_label: targets of this value, decimals cut off, do not count.
        normalization: what the sum is divided by: FULL, VALID, BATCH_SIZE or NONE.
    """

    def __init__(self, ignore_label: int | None = None, normalization: str = "BATCH_SIZE", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.ignore_label = ignore_label
        self.normalization = normalization

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The loss."""
        x, t = (tf.reshape(v, [-1]) for v in inputs)
        each = x * (tf.cast(x >= 0, x.dtype) - t) + tf.math.log(1 + tf.exp(-tf.abs(x)))
        kept = is_counted(tf.cast(t, tf.int32), self.ignore_label)
        return _normalized(each, kept, self.normalization, tf.shape(inputs[0])[0])

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "ignore_label": self.ignore_label, "normalization": self.normalization}


@keras.saving.register_keras_serializable(package="caffe2tf")
class EuclideanLoss(_ScalarLoss):
    """``sum of (a - b) ** 2 / (2 N)``, N being the extent of axis 0."""

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The loss."""
        a, b = inputs
        difference = a - tf.reshape(b, tf.shape(a))
        return tf.reduce_sum(difference * difference) / _batch_of(a) / 2


@keras.saving.register_keras_serializable(package="caffe2tf")
class ContrastiveLoss(_ScalarLoss):
    """Half the mean of squared distances of similar pairs, and of what others lack to a margin.

    Args:
        margin: distance from which on pairs that are not similar cost nothing.
        legacy_version: whether the margin is compared with squared distances.
    """

    def __init__(self, margin: float = 1.0, *, legacy_version: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.margin = margin
        self.legacy_version = legacy_version

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The loss of rows of two inputs; the third tells whether they are similar."""
        count = tf.shape(inputs[0])[0]
        a, b = (tf.reshape(v, [count, -1]) for v in inputs[:2])
        similar = tf.cast(tf.reshape(inputs[2], [-1])[:count], tf.int32)
        squared = tf.reduce_sum((a - b) ** 2, axis=1)
        if self.legacy_version:
            apart = tf.maximum(self.margin - squared, 0.0)
        else:  # a root has no slope at 0
            apart = tf.maximum(self.margin - tf.sqrt(tf.maximum(squared, 1e-30)), 0.0) ** 2
        return tf.reduce_sum(tf.where(similar != 0, squared, apart)) / _batch_of(a) / 2

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "margin": self.margin, "legacy_version": self.legacy_version}


@keras.saving.register_keras_serializable(package="caffe2tf")
class HingeLoss(_ScalarLoss):
    """Mean over axis 0 of the sum of ``max(0, 1 - x)`` for the class of the label, ``max(0, 1 + x)`` for others.

    Args:
        norm: L1, or L2 for squared terms.
    """

    def __init__(self, norm: str = "L1", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.norm = norm

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The loss."""
        rows, labels = _rows_and_labels(*inputs)
        sign = 1 - 2 * tf.one_hot(labels, tf.shape(rows)[1], dtype=rows.dtype)
        terms = tf.maximum(1 + sign * rows, 0.0) * one_or_nan(rows, labels)[:, None]
        return tf.reduce_sum(terms * terms if self.norm == "L2" else terms) / _batch_of(rows)

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "norm": self.norm}


@keras.saving.register_keras_serializable(package="caffe2tf")
class MultinomialLogisticLoss(_ScalarLoss):
    """Mean over axis 0 of ``-log(p)``, p being the probability of the class of the label."""

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The loss."""
        rows, labels = _rows_and_labels(*inputs)
        return -tf.reduce_sum(tf.math.log(tf.maximum(at_label(rows, labels), 1e-20))) / _batch_of(rows)


def _batch_of(x: tf.Tensor) -> tf.Tensor:
    """The extent of axis 0 as a number to divide by."""
    return tf.cast(tf.shape(x)[0], x.dtype)


def _rows_and_labels(scores: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """All values of each index of axis 0 in a row, and one label for each row."""
    count = tf.shape(scores)[0]
    return tf.reshape(scores, [count, -1]), tf.cast(tf.reshape(labels, [-1])[:count], tf.int32)


def rows_of_classes(x: tf.Tensor, axis: int) -> tf.Tensor:
    """The values along ``axis`` of all places, a row for each."""
    rank = len(x.shape)
    axis %= rank
    if axis != rank - 1:
        x = tf.transpose(x, [*range(axis), *range(axis + 1, rank), axis])
    return tf.reshape(x, [-1, tf.shape(x)[-1]])


def one_or_nan(rows: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """1 where a label names a class, else NaN."""
    named = (labels >= 0) & (labels < tf.shape(rows)[1])
    return tf.where(named, tf.ones((), rows.dtype), tf.constant(float("nan"), rows.dtype))


def at_label(rows: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The value of each row at its label; NaN where the label names no class."""
    last = tf.shape(rows)[1] - 1
    return tf.gather(rows, tf.clip_by_value(labels, 0, last), batch_dims=1) * one_or_nan(rows, labels)


def is_counted(labels: tf.Tensor, ignore_label: int | None) -> tf.Tensor:
    """Which labels count."""
    return tf.ones_like(labels, tf.bool) if ignore_label is None else labels != ignore_label


def _normalized(each: tf.Tensor, kept: tf.Tensor, normalization: str, batch: tf.Tensor) -> tf.Tensor:
    """The sum of the terms that count, divided as Caffe's parameter says, but never by less than 1."""
    total = tf.reduce_sum(tf.where(kept, each, tf.zeros_like(each)))
    if normalization == "VALID":
        by = tf.reduce_sum(tf.cast(kept, tf.int32))
    else:
        by = {"FULL": tf.size(each), "BATCH_SIZE": batch, "NONE": 1}[normalization]
    return total / tf.maximum(tf.cast(by, each.dtype), 1)
