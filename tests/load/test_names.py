"""Names in networks of very many layers: the work for one layer does not grow with the number of layers before it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from caffe2tf.ir import Layout, Value
from caffe2tf.load.names import Blobs, NodeNames
from caffe2tf.load.survey import survey
from caffe2tf.parse import NetworkDefinition, read_network
from tests.builders import input_layer, write_prototxt

if TYPE_CHECKING:
    import pytest

DATA = input_layer("data", (2, 3))
RELU = 'layer {{ name: "{0}" type: "ReLU" bottom: "{1}" top: "{2}" }}\n'


class Searched(dict[str, Value]):
    """Counts look-ups of keys."""

    asked = 0

    def __contains__(self, key: object) -> bool:
        self.asked += 1
        return super().__contains__(key)


def definition(folder: Path, text: str) -> NetworkDefinition:
    file = write_prototxt(folder, DATA + text)
    return read_network(file)


def test_ids_of_a_blob_that_is_written_many_times() -> None:
    values = Searched()
    blobs = Blobs(values)
    values["x#3"] = Value(id="x#3", blob="x#3", shape=(2,), layout=Layout.plain(1))
    made = [blobs.write("x", (2,), writer="a").id for _ in range(1000)]
    assert made == ["x", "x#2", *(f"x#{n}" for n in range(4, 1002))]
    assert values.asked < 3000


def test_node_names_of_layers_that_all_have_the_same_name(tmp_path: Path) -> None:
    layer = definition(tmp_path, "").layers[0]
    taken = Searched()
    names = NodeNames(taken)
    made: list[str] = []
    for i in range(1000):
        name, repeated = names.unique(layer, i)
        assert repeated == bool(made)
        made.append(name)
        taken[name] = Value(id=name, blob=name, shape=(2,), layout=Layout.plain(1))
    assert made == ["data", *(f"data#{n}" for n in range(2, 1001))]
    assert taken.asked < 4000


def test_a_suggestion_is_a_blob_that_exists(tmp_path: Path) -> None:
    text = RELU.format("a", "data", "features") + RELU.format("b", "featurs", "y") + RELU.format("c", "featursx", "z")
    found = survey(definition(tmp_path, text))
    assert [re.findall(r"did you mean '(\w+)'", str(p)) for p in found.problems] == [["features"], ["features"]]


def test_if_very_many_blobs_are_missing_only_the_first_get_a_suggestion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0

    def compare(_: str, those: Iterable[str], n: int = 3) -> list[str]:
        nonlocal compared
        compared += len(list(those))
        return ["one"] * n

    monkeypatch.setattr(difflib, "get_close_matches", compare)
    text = "".join(RELU.format(f"l{i}", f"missing{i}", f"t{i}") for i in range(2000))
    found = survey(definition(tmp_path, text))
    assert len(found.problems) == 2000
    hints = ["did you mean 'one'" in str(p) for p in found.problems]
    assert all(hints[:100])
    assert not any(hints[-100:])
    assert compared < 60_000
