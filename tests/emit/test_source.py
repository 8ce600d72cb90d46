"""The function that builds the model, as a person reads it."""

from __future__ import annotations

from pathlib import Path

from caffe2tf.emit.plan import Plan
from tests.builders import input_layers
from tests.emit.networks import plan


def body(text: str, folder: Path, **shapes: tuple[int, ...]) -> list[str]:
    """The lines of ``build``, without its head and docstring."""
    return _lines(plan(input_layers(shapes) + text, folder))


def _lines(made: Plan) -> list[str]:
    text = made.module_source.partition("def build(")[2].partition("\n\n\n")[0]
    return [line.strip() for line in text.splitlines()[2:] if line.strip()]


def test_a_straight_chain_reuses_one_name_and_a_blob_with_readers_has_its_own(tmp_path: Path) -> None:
    layer = 'layer {{ name: "{0}" type: "{1}" {2} top: "{0}" }}\n'
    text = (
        layer.format("t1", "TanH", 'bottom: "d"')
        + layer.format("t2", "TanH", 'bottom: "t1"')
        + layer.format("t3", "Sigmoid", 'bottom: "t2"')
        + layer.format("sum", "Eltwise", 'bottom: "t2" bottom: "t3"')
    )
    assert body(text, tmp_path, d=(2, 3)) == [
        'd = keras.Input((3,), name="d")',
        'x = layers.Activation("tanh", name="t1")(d)',
        't2 = layers.Activation("tanh", name="t2")(x)',
        't3 = layers.Activation("sigmoid", name="t3")(t2)',
        'sum_ = layers.Add(name="sum")([t2, t3])',
        'return keras.Model({"d": d}, {"sum": sum_}, name="network")',
    ]


def test_a_batch_that_is_fixed_is_declared(tmp_path: Path) -> None:
    text = 'layer { name: "r" type: "Reshape" bottom: "d" top: "r" reshape_param { shape { dim: 3 dim: 2 } } }\n'
    lines = body(text, tmp_path, d=(2, 3))
    assert lines[0] == 'd = keras.Input(batch_shape=(2, 3), name="d")'


def test_names_that_would_shadow_others_are_changed(tmp_path: Path) -> None:
    text = "".join(
        f'layer {{ name: "l{i}" type: "TanH" bottom: "keras" top: "{top}" }}\n'
        for i, top in enumerate(["layers", "x", "weights", "model"])
    )
    lines = body(text, tmp_path, keras=(2, 3))
    assert [line.split(" = ")[0] for line in lines[:-1]][:5] == ["keras_", "layers_", "x_", "weights_", "model_"]
