"""Digests of blobs, and the small blob that the tests of this folder compare."""

from __future__ import annotations

import numpy as np

__all__ = ["WRITERS", "A", "digest"]

A = np.array([[1.0, -2.0, 3.0], [-4.0, 5.0, 0.5]], np.float32)
WRITERS = {"a": "layer_a", "b": "layer_b"}


def digest(array: np.ndarray, index: list[int]) -> dict[str, np.ndarray]:
    flat = array.reshape(-1)
    parts = {
        "shape": array.shape,
        "index": index,
        "value": flat[index],
        "l2": np.linalg.norm(flat.astype("f8")),
        "absmax": abs(flat).max(),
    }
    return {f"a/{k}": np.asarray(v) for k, v in parts.items()}
