"""``caffe2tf upgrade``: a definition or a trained network of any age in the modern form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caffe2tf.cli.options import Json, out_path

__all__ = ["upgrade"]


def upgrade(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A .prototxt or .caffemodel of any age.")],
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="NEW",
            parser=out_path,
            help="The file to write: *.prototxt is text, any other name is as OLD is.",
        ),
    ],
    json: Json = False,
) -> None:
    """Write a definition, or a trained network with its weights, in the modern form, losing nothing.

    A .caffemodel becomes a modern .caffemodel with every weight as it was; written to a name in .prototxt, it becomes
    the definition alone. A .prototxt becomes a modern .prototxt. NEW appears whole or not at all.
    """
    from caffe2tf.cli.output import print_json, print_line, print_notes
    from caffe2tf.parse import upgrade_file

    done = upgrade_file(old, out)
    if json:
        print_json({"out": str(out), "layers": done.layers, "blobs": done.blobs, "notes": list(done.notes)})
        return
    print_notes(done.notes)
    print_line(f"{out}: {done.layers} layers" + (f", {done.blobs} trained blobs" if done.blobs else ""))
