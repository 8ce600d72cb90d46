#!/usr/bin/env python3
"""Draw weights and inputs of networks from their names, with the same values on every machine.

    python scripts/draw.py weights tests/data/nets/alexnet.params.json alexnet.caffemodel
    python scripts/draw.py input data 2,3,227,227 data.npy

`caffe2tf.alexnet.drawn` describes the rule and the params file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from caffe2tf.alexnet.drawn import draw_blob, draw_input, read_params, write_caffemodel

__all__ = ["draw_blob", "draw_input", "main", "read_params", "write_caffemodel"]


def _dims(text: str) -> tuple[int, ...]:
    dims = tuple(int(d) for d in text.split(","))
    if min(dims) < 1:
        raise ValueError(text)
    return dims


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Draw the weights or an input of a network from their names.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    weights = verbs.add_parser("weights", help="write a .caffemodel")
    weights.add_argument("params", type=Path, help="JSON list of [layer name, layer type, [blob shape, ...]]")
    weights.add_argument("out", type=Path, help="the .caffemodel to write")
    feed = verbs.add_parser("input", help="write an input blob as .npy")
    feed.add_argument("blob", help="the blob's name")
    feed.add_argument("shape", type=_dims, help="its shape in Caffe's axis order, such as 2,3,227,227")
    feed.add_argument("out", type=Path, help="the .npy to write")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.verb == "weights":
            write_caffemodel(read_params(options.params), options.out)
        else:
            with options.out.open("wb") as out:
                np.save(out, draw_input(options.blob, options.shape))
    except (OSError, ValueError) as error:
        print(f"draw.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
