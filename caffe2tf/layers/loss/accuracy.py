"""Accuracy: the share of correct predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, runtime, unless
from caffe2tf.ir.layer import Arrangement, Batch, Context
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.loss.loss_base import Loss, check_labels, class_axis, layout_by_class, layout_in_order
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Accuracy"]


@register("Accuracy")
@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy(Loss):
    """The share of predictions whose true class has one of the `top_k` highest scores.

    - Ties count against the prediction: it is correct if at most `top_k` classes, the true class among them, score at
      least as high as the true class.
    - The second top holds the accuracy for each true class.
    - A share is 0 if there is no label to count.

    | parameter (``accuracy_param``) | default | meaning |
    |---|---|---|
    | top_k | 1 | number of highest scores that are correct; at most the number of classes |
    | axis | 1 | the axis of the classes; negative numbers count from the end |
    | ignore_label | none | predictions with this label do not count |

    Bottoms: scores, such as (N, C, H, W), and labels, one for each prediction, such as (N, 1, H, W). Tops: a scalar,
    and optionally (C). Trained blobs: none.

    Deviations: a label that names no class gives NaN; Caffe reads past the end of the scores.

    Source: ``src/caffe/layers/accuracy_layer.cpp``.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, 2)

    top_k: int
    axis: int
    ignore_label: int | None

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``accuracy_param``."""
        p = proto.message.accuracy_param
        ignored = p.ignore_label if p.HasField("ignore_label") else None
        return cls(top_k=p.top_k, axis=p.axis, ignore_label=ignored)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the accuracy and of the accuracy for each class."""
        scores, labels = inputs
        axis = self._axis(scores)
        check_labels(scores, labels, axis)
        classes = scores[axis]
        if classes is not None and self.top_k > classes:
            raise LayerError(f"accuracy_param.top_k ({self.top_k}) must be at most the number of classes, {classes}")
        return (), (classes,)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless the classes are along axis 0."""
        return Loss.trace_batch(self, batched, inputs, outputs) if self._axis(inputs[0]) != 0 else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use layouts in which the positions of scores and of labels have the same order."""
        scores = layout_by_class(inputs[0], self._axis(inputs[0].shape))
        return Arrangement(
            inputs=(scores, layout_in_order(inputs[1])), outputs=tuple(Layout.plain(v.rank) for v in outputs)
        )

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' metrics are not layers, and treat ties differently."""
        at = inputs[0].layout.tensor_axis(self._axis(inputs[0].shape))
        return runtime(
            "Accuracy",
            top_k=unless(self.top_k, 1),
            axis=unless(-1 if at == inputs[0].rank - 1 else at, -1),
            ignore_label=OMIT if self.ignore_label is None else self.ignore_label,
            per_class=len(ctx.outputs) > 1 or OMIT,
        )(*inputs)

    def _axis(self, scores: Shape) -> int:
        return class_axis(self.axis, scores, "accuracy_param.axis")
