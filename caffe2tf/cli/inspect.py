"""``caffe2tf inspect``: list the layers of a network and everything that prevents its conversion."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from caffe2tf.cli.options import (
    InputShapes,
    Json,
    Level,
    Net,
    Phase,
    Plugins,
    Stages,
    Weights,
    load_plugins,
    parse_shapes,
)
from caffe2tf.diagnostics import common_hints

if TYPE_CHECKING:
    from caffe2tf.load.survey import Row, Survey

__all__ = ["EXAMPLES", "inspect"]

EXAMPLES = (
    "caffe2tf inspect deploy.prototxt",
    "caffe2tf inspect deploy.prototxt net.caffemodel --json",
)


def inspect(
    net: Net,
    weights: Weights = None,
    *,
    phase: Phase = "TEST",
    stage: Stages = None,
    level: Level = 0,
    input_shape: InputShapes = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Show the layers of a network and what prevents its conversion.

    Prints shapes, parameters and multiply-adds, then every unsupported layer and every weight that does not match.
    TensorFlow is not needed.
    """
    from caffe2tf.cli.output import print_json
    from caffe2tf.load import open_trained
    from caffe2tf.load.survey import survey
    from caffe2tf.parse import read_network

    load_plugins(plugin)
    definition = read_network(net)
    with open_trained(definition, weights) as blobs:
        found = survey(
            definition,
            blobs,
            phase=phase,
            stages=stage or (),
            level=level,
            input_shapes=parse_shapes(input_shape),
        )
    if json:
        print_json(_as_dict(found))
    else:
        _print(found)
    sys.exit(found.exit_code)


def _as_dict(found: Survey) -> dict[str, object]:
    from caffe2tf.cli.hints import COMMAND_LINE, as_dict

    return {
        "name": found.name,
        "layers": [asdict(r) for r in found.rows],
        "problems": [as_dict(p) for p in found.problems],
        "weight_problems": [as_dict(p) for p in found.weights_error.problems] if found.weights_error else [],
        "notes": [note.text(COMMAND_LINE) for note in found.notes],
        "hints": common_hints(found.problems, COMMAND_LINE),
    }


def _print(found: Survey) -> None:
    from caffe2tf.cli.hints import COMMAND_LINE
    from caffe2tf.cli.output import count, print_notes, print_problem, print_table

    columns = [
        ("layer", "left"),
        ("type", "left"),
        ("bottoms", "left"),
        ("tops", "left"),
        ("shape", "left"),
        ("parameters", "right"),
        ("multiply-adds", "right"),
    ]
    footer = [
        f"{len(found.rows)} layers",
        "",
        "",
        "",
        "",
        count(sum(r.parameters for r in found.rows)),
        count(sum(r.multiply_adds or 0 for r in found.rows)),
    ]
    styles = ["red" if r.shapes is None else "" for r in found.rows]
    print_table(columns, [_cells(r) for r in found.rows], footer=footer, title=found.name, styles=styles)
    print_notes(found.notes)
    for problem in found.problems:  # after the table, where the user sees them
        print_problem(problem.text(COMMAND_LINE))
    if found.weights_error is not None:
        print_problem(found.weights_error.text(COMMAND_LINE))
    for hint in common_hints(found.problems, COMMAND_LINE):
        print_problem(hint)


def _cells(row: Row) -> list[str]:
    from caffe2tf.cli.output import count
    from caffe2tf.ir import format_shape

    shapes = "?" if row.shapes is None else ", ".join(format_shape(s) for s in row.shapes) or "-"
    return [
        row.name,
        row.type,
        ", ".join(row.bottoms),
        ", ".join(row.tops),
        shapes,
        count(row.parameters),
        count(row.multiply_adds),
    ]
