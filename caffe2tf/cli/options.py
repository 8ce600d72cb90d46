"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from caffe2tf.arguments import require_choice
from caffe2tf.errors import UsageError
from caffe2tf.quiet import starting_tensorflow

__all__ = [
    "InputShapes",
    "Json",
    "Level",
    "Net",
    "Phase",
    "Plugins",
    "Stages",
    "Weights",
    "choice",
    "load_plugins",
    "out_path",
    "parse_shapes",
]

Net = Annotated[Path, typer.Argument(metavar="NET", help="The network: a .prototxt, or a .caffemodel alone.")]
Weights = Annotated[
    str | None,
    typer.Argument(metavar="WEIGHTS", help="Trained weights: .caffemodel or .h5; several with commas, the last wins."),
]
Phase = Annotated[str, typer.Option(metavar="TEST|TRAIN", help="Which of the definition's layers to take.")]
Stages = Annotated[list[str] | None, typer.Option("--stage", help="A stage of the NetState; may be repeated.")]
Level = Annotated[int, typer.Option(help="The level of the NetState.")]
InputShapes = Annotated[
    list[str] | None,
    typer.Option("--input-shape", metavar="NAME=N,C,H,W", help="Shape of an input; may be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE.py", help="A Python file with layers of your own; may be repeated."),
]


def out_path(given: str) -> Path:
    """Where to write.

    Raises:
        UsageError: it is empty, which would be the current folder.
    """
    if not given:
        raise UsageError("--out is empty: name where to write; was a variable of the shell not set?")
    return Path(given)


def parse_shapes(given: list[str] | None) -> dict[str, tuple[int, ...]]:
    """``NAME=1,3,227,227`` to shapes by blob.

    Raises:
        UsageError: one is not of this form.
    """
    shapes = {}
    for text in given or []:
        name, found, extents = text.partition("=")
        try:
            shape = tuple(int(d) for d in extents.replace("x", ",").split(","))
        except ValueError:
            shape = ()
        if not (found and name and shape and all(d > 0 for d in shape)):
            raise UsageError(f"--input-shape {text!r}: write it as NAME=1,3,227,227, with extents of 1 or more")
        shapes[name] = shape
    return shapes


def load_plugins(files: list[Path] | None) -> None:
    """Imports files that register layers of the user's own; those of installed packages are found when needed."""
    from caffe2tf.plugins import load_plugin

    for file in files or []:
        with starting_tensorflow():  # it may import Keras
            load_plugin(file)


def choice(option: str, given: str, allowed: tuple[str, ...]) -> Any:  # noqa: ANN401 - one of a Literal's words
    """``given``, where it is one of ``allowed``.

    Raises:
        UsageError: it is not.
    """
    require_choice(option, given, allowed)
    return given
