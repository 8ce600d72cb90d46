"""``caffe2tf upgrade``: rewrite old Caffe files in the current (V2) form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caffe2tf.cli.options import Json, out_path

__all__ = ["EXAMPLES", "upgrade"]

EXAMPLES = (
    "caffe2tf upgrade deploy.prototxt -o new.prototxt",
    "caffe2tf upgrade net.caffemodel -o new.caffemodel",
)


def upgrade(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A .prototxt or .caffemodel in V0, V1 or V2 form.")],
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="NEW",
            parser=out_path,
            help="Write to this file: text if the name ends in .prototxt, otherwise the same kind as OLD.",
        ),
    ],
    json: Json = False,
) -> None:
    """Rewrite a Caffe file in the current (V2) form.

    OLD is a definition or a trained network. A .caffemodel keeps every weight bit for bit. If NEW ends in .prototxt,
    only the definition is written. NEW is written completely or not at all.
    """
    from caffe2tf.cli.hints import COMMAND_LINE
    from caffe2tf.cli.output import print_json, print_line, print_notes
    from caffe2tf.parse import upgrade_file

    done = upgrade_file(old, out)
    if json:
        notes = [note.text(COMMAND_LINE) for note in done.notes]
        print_json({"out": str(out), "layers": done.layers, "blobs": done.blobs, "notes": notes})
        return
    print_notes(done.notes)
    print_line(f"{out}: {done.layers} layers" + (f", {done.blobs} trained blobs" if done.blobs else ""))
