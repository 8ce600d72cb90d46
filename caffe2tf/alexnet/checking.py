"""Checks that this machine converts AlexNet correctly, and that a weight file equals its .caffemodel."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from caffe2tf.alexnet.network import activations, blob_writers, build
from caffe2tf.alexnet.recorded import PARAMETERS, draw_images, recorded_activations, write_drawn_caffemodel
from caffe2tf.alexnet.regeneration import PUBLISHED_SHA1, file_sha1, refuse_caffenet, regenerate
from caffe2tf.errors import UsageError, WeightsError
from caffe2tf.parse.weights import open_weights
from caffe2tf.verification import Report, compare_blobs

if TYPE_CHECKING:
    import keras

__all__ = ["AlexNetReport", "WeightVerdict", "check", "compare_with_recording"]

_FC6_INPUT = (256, 6, 6)  # pool5 in Caffe's axis order (C, H, W): the 9216 inputs of fc6


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightVerdict:
    """Whether a weight, transposed back into Caffe's order, equals its blob bit for bit.

    Attributes:
        layer: the name of the layer.
        weight: ``kernel`` or ``bias``.
        shape: the shape in Keras.
        same: whether all values are equal.
        differing: the number of values that differ.
    """

    layer: str
    weight: str
    shape: tuple[int, ...]
    same: bool
    differing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlexNetReport:
    """The outcome of `check`.

    Attributes:
        activations: the comparison of all 14 blobs with the recording, for drawn weights that were regenerated and run
            on this machine.
        weights_file: the weight file that was checked; None if none was given.
        weights: a verdict on each of its weights; empty if no .caffemodel was given.
        drawn: whether the file holds exactly the drawn weights.
        own_activations: if so, the comparison of all 14 blobs computed with the file.
        caffemodel_sha1: the SHA-1 of the .caffemodel; None if none was given.
        published: whether that is BVLC's published bvlc_alexnet; None if no .caffemodel was given.
    """

    activations: Report
    weights_file: Path | None = None
    weights: tuple[WeightVerdict, ...] = ()
    drawn: bool = False
    own_activations: Report | None = None
    caffemodel_sha1: str | None = None
    published: bool | None = None

    @property
    def same(self) -> bool:
        """Whether everything that was compared is the same."""
        own = self.own_activations is None or self.own_activations.same
        return self.activations.same and own and all(w.same for w in self.weights)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data for JSON."""
        return {
            "same": self.same,
            "activations": self.activations.as_dict(),
            "weights_file": self.weights_file and str(self.weights_file),
            "weights": [asdict(w) for w in self.weights],
            "drawn": self.drawn,
            "own_activations": self.own_activations and self.own_activations.as_dict(),
            "caffemodel_sha1": self.caffemodel_sha1,
            "published": self.published,
        }


def check(
    weights_file: str | os.PathLike[str] | None = None,
    *,
    caffemodel: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AlexNetReport:
    """Check the conversion of AlexNet on this machine, and optionally a weight file.

    Random weights, the same on every machine, are converted, loaded by the emitted code and run. Every blob is compared
    with activations recorded from Caffe. This takes about 10 seconds and 500 MB of temporary files.

    Args:
        weights_file: a weight file to check as well; it is loaded by the emitted code.
        caffemodel: the model that it was regenerated from. Every weight, transposed back into Caffe's order, must equal
            its blob bit for bit.
        progress: called with (values done, values in total) while weights are drawn and regenerated.

    Raises:
        UsageError: `caffemodel` is given without `weights_file`.
        WeightsError: a file holds weights of another network.
        Caffe2TFError: a file cannot be read, or the temporary files cannot be written.
    """
    if caffemodel is not None and weights_file is None:
        raise UsageError(f"{caffemodel}: name the weight file that was regenerated from it, too")
    given = build(weights_file) if weights_file is not None else None  # first, so that mistakes show at once
    weights, digest = _against(given, caffemodel) if given is not None and caffemodel is not None else ((), None)
    model = _drawn_model(progress)
    drawn = given is not None and _equal_models(given, model)
    return AlexNetReport(
        activations=compare_with_recording(model),
        weights_file=Path(weights_file) if weights_file is not None else None,
        weights=weights,
        drawn=drawn,
        own_activations=compare_with_recording(given) if given is not None and drawn else None,
        caffemodel_sha1=digest,
        published=None if digest is None else digest == PUBLISHED_SHA1,
    )


def _drawn_model(progress: Callable[[int, int], None] | None) -> keras.Model:
    """Return a model with the drawn weights, which take the same path as a user's: file, conversion, emitted loader."""
    done = 0

    def drew(values: int) -> None:
        nonlocal done
        done += values
        if progress is not None:
            progress(done, 2 * PARAMETERS)

    def wrote(count: int, _: int) -> None:
        if progress is not None:
            progress(PARAMETERS + count // 4, 2 * PARAMETERS)

    with tempfile.TemporaryDirectory(prefix="caffe2tf-alexnet-") as folder:
        caffemodel, weights = Path(folder) / "drawn.caffemodel", Path(folder) / "drawn.npy"
        write_drawn_caffemodel(caffemodel, drew)
        regenerate(caffemodel, weights, progress=wrote)
        return build(weights)


def compare_with_recording(model: keras.Model) -> Report:
    """Compare all 14 blobs of an AlexNet with drawn weights with activations recorded from Caffe.

    Args:
        model: the model from `build`, or from the module that `caffe2tf.convert` wrote, with the weights of
            `write_drawn_caffemodel`.
    """
    return compare_blobs(activations(model, draw_images()), recorded_activations(), writers=blob_writers())


def _equal_models(one: keras.Model, other: keras.Model) -> bool:
    pairs = zip(_variables(one).values(), _variables(other).values(), strict=True)
    return all(not _differing(a, b) for a, b in pairs)


def _against(model: keras.Model, caffemodel: str | os.PathLike[str]) -> tuple[tuple[WeightVerdict, ...], str]:
    """Return a verdict on each weight of the model, and the SHA-1 of the .caffemodel."""
    verdicts = []
    with open_weights(caffemodel) as source:
        refuse_caffenet(source)
        for (layer, name), value in _variables(model).items():
            blobs, place = source.layers.get(layer, ()), ("kernel", "bias").index(name)
            if len(blobs) <= place or blobs[place].data.size != value.size:
                raise WeightsError(
                    f"{caffemodel}: layer {layer!r} does not have AlexNet's blobs: these are weights of another network"
                )
            differing = _differing(in_caffe_order(layer, value), blobs[place].data.astype(np.float32, copy=False))
            verdict = WeightVerdict(
                layer=layer, weight=name, shape=value.shape, same=not differing, differing=differing
            )
            verdicts.append(verdict)
            blobs[place].release()
        return tuple(verdicts), file_sha1(source.files[0])


def _variables(model: keras.Model) -> Mapping[tuple[str, str], npt.NDArray[np.float32]]:
    return {(layer.name, v.name): v.numpy() for layer in model.layers for v in layer.weights}


def in_caffe_order(layer: str, value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Transpose a Keras weight into Caffe's order: (outputs, inputs / group, H, W), (outputs, inputs) or a vector.

    This states the layout independently of the conversion, so that the conversion is not compared with itself.
    """
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    if layer == "fc6" and value.ndim == 2:
        channels, height, width = _FC6_INPUT
        return value.reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
    return value.T


def _differing(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> int:
    """Count values with different bits, in row-major order; -0 differs from 0, and equal NaNs are the same."""
    mine, theirs = (np.ascontiguousarray(a).reshape(-1).view(np.uint32) for a in (one, other))
    return int(np.count_nonzero(mine != theirs))
