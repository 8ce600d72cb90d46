"""Normalize: recordings of Caffe, and every combination of parameters, ranks and layouts in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.emitted import emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

ONE = np.ones(1, np.float32)


def normalize(x: Array, scale: Array, *, across: bool, eps: float) -> Array:
    """Normalize one position after the other, as Caffe's loops do."""
    y = x.astype(np.float64).reshape(*x.shape, *(1,) * (4 - x.ndim))
    out = np.empty_like(y)
    factors = np.broadcast_to(scale.astype(np.float64).reshape(-1), y.shape[1])
    for n, image in enumerate(y):
        whole = np.sqrt(sum(v * v for v in image.reshape(-1)) + eps)
        for h in range(y.shape[2]):
            for w in range(y.shape[3]):
                length = whole if across else np.sqrt(sum(v * v for v in image[:, h, w]) + eps)
                out[n, :, h, w] = image[:, h, w] / length * factors
    return out.reshape(x.shape).astype(np.float32)


def norm(parameters: str, *, name: str = "out", bottom: str = "data") -> str:
    return layer("Normalize", name, [bottom], parameters=f"norm_param {{ {parameters} }}")


def flags(*, across: bool, shared: bool) -> str:
    return f"across_spatial: {across} channel_shared: {shared}".lower()


def draw(rng: np.random.Generator, *shape: int) -> Array:
    return (rng.standard_normal(shape) * 3 - 1).astype(np.float32)


@pytest.mark.parametrize("case", recorded("fork_normalize_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 4, 1, 2), (2, 3, 5), (3, 4)])
@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("eps", [None, 2.5])
def test_parameters(
    shape: tuple[int, ...], across: bool, shared: bool, eps: float | None, rng: np.random.Generator
) -> None:
    x, scale = draw(rng, *shape), draw(rng) if shared else draw(rng, shape[1])
    text = flags(across=across, shared=shared) + ("" if eps is None else f" eps: {eps}")
    out = run_layer(norm(text), {"data": x}, {"out": [scale]})["out"]
    assert_matches(out, normalize(x, scale, across=across, eps=1e-10 if eps is None else eps), tolerance=2e-6)


def test_defaults_without_a_block(rng: np.random.Generator) -> None:
    x = draw(rng, 2, 3, 4, 5)
    out = run_layer(layer("Normalize", "out", ["data"]), {"data": x})["out"]
    assert_matches(out, normalize(x, ONE, across=True, eps=1e-10), tolerance=2e-6)


def test_epsilon_is_added_inside_the_root(rng: np.random.Generator) -> None:
    """With a norm as small as eps, the result shows that eps is added to the sum of squares."""
    x = draw(rng, 2, 3, 4, 5) * np.float32(1e-3)
    for across in (True, False):
        text = norm(flags(across=across, shared=True) + " eps: 1e-5")
        assert_matches(run_layer(text, {"data": x})["out"], normalize(x, ONE, across=across, eps=1e-5))


@pytest.mark.parametrize("across", [True, False])
def test_zeros_give_zeros(across: bool, rng: np.random.Generator) -> None:
    x = draw(rng, 2, 3, 4, 5)
    x[1] = 0
    out = run_layer(norm(flags(across=across, shared=True)), {"data": x})["out"]
    assert not out[1].any()
    assert out[0].all()


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_in_every_layout(across: bool, shared: bool, rng: np.random.Generator) -> None:
    """After a convolution, permutations and a Flatten, and before layers that depend on the order of values."""
    x, kernel = draw(rng, 2, 3, 4, 5), draw(rng, 6, 3, 1, 1)
    text = (
        layer("Convolution", "c", ["data"], None, "convolution_param { num_output: 6 kernel_size: 1 bias_term: false }")
        + layer("Permute", "p", ["c"], parameters="permute_param { order: 0 order: 3 }")
        + layer("Permute", "q", ["c"], parameters="permute_param { order: 3 order: 2 }")
        + layer("Flatten", "f", ["c"])
    )
    c = np.einsum("nchw,oc->nohw", x, kernel[..., 0, 0]).astype(np.float32)
    moved = {"c": c, "p": c.transpose(0, 3, 1, 2), "q": c.transpose(3, 2, 0, 1), "f": c.reshape(2, -1)}
    blobs, want = {"c": [kernel]}, {}
    for name, y in moved.items():
        n, scale = f"{name}n", draw(rng) if shared else draw(rng, y.shape[1])
        weight = draw(rng, 2, y[0].size)
        text += norm(flags(across=across, shared=shared), name=n, bottom=name)
        text += layer("InnerProduct", f"{name}i", [n], None, "inner_product_param { num_output: 2 bias_term: false }")
        blobs |= {n: [scale], f"{name}i": [weight]}
        want[n] = normalize(y, scale, across=across, eps=1e-10)
        want[f"{name}i"] = want[n].reshape(len(y), -1) @ weight.T
    out = run_layer(text, {"data": x}, blobs)
    for name, array in want.items():
        assert_matches(out[name], array, name, tolerance=5e-6)


def test_normalize_bbox_in_place(rng: np.random.Generator) -> None:
    x, scale = draw(rng, 2, 3, 4, 5), draw(rng, 3)
    parameters = "normalize_bbox_param { across_spatial: false channel_shared: false eps: 0.75 }"
    text = layer("Power", "c", ["data"], parameters="power_param { scale: -2 shift: 0.25 }")
    text += layer("NormalizeBBox", "n", ["c"], ["c"], parameters)
    out = run_layer(text, {"data": x}, {"n": [scale]})["c"]
    assert_matches(out, normalize(np.float32(0.25) - 2 * x, scale, across=False, eps=0.75))


def test_untrained_scale(rng: np.random.Generator) -> None:
    x = draw(rng, 2, 3, 4, 5)
    text = norm(flags(across=False, shared=False) + ' scale_filler { type: "constant" value: 20 }')
    out = run_layer(text, {"data": x})["out"]
    assert_matches(out, normalize(x, np.full(3, 20, np.float32), across=False, eps=1e-10))


def test_emitted_layers() -> None:
    usual = emitted(norm(flags(across=False, shared=False)), {"data": (2, 3, 4, 5)})
    assert 'Normalize(name="out")(' in usual
    other = emitted(norm("eps: 0.5"), {"data": (2, 3, 4, 5)})
    assert 'Normalize(axis=(1, 2, 3), scale_axis=None, epsilon=0.5, name="out")(' in other


@pytest.mark.parametrize("shape", [(5,), (2, 2, 2, 2, 2)])
def test_refuse_other_numbers_of_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(Caffe2TFError, match="the bottom of a Normalize must have 2 to 4 axes; its shape is"):
        run_layer(norm(""), {"data": np.ones(shape)})


def test_refuse_scale_of_another_size() -> None:
    text, x = norm(flags(across=True, shared=False)), np.ones((2, 3, 4, 5))
    with pytest.raises(Caffe2TFError, match="scale"):
        run_layer(text, {"data": x}, {"out": [np.ones(4)]})
