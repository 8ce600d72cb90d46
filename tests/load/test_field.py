"""Definitions that were found in the field, or that rebuild what was reported from there (tests/data/field)."""

from __future__ import annotations

import pytest

from caffe2tf.errors import UnsupportedError
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from tests.conftest import ROOT

FIELD = ROOT / "tests" / "data" / "field"


def test_field_enum_word() -> None:
    """An unknown word of an enum is called one, and is not called a field that may be removed."""
    with pytest.raises(UnsupportedError) as caught:
        load_graph(read_network(FIELD / "enum_word.prototxt"))
    assert [p.message for p in caught.value.problems] == [
        "'ave' is not a value of `pooling_param.pool`; use one of MAX, AVE, STOCHASTIC, AVE_EXC_PAD, AVE_TF; "
        "did you mean `AVE`?",
        "'MIN' is not a value of `eltwise_param.operation`; use one of PROD, SUM, MAX",
    ]
    assert "remove" not in str(caught.value)
