"""`caffe2tf alexnet`: what the command asks for, its messages, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from caffe2tf import alexnet
from caffe2tf.alexnet import AlexNetReport, Regenerated, WeightVerdict
from caffe2tf.cli.alexnet import alexnet as command
from caffe2tf.diagnostics import Diagnostic
from caffe2tf.errors import UsageError
from caffe2tf.verification import BlobVerdict, Report, Tolerance


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """The calls that the command makes. Both functions are replaced, as they have tests of their own."""
    made: list[tuple[object, ...]] = []

    def regenerate(caffemodel: Path, out: Path, *, layout: str, progress: object) -> Regenerated:
        made.append(("regenerate", caffemodel, out, layout))
        return Regenerated(
            weights=out, sha256="5a", caffemodel=caffemodel, caffemodel_sha1="91", published=True,
            shapes={"fc8/bias": (1000,)}, parameter_count=60_965_224, notes=(Diagnostic.note("a note"),),
        )  # fmt: skip

    def check(file: Path | None, *, caffemodel: Path | None, progress: object) -> AlexNetReport:
        made.append(("check", file, caffemodel))
        return report(same=str(file) != "wrong.npy", file=file, against=caffemodel is not None)

    monkeypatch.setattr(alexnet, "regenerate", regenerate)
    monkeypatch.setattr(alexnet, "check", check)
    return made


def report(*, same: bool, file: Path | None, against: bool) -> AlexNetReport:
    blob = BlobVerdict(blob="fc6", layer="drop6", same=True, shape=(2, 4096), max_abs=1e-7, relative_l2=2e-7)
    weight = WeightVerdict(layer="fc6", weight="kernel", shape=(9216, 4096), same=same, differing=0 if same else 1234)
    return AlexNetReport(
        activations=Report(verdicts=(blob,), tolerance=Tolerance()),
        weights_file=file,
        weights=(weight,) if against else (),
        caffemodel_sha1="91" if against else None,
        published=False if against else None,
    )


def invoke(*arguments: str) -> tuple[int, str]:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, UsageError):
        raise result.exception
    return result.exit_code, result.stdout


def test_regeneration_alone(calls: list[tuple[object, ...]]) -> None:
    code, text = invoke("--from", "a.caffemodel", "-o", "a.npy", "--layout", "dicts")
    assert calls == [("regenerate", Path("a.caffemodel"), Path("a.npy"), "dicts")]
    assert code == 0
    assert "a.caffemodel: sha1 91: bvlc_alexnet as BVLC published it" in text
    assert "60,965,224 parameters" in text


def test_regeneration_and_check(calls: list[tuple[object, ...]]) -> None:
    code, text = invoke("--from", "a.caffemodel", "-o", "a.npy", "--check")
    assert [call[0] for call in calls] == ["regenerate", "check"]
    assert calls[1] == ("check", Path("a.npy"), Path("a.caffemodel"))
    assert code == 0
    assert "1 of 1 weights equal the blobs of a.caffemodel bit for bit" in text
    assert "everything is the same" in text


def test_a_check_of_this_machine(calls: list[tuple[object, ...]]) -> None:
    code, text = invoke("--check")
    assert calls == [("check", None, None)]
    assert code == 0
    assert "drop6" in text
    assert "2x4096" in text


def test_a_check_of_a_file(calls: list[tuple[object, ...]]) -> None:
    code, text = invoke("a.h5")
    assert calls == [("check", Path("a.h5"), None)]
    assert code == 0
    assert "give --from CAFFEMODEL to check" in text


def test_a_wrong_file_sets_the_exit_status_and_names_the_weight(calls: list[tuple[object, ...]]) -> None:
    code, text = invoke("wrong.npy", "--from", "a.caffemodel")
    assert code == 1
    assert "0 of 1 weights" in text
    assert "9216x4096" in text
    assert "1,234" in text
    assert "not bvlc_alexnet as BVLC published it" in text
    assert "DIFFERS" in text


def test_json_output(calls: list[tuple[object, ...]]) -> None:
    code, text = invoke("--from", "a.caffemodel", "-o", "wrong.npy", "--check", "--json")
    assert code == 1
    found = json.loads(text)
    assert found["regenerated"]["published"] is True
    assert found["regenerated"]["shapes"] == {"fc8/bias": [1000]}
    assert found["check"]["same"] is False
    assert found["check"]["weights"][0]["differing"] == 1234


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to do"),
        (("-o", "a.npy"), "give the weights to convert"),
        (("--from", "a.caffemodel"), "give the file to write"),
        (("b.npy", "--from", "a.caffemodel", "-o", "a.npy"), "not both"),
        (("--from", "a.caffemodel", "-o", "a.npy", "--layout", "tuples"), "choose one of lists, dicts"),
        (("--check", "--layout", "tuples"), "choose one of lists, dicts"),
        (("a.npy", "--layout", "tuples"), "choose one of lists, dicts"),
    ],
)
def test_wrong_combinations_of_arguments_are_refused(
    arguments: tuple[str, ...], message: str, calls: list[tuple[object, ...]]
) -> None:
    with pytest.raises(UsageError, match=message):
        invoke(*arguments)
    assert calls == []
