"""Layers of Caffe forks give the same results in Keras, under tf.function, as a SavedModel, and in TFLite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from caffe2tf.artifacts import build_model
from caffe2tf.emit import Plan
from caffe2tf.load import load_graph, open_trained
from caffe2tf.parse import read_network
from caffe2tf.pipeline import plan_conversion
from tests.layers.oracle import RECORDED

if TYPE_CHECKING:
    import keras

Arrays = dict[str, np.ndarray[Any, Any]]

# Cases that TFLite cannot compute with its built-in operations: they sort, scatter, or have extents that depend on
# values.
NEEDS_TENSORFLOW = {
    *("fork_correlation_3", "fork_detection_output_1", "fork_proposal_1", "fork_psroipooling_1", "fork_roipooling_1"),
    *("fork_upsample_1",),
}
ONE_EACH = {p.name.rpartition("_")[0]: p.name for p in sorted(RECORDED.glob("fork_*"), reverse=True)}.values()


def planned(case: str) -> tuple[Plan, keras.Model, Arrays]:
    """The plan and the model of a recorded network, and its recorded inputs in the layouts of the model."""
    folder = RECORDED / case
    with np.load(folder / "blobs.npz") as blobs:
        fed = {k.removeprefix("in/"): blobs[k].astype("f4") for k in blobs.files if k.startswith("in/")}
    weights = folder / "net.caffemodel"
    definition = read_network(folder / "net.prototxt")
    with open_trained(definition, weights if weights.exists() else None) as source:
        shapes = {k: v.shape for k, v in fed.items()}
        graph = load_graph(definition, source, input_shapes=shapes, fill=source is None)
        plan = plan_conversion(graph, definition, keep_losses=True)
        model = build_model(plan)
    values = {n: np.ascontiguousarray(v.layout.from_caffe(fed[v.blob])) for v, n in plan.program.inputs}
    return plan, model, values


def on_lite(folder: Path, fed: Arrays) -> list[np.ndarray[Any, Any]]:
    """The outputs of a SavedModel that was converted to TFLite."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    places = {d["name"].partition("serving_default_")[2].partition(":")[0]: d for d in interpreter.get_input_details()}
    for name, array in fed.items():
        interpreter.resize_tensor_input(places[name]["index"], array.shape)
    interpreter.allocate_tensors()
    for name, array in fed.items():
        interpreter.set_tensor(places[name]["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated", "ignore:.*structure of `inputs`")
@pytest.mark.parametrize("case", sorted([*ONE_EACH, "fork_correlation_3"]))
def test_results_are_the_same_in_every_form(case: str, tmp_path: Path) -> None:
    import tensorflow as tf

    _, model, fed = planned(case)
    want = {k: v.numpy() for k, v in model(fed).items()}
    assert want

    def check(have: Any, where: str) -> None:  # noqa: ANN401 - a dict of tensors
        for name, array in want.items():
            np.testing.assert_allclose(have[name], array, rtol=1e-5, atol=2e-6, err_msg=f"{name} in {where}")

    check(tf.function(model)(fed), "tf.function")
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))  # keep a reference: its variables live as long as it does
    check(loaded.serve(fed), "SavedModel")
    if case in NEEDS_TENSORFLOW:
        with pytest.raises(Exception, match=r"Select TF ops|TF Select ops|flex"):  # of a class that is not public
            on_lite(tmp_path / "saved", fed)
        return
    outputs = on_lite(tmp_path / "saved", fed)
    assert len(outputs) == len(want)
    for output in outputs:
        found = [np.allclose(output, a, rtol=1e-5, atol=2e-6) for a in want.values() if a.shape == output.shape]
        assert any(found), f"{case}: an output of TFLite is not an output of the model"


def test_a_fixed_number_of_rows_is_kept_when_exported(tmp_path: Path) -> None:
    import tensorflow as tf

    folder = RECORDED / "fork_detection_output_3"
    definition = read_network(folder / "net.prototxt")
    with np.load(folder / "blobs.npz") as blobs:
        fed = {k.removeprefix("in/"): blobs[k] for k in blobs.files if k.startswith("in/")}
        recorded = blobs["out/out"][0, 0]
    graph = load_graph(definition, None, input_shapes={k: v.shape for k, v in fed.items()}, fill=True)
    build_model(plan_conversion(graph, definition, fixed_rows=True)).export(tmp_path / "saved", verbose=False)
    rows = tf.saved_model.load(str(tmp_path / "saved")).serve(fed)["out"].numpy()[0, 0]
    assert rows.shape == (2 * 6, 7)
    np.testing.assert_allclose(rows[rows[:, 0] >= 0], recorded, rtol=1e-5)
