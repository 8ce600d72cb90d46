"""An interpreter of Caffe networks in NumPy, written from the rules of Caffe's C++ layers, for the TEST phase.

It shares nothing with caffe2tf but the schema. It is slow, and computes in NCHW and float64. The values of each blob
are rounded to float32, as Caffe stores them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from caffe2tf.proto import caffe_pb2
from tests.differential import (
    naive_fork_images,
    naive_forks,
    naive_losses,
    naive_moves,
    naive_pointwise,
    naive_recurrent,
    naive_windows,
)
from tests.differential.rules import Array, Message, Refused, check, parsed

__all__ = ["Array", "Interpreter", "Refused", "run"]

LAYERS: dict[str, Callable[..., list[Array]]] = {
    **naive_windows.LAYERS,
    **naive_pointwise.LAYERS,
    **naive_moves.LAYERS,
    **naive_losses.LAYERS,
    **naive_recurrent.LAYERS,
    **naive_forks.LAYERS,
    **naive_fork_images.LAYERS,
    "DepthwiseConvolution": naive_windows.LAYERS["Convolution"],
    "HoleConvolution": naive_windows.LAYERS["Convolution"],
}

# Layers that refuse to work in place, and layers that may. All others give useless results in place.
NEVER_IN_PLACE = {"AbsVal", "Flatten", "Reshape", "Split"}
LIKE_BOTTOM = {
    *("ReLU", "PReLU", "Sigmoid", "TanH", "ELU", "Exp", "Log", "Power", "BNLL", "Clip", "Threshold", "Swish"),
    *("Dropout", "BatchNorm", "Scale", "Bias", "Softmax", "MVN"),
    *("ReLU6", "NegReLU", "Atan", "HardSigmoid", "HardSwish", "Normalize", "Normalization", "BN", "Mean"),
}


@dataclass(slots=True)
class Interpreter:
    """The state of a running network. Each blob is a view of memory, so that a write in place changes all its aliases.

    Attributes:
        blobs: the present values of all blobs.
        noise: relative error that is added to all results, to measure the condition of a network. Equal values get
            equal errors.
    """

    blobs: dict[str, Array] = field(default_factory=dict)
    noise: float = 0.0

    def feed(self, name: str, value: npt.ArrayLike) -> None:
        """Set an input of the network."""
        self.blobs[name] = np.array(value, np.float32).astype(np.float64)

    def step(self, layer: Message, weights: Sequence[npt.ArrayLike]) -> None:
        """Run one layer, a LayerParameter."""
        check(layer.type in LAYERS, f"no rule for {layer.type}")
        bottoms = [self.blobs[b].copy() for b in layer.bottom]
        in_place = [b == t for b, t in zip(layer.bottom, layer.top, strict=False)]
        check(not any(in_place) or layer.type not in NEVER_IN_PLACE, f"{layer.type} is not computed in place")
        check(not any(in_place) or layer.type in LIKE_BOTTOM, f"{layer.type} in place is useless")
        with np.errstate(all="ignore"):
            tops = LAYERS[layer.type](layer, bottoms, [np.array(w, np.float32).astype(np.float64) for w in weights])
        check(len(layer.top) <= len(tops), f"{len(layer.top)} tops")
        shares = bool(tops) and _shares(layer, bottoms, tops)
        for i, name in enumerate(layer.top):
            self._write(name, tops[i], in_place=i < len(in_place) and in_place[i], of=layer.bottom[0] if shares else "")

    def _write(self, name: str, value: Array, *, in_place: bool, of: str) -> None:
        if of:
            self.blobs[name] = self.blobs[of].reshape(value.shape)
            return
        with np.errstate(all="ignore"):
            stored = (value * (1 + self.noise * np.sin(value * 1e5 + 1.0))).astype(np.float32).astype(np.float64)
        if in_place:
            self.blobs[name] = self.blobs[name].reshape(value.shape)
            self.blobs[name][...] = stored
        else:
            check(name not in self.blobs, f"top {name} is written twice")
            self.blobs[name] = np.array(stored, order="C")


def _shares(layer: Message, bottoms: Sequence[Array], tops: Sequence[Array]) -> bool:
    """Return whether the tops are aliases of the first bottom."""
    if layer.type in naive_forks.SHARED:
        return naive_forks.SHARED[layer.type](layer, bottoms[0], tops[0])
    if layer.type == "Reshape":
        return bool(layer.reshape_param.pixelshuffler == 1)
    if layer.type in ("Concat", "Slice"):
        return len(layer.bottom) == len(layer.top) == 1
    return layer.type in ("Split", "Flatten")


def run(
    text: str, inputs: Mapping[str, npt.ArrayLike], weights: Mapping[str, Sequence[npt.ArrayLike]], *, noise: float = 0
) -> dict[str, Array]:
    """Return all blobs of a network after one forward pass in the TEST phase.

    Args:
        text: the definition, in the modern text format.
        inputs: an array for each input blob.
        weights: trained blobs by layer name.
        noise: relative error of all results, see `Interpreter`.
    """
    net = parsed(text)
    machine = Interpreter(noise=noise)
    for name, value in inputs.items():
        machine.feed(name, value)
    owners: dict[str, npt.ArrayLike] = {}
    for layer in net.layer:
        if layer.type == "Input" or any(r.HasField("phase") and r.phase != caffe_pb2.TEST for r in layer.include):
            continue
        blobs = list(weights.get(layer.name, ()))
        for i, param in enumerate(layer.param):
            if param.name and (i < len(blobs) or param.name in owners):
                value = owners.setdefault(param.name, blobs[i] if i < len(blobs) else 0)
                blobs[i : i + 1] = [value]
        machine.step(layer, blobs)
    return machine.blobs
