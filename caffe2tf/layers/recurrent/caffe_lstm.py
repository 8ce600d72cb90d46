"""Lstm: the layer of the caffe-lstm fork, older than Caffe's own LSTM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime, unless
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Batch, BlobSpec, Context, Layer
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.extents import values_after
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Lstm"]


@register("Lstm")
@dataclass(frozen=True, slots=True, kw_only=True)
class Lstm(Layer):
    """Long short-term memory without peepholes, over the rows of a matrix (caffe-lstm).

    For each step t of a stream:

    - ``i, f, o, g = W_x x[t] + keep[t] W_h h[t - 1] + b``
    - ``c[t] = keep[t] sigmoid(f) c[t - 1] + sigmoid(i) tanh(g)``
    - ``h[t] = sigmoid(o) tanh(c[t])``

    ``keep[t]`` is 1 if the marker of the step is not 0, else 0. Without markers it is 0 at the first step and 1 at all
    others. With several streams Caffe reads marker ``t + n`` for step t of stream n, and so does the model.

    | parameter (``lstm_param``) | default | meaning |
    |---|---|---|
    | num_output | required | number of values of h and of c |
    | batch_size | 1 | number of streams |
    | clipping_threshold | 0 | bounds gradients; no effect here |
    | weight_filler, bias_filler | constant 0 | initial values of the trained blobs |

    Bottoms: x, of 1 to 4 axes, (T * S, ...), for T steps of S streams, where row ``t * S + n`` is step t of stream n;
    optionally markers, (T + S - 1 or more, 1, ...). Tops: h, (T * S, num_output).

    Trained blobs: W_x (4 * num_output, values of a row), W_h (4 * num_output, num_output), b (4 * num_output).

    Keras weights: ``kernel`` (values of a row, 4 * num_output), ``bias`` (4 * num_output), ``recurrent_kernel``
    (num_output, 4 * num_output).

    Deviations:

    - With markers, Caffe starts a forward pass with h and c of the last one; here each starts with zeros. There is no
      difference if the first marker is 0, as it is for whole sequences.
    - With several streams, caffe-lstm gives each stream its own ``W_h h[t - 1]`` on a GPU, and so does the model. On a
      CPU it gives all streams that of the first one.

    Source: ``src/caffe/layers/lstm_layer.cpp`` of github.com/junhyukoh/caffe-lstm.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)

    num_output: int
    streams: int
    marked: bool
    weight_filler: Filler
    bias_filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``lstm_param``."""
        p = proto.message.lstm_param
        if not p.HasField("num_output"):
            raise LayerError("lstm_param.num_output is required")
        for field, value in (("num_output", p.num_output), ("batch_size", p.batch_size)):
            if value < 1:
                raise LayerError(f"lstm_param.{field} must be 1 or more, not {value}")
        return cls(
            num_output=p.num_output,
            streams=p.batch_size,
            marked=len(proto.bottoms) > 1,
            weight_filler=Filler.read(p.weight_filler, given=p.HasField("weight_filler")),
            bias_filler=Filler.read(p.bias_filler, given=p.HasField("bias_filler")),
        )

    def remarks(self) -> tuple[str, ...]:
        """Return which markers Caffe reads, and how its CPU and GPU code differ, for several streams."""
        if self.streams == 1:
            return ()
        markers = (
            "with several streams, Caffe reads marker t + n of its second bottom for step t of stream n, "
            "not marker t * batch_size + n; so does the model"
        )
        state = (
            "with several streams, the model computes what caffe-lstm computes on a GPU; on a CPU, caffe-lstm gives "
            "every stream the recurrent part of the first one, so results recorded there differ"
        )
        return (markers, state) if self.marked else (state,)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return (rows, num_output); the number of rows must be a multiple of the number of streams."""
        x = inputs[0]
        if not 1 <= len(x) <= 4:
            raise LayerError(
                f"the first bottom must have 1 to 4 axes, the first for its rows; its shape is {format_shape(x)}"
            )
        rows = x[0]
        if rows is not None and rows % self.streams:
            raise LayerError(
                f"the first bottom's {rows} rows must be a multiple of lstm_param.batch_size ({self.streams})"
            )
        values_after(x, 1, "the first bottom's extents")
        if self.marked:
            self._check_markers(inputs[1], rows)
        return ((rows, self.num_output),)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the weights of x and of h, then the bias."""
        wide = 4 * self.num_output
        shapes = (wide, values_after(inputs[0], 1)), (wide, self.num_output)
        return (
            BlobSpec(name="weight of x", shape=shapes[0], filler=self.weight_filler),
            BlobSpec(name="weight of h", shape=shapes[1], filler=self.weight_filler),
            BlobSpec(name="bias", shape=(wide,), filler=self.bias_filler),
        )

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size: axis 0 holds steps."""
        del batched, inputs, outputs
        return Batch.FIXED

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' LSTM has another order of gates, and cannot restart a stream."""
        del ctx
        return runtime("SequenceLSTM", self.num_output, streams=unless(self.streams, 1))(*inputs)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Transpose the matrices."""
        del ctx
        w_x, w_h, bias = blobs
        return {
            "kernel": w_x.weight(w_x.array.T),
            "bias": bias.weight(),
            "recurrent_kernel": w_h.weight(w_h.array.T),
        }

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """Return one operation for each weight of a matrix and each row."""
        del outputs
        w_x, w_h, _ = self.blobs(*inputs)
        return (inputs[0][0] or 1) * w_x.shape[0] * (w_x.shape[1] + w_h.shape[1])

    def _check_markers(self, shape: Shape, rows: int | None) -> None:
        if not 1 <= len(shape) <= 4 or any(d != 1 for d in shape[1:]):
            raise LayerError(
                "the second bottom must have 1 to 4 axes: one marker for each index along axis 0, and extent 1 along "
                f"the others; its shape is {format_shape(shape)}"
            )
        if rows is not None and shape[0] is not None and shape[0] < rows // self.streams + self.streams - 1:
            raise LayerError(
                f"the second bottom must hold a marker for each of the first bottom's {rows} rows, not {shape[0]}"
            )
