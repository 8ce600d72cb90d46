"""Losses on the softmax of scores: SoftmaxWithLoss, InfogainLoss."""

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
    """A loss on the softmax of its first bottom, with labels that name classes."""

    tops: ClassVar[tuple[int, int | None]] = (0, 2)
    axis_field: ClassVar[str] = "softmax_param.axis"

    axis: int
    ignore_label: int | None
    normalization: str

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A scalar, and the probabilities."""
        check_first_axes(inputs)
        check_labels(inputs[0], inputs[1], self._axis(inputs[0]))
        return (), inputs[0]

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Unless the classes are along axis 0."""
        return Loss.trace_batch(self, batched, inputs, outputs) if self._axis(inputs[0]) != 0 else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Scores and labels whose places follow each other in the same order; probabilities as the scores."""
        scores = layout_by_class(inputs[0], self._axis(inputs[0].shape))
        others = tuple(layout_in_order(v) for v in inputs[1:])
        return Arrangement(inputs=(scores, *others), outputs=(Layout.plain(0), scores)[: len(outputs)])

    def activation(self) -> Layer | None:
        """The softmax."""
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
    """``sum of -log(p) / normalizer``, p being the softmax of the scores at the class of the label.

    A second top holds the softmax.

    | parameter | default | meaning |
    |---|---|---|
    | softmax_param.axis | 1 | the axis of the classes; may be negative |
    | loss_param.ignore_label | none | labels of this value do not count |
    | loss_param.normalization | VALID | FULL: all labels; VALID: those that count; BATCH_SIZE: axes before; NONE: 1 |
    | loss_param.normalize | none | old form: true is VALID, false BATCH_SIZE |

    A label that names no class gives NaN; Caffe reads past the end of the probabilities.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
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
        """A layer of our own."""
        return runtime("SoftmaxWithLoss", **self._arguments(ctx))(*inputs)


@register("InfogainLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class InfogainLoss(_SoftmaxLoss):
    """``sum of -H[label, k] * log(max(p[k], 1e-20)) over classes k / normalizer``, p being the softmax of the scores.

    The matrix H (classes, classes) is the third bottom. A second top holds the softmax.

    | parameter | default | meaning |
    |---|---|---|
    | axis | 1 | the axis of the classes; may be negative |
    | source | none | file that holds H where there is no third bottom |
    | loss_param.ignore_label | none | labels of this value do not count |
    | loss_param.normalization | VALID | FULL: all labels; VALID: those that count; BATCH_SIZE: axes before; NONE: 1 |

    A label that names no class gives NaN. H is not read from a file: with `source` the loss can only be left out.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 3)
    axis_field: ClassVar[str] = "infogain_loss_param.axis"

    source: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p, loss = proto.message.infogain_loss_param, proto.message.loss_param
        if loss.HasField("normalize"):
            raise LayerError("loss_param.normalize is not for InfogainLoss; give loss_param.normalization instead")
        if len(proto.bottoms) < 3 and not p.HasField("source"):
            raise LayerError("infogain_loss_param.source must name the file of the matrix, or a third bottom give it")
        return cls(
            axis=p.axis,
            ignore_label=loss.ignore_label if loss.HasField("ignore_label") else None,
            normalization=loss.NormalizationMode.Name(loss.normalization),
            source=p.source,
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A scalar, and the probabilities."""
        tops = _SoftmaxLoss.infer(self, *inputs)
        classes = inputs[0][self._axis(inputs[0])]
        have = count(inputs[2]) if len(inputs) > 2 else None
        if classes is not None and have is not None and have != classes**2:
            raise LayerError(f"the matrix must have {classes} x {classes} values, not {have}")
        return tops

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Not with a matrix, whose axis 0 is no batch."""
        return _SoftmaxLoss.trace_batch(self, batched, inputs, outputs) if len(inputs) < 3 else Batch.FIXED

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        if len(inputs) < 3:
            raise LayerUnsupportedError(
                f"the matrix of InfogainLoss is not read from a file ({self.source!r}); "
                f"give it as a third bottom, or leave losses out"
            )
        return runtime("InfogainLoss", **self._arguments(ctx))(*inputs)
