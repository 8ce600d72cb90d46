"""Losses with the values that Caffe reports. They are layers whose first output is the scalar loss."""

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
    "compute_in_float32",
    "is_counted",
    "one_or_nan",
    "rows_of_classes",
]


class _ScalarLoss(keras.layers.Layer):
    """Base class of layers that compute a scalar from several inputs, in float32 under mixed precision."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        compute_in_float32(self)

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> object:
        """Return the spec of a scalar."""
        del inputs
        return keras.KerasTensor((), dtype=self.compute_dtype)


class _SoftmaxLoss(keras.layers.Layer):
    """Base class of losses on the softmax of scores, for labels that are class indices.

    The loss is the sum of one term for each prediction, divided by a count that is at least 1. It is computed in
    float32 under mixed precision.

    Args:
        axis: int. The class axis of the scores. Defaults to -1.
        batch_axes: sequence of ints. The axes of the scores whose extents ``"BATCH_SIZE"`` multiplies. Defaults to the
            first axis.
        ignore_label: int. Predictions with this label do not count. Defaults to None: all count.
        normalization: what the sum is divided by. ``"FULL"``: the number of predictions; ``"VALID"`` (the default):
            those whose label is not ignored; ``"BATCH_SIZE"``: the product of the batch extents; ``"NONE"``: 1.
        with_probabilities: bool. Whether the softmax is a second output. Defaults to False.
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
        compute_in_float32(self)
        self.axis = axis
        self.batch_axes = tuple(batch_axes)
        self.ignore_label = ignore_label
        self.normalization = normalization
        self.with_probabilities = with_probabilities

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the loss, and the probabilities if they are requested."""
        logarithms = tf.nn.log_softmax(inputs[0], axis=self.axis)  # more exact than log(softmax(x)) near p = 1
        labels = tf.cast(tf.reshape(inputs[1], [-1]), tf.int32)
        each = self._each(rows_of_classes(logarithms, self.axis), labels, *inputs[2:])
        kept = is_counted(labels, self.ignore_label)
        batch = 1
        for axis in self.batch_axes:
            batch *= tf.shape(logarithms)[axis]
        loss = _normalized(each, kept, self.normalization, batch)
        return (loss, tf.nn.softmax(inputs[0], axis=self.axis)) if self.with_probabilities else loss

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> object:
        """Return the spec of a scalar, and of the probabilities."""
        loss = keras.KerasTensor((), dtype=self.compute_dtype)
        probabilities = keras.KerasTensor(inputs[0].shape, dtype=self.compute_dtype)
        return (loss, probabilities) if self.with_probabilities else loss

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
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
    """Softmax cross-entropy: the sum of ``-log(p[label])``, normalized, where p is the softmax of the scores.

    ``keras.losses.SparseCategoricalCrossentropy`` knows only some of Caffe's normalizations. As in Caffe, ``log(p)``
    is bounded below by the logarithm of the smallest normal float32 number, -87.34. A label that names no class gives
    NaN. See `_SoftmaxLoss` for the arguments.

    Input shape:
        A list of the scores, for example ``(N, H, W, classes)``, and the labels, one for each prediction, as numbers:
        for example ``(N, H, W)``.

    Output shape:
        A scalar, or a tuple of a scalar and the shape of the scores if `with_probabilities` is true.
    """

    def _each(self, rows: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        smallest = -87.336544  # the logarithm of the smallest normal float32 number
        return -tf.maximum(at_label(rows, labels), smallest)


@keras.saving.register_keras_serializable(package="caffe2tf")
class InfogainLoss(_SoftmaxLoss):
    """Cross-entropy weighted by a matrix: the sum of ``-H[label, k] * log(p[k])`` over all classes k, normalized.

    p is the softmax of the scores, bounded below by 1e-20 as in Caffe. A label that names no class gives NaN. See
    `_SoftmaxLoss` for the arguments.

    Input shape:
        A list of the scores, for example ``(N, H, W, classes)``, the labels, one for each prediction, as numbers: for
        example ``(N, H, W)``, and the matrix H, of ``classes ** 2`` values in any shape.

    Output shape:
        A scalar, or a tuple of a scalar and the shape of the scores if `with_probabilities` is true.
    """

    def _each(self, rows: tf.Tensor, labels: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
        classes = tf.shape(rows)[1]
        weights = tf.gather(tf.reshape(matrix, [classes, classes]), tf.clip_by_value(labels, 0, classes - 1))
        smallest = -46.051702  # the logarithm of 1e-20
        return -tf.reduce_sum(weights * tf.maximum(rows, smallest), axis=1) * one_or_nan(rows, labels)


@keras.saving.register_keras_serializable(package="caffe2tf")
class SigmoidCrossEntropyLoss(_ScalarLoss):
    """Binary cross-entropy: the sum of ``-(t * log(p) + (1 - t) * log(1 - p))``, normalized, p = sigmoid(x).

    Args:
        ignore_label: int. Targets that are equal to it once their fractions are dropped do not count. Defaults to
            None: all count.
        normalization: what the sum is divided by. ``"FULL"``: the number of values; ``"VALID"``: those that are not
            ignored; ``"BATCH_SIZE"`` (the default): the extent of axis 0; ``"NONE"``: 1. It is never less than 1.

    Input shape:
        A list of the logits x, of any shape, and the targets t, with as many values in the same order.

    Output shape:
        A scalar.
    """

    def __init__(self, ignore_label: int | None = None, normalization: str = "BATCH_SIZE", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.ignore_label = ignore_label
        self.normalization = normalization

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the loss."""
        x, t = (tf.reshape(v, [-1]) for v in inputs)
        each = x * (tf.cast(x >= 0, x.dtype) - t) + tf.math.log(1 + tf.exp(-tf.abs(x)))
        kept = is_counted(tf.cast(t, tf.int32), self.ignore_label)
        return _normalized(each, kept, self.normalization, tf.shape(inputs[0])[0])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "ignore_label": self.ignore_label, "normalization": self.normalization}


@keras.saving.register_keras_serializable(package="caffe2tf")
class EuclideanLoss(_ScalarLoss):
    """Half the sum of squared differences for each item: ``sum((a - b) ** 2) / (2 * N)``.

    Input shape:
        A list of two tensors with as many values in the same order; N is the extent of axis 0 of the first.

    Output shape:
        A scalar.
    """

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the loss."""
        a, b = inputs
        difference = a - tf.reshape(b, tf.shape(a))
        return tf.reduce_sum(difference * difference) / _batch_of(a) / 2


@keras.saving.register_keras_serializable(package="caffe2tf")
class ContrastiveLoss(_ScalarLoss):
    """Contrastive loss: draws similar pairs together and pushes others apart, up to a margin.

    With ``d[n]`` the Euclidean distance of the n-th pair of rows, the loss is ``sum(cost) / (2 * N)``. The cost is
    ``d[n] ** 2`` for a similar pair and ``max(margin - d[n], 0) ** 2`` for any other.

    Args:
        margin: float. Pairs that are not similar cost nothing from this distance on. Defaults to 1.
        legacy_version: bool. Whether a pair that is not similar costs ``max(margin - d[n] ** 2, 0)``, as in old
            versions of Caffe. Defaults to False.

    Input shape:
        A list of the two tensors that are compared, each ``(N, ...)``, and of N values that are nonzero for similar
        pairs.

    Output shape:
        A scalar.
    """

    def __init__(self, margin: float = 1.0, *, legacy_version: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.margin = margin
        self.legacy_version = legacy_version

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the loss."""
        count = tf.shape(inputs[0])[0]
        a, b = (tf.reshape(v, [count, -1]) for v in inputs[:2])
        similar = tf.cast(tf.reshape(inputs[2], [-1])[:count], tf.int32)
        squared = tf.reduce_sum((a - b) ** 2, axis=1)
        if self.legacy_version:
            apart = tf.maximum(self.margin - squared, 0.0)
        else:  # the lower bound keeps the gradient of the root finite at 0
            apart = tf.maximum(self.margin - tf.sqrt(tf.maximum(squared, 1e-30)), 0.0) ** 2
        return tf.reduce_sum(tf.where(similar != 0, squared, apart)) / _batch_of(a) / 2

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin, "legacy_version": self.legacy_version}


@keras.saving.register_keras_serializable(package="caffe2tf")
class HingeLoss(_ScalarLoss):
    """One-versus-all hinge loss: the mean over items of the sum of ``max(0, 1 - s * x)`` over all classes.

    s is 1 for the class of the label and -1 for the others. ``keras.losses.CategoricalHinge`` compares the class of
    the label with the best of the others instead. A label that names no class gives NaN.

    Args:
        norm: ``"L1"`` (the default), or ``"L2"`` to square the terms.

    Input shape:
        A list of the scores, ``(N, ...)``, whose values after axis 0 are the classes, and N labels, as numbers.

    Output shape:
        A scalar.
    """

    def __init__(self, norm: str = "L1", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.norm = norm

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the loss."""
        rows, labels = _rows_and_labels(*inputs)
        sign = 1 - 2 * tf.one_hot(labels, tf.shape(rows)[1], dtype=rows.dtype)
        terms = tf.maximum(1 + sign * rows, 0.0) * one_or_nan(rows, labels)[:, None]
        return tf.reduce_sum(terms * terms if self.norm == "L2" else terms) / _batch_of(rows)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "norm": self.norm}


@keras.saving.register_keras_serializable(package="caffe2tf")
class MultinomialLogisticLoss(_ScalarLoss):
    """Cross-entropy of probabilities: the mean over items of ``-log(max(p[label], 1e-20))``.

    A label that names no class gives NaN.

    Input shape:
        A list of the probabilities, ``(N, ...)``, whose values after axis 0 are the classes, and N labels, as numbers.

    Output shape:
        A scalar.
    """

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the loss."""
        rows, labels = _rows_and_labels(*inputs)
        return -tf.reduce_sum(tf.math.log(tf.maximum(at_label(rows, labels), 1e-20))) / _batch_of(rows)


def _batch_of(x: tf.Tensor) -> tf.Tensor:
    """Return the extent of axis 0 in the dtype of ``x``."""
    return tf.cast(tf.shape(x)[0], x.dtype)


def _rows_and_labels(scores: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the scores as a matrix with one row for each item, and one label for each row."""
    count = tf.shape(scores)[0]
    return tf.reshape(scores, [count, -1]), tf.cast(tf.reshape(labels, [-1])[:count], tf.int32)


def compute_in_float32(layer: keras.layers.Layer) -> None:
    """Make a layer compute in float32 if its dtype policy asks for half precision.

    Keras would cast labels to half precision, too, and round them to other classes: float16 holds whole numbers up to
    2048 exactly, bfloat16 up to 256. Caffe's lower bounds of logarithms would become 0.
    """
    if layer.compute_dtype in ("float16", "bfloat16"):
        layer.dtype_policy = "float32"


def rows_of_classes(x: tf.Tensor, axis: int) -> tf.Tensor:
    """Return a matrix with one row for each prediction: the values of ``x`` along ``axis``."""
    rank = len(x.shape)
    axis %= rank
    if axis != rank - 1:
        x = tf.transpose(x, [*range(axis), *range(axis + 1, rank), axis])
    return tf.reshape(x, [-1, tf.shape(x)[-1]])


def one_or_nan(rows: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return 1 where a label names a class, else NaN."""
    named = (labels >= 0) & (labels < tf.shape(rows)[1])
    return tf.where(named, tf.ones((), rows.dtype), tf.constant(float("nan"), rows.dtype))


def at_label(rows: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return the value of each row at its label; NaN where the label names no class."""
    last = tf.shape(rows)[1] - 1
    return tf.gather(rows, tf.clip_by_value(labels, 0, last), batch_dims=1) * one_or_nan(rows, labels)


def is_counted(labels: tf.Tensor, ignore_label: int | None) -> tf.Tensor:
    """Return a mask of the labels that are not ignored."""
    return tf.ones_like(labels, tf.bool) if ignore_label is None else labels != ignore_label


def _normalized(each: tf.Tensor, kept: tf.Tensor, normalization: str, batch: tf.Tensor) -> tf.Tensor:
    """Return the sum of the terms that are kept, divided as Caffe normalizes it, but never by less than 1."""
    total = tf.reduce_sum(tf.where(kept, each, tf.zeros_like(each)))
    if normalization == "VALID":
        by = tf.reduce_sum(tf.cast(kept, tf.int32))
    else:
        by = {"FULL": tf.size(each), "BATCH_SIZE": batch, "NONE": 1}[normalization]
    return total / tf.maximum(tf.cast(by, each.dtype), 1)
