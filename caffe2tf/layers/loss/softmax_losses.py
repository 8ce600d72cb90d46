"""SoftmaxWithLoss and InfogainLoss: losses on the softmax of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import OMIT, Expr, runtime, unless
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, count
from caffe2tf.ir.value import Value
from caffe2tf.layers.activation.softmax import Softmax
from caffe2tf.layers.loss.loss_base import (
    Loss,
    check_first_axes,
    check_labels,
    class_axis,
    layout_by_class,
    layout_in_order,
)
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["InfogainLoss", "SoftmaxWithLoss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SoftmaxLoss(Loss):
    """Base class of losses on the softmax of scores, with labels that are class indices.

    Attributes:
        axis: the axis of the classes; negative numbers count from the end.
        ignore_label: predictions with this label do not count; None if all count.
        normalization: name of Caffe's mode.
    """

    tops: ClassVar[tuple[int, int | None]] = (0, 2)
    axis_field: ClassVar[str] = "softmax_param.axis"

    axis: int
    ignore_label: int | None
    normalization: str

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the loss and of the probabilities."""
        check_first_axes(inputs)
        check_labels(inputs[0], inputs[1], self._axis(inputs[0]))
        return (), inputs[0]

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless the classes are along axis 0."""
        return Loss.trace_batch(self, batched, inputs, outputs) if self._axis(inputs[0]) != 0 else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use layouts in which the positions of scores and of labels have the same order."""
        scores = layout_by_class(inputs[0], self._axis(inputs[0].shape))
        others = tuple(layout_in_order(v) for v in inputs[1:])
        return Arrangement(inputs=(scores, *others), outputs=(Layout.plain(0), scores)[: len(outputs)])

    def activation(self) -> Layer | None:
        """Return a Softmax."""
        return Softmax(axis=self.axis)

    def _axis(self, scores: Shape) -> int:
        return class_axis(self.axis, scores, self.axis_field)

    def _arguments(self, ctx: Context) -> dict[str, Any]:
        scores = ctx.inputs[0]
        axis = self._axis(scores.shape)
        at = scores.layout.tensor_axis(axis)
        return {
            "axis": unless(-1 if at == scores.rank - 1 else at, -1),
            "batch_axes": unless(tuple(scores.layout.tensor_axis(a) for a in range(axis)), (0,)),
            "ignore_label": OMIT if self.ignore_label is None else self.ignore_label,
            "normalization": unless(self.normalization, "VALID"),
            "with_probabilities": len(ctx.outputs) > 1 or OMIT,
        }


@register("SoftmaxWithLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxWithLoss(_SoftmaxLoss):
    """``loss = sum(-log(p[label])) / normalizer``, where p is the softmax of the scores.

    - p is bounded below by the smallest normal float32 number, so that a prediction costs at most 87.34.
    - The normalizer is at least 1.
    - In a converted network that leaves losses out, the layer becomes a Softmax.

    | parameter | default | meaning |
    |---|---|---|
    | softmax_param.axis | 1 | the axis of the classes; negative numbers count from the end |
    | loss_param.ignore_label | none | predictions with this label do not count |
    | loss_param.normalization | VALID | divide by the number of predictions (FULL), of those that count (VALID), of items along the axes before the classes (BATCH_SIZE), or by 1 (NONE) |
    | loss_param.normalize | none | old form, read if `normalization` is absent: true for VALID, false for BATCH_SIZE |

    Bottoms: scores, such as (N, C, H, W), and labels, one for each prediction, such as (N, 1, H, W). Tops: a scalar,
    and optionally the probabilities, of the shape of the scores. Trained blobs: none.

    Deviations: a label that names no class gives NaN; Caffe reads past the end of the probabilities.

    Source: ``src/caffe/layers/softmax_loss_layer.cpp``.
    """  # noqa: E501 - a row of a table

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``softmax_param`` and ``loss_param``."""
        p = proto.message.loss_param
        mode = p.NormalizationMode.Name(p.normalization)
        if p.HasField("normalize") and not p.HasField("normalization"):
            mode = "VALID" if p.normalize else "BATCH_SIZE"
        return cls(
            axis=proto.message.softmax_param.axis,
            ignore_label=p.ignore_label if p.HasField("ignore_label") else None,
            normalization=mode,
        )

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' SparseCategoricalCrossentropy is not a layer, and has other normalizations."""
        return runtime("SoftmaxWithLoss", **self._arguments(ctx))(*inputs)


@register("InfogainLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class InfogainLoss(_SoftmaxLoss):
    """``loss = sum(-H[label, k] * log(max(p[k], 1e-20))) / normalizer`` over all classes k and all predictions.

    - p is the softmax of the scores; the matrix H weighs the classes.
    - The normalizer is at least 1.
    - In a converted network that leaves losses out, the layer becomes a Softmax.

    | parameter | default | meaning |
    |---|---|---|
    | infogain_loss_param.axis | 1 | the axis of the classes; negative numbers count from the end |
    | infogain_loss_param.source | none | file of H; required unless there is a third bottom |
    | loss_param.ignore_label | none | predictions with this label do not count |
    | loss_param.normalization | VALID | divide by the number of predictions (FULL), of those that count (VALID), of items along the axes before the classes (BATCH_SIZE), or by 1 (NONE) |

    Bottoms: scores, such as (N, C, H, W), labels, one for each prediction, such as (N, 1, H, W), and optionally H,
    (C, C). Tops: a scalar, and optionally the probabilities, of the shape of the scores. Trained blobs: none.

    Deviations: a label that names no class gives NaN; Caffe reads past the end of the matrix. H is not read from a
    file: with `source`, the loss can only be left out.

    Source: ``src/caffe/layers/infogain_loss_layer.cpp``.
    """  # noqa: E501 - a row of a table

    bottoms: ClassVar[tuple[int, int | None]] = (2, 3)
    axis_field: ClassVar[str] = "infogain_loss_param.axis"

    source: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``infogain_loss_param`` and ``loss_param``."""
        p, loss = proto.message.infogain_loss_param, proto.message.loss_param
        if loss.HasField("normalize"):
            raise LayerError("InfogainLoss does not take loss_param.normalize; use loss_param.normalization")
        if len(proto.bottoms) < 3 and not p.HasField("source"):
            raise LayerError("the matrix is required: as a third bottom, or as a file in infogain_loss_param.source")
        return cls(
            axis=p.axis,
            ignore_label=loss.ignore_label if loss.HasField("ignore_label") else None,
            normalization=loss.NormalizationMode.Name(loss.normalization),
            source=p.source,
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the loss and of the probabilities."""
        tops = _SoftmaxLoss.infer(self, *inputs)
        classes = inputs[0][self._axis(inputs[0])]
        have = count(inputs[2]) if len(inputs) > 2 else None
        if classes is not None and have is not None and have != classes**2:
            raise LayerError(f"the matrix must have {classes} x {classes} values, not {have}")
        return tops

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size if there is a matrix, as axis 0 of the matrix is not the batch."""
        return _SoftmaxLoss.trace_batch(self, batched, inputs, outputs) if len(inputs) < 3 else Batch.FIXED

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no such loss."""
        if len(inputs) < 3:
            raise LayerUnsupportedError(
                f"reading the matrix of an InfogainLoss from a file ({self.source!r}) is not supported; "
                f"give it as a third bottom, or leave losses out"
            )
        return runtime("InfogainLoss", **self._arguments(ctx))(*inputs)
