"""Pooling of forks: padding of each side, TensorFlow's "same" padding, averages that ignore the padding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.ir.expr import Call
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.value import Value
from caffe2tf.layers.vision.pooling import Pooling
from tests import builders
from tests.layers.oracle import Array, assert_matches, run_layer

LOWEST = float(np.finfo(np.float32).min)
Pair = tuple[int, int]


def places(n: int, k: int, s: int, pads: Pair, *, up: bool, same: bool) -> tuple[int, Pair]:
    """Return the number of windows along an axis, and the padding before and after it, by the fork's formulas."""
    if same:
        total = max(k - (n % s or s), 0)
        return math.ceil(n / s), (total // 2, total - total // 2)
    return (math.ceil if up else math.floor)((n + sum(pads) - k) / s) + 1, pads


def pool(x: Array, method: str, k: Pair, s: Pair, pads: tuple[Pair, Pair], *, up: bool, same: bool = False) -> Array:
    """Pool one window after the other, with sums in double precision."""
    height, width = x.shape[2:]
    rows, down = places(height, k[0], s[0], pads[0], up=up, same=same)
    columns, across = places(width, k[1], s[1], pads[1], up=up, same=same)
    if any(map(any, pads)):
        rows -= (rows - 1) * s[0] >= height + down[0]
        columns -= (columns - 1) * s[1] >= width + across[0]
    top = np.zeros((*x.shape[:2], rows, columns))
    for n, c, i, j in np.ndindex(*top.shape):
        top0, left0 = i * s[0] - down[0], j * s[1] - across[0]
        end0, end1 = min(top0 + k[0], height + down[1]), min(left0 + k[1], width + across[1])
        size = (end0 - top0) * (end1 - left0)
        inside = x[n, c, max(top0, 0) : max(min(end0, height), 0), max(left0, 0) : max(min(end1, width), 0)]
        if method == "AVE_EXC_PAD":
            size = (min(end0, height) - max(top0, 0)) * (min(end1, width) - max(left0, 0))
        if method == "MAX":
            top[n, c, i, j] = inside.max(initial=LOWEST)
        else:
            top[n, c, i, j] = inside.astype(np.float64).sum() / size if size else math.nan
    return top.astype(np.float32)


def layer(parameters: str, name: str = "y", *tops: str) -> str:
    """Return the text of a Pooling with the tops `name` and, if given, `tops`."""
    return builders.layer("Pooling", name, ["data"], [name, *tops], f"pooling_param {{ {parameters} }}")


@dataclass(frozen=True, kw_only=True)
class Case:
    """The parameters of one layer."""

    method: str
    k: Pair
    s: Pair
    pads: tuple[Pair, Pair]
    up: bool
    same: bool

    def text(self, name: str) -> str:
        (t, b), (left, r) = self.pads
        (kh, kw), (sh, sw) = self.k, self.s
        fields = f"pool: {self.method} kernel_h: {kh} kernel_w: {kw} stride_h: {sh} stride_w: {sw} "
        fields += "pad_type: 1" if self.same else f"pad_t: {t} pad_b: {b} pad_l: {left} pad_r: {r}"
        fields += "" if self.up else " ceil_mode: false"
        return layer(fields, name)

    def fits(self, extent: Pair) -> bool:
        """Return whether there is a window along each axis, and at most one begins beyond the input."""
        padded = any(map(any, self.pads))
        for n, k, s, pads in zip(extent, self.k, self.s, self.pads, strict=True):
            count, _ = places(n, k, s, pads, up=self.up, same=self.same)
            end = n + pads[0]
            if count - (padded and (count - 1) * s >= end) < 1 or (padded and (count - 2) * s >= end):
                return False
        return True


def draw(shape: tuple[int, ...], seed: int) -> Array:
    """Draw mostly negative values, so that a zero of padding would be the maximum."""
    return (np.random.default_rng(seed).standard_normal(shape) - 1.5).astype(np.float32)


def pair(rng: np.random.Generator, low: int, high: int) -> Pair:
    return int(rng.integers(low, high)), int(rng.integers(low, high))


def drawn_case(rng: np.random.Generator) -> Case:
    same = bool(rng.random() < 0.3)
    none = same or rng.random() < 0.1
    return Case(
        method=str(rng.choice(["MAX", "AVE", "AVE_EXC_PAD"])),
        k=pair(rng, 1, 5),
        s=pair(rng, 1, 4),
        pads=((0, 0), (0, 0)) if none else (pair(rng, 0, 4), pair(rng, 0, 4)),
        up=bool(rng.random() < 0.5),
        same=same,
    )


@pytest.mark.parametrize("seed", range(12))
def test_any_window(seed: int) -> None:
    rng = np.random.default_rng(seed)
    extent = pair(rng, 2, 10)
    cases = [c for c in (drawn_case(rng) for _ in range(60)) if c.fits(extent)][:12]
    assert len(cases) > 6
    x = draw((2, 3, *extent), seed)
    out = run_layer("".join(c.text(f"y{i}") for i, c in enumerate(cases)), {"data": x})
    for i, c in enumerate(cases):
        want = pool(x, c.method, c.k, c.s, c.pads, up=c.up, same=c.same)
        assert_matches(out[f"y{i}"], want, str(c))


def test_positions_in_the_mask_do_not_count_padding() -> None:
    x = draw((2, 3, 5, 7), 1)
    out = run_layer(layer("kernel_size: 3 stride: 2 pad_t: 2 pad_l: 1 pad_r: 3", "y", "at"), {"data": x})
    assert_matches(out["y"], pool(x, "MAX", (3, 3), (2, 2), ((2, 0), (1, 3)), up=True))
    flat = x.reshape(2, 3, 35)
    for n, c in np.ndindex(2, 3):
        at = out["at"][n, c].astype(int)
        full = at >= 0
        assert np.array_equal(flat[n, c][at[full]], out["y"][n, c][full])
        assert (out["y"][n, c][~full] == LOWEST).all()


ROUND = {
    "": True,
    "ceil_mode: false": False,
    "ceil_mode: true": True,
    "torch_pooling: true": False,
    "ceil_mode: false round_mode: CEIL": True,
    "ceil_mode: true round_mode: FLOOR": False,
    "round_mode: FLOOR": False,
}


def test_rounding() -> None:
    """7 values contain 3 windows of 2 with stride 2, and part of a fourth."""
    x = draw((1, 2, 7, 5), 2)
    text = "".join(layer(f"kernel_size: 2 stride: 2 {words}", f"y{i}") for i, words in enumerate(ROUND))
    out = run_layer(text, {"data": x})
    for i, up in enumerate(ROUND.values()):
        assert out[f"y{i}"].shape == ((1, 2, 4, 3) if up else (1, 2, 3, 2))
        assert_matches(out[f"y{i}"], pool(x, "MAX", (2, 2), (2, 2), ((0, 0), (0, 0)), up=up))


@pytest.mark.parametrize("words", ["pool: AVE avg_include_pad: false", "pool: AVE_EXC_PAD", "pool: AVE_TF"])
def test_averages_that_ignore_the_padding(words: str) -> None:
    x = draw((2, 3, 6, 5), 3)
    out = run_layer(layer(f"{words} kernel_size: 3 stride: 2 pad_h: 1 pad_w: 2"), {"data": x})
    want = pool(x, "AVE_EXC_PAD", (3, 3), (2, 2), ((1, 1), (2, 2)), up=True)
    assert_matches(out["y"], want)
    assert not np.allclose(want, pool(x, "AVE", (3, 3), (2, 2), ((1, 1), (2, 2)), up=True))


@pytest.mark.parametrize(
    ("words", "pads", "same"), [("pad_l: 2 pad_b: 1", ((0, 1), (2, 0)), False), ("pad_type: 1", ((0, 0),) * 2, True)]
)
def test_global_window_moves_over_the_padding(words: str, pads: tuple[Pair, Pair], same: bool) -> None:
    x = draw((2, 3, 4, 3), 4)
    text = "".join(layer(f"pool: {m} global_pooling: true {words}", m) for m in ("MAX", "AVE"))
    out = run_layer(text, {"data": x})
    for method in ("MAX", "AVE"):
        assert_matches(out[method], pool(x, method, (4, 3), (1, 1), pads, up=True, same=same), method)
        assert out[method].shape[2:] == ((4, 3) if same else (2, 3))


def call(pooling: Pooling, shape: tuple[int | None, ...]) -> Call:
    value = Value(id="x", blob="x", shape=shape, layout=Layout.channels_last(4))
    found = pooling.expression(value, shape)
    assert isinstance(found, Call)
    return found


@pytest.mark.parametrize(
    ("parameters", "shape", "target", "padding"),
    [
        ({"same": True}, (2, 3, 7, 8), "layers.MaxPooling2D", "same"),
        ({"same": True}, (2, 3, None, 8), "layers.MaxPooling2D", "same"),
        ({"same": True, "method": "AVE", "count_pad": False}, (2, 3, None, 8), "layers.AveragePooling2D", "same"),
        ({"same": True, "method": "AVE"}, (2, 3, 7, 8), "layers.AveragePooling2D", None),
        ({"pad": (0, 0), "after": (1, 1)}, (2, 3, 8, 8), "layers.MaxPooling2D", "same"),
        ({"pad": (1, 1), "after": (0, 0)}, (2, 3, 8, 8), "MaxPooling", None),
        ({"pad": (1, 0), "method": "AVE", "after": (0, 1)}, (2, 3, 8, 8), "layers.AveragePooling2D", None),
        ({"pad": (1, 1), "method": "AVE", "count_pad": False}, (2, 3, 8, 8), "AveragePoolingWithoutPadding", None),
        ({"pad": (1, 1), "method": "AVE", "count_pad": False}, (2, 3, 7, 7), "layers.AveragePooling2D", "same"),
    ],
)
def test_keras_layers_if_they_are_exact(
    parameters: dict[str, Any], shape: tuple[int | None, ...], target: str, padding: str | None
) -> None:
    pooling = Pooling(**{"method": "MAX", "kernel": (3, 3), "stride": (2, 2), "round_up": False, **parameters})
    construct = call(pooling, shape).construct
    assert construct.target == target
    assert dict(construct.kwargs).get("padding") == padding


def test_shapes_of_unknown_extents() -> None:
    same = Pooling(method="MAX", kernel=(3, 3), stride=(2, 3), same=True)
    assert same.infer((2, 3, None, 7)) == ((2, 3, None, 3),)
    with pytest.raises(LayerError, match="pad_type 1, height and width of the input must be known"):
        call(Pooling(method="AVE", kernel=(3, 3), same=True), (2, 3, None, 7))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("kernel_size: 3 pad_l: 1 pad: 1", "give either pad or pad_l, pad_r, pad_t and pad_b, not both"),
        ("kernel_size: 3 pad_l: 1 pad_h: 1 pad_w: 2", "give either pad_h and pad_w or pad_l"),
        ("kernel_size: 3 pad_b: 1 pad_type: 1", "give either pad_type or pad_l"),
        ("kernel_size: 3 pad_type: 2", "pad_type must be 0 .* or 1 .*, not 2"),
        ("kernel_size: 3 pool: STOCHASTIC pad_r: 1", r"STOCHASTIC pooling takes no pad, but 0\+0x0\+1 is given"),
        ("kernel_size: 2 pad_b: 9", r"two or more pooling windows would begin beyond the input \(5\)"),
        ("kernel_size: 9 pad_l: 1", r"window \(9x9\) is larger than the input \(5x6\) with its padding \(0\+0x1\+0\)"),
        ("kernel_size: 0 pad_l: 1", "kernel must be 1 or more along both axes"),
    ],
)
def test_errors(fields: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(fields), {"data": draw((2, 3, 5, 6), 5)})


def test_padding_of_0_counts_as_absent() -> None:
    x = draw((2, 3, 5, 6), 6)
    text = layer("kernel_size: 2 pad_h: 0 pad_w: 0 pad_type: 0 pad_l: 1")
    assert_matches(run_layer(text, {"data": x})["y"], pool(x, "MAX", (2, 2), (1, 1), ((0, 0), (1, 0)), up=True))
