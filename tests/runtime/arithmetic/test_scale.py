from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

Axes = int | tuple[int, ...]
AXES: list[Axes] = [-1, 1, (1, 2), (1, -1), (2, 3), ()]


def spread(values: Array, axis: Axes) -> npt.NDArray[np.float64]:
    """The values for each index of a tensor of shape (2, 3, 4, 5), by a loop."""
    axes = (axis,) if isinstance(axis, int) else axis
    out = np.empty((2, 3, 4, 5))
    for index in np.ndindex(out.shape):
        out[index] = values[tuple(index[a] for a in axes)]
    return out


def extents(axis: Axes) -> list[int]:
    return [(2, 3, 4, 5)[a] for a in ((axis,) if isinstance(axis, int) else axis)]


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("center", [True, False])
def test_scale(axis: Axes, center: bool, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.scale import Scale

    x, gamma, beta = draw(rng, 2, 3, 4, 5), draw(rng, *extents(axis)), draw(rng, *extents(axis))
    layer = Scale(axis, center=center)
    assert np.array_equal(layer(x), x), "nothing changes at first"
    layer.set_weights([gamma, beta] if center else [gamma])
    want = x * spread(gamma, axis) + (spread(beta, axis) if center else 0)
    check_layer(layer, want, x, tolerance=1e-6, everywhere=axis in {(1, -1), ()})
    check_precisions(layer, x)
    check_gradient(Scale(axis, center=center, dtype="float64"), rng, x)


@pytest.mark.parametrize("axis", AXES, ids=str)
def test_bias(axis: Axes, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.scale import Bias

    x, bias = draw(rng, 2, 3, 4, 5), draw(rng, *extents(axis))
    layer = Bias(axis)
    assert np.array_equal(layer(x), x), "nothing changes at first"
    layer.set_weights([bias])
    check_layer(layer, x + spread(bias, axis), x, tolerance=1e-6, everywhere=axis in {(1, -1), ()})
    check_precisions(layer, x)
    check_gradient(Bias(axis, dtype="float64"), rng, x)


@pytest.mark.parametrize("axis", [(0, 3), 0, (0, 1, 2), (0, -1)], ids=str)
@pytest.mark.parametrize("name", ["ScaleBy", "BiasBy"])
def test_a_second_input(name: str, axis: Axes, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic import scale

    cls = getattr(scale, name)
    x, values = draw(rng, 2, 3, 4, 5), draw(rng, *extents(axis))
    wide = spread(values, axis)
    check_layer(
        cls(axis), x * wide if name == "ScaleBy" else x + wide, x, values, tolerance=1e-6, everywhere=axis == (0, 3)
    )
    check_precisions(cls(axis), x, values)
    check_gradient(cls(axis, dtype="float64"), rng, x, values)
    assert cls(axis).compute_output_shape([(None, 3, 4, 5), (None,)]) == (None, 3, 4, 5)


def test_a_second_input_without_a_batch_axis(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.scale import BiasBy, ScaleBy

    x, number, row = draw(rng, 2, 3, 4, 5), draw(rng), draw(rng, 4, 5)
    assert np.array_equal(ScaleBy(())([x, number]), x * number)
    assert np.array_equal(BiasBy((2, 3))([x, row]), x + row)


@pytest.mark.parametrize("name", ["Scale", "Bias"])
def test_extents_that_must_be_known(name: str) -> None:
    import keras

    from caffe2tf.runtime.arithmetic import scale

    with pytest.raises(ValueError, match=r"the extents along the axes \(1,\) must be known, not \(None, None, 3\)"):
        getattr(scale, name)(axis=1)(keras.Input((None, 3)))
    assert getattr(scale, name)()(keras.Input((None, 3))).shape == (None, None, 3)
