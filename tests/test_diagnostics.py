"""Diagnostics and the errors that carry them: order, wording, and what becomes of hints."""

from __future__ import annotations

import pickle

import pytest

from caffe2tf.diagnostics import PYTHON, Diagnostic, Hint, Position, Severity, Wordings, common_hints, in_order
from caffe2tf.errors import (
    LayerError,
    LayerUnsupportedError,
    NetworkError,
    UnsupportedError,
    UsageError,
    WeightsError,
    diagnose,
    network_error,
)

OTHER: Wordings = {hint: lambda about: f"<{','.join(about)}>" for hint in Hint}


def at(line: int, message: str = "m", **more: object) -> Diagnostic:
    return Diagnostic(message=message, where=Position("n.prototxt", line, 1), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Position("a/n.prototxt", 3, 7), "a/n.prototxt:3:7"),
        (Position("n.caffemodel"), "n.caffemodel"),
        (Position("n.caffemodel", layer=0), "n.caffemodel[0]"),
        (Position("n", 3), "n:3"),
    ],
)
def test_a_place(place: Position, text: str) -> None:
    assert str(place) == text


@pytest.mark.parametrize(
    ("diagnostic", "text"),
    [
        (Diagnostic(message="m"), "m"),
        (at(3, layer="a"), "n.prototxt:3:1: layer 'a': m"),
        (at(3, layer="a", repeats=4), "n.prototxt:3:1: layer 'a' and 4 more like it: m"),
        (at(3, layer=""), "n.prototxt:3:1: layer '': m"),
        (at(3, hint=Hint.INPUT_ARRAY, about=("x",)), "n.prototxt:3:1: m; give an array of that name in `inputs`"),
        (at(3, hint=Hint.UNKNOWN_TYPE), "n.prototxt:3:1: m"),
    ],
)  # fmt: skip
def test_a_diagnostic_is_one_line(diagnostic: Diagnostic, text: str) -> None:
    assert str(diagnostic) == text


def test_diagnostics_are_in_file_order_with_unplaced_ones_last() -> None:
    nowhere = Diagnostic.note("whole file")
    first, second, third = at(2), at(10), Diagnostic(message="m", where=Position("n.prototxt", 10, 5))
    assert in_order([nowhere, third, second, first]) == (first, second, third, nowhere)
    places = [Position("n"), Position("n", layer=0), Position("n", layer=2), Position("n", layer=10)]
    of_binary = [Diagnostic(message="m", where=place) for place in places]
    assert in_order(reversed(of_binary)) == tuple(of_binary)
    same = [at(2, "b"), at(2, "a")]
    assert in_order(same) == tuple(same)


def test_a_hint_about_nothing_in_particular_is_given_once() -> None:
    problems = [
        at(2, hint=Hint.UNKNOWN_TYPE),
        at(1, hint=Hint.INPUT_SHAPE, about=("x", "y")),
        at(3, hint=Hint.UNKNOWN_TYPE),
    ]
    assert common_hints(problems, OTHER) == ["<>"]
    error = NetworkError(problems)
    assert error.text(OTHER) == (
        "3 problems:\n  n.prototxt:1:1: m; <x,y>\n  n.prototxt:2:1: m\n  n.prototxt:3:1: m\n<>"
    )
    assert str(error) == error.text(PYTHON)


def test_one_problem_is_not_counted() -> None:
    assert str(NetworkError([at(3, "wrong")])) == "n.prototxt:3:1: wrong"


def test_a_heading_stands_before_even_one_problem() -> None:
    assert (
        str(WeightsError("the weights do not fit", problems=[at(3)])) == "the weights do not fit\n  n.prototxt:3:1: m"
    )


def test_an_error_with_a_hint() -> None:
    error = UsageError("wrong", hint=Hint.INPUT_ARRAY, about=["x"])
    assert str(error) == "wrong; give an array of that name in `inputs`"
    assert error.text(OTHER) == "wrong; <x>"


@pytest.mark.parametrize(
    ("error", "severity", "raised", "code"),
    [
        (LayerError("bad"), Severity.ERROR, NetworkError, 2),
        (LayerUnsupportedError("bad", hint=Hint.PLUGIN, about=("p",)), Severity.UNSUPPORTED, UnsupportedError, 3),
    ],
)
def test_an_error_of_a_layer_becomes_one_of_the_network(
    error: LayerError, severity: Severity, raised: type[NetworkError], code: int
) -> None:
    problem = diagnose(error, layer="a", where=Position("n.prototxt", 4, 1))
    assert (problem.message, problem.layer, problem.severity) == ("bad", "a", severity)
    assert (problem.hint, problem.about) == (error.hint, error.about)
    whole = network_error([at(9), problem])
    assert type(whole) is raised
    assert whole.exit_code == code
    assert whole.problems == (problem, at(9))


def test_an_error_survives_another_process() -> None:
    again = pickle.loads(pickle.dumps(UsageError("wrong", hint=Hint.INPUT_ARRAY, about=["x"])))  # noqa: S301 - our own
    assert str(again) == "wrong; give an array of that name in `inputs`"


@pytest.mark.parametrize("hint", Hint)
def test_python_has_a_wording_for_every_hint(hint: Hint) -> None:
    text = PYTHON[hint](["x"])
    assert "--" not in text
    assert text
