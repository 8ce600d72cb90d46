"""What a user of the command line can do about a diagnostic, in options and commands."""

from __future__ import annotations

from collections.abc import Sequence

from caffe2tf.diagnostics import Diagnostic, Hint, Wordings

__all__ = ["COMMAND_LINE", "as_dict"]


def _shapes(blobs: Sequence[str]) -> str:
    options = " ".join(f"--input-shape {blob}=N,C,H,W" for blob in blobs)
    return f"give {'its shape' if len(blobs) == 1 else 'their shapes'}: {options}"


COMMAND_LINE: Wordings = {
    Hint.INPUT_SHAPE: _shapes,
    Hint.NEW_INPUT: lambda blobs: f"if it is an input of the network, {_shapes(blobs)}",
    Hint.INPUT_ARRAY: lambda _: "give an array of that name in the file of --input",
    Hint.PLUGIN: lambda _: "load a plugin with --plugin my_layers.py",
    Hint.UNKNOWN_TYPE: lambda _: (
        "add a layer type of your own in one file and load it with --plugin my_layers.py, or convert with --on-unknown "
        "stub and fill in the class that is written"
    ),
    Hint.CONVERT: lambda files: (
        f"convert them with the definition of CaffeNet: caffe2tf convert deploy.prototxt {files[0]} --out caffenet"
    ),
    Hint.REGENERATE: lambda files: (
        f"first make a weight file of them: caffe2tf alexnet --from {files[0]} -o alexnet.h5"
    ),
}
"""The wording of every hint for the command line."""


def as_dict(problem: Diagnostic) -> dict[str, object]:
    """Return a diagnostic as JSON shows it."""
    return {
        "severity": str(problem.severity),
        "layer": problem.layer,
        "where": str(problem.where) if problem.where else None,
        "message": problem.advice(COMMAND_LINE),
    }
