"""Scale and Bias: recordings of Caffe, and every axis against plain loops."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from caffe2tf.pipeline import plan_conversion
from tests.builders import input_layers, layer, write_prototxt
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

SHAPES = [(3,), (3, 4), (2, 3, 5), (2, 4, 3, 5), (2, 3, 2, 4, 5)]
COVERS = [
    (shape, axis, count)
    for shape in SHAPES
    for axis in range(len(shape))
    for count in range(-1, len(shape) - axis + 1)
    if len(shape) < 5 or axis + count < 4
]


def along(x: Array, a: Array, axis: int, *, add: bool = False) -> Array:
    """Compute one value after the other; a covers the axes of x from ``axis`` on."""
    y = np.empty_like(x)
    for place in np.ndindex(x.shape):
        own = float(a[place[axis : axis + a.ndim]])
        y[place] = float(x[place]) + own if add else float(x[place]) * own
    return y


def scale(kind: str, parameters: str, bottoms: Sequence[str] = ("data",)) -> str:
    return layer(kind, "out", bottoms, parameters=f"{kind.lower()}_param {{ {parameters} }}")


def draw(rng: np.random.Generator, *shapes: tuple[int, ...]) -> list[Array]:
    return [np.asarray(rng.normal(-0.5, 2, s), np.float32) for s in shapes]


def source(folder: Path, text: str, shapes: dict[str, tuple[int, ...]]) -> str:
    definition = read_network(write_prototxt(folder, input_layers(shapes) + text))
    return plan_conversion(load_graph(definition), definition).module_source


def refused(text: str, *shapes: tuple[int, ...]) -> str:
    with pytest.raises(Caffe2TFError) as caught:
        run_layer(text, {n: np.ones(s) for n, s in zip(("data", "a"), shapes, strict=False)})
    return str(caught.value)


@pytest.mark.parametrize("case", recorded("scale_", "bias_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize(("shape", "axis", "count"), COVERS)
def test_trained(shape: tuple[int, ...], axis: int, count: int, rng: np.random.Generator) -> None:
    """A Scale with a bias, and a Bias, in one network; positive and negative axes alternate."""
    covered = shape[axis:] if count == -1 else shape[axis : axis + count]
    x, a, b, c = draw(rng, shape, covered, covered, covered)
    written = axis - len(shape) if (axis + count) % 2 else axis
    text = scale("Scale", f"axis: {written} num_axes: {count} bias_term: true")
    text += scale("Bias", f"axis: {written} num_axes: {count}").replace('"out"', '"bias"')
    out = run_layer(text, {"data": x}, {"out": [a, b], "bias": [c]})
    assert_matches(out["out"], along(along(x, a, axis), b, axis, add=True))
    assert_matches(out["bias"], along(x, c, axis, add=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_computed(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    """Every range of axes as a second bottom, all in one network."""
    (x,) = draw(rng, shape)
    text, fed, blobs, want = "", {"data": x}, {}, {}
    for n, (axis, stop) in enumerate(itertools.combinations(range(len(shape) + 1), 2)):
        a, b = draw(rng, shape[axis:stop], shape[axis:stop])
        fed[f"a{n}"] = a
        written = axis - len(shape) if n % 2 else axis
        for kind, more in (("Scale", ""), ("Scale", "bias_term: true"), ("Bias", "")):
            name = f"{kind}{bool(more)}{n}"
            text += scale(kind, f"axis: {written} {more}", ["data", f"a{n}"]).replace('"out"', f'"{name}"')
            want[name] = along(x, a, axis, add=kind == "Bias")
            if more:
                blobs[name] = [b]
                want[name] = along(want[name], b, axis, add=True)
    out = run_layer(text, fed, blobs)
    for name, array in want.items():
        assert_matches(out[name], array, name)


@pytest.mark.parametrize("axis", [1, 7])
def test_computed_scalar_ignores_axis(axis: int, rng: np.random.Generator) -> None:
    x, a = draw(rng, (2, 3), (3,))
    text = layer("Reduction", "sum", ["a"]) + scale("Scale", f"axis: {axis}", ["data", "sum"])
    assert_matches(run_layer(text, {"data": x, "a": a})["out"], x * a.sum())


def test_layouts_of_a_convolution_and_of_a_flattened_blob(rng: np.random.Generator) -> None:
    """After a convolution the channels are last; after a Flatten they are mixed with the positions."""
    text = """
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
            convolution_param { num_output: 5 kernel_size: 1 bias_term: false } }
    layer { name: "part" type: "Scale" bottom: "conv" top: "part" scale_param { num_axes: 2 bias_term: true } }
    layer { name: "flat" type: "Flatten" bottom: "part" top: "flat" }
    layer { name: "each" type: "Scale" bottom: "flat" top: "each" scale_param { bias_term: true } }
    layer { name: "twice" type: "Scale" bottom: "each" bottom: "flat" top: "twice" scale_param { axis: 0 } }
    layer { name: "row" type: "Bias" bottom: "twice" bottom: "a" top: "row" }
    """
    x, w, a, b, c, d, e = draw(rng, (2, 3, 4, 6), (5, 3, 1, 1), (5, 4), (5, 4), (120,), (120,), (120,))
    out = run_layer(text, {"data": x, "a": e}, {"conv": [w], "part": [a, b], "each": [c, d]})
    conv = np.einsum("nchw,oc->nohw", x, w[..., 0, 0])
    part = along(along(conv, a, 1), b, 1, add=True)
    each = part.reshape(2, -1) * c + d
    assert_matches(out["part"], part)
    assert_matches(out["each"], each)
    assert_matches(out["twice"], each * part.reshape(2, -1))
    assert_matches(out["row"], each * part.reshape(2, -1) + e)


def test_emit_multiply_for_factors_per_image(tmp_path: Path) -> None:
    text = scale("Scale", "axis: 0", ["data", "a"])
    built = source(tmp_path, text, {"data": (2, 3, 4, 5), "a": (2, 3)})
    assert 'layers.Multiply(name="out")' in built
    assert "layers.Reshape((1, 1, 3)" in built
    assert "batch_shape" not in built


@pytest.mark.parametrize(
    ("axis", "count", "free"), [(1, 1, True), (2, -1, True), (0, 0, True), (0, 1, False), (0, -1, False)]
)
def test_batch_is_free_unless_a_trained_blob_covers_it(axis: int, count: int, free: bool, tmp_path: Path) -> None:
    built = source(tmp_path, scale("Scale", f"axis: {axis} num_axes: {count}"), {"data": (3, 3, 4, 5)})
    assert ("batch_shape" not in built) is free


def test_untrained(rng: np.random.Generator) -> None:
    (x,) = draw(rng, (2, 3, 4))
    assert_matches(run_layer(scale("Scale", "bias_term: true"), {"data": x})["out"], x)
    assert_matches(run_layer(scale("Bias", ""), {"data": x})["out"], x)
    filled = "filler { value: -3 } bias_term: true bias_filler { value: 0.5 }"
    assert_matches(run_layer(scale("Scale", filled), {"data": x})["out"], x * -3 + np.float32(0.5))
    assert_matches(run_layer(scale("Bias", "filler { value: -3 }"), {"data": x})["out"], x - 3)


@pytest.mark.parametrize("kind", ["Scale", "Bias"])
def test_errors(kind: str) -> None:
    block = f"{kind.lower()}_param"
    shape = (2, 3, 4)
    assert f"{block}.axis: axis 3 is out of range" in refused(scale(kind, "axis: 3"), shape)
    assert f"{block}.axis: axis -4 is out of range" in refused(scale(kind, "axis: -4"), shape)
    assert f"{block}.num_axes must be 0 or more, or -1" in refused(scale(kind, "num_axes: -2"), shape)
    assert f"{block}.num_axes is 3, but the first bottom has only 2 axes from axis 1 on" in refused(
        scale(kind, "num_axes: 3"), shape
    )
    assert "out of range" in refused(scale(kind, "axis: 3 num_axes: 0"), shape)
    two = ["data", "a"]
    assert "second bottom (4) must have the extents of the first" in refused(scale(kind, "", two), shape, (4,))
    assert "second bottom has 3 axes, but the first bottom has only 2 axes from axis 1 on" in refused(
        scale(kind, "", two), shape, shape
    )


@pytest.mark.parametrize("kind", ["Scale", "Bias"])
@pytest.mark.parametrize("shape", [(2, 2, 5), (2, 5, 2), (3, 3)])
def test_axis_0_if_another_axis_has_the_same_extent(kind: str, shape: tuple[int, ...]) -> None:
    x, a = draw(np.random.default_rng(6), shape, shape[:1])
    out = run_layer(scale(kind, "axis: 0", ["data", "a"]), {"data": x, "a": a})["out"]
    assert_matches(out, along(x, a, 0, add=kind == "Bias"))


def test_refuse_axis_out_of_range_for_a_bias() -> None:
    text = layer("Reduction", "sum", ["a"]) + scale("Scale", "axis: 7 bias_term: true", ["data", "sum"])
    assert "scale_param.axis: axis 7 is out of range" in refused(text, (2, 3), (3,))
