"""Fields that the schema does not know, as a plugin reads them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.parse import LayerDefinition, Parameters, read_network

TEXT = """
layer { name: "x" type: "Mine" flag: true
  mine_param { size: 3 rate: -2.5e-1 mode: FAST title: "3" title: 'b' on: false
    shape: [4, 5] inner { n: 0x10 } inner < n: inf > values: 7 }
  odd_param { inf: inf below: -inf nan: nan large: 1e39  half: 0.5 two: 2.0 less: -3
    mixed: 1 mixed: 2.5 mixed: -4 mixed: nan yes: true no: 0 one: 1 t: t False: False both: true both: false
    block { a: 1 } }
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


def test_missing_members(layer: LayerDefinition) -> None:
    mine = layer.extra.block("mine_param")
    with pytest.raises(LayerError, match=r"mine_param\.depth is required; add it"):
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
        ("mode", "mine_param.mode must be one finite number, not 'FAST'"),
        ("on", "must be one finite number, not false"),
        ("shape", "must be one finite number, not 4, 5"),
        ("inner", "must be one finite number, not a block, a block"),
    ],
)
def test_values_that_are_not_numbers(layer: LayerDefinition, name: str, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        layer.extra.block("mine_param").number(name, 1)


@pytest.fixture
def odd(layer: LayerDefinition) -> Parameters:
    return layer.extra.block("odd_param")


@pytest.mark.parametrize("name", ["inf", "below", "nan", "large"])
def test_numbers_must_be_finite(odd: Parameters, name: str) -> None:
    shown = {"inf": "inf", "below": "-inf", "nan": "nan", "large": "1e\\+39"}[name]
    with pytest.raises(LayerError, match=rf"odd_param\.{name} must be one finite number, not {shown}$"):
        odd.number(name)
    with pytest.raises(LayerError, match=rf"odd_param\.{name} must be finite numbers, not {shown}$"):
        odd.numbers(name)
    with pytest.raises(LayerError, match=rf"odd_param\.{name} must be one whole number, not {shown}$"):
        odd.whole_number(name)
    with pytest.raises(LayerError, match=rf"odd_param\.{name} must be whole numbers, not {shown}$"):
        odd.whole_numbers(name)
    with pytest.raises(LayerError, match=rf"odd_param\.{name} must be true or false, not {shown}$"):
        odd.boolean(name)


def test_several_numbers(layer: LayerDefinition, odd: Parameters) -> None:
    mine = layer.extra.block("mine_param")
    assert mine.numbers("shape") == (4.0, 5.0)
    assert [type(n) for n in mine.numbers("shape")] == [float, float]
    assert (mine.numbers("rate"), mine.numbers("nothing")) == ((-0.25,), ())
    assert (mine.whole_numbers("shape"), mine.whole_numbers("nothing", least=1)) == ((4, 5), ())
    with pytest.raises(LayerError, match=r"odd_param\.mixed must be finite numbers, not 1, 2\.5, -4, nan"):
        odd.numbers("mixed")
    with pytest.raises(LayerError, match=r"odd_param\.mixed must be whole numbers, not 1, 2\.5, -4, nan"):
        odd.whole_numbers("mixed")
    with pytest.raises(LayerError, match=r"mine_param\.shape must be whole numbers, 5 or more, not 4, 5"):
        mine.whole_numbers("shape", least=5)
    with pytest.raises(LayerError, match=r"odd_param\.yes must be finite numbers, not true"):
        odd.numbers("yes")


def test_numbers_beyond_float32() -> None:
    large = Parameters.of([("n", 10**400), ("n", -3)])
    assert large.whole_numbers("n") == (10**400, -3)
    with pytest.raises(LayerError, match=r"^n must be finite numbers, not 1000"):
        large.numbers("n")


def test_a_whole_number(layer: LayerDefinition, odd: Parameters) -> None:
    mine = layer.extra.block("mine_param")
    assert (mine.whole_number("size"), mine.whole_number("size", 7, least=3)) == (3, 3)
    assert mine.whole_number("nothing", 0, least=1) == 0  # what stands for one that is not given is not judged
    assert odd.whole_number("less") == -3
    with pytest.raises(LayerError, match=r"mine_param\.size must be one whole number, 4 or more, not 3"):
        mine.whole_number("size", 7, least=4)
    for name, shown in (
        ("half", "0.5"),
        ("two", "2.0"),
        ("yes", "true"),
        ("block", "a block"),
        ("both", "true, false"),
    ):
        with pytest.raises(LayerError, match=f"odd_param.{name} must be one whole number, not {shown}"):
            odd.whole_number(name, 1)
    with pytest.raises(LayerError, match=r"mine_param\.depth is required; add it"):
        mine.whole_number("depth")


def test_true_or_false(odd: Parameters) -> None:
    assert [odd.boolean(name) for name in ("yes", "no", "one", "t", "False")] == [True, False, True, True, False]
    assert (odd.boolean("nothing"), odd.boolean("nothing", default=True)) == (False, True)
    for name, shown in (("less", "-3"), ("two", "2.0"), ("both", "true, false"), ("block", "a block")):
        with pytest.raises(LayerError, match=f"odd_param.{name} must be true or false, not {shown}"):
            odd.boolean(name)


def test_one_is_true_only_as_a_whole_number(tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    file.write_text('layer { name: "x" type: "Mine" mine_param { on: 1.0 mode: FAST } }')
    mine = read_network(file).layers[0].extra.block("mine_param")
    with pytest.raises(LayerError, match=r"mine_param\.on must be true or false, not 1\.0"):
        mine.boolean("on")
    with pytest.raises(LayerError, match=r"mine_param\.mode must be true or false, not 'FAST'"):
        mine.boolean("mode", default=True)


def test_only_the_given_names_are_allowed(layer: LayerDefinition) -> None:
    mine = layer.extra.block("mine_param")
    assert mine.only(*mine, "more") is mine
    assert len(layer.extra.block("other_param").only()) == 0
    with pytest.raises(LayerUnsupportedError) as one:
        mine.only(*(name for name in mine if name != "rate"))
    assert str(one.value) == (
        "field 'mine_param.rate' is not known, and may change what the layer computes; remove it if it does not"
    )
    with pytest.raises(LayerUnsupportedError) as two:
        mine.only(*(name for name in mine if name not in ("title", "size")))
    assert str(two.value) == (
        "fields 'mine_param.size', 'mine_param.title' are not known, and may change what the layer computes; remove "
        "those that do not"
    )


def test_values_that_are_not_blocks(layer: LayerDefinition) -> None:
    with pytest.raises(LayerError, match="flag must be one block in braces"):
        layer.extra.block("flag")
    with pytest.raises(LayerError, match=r"mine_param\.inner must be one block"):
        layer.extra.block("mine_param").block("inner")


def test_copy_and_repr(layer: LayerDefinition) -> None:
    inner = copy.copy(layer.extra.block("mine_param").all("inner")[0])
    assert repr(inner) == "Parameters({'n': 16})"
