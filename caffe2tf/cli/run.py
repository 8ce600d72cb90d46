"""``caffe2tf run``: run one forward pass and write every blob."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caffe2tf.cli.options import Json, Level, Net, Phase, Plugins, Stages, Weights, load_plugins, out_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["EXAMPLES", "run"]

EXAMPLES = ("caffe2tf run deploy.prototxt net.caffemodel --input in.npz -o out.npz",)


def run(
    net: Net,
    weights: Weights = None,
    *,
    inputs: Annotated[
        Path,
        typer.Option(
            "--input", metavar="IN.npz", help="Read one array for each input, in Caffe's axis order (N, C, H, W)."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT.npz",
            parser=out_path,
            help="Write every blob to this file, in Caffe's axis order.",
        ),
    ],
    phase: Phase = "TEST",
    stage: Stages = None,
    level: Level = 0,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Run one forward pass and write every blob."""
    from caffe2tf.atomic import refuse_overwriting
    from caffe2tf.cli.output import print_json, print_table
    from caffe2tf.execute import run as run_network
    from caffe2tf.ir import format_shape
    from caffe2tf.verification import read_arrays, write_arrays

    refuse_overwriting(out, [net, *(weights or "").split(","), inputs, *(plugin or ())])
    load_plugins(plugin)
    blobs = run_network(net, weights, read_arrays(inputs), phase=phase, stages=stage or (), level=level)
    write_arrays(out, blobs)
    if json:
        print_json({"out": str(out), "blobs": {b: list(a.shape) for b, a in blobs.items()}})
        return
    rows = [(b, format_shape(a.shape), *_extent(a)) for b, a in blobs.items()]
    print_table([("blob", "left"), ("shape", "left"), ("min", "right"), ("max", "right"), ("mean", "right")], rows)


def _extent(blob: npt.NDArray[np.float32]) -> tuple[str, str, str]:
    """Return the minimum, maximum and mean of a blob as text; dashes if the blob is empty."""
    import numpy as np

    if not blob.size:
        return "-", "-", "-"
    with np.errstate(invalid="ignore"):  # infinities of both signs have no mean
        least, greatest, mean = (f"{float(v):.6g}" for v in (blob.min(), blob.max(), blob.mean(dtype=np.float64)))
    return least, greatest, mean
