"""Classify the image of a digit with the converted model.

Usage::

    caffe2tf convert examples/digits/deploy.prototxt examples/digits/digits.caffemodel -o out
    python examples/digits/predict.py out examples/digits/nine.png
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from caffe2tf.parse import read_mean

HERE = Path(__file__).resolve().parent


def preprocess(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return a batch of one image, (1, 16, 16, 1) float32, prepared as during training.

    train_val.prototxt states ``transform_param { scale: 0.0078125 mean_file: "mean.binaryproto" }``: Caffe subtracts
    the mean image first and multiplies by the scale afterwards.
    """
    mean = np.moveaxis(read_mean(HERE / "mean.binaryproto"), 0, -1)  # from (C, H, W) to (H, W, C)
    return ((image.astype(np.float32) - mean) * np.float32(0.0078125))[np.newaxis]


def main() -> None:
    """Print the digit and its probability."""
    parser = argparse.ArgumentParser(description="Classify the image of a digit with the converted model.")
    parser.add_argument("folder", type=Path, help="the folder that caffe2tf convert wrote")
    parser.add_argument("image", type=Path, help="a PNG of 16 x 16 pixels, white on black")
    options = parser.parse_args()

    sys.path.insert(0, str(options.folder))
    digits = importlib.import_module("digits")  # the emitted module

    model = digits.build(weights=str(options.folder / "digits.h5"))
    image = tf.io.decode_png(tf.io.read_file(str(options.image)), channels=1).numpy()
    prob = model.predict({"data": preprocess(image)}, verbose=0)["prob"][0]
    print(f"digit {prob.argmax()}, probability {prob.max():.4f}")


if __name__ == "__main__":
    main()
