"""Converts the published .caffemodel of AlexNet to a weight file for existing TensorFlow code."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from caffe2tf.alexnet.recorded import definition_path
from caffe2tf.arguments import require_choice
from caffe2tf.artifacts import running_total, write_weights
from caffe2tf.artifacts.kinds import kind_of_file, kinds_of, plain_weight_files
from caffe2tf.atomic import refuse_overwriting
from caffe2tf.diagnostics import Diagnostic, Hint
from caffe2tf.errors import UsageError, WeightsError
from caffe2tf.parse.weights import TrainedWeights, open_weights
from caffe2tf.pipeline import load, plan_conversion, read_network

__all__ = ["PUBLISHED_SHA1", "Regenerated", "file_sha1", "refuse_caffenet", "regenerate"]

PUBLISHED_SHA1 = "9116a64c0fbe4459d18f4bb6b56d647b63920377"
"""SHA-1 of bvlc_alexnet.caffemodel, as stated on its page in BVLC's model zoo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regenerated:
    """The weight file that `regenerate` wrote.

    Attributes:
        weights: the file.
        sha256: its digest.
        caffemodel: what it was made from.
        caffemodel_sha1: the digest by which Caffe's model zoo names models.
        published: whether that is the model that BVLC published as bvlc_alexnet.
        shapes: of every weight, by layer and weight name, as the file holds them.
        parameter_count: trained values.
        notes: what the user should know.
    """

    weights: Path
    sha256: str
    caffemodel: Path
    caffemodel_sha1: str
    published: bool
    shapes: Mapping[str, tuple[int, ...]]
    parameter_count: int
    notes: tuple[Diagnostic, ...]


def regenerate(
    caffemodel: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    prototxt: str | os.PathLike[str] | None = None,
    layout: Literal["lists", "dicts"] = "lists",
    progress: Callable[[int, int], None] | None = None,
) -> Regenerated:
    """Write AlexNet's weights in the form that existing TensorFlow code reads.

    Convolution kernels are (height, width, inputs / group, outputs), fully connected ones (inputs, outputs); fc6 reads
    its inputs in the order (height, width, channels).

    Args:
        caffemodel: the trained weights, ``.caffemodel`` or ``.caffemodel.h5``.
        out: the file to write. Its suffix selects the format. ``.npy``: a pickled dict, layer -> [weights, biases].
            ``.h5``: a group for each layer with ``kernel`` and ``bias``. ``.npz``: ``layer/kernel`` and ``layer/bias``.
        prototxt: the definition that belongs to the weights, if it is not AlexNet's own (for other classes).
        layout: for ``.npy`` only: ``dicts`` for layer -> {"weights": ..., "biases": ...}.
        progress: called with (bytes written, bytes in all).

    Raises:
        UsageError: ``out`` has another suffix, or ``layout`` is unknown.
        WeightsError: the weights belong to another network; the message lists every layer that does not fit.
        Caffe2TFError: a file cannot be read or written. A file that existed at ``out`` is then unchanged.
    """
    require_choice("layout", layout, ("lists", "dicts"))
    target = Path(out)
    kind = _format(target)
    definition = read_network(prototxt if prototxt is not None else definition_path())
    with open_weights(caffemodel) as weights, ThreadPoolExecutor(max_workers=1) as pool:
        refuse_overwriting(target, [definition.file, *weights.files])
        if prototxt is None:
            refuse_caffenet(weights)
        graph = load(definition, weights)
        sha1 = pool.submit(file_sha1, weights.files[0])
        converted = plan_conversion(graph, definition).weights()
        sizes = {f"{layer}/{name}": w.shape for layer, own in converted.items() for name, w in own.items()}
        count = sum(w.size for own in converted.values() for w in own.values())
        step = running_total(progress, 4 * count)
        sha256 = write_weights(target, converted, format=kind, layout=layout, progress=step)
        digest = sha1.result()
    return Regenerated(
        weights=target,
        sha256=sha256,
        caffemodel=Path(caffemodel),
        caffemodel_sha1=digest,
        published=digest == PUBLISHED_SHA1,
        shapes=sizes,
        parameter_count=count,
        notes=tuple(n for n in graph.notes if n not in definition.notes),
    )


def file_sha1(path: Path) -> str:
    """Return the SHA-1 of a file as 40 hexadecimal digits. It identifies models of the zoo, but is not secure."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()


def refuse_caffenet(weights: TrainedWeights) -> None:
    """Raise an error for weights of CaffeNet.

    They have the names and shapes of AlexNet's, but were trained with pooling before normalization.

    Raises:
        WeightsError: the structure in the file is CaffeNet's.
    """
    order = list(weights.types)
    if "pool1" in order and "norm1" in order and order.index("pool1") < order.index("norm1"):
        raise WeightsError(
            f"{weights.files[0]}: these are weights of CaffeNet, which pools before it normalizes; AlexNet normalizes "
            "first, and would compute something else with them",
            hint=Hint.CONVERT,
            about=[str(weights.files[0])],
        )


def _format(target: Path) -> str:
    """Return the kind of weight file that the name of ``target`` asks for."""
    kind = kind_of_file(target.name)
    allowed = plain_weight_files()
    if kind is None or kind not in allowed:
        *most, last = (one.suffix for one in allowed)
        others = " or ".join(one.suffix for one in kinds_of("weights") if one not in allowed)
        raise UsageError(f"{target}: name a file that ends in {', '.join(most)} or {last} (not {others})")
    return kind.name
