"""Draw docs/detections.png: the boxes of a converted SSD face detector, and what Caffe recorded.

The left half is a picture drawn by `drawn_faces`, with the boxes that score above 0.5. The right half is the noise that
Caffe was fed when its output was recorded, with our boxes in green and a red dot at each coordinate in the recording.

Usage: python -m scripts.draw_detections MODEL [OUT.png]

MODEL is a folder with deploy.prototxt, weights.caffemodel and digest.npz of a detector for images of 240 x 320 pixels.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import caffe2tf
from caffe2tf.alexnet.drawn import draw_input
from scripts.drawn_faces import draw_faces

__all__ = ["MEAN", "Recorded", "detect", "draw", "recorded_detections"]

Image = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]
"""Rows of [image, label, score, left, top, right, bottom]; coordinates are fractions of the width or height."""

ROOT = Path(__file__).resolve().parent.parent
MEAN = np.array([103.94, 116.78, 123.68], np.float32)
"""The mean of blue, green and red that was subtracted during training."""
ZOOM = 2
GREEN, RED = (20, 170, 20), (235, 20, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The recorded part of Caffe's output: its shape, and some values by row and column."""

    shape: tuple[int, ...]
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    values: Rows


def detect(model: Path, data: Rows) -> Rows:
    """Return the rows that the converted network computes for one image (1, 3, height, width) without its mean."""
    blobs = caffe2tf.run(model / "deploy.prototxt", model / "weights.caffemodel", {"data": data})
    rows: Rows = blobs["detection_out"][0, 0]
    return rows


def recorded_detections(model: Path) -> Recorded:
    """Return the part of Caffe's output that the digest holds."""
    with np.load(model / "digest.npz") as digest:
        shape = tuple(int(n) for n in digest["detection_out/shape"])
        rows, columns = np.divmod(digest["detection_out/index"], shape[-1])
        return Recorded(shape=shape, rows=rows, columns=columns, values=digest["detection_out/value"])


def draw(model: Path) -> Image:
    """Return the picture with its two halves."""
    faces = draw_faces()
    found = detect(model, to_blob(faces))
    left = _enlarged(faces)
    for row in found[found[:, 2] > 0.5]:
        _outline(left, row[3:], GREEN, thick=3)
    noise = draw_input("data", (1, 3, 240, 320))
    shown = (
        np.clip(noise[0].mean(0, keepdims=True).repeat(3, 0).transpose(1, 2, 0) + 128, 0, 255).astype(np.uint8)
        // 48
        * 48
    )
    right = _enlarged(255 - (255 - shown) // 4)  # pale, so that the marks stand out
    ours = detect(model, noise)
    for row in ours:
        _outline(right, row[3:], GREEN, thick=2)
    _mark(right, ours, recorded_detections(model))
    gap = np.full((left.shape[0], 12, 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def to_blob(image: Image) -> Rows:
    """Return a picture as the network expects it: (1, 3, height, width), blue first, without the mean."""
    return np.ascontiguousarray((image[..., ::-1].astype(np.float32) - MEAN).transpose(2, 0, 1)[None])


def _enlarged(image: Image) -> Image:
    return image.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)


def _outline(image: Image, box: Rows, colour: tuple[int, int, int], *, thick: int) -> None:
    height, width = image.shape[:2]
    left, top, right, bottom = (round(float(v)) for v in box * np.array([width, height, width, height]))
    for x in (left, right):
        image[max(top, 0) : max(bottom, 0), max(x - thick // 2, 0) : max(x + (thick + 1) // 2, 0)] = colour
    for y in (top, bottom):
        image[max(y - thick // 2, 0) : max(y + (thick + 1) // 2, 0), max(left, 0) : max(right, 0)] = colour


def _mark(image: Image, ours: Rows, recorded: Recorded) -> None:
    """Draw a dot in the middle of each side whose position Caffe recorded."""
    height, width = image.shape[:2]
    for row, column, value in zip(recorded.rows, recorded.columns, recorded.values, strict=True):
        if column < 3:
            continue
        box = ours[row, 3:].copy()
        box[column - 3] = value  # the value that Caffe recorded
        upright = column in (3, 5)
        x = (value if upright else (box[0] + box[2]) / 2) * width
        y = ((box[1] + box[3]) / 2 if upright else value) * height
        image[max(round(y) - 2, 0) : round(y) + 2, max(round(x) - 2, 0) : round(x) + 2] = RED


def main(arguments: list[str]) -> int:
    """Draw the picture, and print the largest difference from the recording."""
    if len(arguments) not in (1, 2):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    import tensorflow as tf  # noqa: PLC0415 - takes seconds to import, and only this function needs it

    model = Path(arguments[0])
    out = Path(arguments[1]) if len(arguments) == 2 else ROOT / "docs" / "detections.png"
    out.write_bytes(tf.io.encode_png(draw(model)).numpy())
    ours, recorded = detect(model, draw_input("data", (1, 3, 240, 320))), recorded_detections(model)
    furthest = np.abs(ours[recorded.rows, recorded.columns] - recorded.values).max()
    sys.stdout.write(f"{out}: {len(ours)} rows, Caffe has {recorded.shape[2]}; ")
    sys.stdout.write(f"{len(recorded.values)} recorded values, largest difference {furthest:.2g}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
