"""RNN over streams that begin anew where a second bottom says so."""

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
    """A recurrent layer with a hidden state and an output.

    ``h[t] = tanh(W_xh x[t] + W_hh (cont[t] h[t - 1]) + b_h + W_xh_static x_static)``;
    ``o[t] = tanh(W_ho h[t] + b_o)``.

    Bottoms: x (steps, streams, ...), cont (steps, streams), optionally x_static (streams, ...), with expose_hidden h_0
    (1, streams, num_output). Tops: o (steps, streams, num_output), with expose_hidden h after the last step.

    | parameter | default | meaning |
    |---|---|---|
    | num_output | required | values of h and of o |
    | expose_hidden | false | h before the first step is a bottom, after the last step a top |
    | weight_filler, bias_filler | constant 0 | what fills a blob that was not trained |
    | debug_info | false | changes nothing |

    Trained blobs: W_xh (num_output, values of x), b_h (num_output), with a static input W_xh_static (num_output, its
    values), W_hh (num_output, num_output), W_ho (num_output, num_output), b_o (num_output).

    Deviation: without expose_hidden, Caffe begins a forward pass with the h of the last one; here each begins with
    zeros. Where cont is 0 at the first step, as it is for whole sequences, there is no difference.
    """

    states: ClassVar[tuple[str, ...]] = ("h",)
    gates: ClassVar[int] = 1
    runtime_name: ClassVar[str] = "CaffeRNN"
    weights_after: ClassVar[tuple[str, ...]] = ("output_kernel", "output_bias")

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Those of the state, then weight and bias of the output."""
        n = self.num_output
        bias = BlobSpec(name="bias of the output", shape=(n,), filler=self.bias_filler)
        # not super(): a dataclass with slots is another class than the one whose methods see it
        return (*Recurrent.blobs(self, *inputs), self._weight("weight of the output", (n, n)), bias)
