"""Base class of RNN and LSTM: a network unrolled over the steps of several streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, runtime
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Batch, BlobSpec, Context, Layer
from caffe2tf.ir.shape import Shape, count, format_shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.extents import values_after

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Recurrent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrent(Layer):
    """A layer with ``recurrent_param``.

    Class attributes:
        states: names of the states that pass from step to step.
        gates: number of gates, each of `num_output` values.
        runtime_name: name of the runtime layer.
        weights_after: Keras names of the trained blobs that follow those of every recurrent layer.

    Attributes:
        num_output: number of values of each state and of the output.
        static: whether there is a static input, the same for all steps.
        expose_hidden: whether the first states are bottoms and the last ones are tops.
        weight_filler: initial values of the matrices.
        bias_filler: initial values of the biases.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, None)
    tops: ClassVar[tuple[int, int | None]] = (1, None)
    states: ClassVar[tuple[str, ...]]
    gates: ClassVar[int]
    runtime_name: ClassVar[str]
    weights_after: ClassVar[tuple[str, ...]] = ()

    num_output: int
    static: bool
    expose_hidden: bool
    weight_filler: Filler
    bias_filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``recurrent_param``; the number of bottoms shows whether there is a static input."""
        p = proto.message.recurrent_param
        if not p.HasField("num_output"):
            raise LayerError("recurrent_param.num_output is required")
        if p.num_output < 1:
            raise LayerError(f"recurrent_param.num_output must be 1 or more, not {p.num_output}")
        exposed = len(cls.states) if p.expose_hidden else 0
        names = f", {' and '.join(f'{s}_0' for s in cls.states)}" if exposed else ""
        given = len(proto.bottoms)
        if given not in (2 + exposed, 3 + exposed):
            raise LayerError(
                f"with expose_hidden {str(p.expose_hidden).lower()} the bottoms are x, cont, optionally a static "
                f"input{names}: {2 + exposed} or {3 + exposed}, not {given}"
            )
        if len(proto.tops) != 1 + exposed:
            raise LayerError(
                f"with expose_hidden {str(p.expose_hidden).lower()} the tops are the output"
                f"{' and the last ' + ' and '.join(cls.states) if exposed else ' alone'}: {1 + exposed}, "
                f"not {len(proto.tops)}"
            )
        return cls(
            num_output=p.num_output,
            static=given == 3 + exposed,
            expose_hidden=p.expose_hidden,
            weight_filler=Filler.read(p.weight_filler, given=p.HasField("weight_filler")),
            bias_filler=Filler.read(p.bias_filler, given=p.HasField("bias_filler")),
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return (steps, streams, num_output), and (1, streams, num_output) for each exposed state."""
        x, cont = inputs[:2]
        if len(x) < 3:
            raise LayerError(
                "the first bottom must have 3 axes or more: steps, streams, and the values of each; "
                f"its shape is {format_shape(x)}"
            )
        if len(cont) != 2 or not _agree(cont, x[:2]):
            raise LayerError(
                "the second bottom must have 2 axes, the steps and streams of the first bottom: "
                f"{format_shape(x[:2])}, not {format_shape(cont)}"
            )
        values_after(x, 2, "the first bottom's extents")
        if self.static:
            self._check_static(inputs[2], x[1])
        state = (1, x[1], self.num_output)
        if self.expose_hidden:
            for name, shape in zip(self.states, inputs[-len(self.states) :], strict=True):
                if not _agree(shape, state):
                    raise LayerError(f"{name}_0 must be {format_shape(state)}, not {format_shape(shape)}")
        return ((*x[:2], self.num_output), *((state,) * len(self.states) if self.expose_hidden else ()))

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return weight and bias of x, then the weights of the static input (if there is one) and of the state."""
        wide = self.gates * self.num_output
        found = [
            self._weight("weight of x", (wide, values_after(inputs[0], 2))),
            BlobSpec(name="bias", shape=(wide,), filler=self.bias_filler),
        ]
        if self.static:
            found.append(self._weight("weight of the static input", (wide, values_after(inputs[2], 1))))
        return (*found, self._weight("weight of the state", (wide, self.num_output)))

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size: axis 0 holds the steps."""
        del batched, inputs, outputs
        return Batch.FIXED

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' recurrent layers have no static input, and cannot restart a stream."""
        del ctx
        static, exposed = self.static or OMIT, self.expose_hidden or OMIT
        return runtime(self.runtime_name, self.num_output, static=static, expose_hidden=exposed)(*inputs)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Transpose the matrices."""
        del ctx
        static = ("static_kernel",) if self.static else ()
        names = ("kernel", "bias", *static, "recurrent_kernel", *self.weights_after)
        return {name: blob.weight(blob.array.T) for name, blob in zip(names, blobs, strict=True)}

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """Return one operation per weight, step and stream; the static input is multiplied once per stream."""
        del outputs
        steps, streams = (n or 1 for n in inputs[0][:2])
        total = 0
        for spec in self.blobs(*inputs):
            if len(spec.shape) == 2:
                total += (count(spec.shape) or 0) * streams * (1 if "static" in spec.name else steps)
        return total

    def _weight(self, name: str, shape: tuple[int, int]) -> BlobSpec:
        return BlobSpec(name=name, shape=shape, filler=self.weight_filler)

    def _check_static(self, shape: Shape, streams: int | None) -> None:
        if len(shape) < 2 or not _agree(shape[:1], (streams,)):
            raise LayerError(
                f"the static input must have 2 axes or more, the first for the {format_shape((streams,))} streams; "
                f"its shape is {format_shape(shape)}"
            )
        values_after(shape, 1, "the static input's extents")


def _agree(a: Shape, b: Shape) -> bool:
    """Return whether two shapes are equal as far as they are known."""
    return len(a) == len(b) and all(m == n or m is None or n is None for m, n in zip(a, b, strict=True))
