"""caffe2tf against an independent interpreter of Caffe networks, on random networks.

The interpreter itself is compared with recordings of Caffe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffe2tf
from caffe2tf.load import load_graph, open_trained
from caffe2tf.parse import read_network
from caffe2tf.pipeline import plan_conversion
from caffe2tf.proto import caffe_pb2
from tests.builders import input_layer, layer, write_caffemodel, write_prototxt
from tests.differential import naive
from tests.differential.draw import Drawn, Floats, draw
from tests.differential.menu import CHAIN, EVERYTHING, Adder
from tests.differential.menu_forks import FORKS, GATHERED
from tests.differential.rules import Array, Refused, parsed
from tests.layers.oracle import RECORDED, read_recorded

PER_BATCH = 16  # networks of each test
NOT_INTERPRETED = (
    *(f"fork_{name}_" for name in ("correlation", "detection_output", "flow_warp", "proposal", "smooth_l1_loss")),
    "fork2_padding_",
)
"""Prefixes of recordings with layers that the interpreter does not know."""
MENUS = {"chains": CHAIN, "everything": EVERYTHING, "forks": (*FORKS, *GATHERED, *CHAIN)}


def write(drawn: Drawn, folder: Path) -> tuple[Path, Path | None]:
    prototxt = write_prototxt(folder, drawn.text)
    return prototxt, write_caffemodel(folder, drawn.weights) if drawn.weights else None


def difference(have: Floats | Array, want: Array) -> tuple[float, float]:
    """Return the relative error, and the largest error relative to the largest value; infinite if shapes differ."""
    finite = np.isfinite(want)
    if have.shape != want.shape or not np.array_equal(np.isfinite(have), finite):
        return np.inf, np.inf
    error = np.abs(have[finite].astype(np.float64) - want[finite])
    if error.max(initial=0.0) <= 1e-6:
        return 0.0, 0.0
    norm, peak = float(np.linalg.norm(want[finite])), float(np.abs(want[finite]).max())
    return float(np.linalg.norm(error)) / max(norm, 1e-30), float(error.max()) / max(peak, 1e-30)


def compare(have: Mapping[str, Floats], drawn: Drawn) -> bool:
    """Compare all blobs with the interpreter's, unless the network is so ill-conditioned that rounding changes them.

    Returns:
        Whether all blobs were compared.
    """
    want, perturbed = (naive.run(drawn.text, drawn.inputs, drawn.weights, noise=n) for n in (0.0, 1e-7))
    assert set(have) == set(want)
    for name, array in want.items():
        relative, peak = difference(have[name], array)
        if relative > 1e-5 or peak > 1e-4:
            assert difference(perturbed[name], array)[0] > 2e-6, f"{name}: {relative:.2g}, {peak:.2g}\n{drawn.text}"
            return False  # later blobs are no better conditioned
    return True


def recorded() -> list[str]:
    """Return the recorded networks in the modern format whose layers the interpreter knows."""
    return [p.name for p in sorted(RECORDED.iterdir()) if not p.name.startswith(("v1_", *NOT_INTERPRETED))]


def check_interpreter(folder: Path) -> None:
    """Check that the interpreter computes what Caffe computed for a recorded network."""
    weights: dict[str, list[Floats]] = {}
    if (folder / "net.caffemodel").exists():
        net = caffe_pb2.NetParameter.FromString((folder / "net.caffemodel").read_bytes())
        for message in net.layer:
            shapes = [
                tuple(b.shape.dim) if b.num == 0 else (b.num, b.channels, b.height, b.width) for b in message.blobs
            ]
            pairs = zip(message.blobs, shapes, strict=True)
            weights[message.name] = [np.array(b.data, np.float32).reshape(s) for b, s in pairs]
    fed, want = read_recorded(folder)
    have = naive.run((folder / "net.prototxt").read_text(encoding="utf-8"), fed, weights)
    for name, array in want.items():
        relative, peak = difference(have[name], array.astype(np.float64))
        assert relative < 1e-5, f"{folder.name}: {name}"
        assert peak < 1e-4, f"{folder.name}: {name}"


@pytest.mark.parametrize("case", recorded())
def test_the_interpreter_computes_what_caffe_computed(case: str) -> None:
    check_interpreter(RECORDED / case)


def test_the_interpreter_computes_what_caffe_computed_for_random_networks(sweep: Path) -> None:
    cases = sorted(sweep.iterdir())
    assert len(cases) == 400
    for case in cases:
        check_interpreter(case)


@pytest.mark.parametrize("batch", range(7))
@pytest.mark.parametrize("menu", list(MENUS))
def test_random_networks(menu: str, batch: int, tmp_path: Path) -> None:
    compared = 0
    for seed in range(batch * PER_BATCH, (batch + 1) * PER_BATCH):
        drawn = draw(seed, MENUS[menu])
        if "bottom" not in drawn.text or '"Filter"' in drawn.text:  # the shape of its top is known only at run time
            continue
        prototxt, weights = write(drawn, tmp_path / str(seed))
        have = caffe2tf.run(prototxt, weights, drawn.inputs)
        compared += compare(have, drawn)
        inferred = caffe2tf.infer_shapes(prototxt)
        assert inferred == {name: array.shape for name, array in have.items()}, drawn.text
    assert compared >= PER_BATCH / 2


@pytest.mark.parametrize(("first", "menu"), [(1000, CHAIN), (1030, (*FORKS, *CHAIN))], ids=["chains", "forks"])
@pytest.mark.parametrize("batch", range(3))
def test_the_built_model_computes_the_same_for_any_batch_size(
    first: int, batch: int, menu: Sequence[Adder], tmp_path: Path
) -> None:
    drawn = [draw(first + batch * 10 + n, menu) for n in range(10)]
    compared = [_compared_at_any_batch_size(d, tmp_path / str(n)) for n, d in enumerate(drawn) if "bottom" in d.text]
    assert len(compared) >= 8
    assert sum(compared) >= len(compared) - 1


def _compared_at_any_batch_size(drawn: Drawn, folder: Path) -> bool:
    """Compare the built model with the interpreter; return whether all blobs were compared."""
    prototxt, weights = write(drawn, folder)
    model = caffe2tf.convert(prototxt, weights, folder / "out").build()
    definition = read_network(prototxt)
    with open_trained(definition, weights) as source:
        program = plan_conversion(load_graph(definition, source, fill=True), definition).program
    if all(v.shape[0] is None for v in model.inputs) and not _states_batch(drawn):
        drawn = _of_batch(drawn, 5)
    fed = {name: np.ascontiguousarray(v.layout.from_caffe(drawn.inputs[v.blob])) for v, name in program.inputs}
    results = [np.asarray(r) for r in model(fed, training=False).values()]
    pairs = zip(program.outputs, results, strict=True)
    have = {v.blob: v.layout.to_caffe(r) if v.rank else r for (v, _), r in pairs}
    assert have
    want = naive.run(drawn.text, drawn.inputs, drawn.weights)
    return compare({name: have.get(name, array.astype(np.float32)) for name, array in want.items()}, drawn)


def _states_batch(drawn: Drawn) -> bool:
    """Return whether a Reshape states the batch size, so that Caffe needs another definition for another size."""
    shapes = (
        layer.reshape_param.shape.dim
        for layer in parsed(drawn.text).layer
        if layer.type == "Reshape" and layer.reshape_param.axis <= 0
    )
    return any(dims and dims[0] > 0 for dims in shapes)


def _of_batch(drawn: Drawn, n: int) -> Drawn:
    net = parsed(drawn.text)
    inputs = {}
    for message in net.layer:
        if message.type == "Input":
            message.input_param.shape[0].dim[0] = n
            array = drawn.inputs[message.top[0]]
            factors = np.linspace(0.5, 1.5, n, dtype=np.float32).reshape(n, *[1] * (array.ndim - 1))
            inputs[message.top[0]] = np.concatenate([array] * n)[:n] * factors
    return Drawn(text=text_format.MessageToString(net), inputs=inputs, weights=drawn.weights)


@pytest.mark.parametrize(
    ("type_", "parameters"),
    [
        ("Convolution", "convolution_param { num_output: 2 kernel_size: 5 }"),
        ("Convolution", "convolution_param { num_output: 2 kernel_size: 1 group: 2 }"),
        ("Pooling", "pooling_param { kernel_size: 2 pad: 2 }"),
        ("LRN", "lrn_param { local_size: 4 }"),
        ("Softmax", "softmax_param { axis: 4 }"),
        ("Tile", "tile_param { tiles: 0 }"),
        ("ArgMax", "argmax_param { top_k: 9 axis: 2 }"),
        ("Reshape", "reshape_param { shape { dim: 7 dim: -1 } }"),
    ],
)
def test_both_refuse_what_caffe_refuses(type_: str, parameters: str, tmp_path: Path) -> None:
    text = input_layer("x", (2, 3, 4, 4)) + layer(type_, "y", ["x"], parameters=parameters)
    drawn = Drawn(text=text, inputs={"x": np.zeros((2, 3, 4, 4), np.float32)}, weights={})
    prototxt, _ = write(drawn, tmp_path)
    with pytest.raises(Refused):
        naive.run(text, drawn.inputs, {"y": [np.zeros(1)] * 2})
    with pytest.raises(caffe2tf.Caffe2TFError):
        caffe2tf.infer_shapes(prototxt)
