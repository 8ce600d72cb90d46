"""Rules of RNN, LSTM and LSTMUnit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tests.differential.rules import Array, Message, check

__all__ = ["LAYERS"]


def _sigmoid(x: Array) -> Array:
    return 0.5 * np.tanh(0.5 * x) + 0.5


def _cell(c: Array, gates: Array, cont: Array) -> tuple[Array, Array]:
    """Return the next cell and hidden state of (N, D) cells, (N, 4 * D) gates and (N, 1) continuation indicators."""
    i, f, o, g = np.split(gates, 4, axis=-1)
    c = np.where(cont == 0, 0.0, cont * _sigmoid(f)) * c + _sigmoid(i) * np.tanh(g)
    return c, _sigmoid(o) * np.tanh(c)


def _lstm_unit(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    c, gates, cont = xs
    check(c.ndim == gates.ndim == 3 and cont.ndim == 2 and len(c) == len(gates) == len(cont) == 1, "axes")
    check(c.shape[1] == gates.shape[1] == cont.shape[1] and gates.shape[2] == 4 * c.shape[2], "extents")
    return list(_cell(c, gates, cont[:, :, None]))


def _parts(layer: Message, xs: Sequence[Array], states: int) -> tuple[Array, Array, Array | None, list[Array]]:
    p = layer.recurrent_param
    x, cont, *more = xs
    exposed = states if p.expose_hidden else 0
    check(p.num_output > 0 and x.ndim >= 3 and cont.shape == x.shape[:2], "x and cont")
    check(len(layer.top) == 1 + exposed, "tops")
    static = more.pop(0) if len(xs) > 2 + exposed else None
    check(static is None or len(static) == x.shape[1], "static")
    zero = np.zeros((x.shape[1], p.num_output))
    return x.reshape(*x.shape[:2], -1), cont[:, :, None], static, [h[0] for h in more] or [zero] * states


def _lstm(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    x, cont, static, (h, c) = _parts(layer, xs, 2)
    wx = x @ ws[0].T + ws[1]
    if static is not None:
        wx = wx + static.reshape(len(static), -1) @ ws[2].T
    outputs = []
    for t in range(len(x)):
        c, h = _cell(c, (cont[t] * h) @ ws[-1].T + wx[t], cont[t])
        outputs.append(h)
    return [np.stack(outputs), h[None], c[None]]


def _rnn(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    x, cont, static, (h,) = _parts(layer, xs, 1)
    wx = x @ ws[0].T + ws[1]
    if static is not None:
        wx = wx + static.reshape(len(static), -1) @ ws[2].T
    hidden, out, bias = ws[-3:]
    outputs = []
    for t in range(len(x)):
        h = np.tanh((cont[t] * h) @ hidden.T + wx[t])
        outputs.append(np.tanh(h @ out.T + bias))
    return [np.stack(outputs), h[None]]


LAYERS: dict[str, Callable[..., list[Array]]] = {"LSTM": _lstm, "LSTMUnit": _lstm_unit, "RNN": _rnn}
