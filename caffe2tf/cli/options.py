"""Arguments and options that several commands share, and the checks of their values."""

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

Net = Annotated[
    Path,
    typer.Argument(metavar="NET", help="The network: a .prototxt, or a .caffemodel that also holds the definition."),
]
Weights = Annotated[
    str | None,
    typer.Argument(
        metavar="WEIGHTS",
        help="Trained weights: .caffemodel or .h5. Separate several files by commas; the last one wins.",
    ),
]
Phase = Annotated[str, typer.Option(metavar="TEST|TRAIN", help="Use the layers of this phase.")]
Stages = Annotated[list[str] | None, typer.Option("--stage", help="Set a stage of the NetState. May be repeated.")]
Level = Annotated[int, typer.Option(help="Set the level of the NetState.")]
InputShapes = Annotated[
    list[str] | None,
    typer.Option("--input-shape", metavar="NAME=N,C,H,W", help="Replace the shape of an input. May be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE.py", help="Load layers of your own from a Python file. May be repeated."),
]


def out_path(given: str) -> Path:
    """Return the path to write to.

    Raises:
        UsageError: The text is empty, which would mean the current folder.
    """
    if not given:
        raise UsageError("--out is empty: give a path; was a shell variable not set?")
    return Path(given)


def parse_shapes(given: list[str] | None) -> dict[str, tuple[int, ...]]:
    """Return shapes by blob, parsed from texts such as ``NAME=1,3,227,227``.

    Raises:
        UsageError: A text does not have this form.
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
    """Import the files that register layers of the user's own.

    The layers of installed packages need no option: the registry finds them when a type is looked up.
    """
    from caffe2tf.plugins import load_plugin

    for file in files or []:
        with starting_tensorflow():  # it may import Keras
            load_plugin(file)


def choice(option: str, given: str, allowed: tuple[str, ...]) -> Any:  # noqa: ANN401 - the caller needs a Literal, which str is not
    """Return ``given`` if it is one of ``allowed``.

    Raises:
        UsageError: It is not.
    """
    require_choice(option, given, allowed)
    return given
