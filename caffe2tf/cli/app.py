"""All commands under one name."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from caffe2tf import __version__
from caffe2tf.cli import alexnet, convert, inspect, layers, run, upgrade, verify
from caffe2tf.cli.output import print_line

__all__ = ["app"]

app = typer.Typer(
    name="caffe2tf",
    help="Turn Caffe models into TensorFlow/Keras models that provably compute the same.",
    no_args_is_help=True,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,  # plain in a pipe, and at once
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 blobs differ (verify), 2 a mistake in the input, 3 something is not supported.",
)
app.command("convert")(convert.convert)
app.command("inspect")(inspect.inspect)
app.command("run")(run.run)
app.command("verify")(verify.verify)
app.command("layers")(layers.layers)
app.command("upgrade")(upgrade.upgrade)
app.command("alexnet")(alexnet.alexnet)


def _version(asked: bool) -> None:
    if asked:
        print_line(f"caffe2tf {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    del version
