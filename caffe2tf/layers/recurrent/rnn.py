"""RNN: a recurrent layer over streams whose sequences a second bottom separates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from caffe2tf.ir.layer import BlobSpec
from caffe2tf.ir.shape import Shape
from caffe2tf.layers.recurrent.recurrent_base import Recurrent
from caffe2tf.layers.registry import register

__all__ = ["RNN"]


@register("RNN")
@dataclass(frozen=True, slots=True, kw_only=True)
class RNN(Recurrent):
    """A recurrent layer with a hidden state and an output, over several streams of steps.

    For each step t of a stream:

    - ``h[t] = tanh(W_xh x[t] + W_hh (cont[t] h[t - 1]) + b_h + W_xh_static x_static)``
    - ``o[t] = tanh(W_ho h[t] + b_o)``

    ``cont[t]`` is 0 where a sequence begins, which discards the state before it, and 1 elsewhere.

    | parameter (``recurrent_param``) | default | meaning |
    |---|---|---|
    | num_output | required | number of values of h and of o |
    | expose_hidden | false | h before the first step is a bottom, that after the last step is a top |
    | weight_filler, bias_filler | constant 0 | initial values of the trained blobs |
    | debug_info | false | no effect |

    Bottoms: x (T, S, ...) and cont (T, S), for T steps of S streams; optionally x_static (S, ...); with `expose_hidden`
    then h_0 (1, S, num_output). Tops: o (T, S, num_output); with `expose_hidden` then the last h (1, S, num_output).

    Trained blobs: W_xh (num_output, values of x[t]), b_h (num_output), with a static input W_xh_static (num_output,
    values of x_static), W_hh (num_output, num_output), W_ho (num_output, num_output), b_o (num_output).

    Keras weights, in the same order: ``kernel``, ``bias``, ``static_kernel``, ``recurrent_kernel``, ``output_kernel``,
    ``output_bias``. Matrices are transposed.

    Deviations: without `expose_hidden`, Caffe starts a forward pass with the h of the last one; here each starts with
    zeros. There is no difference if cont is 0 at the first step, as it is for whole sequences.

    Source: ``src/caffe/layers/recurrent_layer.cpp``, ``src/caffe/layers/rnn_layer.cpp``.
    """

    states: ClassVar[tuple[str, ...]] = ("h",)
    gates: ClassVar[int] = 1
    runtime_name: ClassVar[str] = "CaffeRNN"
    weights_after: ClassVar[tuple[str, ...]] = ("output_kernel", "output_bias")

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the blobs of the state, then weight and bias of the output."""
        n = self.num_output
        bias = BlobSpec(name="bias of the output", shape=(n,), filler=self.bias_filler)
        # not super(), which fails here: a dataclass with slots replaces the class that its methods were defined in
        return (*Recurrent.blobs(self, *inputs), self._weight("weight of the output", (n, n)), bias)
