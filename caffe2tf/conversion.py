"""Two files in, readable Keras code and a weight file out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from caffe2tf.emit.plan import Plan, plan_conversion
from caffe2tf.emit.source import runtime_classes
from caffe2tf.emit.staging import RUNTIME_FILE, Staging, has_own_stubs, refuse_foreign, runtime_for
from caffe2tf.emit.stub_source import stubs_module
from caffe2tf.emit.weights import HashJob, WeightFormat, hash_file, running_total, write_text, write_weights
from caffe2tf.ir import Shape
from caffe2tf.load import WeightFiles, load_graph, open_source
from caffe2tf.parse import read_network

if TYPE_CHECKING:
    import keras

__all__ = ["Conversion", "convert"]

Format = WeightFormat | Literal["weights.h5"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What a conversion wrote.

    Attributes:
        module: the emitted Python module.
        layers: the runtime layers beside it; None where it needs none.
        stubs: the layers that are to be filled in; None where there are none.
        weights: the weight file; None where no weights were given.
        sha256: digest of every file written.
        inputs: name of each Keras input and its shape, in the tensor's order.
        outputs: name of each output and its shape, in the tensor's order.
        layer_count: Caffe layers converted.
        parameter_count: trained values.
        notes: what was left out, decided or upgraded.
    """

    module: Path
    layers: Path | None
    stubs: Path | None
    weights: Path | None
    sha256: Mapping[Path, str]
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    layer_count: int
    parameter_count: int
    notes: tuple[str, ...]

    def build(self) -> keras.Model:
        """The emitted model with its weights, imported from where it was written."""
        from caffe2tf.emit.importing import import_emitted  # noqa: PLC0415 - only where a model is run

        module = import_emitted(self.module)
        model: keras.Model = module.build(weights=str(self.weights)) if self.weights else module.build()
        return model


def convert(  # noqa: PLR0913 - one parameter for each choice
    prototxt: str | os.PathLike[str],
    weights: WeightFiles | None = None,
    out: str | os.PathLike[str] = ".",
    *,
    weights_format: Format = "h5",
    phase: str = "TEST",
    stages: Sequence[str] = (),
    level: int = 0,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    keep_losses: bool = False,
    fixed_rows: bool = False,
    on_unknown: Literal["refuse", "stub"] = "refuse",
    progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Converts a Caffe network to Keras source and a weight file.

    Args:
        prototxt: the definition, or a .caffemodel that holds structure and weights.
        weights: trained blobs (.caffemodel, .h5, or several of them: the last wins); None takes those that
            ``prototxt`` itself holds, if any.
        out: the folder to write to; made where it does not exist. Other networks may lie there already.
        weights_format: ``h5`` (by layer name, read by Keras too), ``npz``, ``npy`` (the classic pickled dict), or
            ``weights.h5`` (Keras 3's own, which needs TensorFlow and takes seconds).
        phase: TEST or TRAIN; selects layers, with ``stages`` and ``level``.
        stages: stages of the NetState.
        level: level of the NetState.
        input_shapes: shapes of inputs by blob, in Caffe's order (N, C, H, W), in place of the definition's.
        keep_losses: compute losses and metrics, too.
        fixed_rows: let DetectionOutput, Proposal and their like give as many rows as they ever can, padded, in place of
            as many as they find: for serving, and for TFLite.
        on_unknown: ``refuse``: a layer of a type that nobody knows is an error. ``stub``: a class is written for each
            such type, into a file of its own beside the module, for you to fill in. ``input_shapes`` may then give the
            shapes of their tops; a top without one is taken to have the shape of its layer's bottom.
        progress: called with (bytes written, bytes in all) while the weights are written.

    Raises:
        Caffe2TFError: with everything that stands in the way; nothing is left half-written, and what lay in the folder
            is as it was.
    """
    definition = read_network(prototxt)
    shapes: dict[str, Shape] = {b: tuple(s) for b, s in (input_shapes or {}).items()}
    with open_source(definition, weights) as source:
        jobs = [(f.name, HashJob(f)) for f in source.files] if source and weights is not None else []
        graph = load_graph(
            definition,
            source,
            phase=phase,
            stages=stages,
            level=level,
            input_shapes=shapes,
            stub_unknown=on_unknown == "stub",
        )
        plan = plan_conversion(graph, definition, keep_losses=keep_losses, fixed_rows=fixed_rows)
        names = _FileNames.of(plan, weights_format)
        refuse_foreign(Path(out) / names.module)
        runtime = runtime_for(Path(out) / RUNTIME_FILE, runtime_classes(plan.program)) if names.layers else None
        keeps_stubs = names.stubs is not None and has_own_stubs(Path(out) / names.stubs, plan.stubs_source)
        known: dict[str, str] = {}
        with Staging(out) as staging:
            if names.weights is not None:
                known[names.weights] = _write_weights(plan, staging.path(names.weights), weights_format, progress)
            if jobs:
                digests = [(name, job.result()) for name, job in jobs]
                plan = plan.with_digests(definition, digests)
            if runtime is not None:
                write_text(staging.path(RUNTIME_FILE), runtime)
            if names.stubs is not None and not keeps_stubs:
                write_text(staging.path(names.stubs), plan.stubs_source or "")
            write_text(staging.path(names.module), plan.module_source)
            written = staging.commit(known)
    if names.stubs is not None and keeps_stubs:
        written[names.stubs] = hash_file(Path(out) / names.stubs)
    return _conversion(plan, names, Path(out), written)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FileNames:
    """What the files of a conversion are called; None for those that it does not need."""

    module: str
    layers: str | None
    stubs: str | None
    weights: str | None

    @classmethod
    def of(cls, plan: Plan, weights_format: Format) -> _FileNames:
        return cls(
            module=f"{plan.module_name}.py",
            layers=RUNTIME_FILE if plan.runtime_source is not None else None,
            stubs=f"{stubs_module(plan.module_name)}.py" if plan.stubs_source is not None else None,
            weights=f"{plan.module_name}.{weights_format}" if plan.program.owners else None,
        )


def _write_weights(
    plan: Plan, target: Path, weights_format: Format, progress: Callable[[int, int], None] | None
) -> str:
    """Gives the SHA-256 of the file."""
    if weights_format == "weights.h5":
        from caffe2tf.execute import build_model, save_keras_weights  # noqa: PLC0415 - only where a model is run

        save_keras_weights(build_model(plan), target, plan.weights())
        return hash_file(target)
    converted = plan.weights()
    total = sum(4 * w.size for own in converted.values() for w in own.values())
    return write_weights(target, converted, format=weights_format, progress=running_total(progress, total))


def _conversion(plan: Plan, names: _FileNames, folder: Path, digests: Mapping[str, str]) -> Conversion:
    program = plan.program
    files = (names.module, names.layers, names.stubs, names.weights)
    return Conversion(
        module=folder / names.module,
        layers=folder / names.layers if names.layers else None,
        stubs=folder / names.stubs if names.stubs else None,
        weights=folder / names.weights if names.weights else None,
        sha256={folder / n: digests[n] for n in files if n is not None},
        inputs={name: value.tensor_shape for value, name in program.inputs},
        outputs={value.blob: value.tensor_shape for value, _ in program.outputs},
        layer_count=sum(len(n.parts) for n in program.graph.nodes),
        parameter_count=sum(b.array.size for n in program.graph.nodes if n.name in program.owners for b in n.blobs),
        notes=program.graph.notes,
    )
