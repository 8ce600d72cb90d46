"""Two files in, readable Keras code and a weight file out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from caffe2tf.arguments import checked_shapes, require_choice
from caffe2tf.atomic import refuse_null, refuse_overwriting, write_text
from caffe2tf.diagnostics import Diagnostic, in_order
from caffe2tf.emit.hashing import HashJob, hash_file, hash_jobs
from caffe2tf.emit.plan import Plan, plan_conversion
from caffe2tf.emit.source import runtime_classes
from caffe2tf.emit.staging import RUNTIME_FILE, Staging, has_own_stubs, refuse_foreign, runtime_for
from caffe2tf.emit.stub_source import stubs_module
from caffe2tf.emit.weights import WeightFormat, running_total, write_weights
from caffe2tf.ir import Shape
from caffe2tf.load import WeightFiles, load_graph, open_trained
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
        notes: what was left out, decided or upgraded, in the order of the definition; ``str(note)`` is a line of text.
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
    notes: tuple[Diagnostic, ...]

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
    require_choice("weights_format", weights_format, ("h5", "npz", "npy", "weights.h5"))
    require_choice("on_unknown", on_unknown, ("refuse", "stub"))
    shapes = checked_shapes(input_shapes)
    definition = read_network(prototxt)
    stub = on_unknown == "stub"
    with open_trained(definition, weights) as source:
        made_from = dict.fromkeys([Path(definition.file), *(source.files if source else ())])
        with hash_jobs(made_from) as jobs:
            graph = load_graph(
                definition, source, phase=phase, stages=stages, level=level, input_shapes=shapes, stub_unknown=stub
            )
            plan = plan_conversion(graph, definition, keep_losses=keep_losses, fixed_rows=fixed_rows)
            files = _Files.of(plan, Path(out), weights_format)
            files.refuse_sources(made_from)
            written = files.write(plan, jobs, progress)
    return _conversion(plan, files, written)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """The files of a conversion by name; None for those that it does not need.

    Attributes:
        folder: where they go.
        weights_format: of the weight file.
        module: the emitted module.
        layers: the runtime layers beside it.
        stubs: the layers to be filled in.
        keeps_stubs: whether the user has worked on the stubs that lie there.
        weights: the weight file.
    """

    folder: Path
    weights_format: Format
    module: str
    layers: str | None
    stubs: str | None
    keeps_stubs: bool
    weights: str | None

    @classmethod
    def of(cls, plan: Plan, folder: Path, weights_format: Format) -> _Files:
        """The files of a plan; raises OutputError where the folder has others of their names."""
        module = f"{plan.module_name}.py"
        stubs = f"{stubs_module(plan.module_name)}.py" if plan.stubs_source is not None else None
        weights = f"{plan.module_name}.{weights_format}" if plan.program.owners else None
        refuse_null(folder)
        refuse_foreign(folder / module, folder / weights if weights else None)
        needs_layers = plan.runtime_source is not None
        if needs_layers:
            runtime_for(folder / RUNTIME_FILE, runtime_classes(plan.program))  # refuses what it would have to undo
        return cls(
            folder=folder,
            weights_format=weights_format,
            module=module,
            layers=RUNTIME_FILE if needs_layers else None,
            stubs=stubs,
            keeps_stubs=stubs is not None and has_own_stubs(folder / stubs, plan.stubs_source),
            weights=weights,
        )

    def refuse_sources(self, sources: Iterable[Path]) -> None:
        """Raises OutputError where one of them would take the place of a file that the conversion reads."""
        read = list(sources)
        for name in (self.module, self.layers, self.stubs, self.weights):
            if name is not None:
                refuse_overwriting(self.folder / name, read)

    def write(
        self,
        plan: Plan,
        jobs: Sequence[tuple[str, HashJob]],
        progress: Callable[[int, int], None] | None,
    ) -> dict[str, str]:
        """All of them, or none; gives the SHA-256 of each."""
        known: dict[str, str] = {}
        with Staging(self.folder) as staging:
            if self.weights is not None:
                target = staging.path(self.weights)
                known[self.weights] = _write_weights(plan, target, self.weights_format, progress)
            plan = plan.with_digests([(name, job.result()) for name, job in jobs])  # worked out meanwhile
            if self.stubs is not None and not self.keeps_stubs:
                write_text(staging.path(self.stubs), plan.stubs_source or "")
            write_text(staging.path(self.module), plan.module_source)
            with staging.alone():
                if self.layers is not None:  # with what other networks in the folder need by now
                    text = runtime_for(self.folder / self.layers, runtime_classes(plan.program))
                    write_text(staging.path(self.layers), text)
                written = staging.commit(known)
        if self.stubs is not None and self.keeps_stubs:
            written[self.stubs] = hash_file(self.folder / self.stubs)
        return written


def _write_weights(
    plan: Plan, target: Path, weights_format: Format, progress: Callable[[int, int], None] | None
) -> str:
    """Gives the SHA-256 of the file."""
    if weights_format == "weights.h5":
        from caffe2tf.emit.weights.keras_h5 import save_keras_weights  # noqa: PLC0415 - only where a model is run
        from caffe2tf.execute import build_model  # noqa: PLC0415 - likewise

        save_keras_weights(build_model(plan), target, plan.weights())
        return hash_file(target)
    converted = plan.weights()
    total = sum(4 * w.size for own in converted.values() for w in own.values())
    return write_weights(target, converted, format=weights_format, progress=running_total(progress, total))


def _conversion(plan: Plan, files: _Files, digests: Mapping[str, str]) -> Conversion:
    program = plan.program
    folder = files.folder
    return Conversion(
        module=folder / files.module,
        layers=folder / files.layers if files.layers else None,
        stubs=folder / files.stubs if files.stubs else None,
        weights=folder / files.weights if files.weights else None,
        sha256={folder / n: digests[n] for n in (files.module, files.layers, files.stubs, files.weights) if n},
        inputs={name: value.tensor_shape for value, name in program.inputs},
        outputs={value.blob: value.tensor_shape for value, _ in program.outputs},
        layer_count=sum(len(n.parts) for n in program.graph.nodes),
        parameter_count=sum(b.array.size for n in program.graph.nodes if n.name in program.owners for b in n.blobs),
        notes=in_order(program.graph.notes),
    )
