"""The emitted loading function, and Keras' own loading of our .h5, on real Keras models."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from caffe2tf.artifacts import write_weights
from caffe2tf.artifacts.kinds import loadable_suffixes
from caffe2tf.emit.loader import LOADER_IMPORTS, loader_source
from caffe2tf.ir.weight import Weight

if TYPE_CHECKING:
    import keras

Layout = Literal["dicts", "lists"]
FILES: list[tuple[str, Layout]] = [("h5", "dicts"), ("npz", "dicts"), ("npy", "dicts"), ("npy", "lists")]
SOURCE = loader_source(loadable_suffixes())
MODULE = "\n".join(["from __future__ import annotations", "", *LOADER_IMPORTS, "", "", SOURCE])

Values = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def load_weights() -> Callable[[Any, Any], None]:
    names: dict[str, Any] = {}
    exec(compile(MODULE, "emitted.py", "exec"), names)  # noqa: S102 - what is tested is source text
    function: Callable[[Any, Any], None] = names["load_weights"]
    return function


@pytest.fixture
def model() -> keras.Model:
    """Two branches, whose layers of equal shapes could be taken for each other; Dropout has a state of its own."""
    import keras

    image = keras.Input((9, 8, 4), name="data")
    grouped = keras.layers.Conv2D(6, (3, 2), groups=2, name="z_grouped")(image)
    other = keras.layers.Conv2D(6, (3, 2), groups=2, name="a_grouped")(image)
    x = keras.layers.Add(name="sum")([grouped, other])
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.DepthwiseConv2D((2, 3), use_bias=False, name="depthwise")(x)
    x = keras.layers.Conv2DTranspose(3, (2, 4), name="up")(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    x = keras.layers.Flatten(name="flat")(x)
    x = keras.layers.Dense(5, name="fc")(x)
    x = keras.layers.PReLU(name="prelu")(x)
    return keras.Model(image, x)


@pytest.fixture
def values(model: keras.Model, rng: np.random.Generator) -> Values:
    return {
        layer.name: {v.name: rng.standard_normal(tuple(v.shape)).astype(np.float32) for v in layer.weights}
        for layer in model.layers
        if layer.weights
    }


def save(path: Path, values: Values, kind: str, layout: Layout = "dicts") -> None:
    """As a converter does: kernels are views of arrays that lie in another order."""

    def weight(value: npt.NDArray[np.float32]) -> Weight:
        return Weight.of(np.ascontiguousarray(value.T).T)

    weights = {layer: {name: weight(value) for name, value in own.items()} for layer, own in values.items()}
    write_weights(path, weights, format=kind, layout=layout)


def assert_holds(model: keras.Model, values: Values) -> None:
    compared = 0
    for layer in model.layers:
        for variable in layer.weights:
            np.testing.assert_array_equal(variable.numpy(), values[layer.name][variable.name])
            compared += 1
    assert compared == sum(map(len, values.values())) == 14


@pytest.mark.parametrize(("kind", "layout"), FILES)
def test_every_format_comes_into_the_model(
    tmp_path: Path,
    model: keras.Model,
    values: Values,
    load_weights: Callable[..., None],
    kind: str,
    layout: Layout,
) -> None:
    save(tmp_path / f"w.{kind}", values, kind, layout)
    load_weights(model, tmp_path / f"w.{kind}")
    assert_holds(model, values)


@pytest.mark.parametrize("by_name", [None, True])
def test_keras_itself_loads_the_h5(tmp_path: Path, model: keras.Model, values: Values, by_name: bool | None) -> None:
    names = [layer.name for layer in model.layers if layer.weights]  # without by_name, Keras goes by order
    save(tmp_path / "w.h5", {name: values[name] for name in names}, "h5")
    model.load_weights(str(tmp_path / "w.h5"), by_name=by_name)
    assert_holds(model, values)


def test_keras_loads_an_h5_with_split_lists_of_names(tmp_path: Path) -> None:
    import keras

    names = [f"scale_{'x' * 200}_{i}" for i in range(400)]
    data = keras.Input((3,))
    layers = [keras.layers.PReLU(name=name) for name in names]
    model = keras.Model(data, [layer(data) for layer in layers])
    values = {name: {"alpha": np.full(3, i - 200.5, np.float32)} for i, name in enumerate(names)}
    save(tmp_path / "w.h5", values, "h5")
    model.load_weights(str(tmp_path / "w.h5"), by_name=True)
    for name in names:
        np.testing.assert_array_equal(model.get_layer(name).alpha.numpy(), values[name]["alpha"])


def test_keras_own_weight_file(
    tmp_path: Path, model: keras.Model, values: Values, load_weights: Callable[..., None]
) -> None:
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(values[layer.name][variable.name])
    model.save_weights(str(tmp_path / "w.weights.h5"))
    for variable in model.weights:
        variable.assign(np.zeros(tuple(variable.shape)))
    load_weights(model, str(tmp_path / "w.weights.h5"))
    assert_holds(model, values)


@pytest.mark.parametrize("layout", ["dicts", "lists"])
def test_files_of_the_classic_converter(data: Path, layout: str, load_weights: Callable[..., None]) -> None:
    """Written by Python 2; the layers of this model are made to fit what is in it."""
    import keras

    path = data / "classic_npy" / f"digits_dict_of_{layout}.npy"
    classic = np.load(path, allow_pickle=True, encoding="latin1").item()
    pairs = {k: v if layout == "lists" else (v["weights"], v["biases"]) for k, v in classic.items()}
    outputs, inputs = [], []
    for name, (kernel, _) in pairs.items():
        *window, channels, filters = kernel.shape
        inputs.append(keras.Input((*(9 for _ in window), channels)))
        layer = keras.layers.Conv2D(filters, window, name=name) if window else keras.layers.Dense(filters, name=name)
        outputs.append(layer(inputs[-1]))
    model = keras.Model(inputs, outputs)
    load_weights(model, path)
    for name, (kernel, bias) in pairs.items():
        np.testing.assert_array_equal(model.get_layer(name).kernel.numpy(), kernel)
        np.testing.assert_array_equal(model.get_layer(name).bias.numpy(), bias)


@pytest.mark.parametrize(("kind", "layout"), FILES)
def test_all_differences_are_listed_and_nothing_is_assigned(
    tmp_path: Path,
    model: keras.Model,
    values: Values,
    load_weights: Callable[..., None],
    kind: str,
    layout: Layout,
) -> None:
    before = [variable.numpy() for variable in model.weights]
    values["extra"] = {"kernel": np.ones((2, 3), np.float32)}
    del values["a_grouped"]
    values["fc"]["kernel"] = values["fc"]["kernel"].T
    del values["norm"]["moving_variance"]
    save(tmp_path / f"w.{kind}", values, kind, layout)
    with pytest.raises(ValueError, match="does not fit the model") as caught:
        load_weights(model, tmp_path / f"w.{kind}")
    rows, columns = values["fc"]["kernel"].shape
    extra = "extra/0" if layout == "lists" else "extra/kernel"
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "a_grouped/bias: not in the file",
        "a_grouped/kernel: not in the file",
        f"{extra}: not in the model",
        f"fc/kernel: shape ({rows}, {columns}) in the file, ({columns}, {rows}) in the model",
        "norm/moving_variance: not in the file",
    ]
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_list_with_too_many_weights(tmp_path: Path, load_weights: Callable[..., None]) -> None:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False, name="fc")])
    values = {"fc": {"kernel": np.ones((3, 2), np.float32), "bias": np.ones(2, np.float32)}}
    save(tmp_path / "w.npy", values, "npy", "lists")
    with pytest.raises(ValueError, match="fc/1: not in the model"):
        load_weights(model, tmp_path / "w.npy")


def test_weights_that_cannot_be_told_apart(tmp_path: Path, load_weights: Callable[..., None]) -> None:
    import keras

    model = keras.Sequential([keras.Input((4, 3)), keras.layers.Bidirectional(keras.layers.SimpleRNN(2), name="both")])
    save(tmp_path / "w.npz", {}, "npz")
    with pytest.raises(ValueError, match="both/kernel: two weights of the model have this name"):
        load_weights(model, tmp_path / "w.npz")


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_would_run_code_runs_none(
    tmp_path: Path, model: keras.Model, load_weights: Callable[..., None], protocol: int
) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    with (tmp_path / "w.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(np.array({"fc": Harm()}, dtype=object), file, protocol=protocol)
    with pytest.raises(ValueError, match=r"\.mkdir does not belong in a weight file"):
        load_weights(model, tmp_path / "w.npy")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickles_of_every_age(
    tmp_path: Path, model: keras.Model, values: Values, load_weights: Callable[..., None], protocol: int
) -> None:
    with (tmp_path / "w.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(np.array(values, dtype=object), file, protocol=protocol)
    load_weights(model, tmp_path / "w.npy")
    assert_holds(model, values)


def test_other_files_are_refused(model: keras.Model, load_weights: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match=r"net\.caffemodel: .* ends in \.h5, \.npy, \.npz or \.weights\.h5"):
        load_weights(model, "net.caffemodel")


def test_the_source_is_formatted_as_the_emitted_module_is() -> None:
    command = [sys.executable, "-m", "ruff", "format", "--line-length=120", "--diff", "-"]
    done = subprocess.run(command, input=MODULE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "caffe2tf" not in MODULE
    assert len(SOURCE.splitlines()) <= 70


def test_suffixes_come_from_the_table() -> None:
    source = loader_source({"h5": (".h5",), "npz": (".npz", ".zip"), "npy": (".npy",), "weights.h5": (".keras.h5",)})
    assert 'path.endswith(".h5")' in source
    assert 'path.endswith((".npz", ".zip"))' in source
    assert 'path.endswith(".keras.h5")' in source
    assert source.count(".h5, .keras.h5, .npy or .npz") == 2


def test_a_kind_without_a_branch_is_refused() -> None:
    with pytest.raises(ValueError, match="no branch for weights of the kind 'new'"):
        loader_source(loadable_suffixes() | {"new": (".new",)})
