"""`convert`: from Caffe's files to Keras source and a weight file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from caffe2tf.arguments import checked_shapes, require_choice
from caffe2tf.artifacts import Artifact
from caffe2tf.artifacts.kinds import find, named, optional
from caffe2tf.diagnostics import Diagnostic, in_order
from caffe2tf.emit import Plan
from caffe2tf.ir import Shape
from caffe2tf.load import WeightFiles
from caffe2tf.pipeline import Selection, convert_network

if TYPE_CHECKING:
    import keras

__all__ = ["Conversion", "convert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """The result of a conversion.

    Attributes:
        artifacts: what was written: the source code first, then the weight file, then the other artifacts.
        inputs: the shape of each Keras input by name, in the order of the tensor's axes; None is a free extent.
        outputs: the shape of each output by name, in the order of the tensor's axes.
        layer_count: number of Caffe layers that were converted.
        parameter_count: number of trained values.
        notes: what was dropped, decided or upgraded, in the order of the definition; ``str(note)`` is a line of text.
    """

    artifacts: tuple[Artifact, ...]
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    layer_count: int
    parameter_count: int
    notes: tuple[Diagnostic, ...]

    @property
    def module(self) -> Path:
        """The emitted Python module."""
        return self.artifacts[0].path

    @property
    def layers(self) -> Path | None:
        """The layers that Keras lacks, in a file next to the module; None if the network needs none."""
        return self._path("layers")

    @property
    def stubs(self) -> Path | None:
        """The file of classes for you to fill in; None if the types of all layers are known."""
        return self._path("stubs")

    @property
    def weights(self) -> Path | None:
        """The weight file; None if no weights were given."""
        return self._path(*named("weights"))

    @property
    def sha256(self) -> dict[Path, str]:
        """The SHA-256 of every file that was written."""
        return {path: digest for artifact in self.artifacts for path, digest in artifact.files.items()}

    def build(self) -> keras.Model:
        """Import the emitted module, and return the model that it builds, with its weights.

        Raises:
            UsageError: the module is not where it was written.
        """
        from caffe2tf.artifacts import import_emitted  # noqa: PLC0415 - only running a model needs it

        module = import_emitted(self.module)
        model: keras.Model = module.build(weights=str(self.weights)) if self.weights else module.build()
        return model

    def _path(self, *kinds: str) -> Path | None:
        return next((artifact.path for artifact in self.artifacts if artifact.kind in kinds), None)


def convert(  # noqa: PLR0913 - one parameter for each option
    prototxt: str | os.PathLike[str],
    weights: WeightFiles | None = None,
    out: str | os.PathLike[str] = ".",
    *,
    weights_format: str = "h5",
    also: Sequence[str] = (),
    phase: str = "TEST",
    stages: Sequence[str] = (),
    level: int = 0,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    keep_losses: bool = False,
    fixed_rows: bool = False,
    on_unknown: Literal["refuse", "stub"] = "refuse",
    progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Convert a Caffe network to Keras source and a weight file.

        conversion = caffe2tf.convert("deploy.prototxt", "net.caffemodel", "out")
        model = conversion.build()

    Args:
        prototxt: the definition, or a .caffemodel, which has both the structure and the weights.
        weights: trained blobs (.caffemodel, .h5, or several of them: the last one wins). None takes the blobs that
            ``prototxt`` itself holds, if any.
        out: the folder to write to. It is created if it does not exist, and may hold other networks.
        weights_format: kind of the weight file, from `caffe2tf.artifacts.KINDS`: ``h5``, ``npz``, ``npy`` (a pickled
            dict) or ``weights.h5`` (the format of Keras 3; writing it imports TensorFlow).
        also: further kinds to write.
        phase: TEST or TRAIN; selects layers, with ``stages`` and ``level``.
        stages: stages of the NetState.
        level: level of the NetState.
        input_shapes: shapes of inputs by blob, in Caffe's order (N, C, H, W), instead of the definition's.
        keep_losses: compute losses and metrics.
        fixed_rows: pad detections and proposals to a fixed number of rows, as serving and TFLite need it.
        on_unknown: ``refuse``: a layer of unknown type is an error. ``stub``: a class for you to fill in is written for
            each such type, next to the module. ``input_shapes`` may then give shapes of the tops of such layers; by
            default, a top has the shape of the layer's bottom.
        progress: called with (bytes written, bytes in all) while the weights are written.

    Raises:
        Caffe2TFError: the network cannot be converted; the message lists all problems. The folder is as it was before.
    """
    require_choice("weights_format", weights_format, named("weights"))
    for name in also:
        require_choice("also", name, optional())
    require_choice("on_unknown", on_unknown, ("refuse", "stub"))
    shapes = checked_shapes(input_shapes)
    stub = on_unknown == "stub"
    plan, artifacts = convert_network(
        prototxt,
        weights,
        Path(out),
        [find(name) for name in dict.fromkeys([weights_format, *also])],
        selection=Selection(phase=phase, stages=stages, level=level, input_shapes=shapes, stub_unknown=stub),
        keep_losses=keep_losses,
        fixed_rows=fixed_rows,
        progress=progress,
    )
    return _conversion(plan, artifacts)


def _conversion(plan: Plan, artifacts: tuple[Artifact, ...]) -> Conversion:
    program = plan.program
    return Conversion(
        artifacts=artifacts,
        inputs={name: value.tensor_shape for value, name in program.inputs},
        outputs={value.blob: value.tensor_shape for value, _ in program.outputs},
        layer_count=sum(len(n.parts) for n in program.graph.nodes),
        parameter_count=sum(b.array.size for n in program.graph.nodes if n.name in program.owners for b in n.blobs),
        notes=in_order(program.graph.notes),
    )
