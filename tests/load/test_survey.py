"""A network as a table: shapes and costs of the layers, and everything that prevents a conversion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe2tf.diagnostics import Hint, Severity
from caffe2tf.load import open_trained
from caffe2tf.load.survey import Survey, survey
from caffe2tf.parse import read_network
from tests.builders import input_layers, write_caffemodel, write_prototxt

CONV = """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_h: 2 kernel_w: 3 group: 3 } }
"""
TAIL = """layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 7 } }
layer { name: "cut" type: "Slice" bottom: "fc" top: "left" top: "right" slice_param { slice_point: 3 } }
"""
INPUT = input_layers({"data": (2, 3, 5, 7)})


def surveyed(folder: Path, text: str, blobs: dict[str, list[tuple[int, ...]]] | None = None) -> Survey:
    file = write_prototxt(folder, 'name: "tiny"\n' + text)
    weights = None
    if blobs is not None:
        weights = write_caffemodel(folder, {name: [np.ones(s) for s in shapes] for name, shapes in blobs.items()})
    definition = read_network(file)
    with open_trained(definition, weights) as source:
        return survey(definition, source)


def test_shapes_and_costs(tmp_path: Path) -> None:
    found = surveyed(tmp_path, INPUT + CONV + TAIL)
    assert (found.name, found.exit_code, found.problems) == ("tiny", 0, ())
    assert [(r.name, r.shapes, r.parameters, r.multiply_adds, r.line) for r in found.rows] == [
        ("data", ((2, 3, 5, 7),), 0, 0, 2),
        ("conv", ((2, 6, 4, 5),), 6 * 2 * 3 + 6, 2 * 6 * 4 * 5 * 2 * 3, 3),  # 1 of 3 channels in each group
        ("relu", ((2, 6, 4, 5),), 0, 0, 5),
        ("fc", ((2, 7),), 7 * 120 + 7, 2 * 7 * 120, 6),
        ("cut", ((2, 3), (2, 4)), 0, 0, 7),
    ]
    assert [(r.type, r.bottoms, r.tops) for r in found.rows][-1] == ("Slice", ("fc",), ("left", "right"))


def test_a_layer_with_a_problem_hides_only_the_layers_that_read_it(tmp_path: Path) -> None:
    odd = CONV.replace("Convolution", "Convolutoin")
    aside = 'layer { name: "t" type: "TanH" bottom: "data" top: "t" }\n'
    found = surveyed(tmp_path, INPUT + odd + TAIL + aside)
    assert {r.name: r.shapes for r in found.rows} == {
        "data": ((2, 3, 5, 7),),
        "conv": None,
        "relu": None,
        "fc": None,
        "cut": None,
        "t": ((2, 3, 5, 7),),
    }
    assert {r.multiply_adds for r in found.rows if r.shapes is None} == {None}
    assert [(p.layer, p.severity) for p in found.problems] == [("conv", Severity.UNSUPPORTED)]
    assert found.exit_code == 3
    assert found.problems[0].hint is Hint.UNKNOWN_TYPE


def test_an_error_is_not_an_unsupported_part(tmp_path: Path) -> None:
    found = surveyed(tmp_path, INPUT + CONV.replace("kernel_h: 2", "kernel_h: 9") + TAIL)
    assert [(p.layer, p.hint) for p in found.problems] == [("conv", None)]
    assert found.exit_code == 2


@pytest.mark.parametrize(
    ("blobs", "unmatched"),
    [
        ({"conv": [(6, 1, 2, 3), (6,)], "fc": [(7, 120), (7,)]}, []),
        ({"conv": [(6, 3, 2, 3), (6,)], "fc": [(7, 100), (7,)]}, ["conv", "fc"]),
        ({"conv": [(6, 1, 2, 3), (6,)]}, ["fc"]),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, blobs: dict[str, list[tuple[int, ...]]], unmatched: list[str]) -> None:
    found = surveyed(tmp_path, INPUT + CONV + TAIL, blobs)
    problems = found.weights_error.problems if found.weights_error else ()
    assert [p.layer for p in problems] == unmatched
    assert found.exit_code == (2 if unmatched else 0)


def test_only_the_layers_of_the_phase(tmp_path: Path) -> None:
    file = write_prototxt(tmp_path, INPUT + CONV.replace("bottom", "include { phase: TRAIN } bottom"))
    definition = read_network(file)
    assert [r.name for r in survey(definition).rows] == ["data"]
    assert [r.name for r in survey(definition, phase="TRAIN").rows] == ["data", "conv"]
    (_, conv) = survey(definition, phase="TRAIN", input_shapes={"data": (1, 3, 6, 9)}).rows
    assert conv.shapes == ((1, 6, 5, 7),)
