"""Pooling: recordings of Caffe, random windows against plain loops in Caffe's order, emitted layers, errors."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.ir.expr import Call, Expr
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.value import Value
from caffe2tf.layers.vision.pooling import Pooling
from tests import builders
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

LOWEST = float(np.finfo(np.float32).min)
METHODS = ("MAX", "AVE", "STOCHASTIC")
Pair = tuple[int, int]


def windows(n: int, k: int, s: int, p: int, *, up: bool, padded: bool) -> list[tuple[int, int]]:
    """Return (start, stop) of each window along one axis, not clipped to the input."""
    count = (math.ceil if up else math.floor)((n + 2 * p - k) / s) + 1
    if padded and (count - 1) * s >= n + p:
        count -= 1
    return [(i * s - p, i * s - p + k) for i in range(count)]


def pool(x: Array, method: str, k: Pair, s: Pair, p: Pair, *, up: bool) -> tuple[Array, Array]:
    """Pool one window after the other, as Caffe does; return the output and the mask of MAX."""
    height, width = x.shape[2:]
    rows, columns = (windows(x.shape[2 + i], k[i], s[i], p[i], up=up, padded=any(p)) for i in (0, 1))
    top = np.zeros((*x.shape[:2], len(rows), len(columns)), np.float32)
    mask = np.full_like(top, -1)
    for (n, c), (i, (top0, top1)), (j, (left0, left1)) in itertools.product(
        np.ndindex(x.shape[:2]), enumerate(rows), enumerate(columns)
    ):
        places = [
            (h, w) for h in range(max(top0, 0), min(top1, height)) for w in range(max(left0, 0), min(left1, width))
        ]
        values = [float(x[n, c, h, w]) for h, w in places]
        if method == "MAX":
            best = LOWEST
            for (h, w), v in zip(places, values, strict=True):
                if v > best:
                    best, mask[n, c, i, j] = v, h * width + w
            top[n, c, i, j] = best
        elif method == "AVE":
            size = (min(top1, height + p[0]) - top0) * (min(left1, width + p[1]) - left0)
            top[n, c, i, j] = sum(values) / size if size else math.nan
        else:
            total = sum(values)
            top[n, c, i, j] = sum(v * v for v in values) / total if total > 0 else 0
    return top, mask


def layer(parameters: str, *tops: str) -> str:
    """Return the text of a Pooling with the tops ``out`` and, if given, `tops`."""
    return builders.layer("Pooling", "out", ["data"], ["out", *tops], f"pooling_param {{ {parameters} }}")


def check_shapes(x: Array, top: Array, k: Pair, s: Pair, p: Pair, *, up: bool) -> None:
    """Check the shapes that the layer and its runtime layer infer."""
    from caffe2tf.runtime.vision.pooling import MaxPooling

    pooling = Pooling(method="MAX", kernel=k, stride=s, pad=p, round_up=up)
    assert pooling.infer(x.shape) == (top.shape,)
    own = MaxPooling(k, stride=s, pad=p, round_mode="CEIL" if up else "FLOOR")
    n, c, h, w = top.shape
    assert own.compute_output_shape((*x.shape[:1], *x.shape[2:], x.shape[1])) == (n, h, w, c)


def draw(shape: tuple[int, ...], seed: int = 0, *, positive: bool = False) -> Array:
    """Draw mostly negative values, so that a zero of padding would be the maximum; or positive ones."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return (np.abs(x) + 0.1 if positive else x - 1.5).astype(np.float32)


def expression(pooling: Pooling, shape: tuple[int | None, ...]) -> Call:
    value = Value(id="x", blob="x", shape=shape, layout=Layout.channels_last(4))
    call = pooling.expression(value, shape)
    assert isinstance(call, Call)
    return call


@pytest.mark.parametrize("case", recorded("pooling_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


SETTINGS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(METHODS),
        "extent": st.tuples(st.integers(1, 9), st.integers(1, 9)),
        "k": st.tuples(st.integers(1, 5), st.integers(1, 5)),
        "s": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "p": st.tuples(st.integers(0, 3), st.integers(0, 3)),
        "up": st.booleans(),
        "masked": st.booleans(),
    }
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.filter_too_much])
@given(c=SETTINGS)
def test_any_window(c: dict[str, Any]) -> None:
    method, extent, k, s, up = c["method"], c["extent"], c["k"], c["s"], c["up"]
    p = (0, 0) if method == "STOCHASTIC" else tuple(min(a, b - 1) for a, b in zip(c["p"], k, strict=True))
    assume(all(windows(extent[i], k[i], s[i], p[i], up=up, padded=any(p)) for i in (0, 1)))
    masked = method == "MAX" and c["masked"]
    parameters = (
        f"pool: {method} kernel_h: {k[0]} kernel_w: {k[1]} stride_h: {s[0]} stride_w: {s[1]} "
        f"pad_h: {p[0]} pad_w: {p[1]} round_mode: {'CEIL' if up else 'FLOOR'}"
    )
    x = draw((2, 3, *extent), positive=method == "STOCHASTIC")
    out = run_layer(layer(parameters, *["mask"] * masked), {"data": x})
    top, mask = pool(x, method, k, s, p, up=up)
    assert_matches(out["out"], top, "out")
    check_shapes(x, top, k, s, p, up=up)
    if masked:
        assert_matches(out["mask"], mask, "mask", tolerance=0)


@pytest.mark.parametrize("method", METHODS)
def test_global(method: str) -> None:
    x = draw((2, 3, 5, 7), positive=method == "STOCHASTIC")
    out = run_layer(layer(f"pool: {method} global_pooling: true"), {"data": x})
    assert_matches(out["out"], pool(x, method, (5, 7), (1, 1), (0, 0), up=True)[0])


def test_global_mask() -> None:
    x = draw((2, 3, 5, 7))
    out = run_layer(layer("global_pooling: true", "mask"), {"data": x})
    top, mask = pool(x, "MAX", (5, 7), (1, 1), (0, 0), up=True)
    assert_matches(out["out"], top)
    assert_matches(out["mask"], mask, tolerance=0)


def test_mask_of_empty_windows() -> None:
    x = draw((1, 2, 3, 5))
    out = run_layer(layer("kernel_size: 1 stride: 3", "mask"), {"data": x})
    top, mask = pool(x, "MAX", (1, 1), (3, 3), (0, 0), up=True)
    assert (mask == -1).any()
    assert_matches(out["mask"], mask, tolerance=0)
    assert np.array_equal(out["out"], top)


def test_mask_is_the_first_of_equal_maxima() -> None:
    x = np.zeros((1, 2, 6, 5), np.float32)
    x[0, 1] = -3
    out = run_layer(layer("kernel_size: 3 stride: 2 pad: 1", "mask"), {"data": x})
    assert_matches(out["mask"], pool(x, "MAX", (3, 3), (2, 2), (1, 1), up=True)[1], tolerance=0)


def test_stochastic_of_sums_that_are_not_positive() -> None:
    # multiples of 1/4, so that sums of either sign and sums of 0 are exact
    x = np.round(4 * draw((2, 3, 4, 6)) + 6) / np.float32(4)
    x[1, 2, :2, :2] = [[0.5, -1.25], [0.25, 0.5]]
    out = run_layer(layer("pool: STOCHASTIC kernel_size: 2 stride: 2"), {"data": x})["out"]
    want, _ = pool(x, "STOCHASTIC", (2, 2), (2, 2), (0, 0), up=True)
    assert want[1, 2, 0, 0] == 0
    assert 0.2 < (want == 0).mean() < 0.8
    assert_matches(out, want)


@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_empty_windows(method: str) -> None:
    """A stride greater than the kernel: Caffe divides by the size of a window at or beyond the edge of the input."""
    x = draw((1, 2, 3, 5))
    out = run_layer(layer(f"pool: {method} kernel_size: 1 stride_h: 3 stride_w: 3"), {"data": x})["out"]
    want, _ = pool(x, method, (1, 1), (3, 3), (0, 0), up=True)
    if method == "AVE":
        assert np.isnan(want).any()
        assert (want == 0).any()
    else:
        assert (want == LOWEST).any()
    assert np.array_equal(out, want, equal_nan=True)


@pytest.mark.parametrize(
    ("parameters", "kernel", "stride", "pad"),
    [
        ("kernel_size: 3 kernel_h: 2", (3, 3), (1, 1), (0, 0)),
        ("kernel_h: 2 kernel_w: 4 stride: 2 pad: 1", (2, 4), (2, 2), (1, 1)),
        ("kernel_size: 4 stride_h: 2 stride_w: 3 pad_h: 0 pad_w: 2", (4, 4), (2, 3), (0, 2)),
        # padding along one axis: windows are dropped along the other, too
        ("kernel_h: 2 kernel_w: 1 stride: 3 pad_h: 1 pad_w: 0", (2, 1), (3, 3), (1, 0)),
    ],
)
def test_forms_of_the_parameters(parameters: str, kernel: Pair, stride: Pair, pad: Pair) -> None:
    x = draw((1, 2, 6, 9))
    out = run_layer(layer(f"pool: AVE {parameters}"), {"data": x})["out"]
    want, _ = pool(x, "AVE", kernel, stride, pad, up=True)
    assert_matches(out, want)
    check_shapes(x, want, kernel, stride, pad, up=True)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("pool: AVE", "kernel_size, or as kernel_h and kernel_w; neither is given"),
        ("kernel_h: 2", "neither is given"),
        ("kernel_size: 2 kernel_h: 2 kernel_w: 2", "both are given"),
        ("kernel_size: 2 global_pooling: true", "global_pooling takes no kernel"),
        ("kernel_w: 2 global_pooling: true", "global_pooling takes no kernel"),
        ("global_pooling: true pad: 1", "no pad and no stride, but pad 1"),
        ("global_pooling: true stride: 2", "no pad and no stride, but pad 0 and stride 2"),
        ("kernel_size: 0", "kernel must be 1 or more along both axes, not 0"),
        ("kernel_h: 3 kernel_w: 0", r"not \(3, 0\)"),
        ("kernel_size: 2 stride: 0", "stride must be 1 or more"),
        ("kernel_size: 2 pad: 2", "pad must be smaller than the kernel"),
        ("kernel_h: 4 kernel_w: 2 pad_h: 1 pad_w: 2", r"pad \(1, 2\) and kernel \(4, 2\)"),
        ("kernel_size: 2 pad_h: 1", "not pad_h alone"),
        ("kernel_size: 2 pad: 1 pad_w: 1", "not pad and pad_w"),
        ("kernel_size: 2 pad: 1 pad_h: 1 pad_w: 1", "not pad and pad_h and pad_w"),
        ("kernel_size: 2 stride_w: 1", "not stride_w alone"),
        ("kernel_size: 2 stride: 1 stride_h: 1 stride_w: 1", "not stride and stride_h and stride_w"),
        ("kernel_size: 3 pad: 1 pool: STOCHASTIC", "STOCHASTIC pooling takes no pad"),
        ("kernel_size: 9", r"window \(9x9\) is larger than the input \(6x7\)"),
    ],
)
def test_errors(parameters: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(parameters), {"data": draw((1, 2, 6, 7))})


@pytest.mark.parametrize("method", ["AVE", "STOCHASTIC"])
def test_only_max_has_a_mask(method: str) -> None:
    with pytest.raises(Caffe2TFError, match="only MAX pooling has a second top"):
        run_layer(layer(f"pool: {method} kernel_size: 2", "mask"), {"data": draw((1, 2, 6, 7))})


def test_bottom_must_have_four_axes() -> None:
    with pytest.raises(Caffe2TFError, match="input of 4 axes"):
        run_layer(layer("kernel_size: 2"), {"data": draw((2, 6, 7))})


KERAS = [
    # method, kernel, stride, pad, extents, emitted layers in the order of their calls
    ("MAX", 3, 2, 0, (55, 55), ["layers.MaxPooling2D"]),
    ("MAX", 3, 2, 0, (112, 112), ["layers.MaxPooling2D same"]),
    ("MAX", 3, 1, 1, (14, 14), ["layers.MaxPooling2D same"]),
    ("MAX", 3, 2, 1, (56, 56), ["MaxPooling"]),
    ("AVE", 7, 1, 0, (7, 7), ["layers.AveragePooling2D"]),
    ("AVE", 3, 2, 0, (8, 8), ["layers.AveragePooling2D same"]),
    ("AVE", 3, 1, 1, (14, 14), ["layers.ZeroPadding2D", "layers.AveragePooling2D"]),
    ("AVE", 3, 2, 1, (8, 8), ["AveragePooling"]),
    ("MAX", 2, 2, 0, (None, None), ["layers.MaxPooling2D same"]),
    ("AVE", 2, 2, 0, (None, 9), ["layers.AveragePooling2D same"]),
    ("MAX", 3, 1, 0, (None, 5), ["layers.MaxPooling2D"]),
    ("MAX", 3, 2, 0, (None, None), ["MaxPooling"]),
]


@pytest.mark.parametrize(("method", "k", "s", "p", "extents", "layers"), KERAS)
def test_keras_layers_if_they_are_exact(
    method: str, k: int, s: int, p: int, extents: tuple[int | None, int | None], layers: list[str]
) -> None:
    pooling = Pooling(method=method, kernel=(k, k), stride=(s, s), pad=(p, p))
    found: list[str] = []
    expr: Expr = expression(pooling, (None, 4, *extents))
    while isinstance(expr, Call):
        padding = [str(v) for key, v in expr.construct.kwargs if key == "padding"]
        found.insert(0, " ".join([expr.construct.target, *padding]))
        (expr,) = expr.inputs
    assert found == layers


@given(
    k=st.integers(1, 5),
    s=st.integers(1, 4),
    p=st.integers(0, 4),
    n=st.integers(1, 24),
    up=st.booleans(),
    method=st.sampled_from(["MAX", "AVE"]),
    other=st.sampled_from([(1, 1, 0), (3, 1, 1), (3, 2, 0), (2, 2, 0)]),
)
def test_layers_for_unknown_extents_hold_for_each_extent(
    k: int, s: int, p: int, n: int, up: bool, method: str, other: tuple[int, int, int]
) -> None:
    """If a Keras layer is emitted for unknown extents, it places the windows as Caffe does for each extent."""
    assume(p < k and other[2] < other[0])
    pooling = Pooling(method=method, kernel=(k, other[0]), stride=(s, other[1]), pad=(p, other[2]), round_up=up)
    call = expression(pooling, (2, 3, None, None))
    padding = dict(call.construct.kwargs).get("padding", "valid")
    if not call.construct.target.startswith("layers."):
        return
    inner = isinstance(call.inputs[0], Call)
    for kernel, stride, pad in ((k, s, p), other):
        starts = [a for a, _ in windows(n, kernel, stride, pad, up=up, padded=bool(p or other[2]))]
        extent = n + 2 * pad if inner else n
        if padding == "same":
            count = -(-extent // stride)
            first = -(max((count - 1) * stride + kernel - extent, 0) // 2)
        else:
            count, first = max((extent - kernel) // stride + 1, 0), -pad if inner else 0
        assert starts == [first + i * stride for i in range(count)]


def test_unknown_extents() -> None:
    pooling = Pooling(method="MAX", kernel=(3, 3), stride=(2, 2))
    assert pooling.infer((None, 4, None, 9)) == ((None, 4, None, 4),)
    whole = Pooling(method="MAX", kernel=None, masked=True)
    assert whole.infer((2, 4, None, 9)) == ((2, 4, 1, 1), (2, 4, 1, 1))
    with pytest.raises(LayerError, match="must be known"):
        expression(whole, (2, 4, None, 9))
