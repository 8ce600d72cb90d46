"""``caffe2tf convert``: write Keras code and a weight file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caffe2tf.artifacts.kinds import kinds_of, named, optional
from caffe2tf.cli.options import (
    InputShapes,
    Json,
    Level,
    Net,
    Phase,
    Plugins,
    Stages,
    Weights,
    choice,
    load_plugins,
    out_path,
    parse_shapes,
)

if TYPE_CHECKING:
    from caffe2tf.conversion import Conversion
    from caffe2tf.ir import Shape

__all__ = ["EXAMPLES", "convert"]

EXAMPLES = (
    "caffe2tf convert deploy.prototxt net.caffemodel -o out",
    "caffe2tf convert deploy.prototxt net.caffemodel -o out --weights-format npz",
    "caffe2tf convert net.caffemodel -o out --input-shape data=8,1,16,16",
)


_FORMATS = "; ".join(f"{kind.name}: {kind.help}" for kind in kinds_of("weights"))

WeightsFormat = Annotated[
    str, typer.Option(metavar="|".join(named("weights")), help=f"Format of the weight file. {_FORMATS}.")
]
Also = Annotated[
    list[str] | None,
    typer.Option("--also", metavar="KIND", help=f"Write this, too: {', '.join(optional())}; may be repeated."),
]


def convert(
    net: Net,
    weights: Weights = None,
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", parser=out_path, help="Write the results to this folder.")
    ],
    weights_format: WeightsFormat = "h5",
    also: Also = None,
    phase: Phase = "TEST",
    stage: Stages = None,
    level: Level = 0,
    input_shape: InputShapes = None,
    keep_losses: Annotated[bool, typer.Option("--keep-losses", help="Keep the losses and metrics.")] = False,
    fixed_rows: Annotated[
        bool, typer.Option("--fixed-rows", help="Pad detections and proposals to a fixed number of rows.")
    ] = False,
    on_unknown: Annotated[
        str,
        typer.Option(
            metavar="refuse|stub", help="On an unknown layer type: stop, or write a class for you to fill in."
        ),
    ] = "refuse",
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Convert a network to Keras code and a weight file.

    Writes OUT/<net>.py, OUT/<net>.h5 and, if the network needs layers that Keras lacks, OUT/caffe_layers.py.
    """
    from caffe2tf.speed import hash_early

    hash_early([net, *(weights or "").split(",")])
    from caffe2tf.cli.output import print_json, print_notes, progress_bar
    from caffe2tf.conversion import convert as convert_network

    load_plugins(plugin)
    with progress_bar("writing weights") as step:
        done = convert_network(
            net,
            weights,
            out,
            weights_format=choice("--weights-format", weights_format, named("weights")),
            also=[choice("--also", name, optional()) for name in also or ()],
            phase=phase,
            stages=stage or (),
            level=level,
            input_shapes=parse_shapes(input_shape),
            keep_losses=keep_losses,
            fixed_rows=fixed_rows,
            on_unknown=choice("--on-unknown", on_unknown, ("refuse", "stub")),
            progress=step,
        )
    if json:
        print_json(_as_dict(done))
        return
    print_notes(done.notes)
    _summarise(done)


def _as_dict(done: Conversion) -> dict[str, object]:
    from caffe2tf.cli.hints import COMMAND_LINE

    return {
        "module": str(done.module),
        "runtime_layers": done.layers and str(done.layers),
        "stubs": done.stubs and str(done.stubs),
        "weights": done.weights and str(done.weights),
        "artifacts": [{"kind": one.kind, "path": str(one.path)} for one in done.artifacts],
        "sha256": {str(p): digest for p, digest in done.sha256.items()},
        "inputs": {k: list(v) for k, v in done.inputs.items()},
        "outputs": {k: list(v) for k, v in done.outputs.items()},
        "layers": done.layer_count,
        "parameters": done.parameter_count,
        "notes": [note.text(COMMAND_LINE) for note in done.notes],
    }


def _summarise(done: Conversion) -> None:
    from caffe2tf.cli.output import count, print_line, print_table
    from caffe2tf.emit import NameMap, identifier

    print_line(f"{done.layer_count} layers, {count(done.parameter_count)} parameters")
    rows = [(str(p), f"{p.stat().st_size:,}", digest) for p, digest in done.sha256.items()]
    print_table([("file", "left"), ("bytes", "right"), ("sha256", "left")], rows)
    if done.stubs:
        print_line(f"Fill in the layers in {done.stubs}; until then the model can be built but not run.")
    argument = f"weights={str(done.weights)!r}" if done.weights else ""
    names = NameMap()
    variables = {name: names.claim(identifier(name), separator="_") for name in done.inputs}
    fed = ", ".join(f"{name!r}: {variable}" for name, variable in variables.items())
    shapes = ", ".join(f"{variables[name]} {_shape(shape)}" for name, shape in done.inputs.items())
    top = next(iter(done.outputs))
    print_line()
    print_line(f"import sys; sys.path.insert(0, {str(done.module.parent)!r}); from {done.module.stem} import build")
    print_line(f"model = build({argument})")
    print_line(
        f"{names.claim(identifier(top), separator='_')} = model.predict({{{fed}}})[{top!r}]  # float32: {shapes}"
    )


def _shape(shape: Shape) -> str:
    return "x".join("?" if d is None else str(d) for d in shape)
