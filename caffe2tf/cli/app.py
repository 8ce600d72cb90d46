"""The `caffe2tf` application: all commands under one name."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from caffe2tf import __version__
from caffe2tf.cli import alexnet, convert, inspect, layers, run, upgrade, verify
from caffe2tf.cli.epilog import epilog
from caffe2tf.cli.output import print_line

__all__ = ["app"]

app = typer.Typer(
    name="caffe2tf",
    help="Convert Caffe models to TensorFlow/Keras models, and verify that they compute the same.",
    no_args_is_help=True,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,  # plain text in a pipe, without the import of rich
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=epilog("caffe2tf convert deploy.prototxt net.caffemodel -o out", "caffe2tf convert --help"),
)
app.command("convert", epilog=epilog(*convert.EXAMPLES))(convert.convert)
app.command("inspect", epilog=epilog(*inspect.EXAMPLES))(inspect.inspect)
app.command("run", epilog=epilog(*run.EXAMPLES))(run.run)
app.command("verify", epilog=epilog(*verify.EXAMPLES))(verify.verify)
app.command("layers", epilog=epilog(*layers.EXAMPLES, exit_statuses=False))(layers.layers)
app.command("upgrade", epilog=epilog(*upgrade.EXAMPLES))(upgrade.upgrade)
app.command("alexnet", epilog=epilog(*alexnet.EXAMPLES))(alexnet.alexnet)


def _version(asked: bool) -> None:
    if asked:
        print_line(f"caffe2tf {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    del version
