"""Definitions that were found in the field, or that rebuild what was reported from there (tests/data/field)."""

from __future__ import annotations

import pytest

from caffe2tf.errors import NetworkError, UnsupportedError
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from tests.conftest import ROOT

FIELD = ROOT / "tests" / "data" / "field"


def test_field_enum_word() -> None:
    """An unknown word of an enum is called one, and is not called a field that may be removed."""
    with pytest.raises(UnsupportedError) as caught:
        load_graph(read_network(FIELD / "enum_word.pbtxt"))
    pool, operation = (p.message for p in caught.value.problems)
    assert pool.startswith("'ave' is not a value of `pooling_param.pool`; use one of MAX, AVE, STOCHASTIC")
    assert pool.endswith("; did you mean `AVE`?")
    assert operation == "'MIN' is not a value of `eltwise_param.operation`; use one of PROD, SUM, MAX"
    assert "remove" not in str(caught.value)


def test_field_hdf5data_null() -> None:
    """A dataset without a shape in a data file leaves the shape of the input unknown, which is reported."""
    with pytest.raises(NetworkError, match="the definition does not state the shape of 'data'"):
        load_graph(read_network(FIELD / "hdf5data_null.pbtxt"))


@pytest.mark.parametrize("name", ["stub_no_top", "stub_no_top_last"])
def test_field_stub_no_top(name: str) -> None:
    """A layer of unknown type without tops cannot become a stub."""
    with pytest.raises(UnsupportedError, match="layer 'out': a layer of type 'Foo' without a top computes nothing"):
        load_graph(read_network(FIELD / f"{name}.pbtxt"), stub_unknown=True)
