"""``caffe2tf alexnet``: regenerate AlexNet weights for TensorFlow code, and check them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caffe2tf.artifacts.kinds import plain_weight_files
from caffe2tf.cli.options import Json, choice, out_path
from caffe2tf.errors import UsageError

if TYPE_CHECKING:
    from caffe2tf.alexnet import AlexNetReport, Regenerated

__all__ = ["EXAMPLES", "alexnet"]

EXAMPLES = (
    "caffe2tf alexnet --from bvlc_alexnet.caffemodel -o bvlc_alexnet.npy",
    "caffe2tf alexnet bvlc_alexnet.npy --from bvlc_alexnet.caffemodel",
    "caffe2tf alexnet --check",
)

_SUFFIXES = ", ".join(kind.suffix for kind in plain_weight_files())


def alexnet(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help=f"Check this weight file ({_SUFFIXES}).")] = None,
    *,
    caffemodel: Annotated[
        Path | None, typer.Option("--from", metavar="CAFFEMODEL", help="Read the trained weights from this file.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="OUT", parser=out_path, help=f"Write to this file: {_SUFFIXES}."),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            metavar="lists|dicts", help="Layout of a .npy file: each layer is a list [weights, biases] or a dict."
        ),
    ] = "lists",
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Compare with activations that Caffe recorded, and check the file that was written."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Regenerate AlexNet weights for TensorFlow code, and check them.

    Writes the weight file that existing AlexNet code reads. The check runs AlexNet with weights drawn by a fixed rule
    and compares every blob with what Caffe computed from the same weights.
    """
    from caffe2tf.alexnet import check as check_alexnet
    from caffe2tf.alexnet import regenerate
    from caffe2tf.cli.output import print_json, progress_bar

    _refuse_contradictions(file, caffemodel, out, check=check)
    words = choice("--layout", layout, ("lists", "dicts"))
    done = report = None
    if caffemodel is not None and out is not None:
        with progress_bar("writing weights") as step:
            done = regenerate(caffemodel, out, layout=words, progress=step)
        if not json:
            _print_regenerated(done)
    if check or file is not None:
        with progress_bar("drawing weights") as step:
            report = check_alexnet(file or out, caffemodel=caffemodel, progress=step)
        if not json:
            _print_report(report, caffemodel)
    if json:
        print_json(({"regenerated": _as_dict(done)} if done else {}) | ({"check": report.as_dict()} if report else {}))
    sys.exit(0 if report is None or report.same else 1)


def _refuse_contradictions(file: Path | None, caffemodel: Path | None, out: Path | None, *, check: bool) -> None:
    if out is not None and caffemodel is None:
        raise UsageError(
            f"{out}: give the weights to convert: caffe2tf alexnet --from bvlc_alexnet.caffemodel -o {out}"
        )
    if out is not None and file is not None:
        raise UsageError(
            f"give a file to check ({file}) or a file to write ({out}), not both; --check also checks what is written"
        )
    if caffemodel is not None and out is None and file is None:
        raise UsageError(
            f"{caffemodel}: give the file to write: caffe2tf alexnet --from {caffemodel} -o bvlc_alexnet.npy"
        )
    if not (check or out or file):
        raise UsageError("nothing to do: give --check, or --from bvlc_alexnet.caffemodel -o bvlc_alexnet.npy, or both")


def _as_dict(done: Regenerated) -> dict[str, object]:
    from caffe2tf.cli.hints import COMMAND_LINE

    return {
        "weights": str(done.weights),
        "sha256": done.sha256,
        "caffemodel": str(done.caffemodel),
        "caffemodel_sha1": done.caffemodel_sha1,
        "published": done.published,
        "shapes": {name: list(shape) for name, shape in done.shapes.items()},
        "parameters": done.parameter_count,
        "notes": [note.text(COMMAND_LINE) for note in done.notes],
    }


def _print_regenerated(done: Regenerated) -> None:
    from caffe2tf.cli.output import count, print_line, print_notes

    print_notes(done.notes)
    print_line(f"{done.caffemodel}: sha1 {done.caffemodel_sha1}: {_provenance(published=done.published)}")
    print_line(f"{done.weights}: {count(done.parameter_count)} parameters, sha256 {done.sha256}")


def _provenance(*, published: bool) -> str:
    return "bvlc_alexnet as BVLC published it" if published else "not bvlc_alexnet as BVLC published it"


def _print_report(report: AlexNetReport, caffemodel: Path | None) -> None:
    from caffe2tf.cli.output import print_line
    from caffe2tf.cli.verify import print_report

    print_line("AlexNet with drawn weights, converted and run here, compared with what Caffe computed:")
    print_report(report.activations)
    if report.own_activations is not None:
        print_line(f"{report.weights_file} holds exactly these drawn weights; run with the file itself:")
        print_report(report.own_activations)
    if report.weights_file is not None:
        _print_weights(report, caffemodel)
    print_line("everything is the same" if report.same else "DIFFERS: see above")


def _print_weights(report: AlexNetReport, caffemodel: Path | None) -> None:
    from caffe2tf.cli.output import count, print_line, print_table

    if caffemodel is None:
        print_line(f"{report.weights_file}: fits the model; give --from CAFFEMODEL to check its values")
        return
    wrong = [w for w in report.weights if not w.same]
    if wrong:
        columns = [("layer", "left"), ("weight", "left"), ("shape", "left"), ("values that differ", "right")]
        print_table(columns, [(w.layer, w.weight, "x".join(map(str, w.shape)), count(w.differing)) for w in wrong])
    print_line(
        f"{report.weights_file}: {len(report.weights) - len(wrong)} of {len(report.weights)} weights equal the blobs "
        f"of {caffemodel} bit for bit"
    )
    print_line(f"{caffemodel}: sha1 {report.caffemodel_sha1}: {_provenance(published=bool(report.published))}")
