"""Parameters that the schema has never heard of, as a plugin reads them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from caffe2tf.errors import LayerError
from caffe2tf.parse import LayerDefinition, Parameters, read_network

TEXT = """
layer { name: "x" type: "Mine" flag: true
  mine_param { size: 3 rate: -2.5e-1 mode: FAST title: "3" title: 'b' on: false
    shape: [4, 5] inner { n: 0x10 } inner < n: inf > values: 7 }
  pooling_param { pool: MAX wobble: 0.5 }
  param { lr_mult: 1 } param { own { a: 1 } } }
"""


@pytest.fixture
def layer(tmp_path: Path) -> LayerDefinition:
    file = tmp_path / "net.prototxt"
    file.write_text(TEXT)
    return read_network(file).layers[0]


def test_values_have_the_type_they_look_like(layer: LayerDefinition) -> None:
    mine = layer.extra.mine_param
    assert isinstance(mine, Parameters)
    assert (mine.size, mine.rate, mine.mode, mine.on) == (3, -0.25, "FAST", False)
    assert [type(mine[k]) for k in ("size", "rate", "mode", "on")] == [int, float, str, bool]
    assert layer.extra.flag is True


def test_repeated_members_are_tuples(layer: LayerDefinition) -> None:
    mine = layer.extra.block("mine_param")
    assert (mine.title, mine.shape) == (("3", "b"), (4, 5))
    assert [inner.n for inner in mine.all("inner") if isinstance(inner, Parameters)] == [16, float("inf")]
    assert (mine.all("size"), mine.all("nothing")) == ((3,), ())


def test_names_of_methods_are_read_by_subscript(layer: LayerDefinition) -> None:
    mine = layer.extra.block("mine_param")
    assert mine["values"] == 7
    assert list(mine) == ["size", "rate", "mode", "title", "on", "shape", "inner", "values"]
    assert len(mine) == 8


def test_unknown_fields_of_known_blocks(layer: LayerDefinition) -> None:
    assert layer.message.pooling_param.pool == 0
    assert layer.extra.block("pooling_param").number("wobble") == 0.5


def test_what_is_not_given(layer: LayerDefinition) -> None:
    mine = layer.extra.block("mine_param")
    with pytest.raises(LayerError, match=r"mine_param\.depth is required, and not given"):
        _ = mine.depth
    assert not hasattr(mine, "depth")
    assert mine.get("depth", 5) == 5
    assert mine.number("depth", 5) == 5
    with pytest.raises(KeyError):
        mine["depth"]
    absent = layer.extra.block("other_param")
    assert (len(absent), absent.get("a")) == (0, None)
    with pytest.raises(LayerError, match=r"other_param\.a is required"):
        _ = absent.a


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mode", "mine_param.mode must be one number, not 'FAST'"),
        ("on", "must be one number, not False"),
        ("shape", r"must be one number, not \(4, 5\)"),
    ],
)
def test_a_number_that_is_none(layer: LayerDefinition, name: str, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        layer.extra.block("mine_param").number(name, 1)


def test_a_block_that_is_none(layer: LayerDefinition) -> None:
    with pytest.raises(LayerError, match="flag must be one block in braces"):
        layer.extra.block("flag")
    with pytest.raises(LayerError, match="inner must be one block"):
        layer.extra.block("mine_param").block("inner")


def test_it_can_be_copied_and_shown(layer: LayerDefinition) -> None:
    inner = copy.copy(layer.extra.block("mine_param").all("inner")[0])
    assert repr(inner) == "Parameters({'n': 16})"
