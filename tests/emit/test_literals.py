from __future__ import annotations

import ast
import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from caffe2tf.emit.literals import literal
from caffe2tf.ir.expr import Literal
from tests.emit.networks import HOSTILE

values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
        st.sampled_from(HOSTILE),
    ),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=8,
)


@given(values)
def test_it_evaluates_to_the_value_and_nothing_else(value: Literal) -> None:
    text = literal(value)
    back = ast.literal_eval(text)
    assert back == value
    assert type(back) is type(value)
    assert repr(back) == repr(value)  # -0.0, and True for 1
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-4, "1e-4"),
        (0.0001234, "0.0001234"),
        (1.5e-7, "1.5e-7"),
        (0.75, "0.75"),
        (1.0, "1.0"),
        (-0.001, "-1e-3"),
        (1e20, "1e20"),
        (-0.0, "-0.0"),
        ((2,), "(2,)"),
        ((), "()"),
        ("same", '"same"'),
        ("it's", '"it\'s"'),
        ('"', "'\"'"),
        ("'\"", '"\'\\""'),
        ("a\n", '"a\\n"'),
    ],
)
def test_the_usual_form(value: Literal, text: str) -> None:
    assert literal(value) == text


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_floats_that_have_no_literal(value: float) -> None:
    assert repr(eval(literal(value))) == repr(value)  # noqa: S307 - our own text


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="list"):
        literal([1])  # type: ignore[arg-type]
