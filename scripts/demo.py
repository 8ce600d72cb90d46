#!/usr/bin/env python3
"""Convert a trained network and AlexNet, run both, and show that they compute what Caffe computed.

    python scripts/demo.py [--out FOLDER]

Exit status: 0 everything is the same, 1 something differs, 2 an error.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Set before TensorFlow is imported: the recordings were made on a CPU.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np
import numpy.typing as npt
from rich.box import SIMPLE_HEAD
from rich.columns import Columns
from rich.console import Console, Group
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

import caffe2tf
from caffe2tf import alexnet
from caffe2tf.parse import read_mean
from caffe2tf.quiet import quiet_start, starting_tensorflow

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "digits"
ACCURACY = 0.9924  # of Caffe on the 397 test images
LIMIT = 1e-5  # largest difference of a probability
SHOWN = 4  # number of digits drawn on the terminal


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration; return the exit status."""
    parser = argparse.ArgumentParser(description="Show that converted networks compute what Caffe computed.")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "demo", help="write the results to this folder")
    out: Path = parser.parse_args(arguments).out
    console = Console(highlight=False)
    try:
        with console.status("importing TensorFlow"):
            _import_tensorflow()
        same = [digits(console, out), full_size(console, out)]
    except caffe2tf.Caffe2TFError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    console.print(Rule("[bold]Files written", align="left"), _files(out))
    console.print("[bold green]Everything is the same as in Caffe." if all(same) else "[bold red]Something DIFFERS.")
    return 0 if all(same) else 1


def digits(console: Console, out: Path) -> bool:
    """Convert a trained network, run it, and compare its probabilities with Caffe's."""
    console.print(Rule("[bold]A trained network for handwritten digits", align="left"))
    conversion = caffe2tf.convert(DIGITS / "deploy.prototxt", DIGITS / "digits.caffemodel", out)
    with np.load(DIGITS / "test.npz") as file:
        images, labels, caffe = file["images"], file["labels"], file["caffe_prob"]
    pixels = images[:, None].astype(np.float32) - read_mean(DIGITS / "mean.binaryproto")  # as in train_val.prototxt
    model = _emitted(conversion.module).build(weights=str(conversion.weights))
    prob = model.predict({"data": np.moveaxis(pixels * np.float32(0.0078125), 1, -1)}, verbose=0)["prob"]

    accuracy, theirs = (float((p.argmax(axis=1) == labels).mean()) for p in (prob, caffe))
    furthest = float(np.abs(prob - caffe).max())
    table = _table("", "Caffe", "converted", "")
    right = round(accuracy, 4) == round(theirs, 4) == ACCURACY
    table.add_row(f"accuracy on {len(labels)} images", f"{theirs:.4f}", f"{accuracy:.4f}", _verdict(same=right))
    agree = int((prob.argmax(axis=1) == caffe.argmax(axis=1)).sum())
    table.add_row("images with the same class", str(len(labels)), str(agree), _verdict(same=agree == len(labels)))
    near = furthest <= LIMIT
    table.add_row(f"largest difference (limit {LIMIT:g})", "", f"{furthest:.1e}", _verdict(same=near))
    shown = zip(images[:SHOWN], prob[:SHOWN], strict=True)
    console.print(table, Columns([_answer(image, p) for image, p in shown], padding=(0, 2)), "")
    return right and near and agree == len(labels)


def full_size(console: Console, out: Path) -> bool:
    """Convert AlexNet with 61 million drawn weights, run it, and compare every blob with the recording."""
    console.print(Rule("[bold]AlexNet at full size: every blob against what Caffe computed", align="left"))
    start = time.perf_counter()
    with console.status("drawing and converting 61 million weights"), tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "alexnet.caffemodel"
        alexnet.write_drawn_caffemodel(drawn)
        drew = time.perf_counter() - start
        conversion = caffe2tf.convert(alexnet.definition_path(), drawn, out)
    converted = time.perf_counter() - start - drew
    with console.status("running AlexNet"):
        model = _emitted(conversion.module).build(weights=str(conversion.weights))
        report = alexnet.compare_with_recording(model)
    table = _table("blob", "shape", "relative difference", "")
    for verdict in report.verdicts:
        relative = "-" if verdict.relative_l2 is None else f"{verdict.relative_l2:.1e}"
        table.add_row(verdict.blob, "x".join(map(str, verdict.shape or ())), relative, _verdict(same=verdict.same))
    console.print(table)
    same = sum(v.same for v in report.verdicts)
    console.print(
        f"  {same} of {len(report.verdicts)} blobs are the same (limit: {report.tolerance.relative:g})\n"
        f"  {conversion.parameter_count:,} weights drawn in {drew:.1f} s, converted in {converted:.1f} s\n"
    )
    return report.same


def _import_tensorflow() -> None:
    with quiet_start(), starting_tensorflow():
        importlib.import_module("keras").ops.ones(1)


def _emitted(module: Path) -> Any:  # noqa: ANN401 - the members of an emitted module are not known
    """Import the emitted module as a user would: with its folder on the path."""
    if str(module.parent) not in sys.path:
        sys.path.insert(0, str(module.parent))
    return importlib.import_module(module.stem)


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i in {1, 2} else "left")
    return table


def _verdict(*, same: bool) -> Text:
    return Text("same", style="green") if same else Text("DIFFERS", style="bold red")


def _answer(image: npt.NDArray[np.uint8], prob: npt.NDArray[np.float32]) -> Group:
    return Group(_picture(image), Text(f"{prob.argmax()} ({prob.max():.3f})", style="cyan"))


def _picture(image: npt.NDArray[np.uint8]) -> Text:
    """Return 16 x 16 pixels as 8 lines of 16 characters, each of which shows two rows."""
    blocks = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
    ink = image > 100
    rows = zip(ink[::2], ink[1::2], strict=True)
    return Text("\n".join("".join(blocks[bool(a), bool(b)] for a, b in zip(*row, strict=True)) for row in rows))


def _files(out: Path) -> Table:
    table = _table("file", "bytes")
    for path in sorted(p for p in out.iterdir() if p.is_file()):
        inside = path.resolve().is_relative_to(Path.cwd())
        shown = path.resolve().relative_to(Path.cwd()) if inside else path
        table.add_row(str(shown), f"{path.stat().st_size:,}")
    return table


if __name__ == "__main__":
    sys.exit(main())
