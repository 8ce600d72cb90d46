"""LSTM: long short-term memory over streams whose sequences a second bottom separates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from caffe2tf.layers.recurrent.recurrent_base import Recurrent
from caffe2tf.layers.registry import register

__all__ = ["LSTM"]


@register("LSTM")
@dataclass(frozen=True, slots=True, kw_only=True)
class LSTM(Recurrent):
    """Long short-term memory without peepholes, over several streams of steps.

    For each step t of a stream:

    - ``i, f, o, g = W_xc x[t] + W_hc (cont[t] h[t - 1]) + b_c + W_xc_static x_static``
    - ``c[t] = cont[t] sigmoid(f) c[t - 1] + sigmoid(i) tanh(g)``
    - ``h[t] = sigmoid(o) tanh(c[t])``

    ``cont[t]`` is 0 where a sequence begins, which discards the state before it, and 1 elsewhere.

    | parameter (``recurrent_param``) | default | meaning |
    |---|---|---|
    | num_output | required | number of values of h and of c |
    | expose_hidden | false | h and c before the first step are bottoms, those after the last step are tops |
    | weight_filler, bias_filler | constant 0 | initial values of the trained blobs |
    | debug_info | false | no effect |

    Bottoms: x (T, S, ...) and cont (T, S), for T steps of S streams; optionally x_static (S, ...); with `expose_hidden`
    then h_0 and c_0, each (1, S, num_output). Tops: h (T, S, num_output); with `expose_hidden` then the last h and c,
    each (1, S, num_output).

    Trained blobs: W_xc (4 * num_output, values of x[t]), b_c (4 * num_output), with a static input W_xc_static
    (4 * num_output, values of x_static), W_hc (4 * num_output, num_output).

    Keras weights, in the same order: ``kernel``, ``bias``, ``static_kernel``, ``recurrent_kernel``. Matrices are
    transposed.

    Deviations: without `expose_hidden`, Caffe starts a forward pass with h and c of the last one; here each starts with
    zeros. There is no difference if cont is 0 at the first step, as it is for whole sequences.

    Source: ``src/caffe/layers/recurrent_layer.cpp``, ``src/caffe/layers/lstm_layer.cpp``.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "c")
    gates: ClassVar[int] = 4
    runtime_name: ClassVar[str] = "CaffeLSTM"
