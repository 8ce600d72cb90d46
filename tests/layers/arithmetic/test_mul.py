"""Mul: computed and trained factors of all shapes, constants, emitted layers, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.arithmetic.mul import Mul
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

Ints = tuple[int, ...]


def mul(shape: Ints | None = None, top: str = "out") -> str:
    if shape is None:
        return layer("Mul", "out", ["data", "m"], [top])
    extents = " ".join(f"mul_shape: {d}" for d in shape)
    return layer("Mul", "out", ["data"], [top], f"mul_param {{ {extents} }}")


def draw(*shape: int, seed: int = 1) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def product(x: Array, m: Array) -> Array:
    """Multiply value by value, with axes aligned from the last one on."""
    rank = max(x.ndim, m.ndim)
    a, b = (v.reshape((1,) * (rank - v.ndim) + v.shape) for v in (x, m))
    y = np.empty([max(d, e) for d, e in zip(a.shape, b.shape, strict=True)], np.float32)
    for at in np.ndindex(y.shape):
        y[at] = (
            a[tuple(i % d for i, d in zip(at, a.shape, strict=True))]
            * b[tuple(i % d for i, d in zip(at, b.shape, strict=True))]
        )
    return y


SHAPES: list[tuple[Ints, Ints]] = [
    ((2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (2, 3, 1, 1)),
    ((2, 3, 1, 5), (2, 1, 4, 1)),
    ((2, 3, 4, 5), (1, 3, 1, 5)),
    ((1, 3, 4, 5), (2, 1, 4, 5)),
    ((2, 3, 4, 5), (3, 1, 5)),
    ((2, 3, 4, 5), (4, 5)),
    ((2, 3, 4, 5), (5,)),
    ((5,), (2, 3, 4, 5)),
    ((3, 4, 1), (2, 1, 1, 5)),
    ((2, 3, 4, 5), ()),
    ((), (2, 3)),
    ((2, 3), (2, 1)),
    ((2, 3), (3,)),
    ((3,), (3,)),
    ((2, 3, 4), (2, 3, 1)),
]


@pytest.mark.parametrize(("first", "second"), SHAPES)
def test_two_bottoms(first: Ints, second: Ints) -> None:
    x, m = draw(*first), draw(*second, seed=2)
    assert_matches(run_layer(mul(), {"data": x, "m": m})["out"], product(x, m))


@pytest.mark.parametrize(("first", "second"), [(a, b) for a, b in SHAPES if a])
def test_trained_blob(first: Ints, second: Ints) -> None:
    x, m = draw(*first), draw(*second, seed=2)
    assert_matches(run_layer(mul(second), {"data": x}, {"out": [m]})["out"], product(x, m))


@pytest.mark.parametrize("second", [(60,), (2, 60), (2, 1), (1,), ()])
def test_flattened_images(second: Ints) -> None:
    flatten = layer("Flatten", "f", ["image"], ["data"])
    ip = (
        'layer { name: "ip" type: "InnerProduct" bottom: "out" top: "ip" '
        "inner_product_param { num_output: 4 weight_filler { type: 'gaussian' std: 1 } } }"
    )
    x, m = draw(2, 3, 4, 5), draw(*second, seed=2)
    have = run_layer(flatten + mul() + ip, {"image": x, "m": m})["out"]
    assert_matches(have, product(x.reshape(2, 60), m))
    if second[:1] != (2,):
        factor = (1, *second) if len(second) == 1 else second
        weight, bias = draw(4, 60), draw(4)
        blobs = {"out": [m.reshape(factor)], "ip": [weight, bias]}
        all_blobs = run_layer(flatten + mul(factor) + ip, {"image": x}, blobs)
        assert_matches(all_blobs["out"], product(x.reshape(2, 60), m))
        assert_matches(all_blobs["ip"], all_blobs["out"] @ weight.T + bias)


def test_untrained_factor_is_zero() -> None:
    assert not run_layer(mul((3, 1)), {"data": draw(2, 3, 4)})["out"].any()


def test_emitted_layers() -> None:
    conv = (
        'layer { name: "c" type: "Convolution" bottom: "image" top: "data" '
        "convolution_param { num_output: 3 kernel_size: 1 } }"
        'layer { name: "p" type: "Pooling" bottom: "data" top: "m" '
        "pooling_param { pool: AVE global_pooling: true } }"
    )
    shapes = {"image": (2, 5, 4, 6)}
    assert calls(conv + mul(), shapes)[-1] == "Multiply"
    assert not {"Permute", "Transpose"} & set(calls(conv + mul(), shapes))
    assert calls(conv + mul((3, 1, 1)), shapes)[-1] == "MultiplyByWeight"
    assert "Permute" not in calls(conv + mul((3, 1, 1)), shapes)


@pytest.mark.parametrize("shape", [(), (1, 3, 1, 1), (4, 5)])
def test_a_constant_leaves_the_batch_free(shape: Ints) -> None:
    extents = " ".join(f"dim: {d}" for d in shape)
    constant = f'layer {{ name: "k" type: "Parameter" top: "m" parameter_param {{ shape {{ {extents} }} }} }}'
    x, m = draw(3, 3, 4, 5), draw(*shape, seed=2)
    model = built(constant + mul(), {"data": (2, 3, 4, 5)})
    model.get_layer("k").set_weights([m.reshape(model.get_layer("k").weights[0].shape)])
    (have,) = reloaded(model, [x.transpose(0, 2, 3, 1)])
    assert_matches(have.transpose(0, 3, 1, 2), product(x, m))


def test_trace_batch() -> None:
    both, trained = Mul(), Mul(shape=(3, 1))
    assert both.trace_batch([True, True], [(2, 3), (2, 1)], [(2, 3)]) is Batch.KEPT
    assert both.trace_batch([True, True], [(2, 3), (1, 3)], [(2, 3)]) is Batch.FIXED
    assert both.trace_batch([True, True], [(3, 3), (3,)], [(3, 3)]) is Batch.FIXED
    assert both.trace_batch([True, False], [(2, 3), (3,)], [(2, 3)]) is Batch.KEPT
    assert both.trace_batch([True, False], [(2, 3), (2, 3)], [(2, 3)]) is Batch.FIXED
    assert both.trace_batch([False, True], [(2, 3), (1, 3)], [(2, 3)]) is Batch.FIXED
    assert trained.trace_batch([True], [(2, 3, 4)], [(2, 3, 4)]) is Batch.KEPT
    assert trained.trace_batch([True], [(3, 4)], [(3, 4)]) is Batch.FIXED
    assert trained.trace_batch([True], [(3,)], [(3, 3)]) is Batch.FIXED


def test_save_and_load_with_another_batch_size() -> None:
    x = draw(3, 3, 4, 5)
    model = built(mul((3, 1, 5)), {"data": (2, 3, 4, 5)})
    factor = draw(1, 1, 5, 3)
    model.get_layer("out").set_weights([factor])
    (have,) = reloaded(model, [x.transpose(0, 2, 3, 1)])
    assert_matches(have, x.transpose(0, 2, 3, 1) * factor)


def test_unknown_extents() -> None:
    assert Mul().infer((None, 3, 1), (2, 1, None)) == ((2, 3, None),)
    assert Mul().infer((None, 3), (1, 3)) == ((None, 3),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (mul(), "equal, or one of them 1: 2x3x4 and 2x4x3 do not fit"),
        (mul((2, 4)), "equal, or one of them 1: 2x3x4 and 2x4 do not fit"),
        (mul((0,)), "mul_param.mul_shape must be whole numbers, 1 or more, not 0"),
        (mul((3, 4)).replace("mul_shape", "shape"), "'mul_param.shape' is not known"),
        (mul(top="data"), "Mul must not be computed in place: give its top another name than 'data'"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 4), "m": draw(2, 4, 3)})
