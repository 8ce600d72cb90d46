"""LSTM over streams that begin anew where a second bottom says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from caffe2tf.layers.recurrent.recurrent_base import Recurrent
from caffe2tf.layers.registry import register

__all__ = ["LSTM"]


@register("LSTM")
@dataclass(frozen=True, slots=True, kw_only=True)
class LSTM(Recurrent):
    """Long short-term memory, without peepholes.

    ``i, f, o, g = W_xc x[t] + W_hc (cont[t] h[t - 1]) + b_c + W_xc_static x_static``;
    ``c[t] = cont[t] sigmoid(f) c[t - 1] + sigmoid(i) tanh(g)``; ``h[t] = sigmoid(o) tanh(c[t])``.

    Bottoms: x (steps, streams, ...), cont (steps, streams), optionally x_static (streams, ...), with expose_hidden h_0
    and c_0 (1, streams, num_output). Tops: h (steps, streams, num_output), with expose_hidden h and c after the last
    step.

    | parameter | default | meaning |
    |---|---|---|
    | num_output | required | values of h and of c |
    | expose_hidden | false | h and c before the first step are bottoms, after the last step tops |
    | weight_filler, bias_filler | constant 0 | what fills a blob that was not trained |
    | debug_info | false | changes nothing |

    Trained blobs: W_xc (4 num_output, values of x), b_c (4 num_output), with a static input W_xc_static
    (4 num_output, its values), W_hc (4 num_output, num_output).

    Deviation: without expose_hidden, Caffe begins a forward pass with h and c of the last one; here each begins with
    zeros. Where cont is 0 at the first step, as it is for whole sequences, there is no difference.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "c")
    gates: ClassVar[int] = 4
    runtime_name: ClassVar[str] = "CaffeLSTM"
