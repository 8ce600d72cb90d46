"""``caffe2tf verify``: compare every blob with what Caffe recorded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caffe2tf.cli.options import Json, Level, Net, Phase, Plugins, Stages, load_plugins
from caffe2tf.diagnostics import Diagnostic

if TYPE_CHECKING:
    from caffe2tf.verification import BlobVerdict, Report

__all__ = ["EXAMPLES", "print_report", "verify"]

EXAMPLES = ("caffe2tf verify deploy.prototxt net.caffemodel --reference blobs.npz",)


def verify(
    net: Net,
    weights: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHTS",
            help="Trained weights: .caffemodel or .h5. Separate several files by commas; the last one wins.",
        ),
    ],
    *,
    reference: Annotated[Path, typer.Option(metavar="BLOBS.npz", help="Read the recorded blobs, by blob name.")],
    inputs: Annotated[
        Path | None,
        typer.Option("--input", metavar="IN.npz", help="Read the inputs, if they are not in the reference."),
    ] = None,
    relative: Annotated[
        float, typer.Option(help="Largest relative L2 difference of a blob that counts as the same.")
    ] = 1e-5,
    peak: Annotated[
        float, typer.Option(help="Largest single difference that counts as the same, as a fraction of the blob's peak.")
    ] = 1e-4,
    phase: Phase = "TEST",
    stage: Stages = None,
    level: Level = 0,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Compare every blob with activations that Caffe recorded.

    Runs the emitted Keras code once. Blobs are listed in network order, so the first one that differs is where the
    error begins.
    """
    from caffe2tf.cli.output import print_json
    from caffe2tf.execute import verify as verify_network
    from caffe2tf.verification import Tolerance, read_arrays

    load_plugins(plugin)
    report = verify_network(
        net,
        weights,
        reference,
        read_arrays(inputs) if inputs else None,
        tolerance=Tolerance(relative=relative, peak=peak),
        phase=phase,
        stages=stage or (),
        level=level,
    )
    if json:
        print_json(report.as_dict())
    else:
        print_report(report)
    sys.exit(0 if report.same else 1)


def print_report(report: Report) -> None:
    """Print the report as a table, below a line that names the first difference."""
    from caffe2tf.cli.output import print_line, print_notes, print_table
    from caffe2tf.ir import format_shape

    first = report.first_difference
    if first is not None:
        layer = f"layer {first.layer!r}, blob" if first.layer else "blob"
        print_line(f"DIFFERS first at {layer} {first.blob!r}: {first.reason}")
    columns = [
        ("layer", "left"),
        ("blob", "left"),
        ("shape", "left"),
        ("max abs", "right"),
        ("relative L2", "right"),
        ("verdict", "left"),
    ]
    rows = [
        (
            v.layer,
            v.blob,
            "-" if v.shape is None else format_shape(v.shape),
            _number(v.max_abs),
            _number(v.relative_l2),
            _verdict(v),
        )
        for v in report.verdicts
    ]
    print_table(columns, rows, styles=["" if v.same else "bold red" for v in report.verdicts])
    notes = [f"blob {blob!r} is not in the reference" for blob in report.unreferenced]
    notes += [f"blob {blob!r} is a copy that Caffe makes; it was not compared" for blob in report.ignored]
    print_notes([Diagnostic.note(note) for note in notes])
    same = sum(v.same for v in report.verdicts)
    print_line(
        f"{same} of {len(report.verdicts)} blobs are the same "
        f"(relative L2 up to {report.tolerance.relative:g}, peak {report.tolerance.peak:g})"
    )


def _verdict(found: BlobVerdict) -> str:
    if found.same:
        return f"same: {found.note}" if found.note else "same"
    return f"DIFFERS: {found.reason}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
