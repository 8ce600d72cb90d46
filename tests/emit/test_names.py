from __future__ import annotations

import builtins
import keyword
import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from caffe2tf.emit.names import NameMap, argument_name, identifier, keras_name, module_name
from tests.emit.networks import HOSTILE

names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20))


@given(names)
def test_keras_names_are_of_the_alphabet_that_all_take(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", keras_name(name))


@given(names)
def test_identifiers_shadow_nothing(name: str) -> None:
    made = identifier(name)
    assert made.isidentifier()
    assert made.isascii()
    assert len(made) <= 70
    assert not keyword.iskeyword(made)
    assert not hasattr(builtins, made)
    assert made not in {"keras", "layers", "weights", "build", "model", "load_weights", "x", "np", "os"}


@pytest.mark.parametrize(
    ("name", "keras", "python"),
    [
        ("conv1", "conv1", "conv1"),
        ("inception_3a/1x1", "inception_3a-1x1", "inception_3a_1x1"),
        ("_hidden", "n_hidden", "blob_hidden"),
        ("1a", "1a", "blob_1a"),
        (".", "n.", "blob_"),
        ("", "n", "blob_"),
        ("class", "class", "class_"),
        ("x", "x", "x_"),
        ("é", "n_", "blob_"),
    ],
)
def test_names_stay_close(name: str, keras: str, python: str) -> None:
    assert keras_name(name) == keras
    assert identifier(name) == python


@pytest.mark.parametrize(
    ("network", "module"),
    [
        ("AlexNet", "AlexNet"),
        ("CaffeNet (BVLC)", "CaffeNet_BVLC"),
        ("json", "json_net"),
        ("keras", "keras_"),
        ("caffe_layers", "caffe_layers_net"),
        ("../../etc/passwd", "etc_passwd"),
        ("", "network"),
        ("/", "network"),
        ("n" * 500, "n" * 60),
    ],
)
def test_modules_hide_no_other(network: str, module: str) -> None:
    assert module_name(network) == module


def test_arguments_of_an_exported_model_differ_in_more_than_case() -> None:
    assert argument_name("a-b") == argument_name("A.b") == "a_b"
    assert argument_name("1a") == argument_name("arg_1a")


@given(st.lists(names, max_size=30))
def test_no_two_names_are_the_same(given_names: list[str]) -> None:
    taken = NameMap(["a"])
    claimed = [taken.claim(name) for name in given_names]
    assert len({*claimed, "a"}) == len(claimed) + 1


def test_a_second_use_gets_a_number() -> None:
    taken = NameMap()
    assert [taken.claim(n) for n in ("a", "a", "a.2", "a")] == ["a", "a.2", "a.2.2", "a.3"]


def test_a_name_that_all_want_is_not_searched_for_from_the_start() -> None:
    class Searched(set[str]):
        asked = 0

        def __contains__(self, name: object) -> bool:
            self.asked += 1
            return super().__contains__(name)

    taken = NameMap()
    taken._taken = searched = Searched({"a.3"})
    claimed = [taken.claim("a") for _ in range(1000)]
    assert claimed == ["a", "a.2", *(f"a.{n}" for n in range(4, 1002))]
    assert searched.asked < 3000
    assert taken.claim("a", separator="_") == "a_2"
