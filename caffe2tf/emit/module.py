"""The text of the emitted module: docstring, imports, the function ``build``, and the loader of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caffe2tf.emit.format import format_imports
from caffe2tf.emit.literals import literal
from caffe2tf.emit.loader import LOADER_IMPORTS, loader_source
from caffe2tf.emit.names import RUNTIME_MODULE, keras_name
from caffe2tf.emit.program import Program
from caffe2tf.emit.source import is_deep, render_build, runtime_classes
from caffe2tf.ir import Value, format_shape

__all__ = ["Provenance", "is_emitted", "render_module", "with_provenance"]

_MARK = "converted from Caffe by caffe2tf"
_AXES = {4: "NHWC", 5: "NDHWC", 3: "NLC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The origin of a model: (file name, SHA-256) of each file, and the version of caffe2tf."""

    files: tuple[tuple[str, str], ...]
    version: str


def render_module(
    program: Program, provenance: Provenance, *, loadable: Mapping[str, Sequence[str]], stubs: str = ""
) -> str:
    """Return the text of the module.

    Args:
        program: the statements of ``build``.
        provenance: the origin of the model, for the docstring.
        loadable: suffixes of the weight files that it loads, by kind.
        stubs: name of the module with the stubs; empty if there are none.
    """
    classes = runtime_classes(program)
    with_weights = bool(program.owners)
    imports = ["import keras", *(LOADER_IMPORTS if with_weights else ())]
    imports += ["import sys"] if is_deep(program) else []
    if any(s.construct is not None and s.construct.target.startswith("layers.") for s in program.statements):
        imports.append("from keras import layers")
    parts = [_docstring(program, provenance), format_imports(imports)]
    if classes:  # import sorters would move it, depending on whether they see the file next to this one
        parts.append(format_imports(f"from {RUNTIME_MODULE} import {c}" for c in classes) + "  # isort: skip")
    if stubs:
        parts.append(f"import {stubs} as stubs  # isort: skip")
    text = "\n\n".join(parts) + "\n\n\n"
    text += render_build(program, model_name=keras_name(program.graph.name), with_weights=with_weights)
    return text + (f"\n\n{loader_source(loadable)}" if with_weights else "")


def with_provenance(source: str, program: Program, provenance: Provenance) -> str:
    """Return the text of a module with another provenance. Only the docstring depends on it."""
    return _docstring(program, provenance) + source.partition('\n"""')[2]


def is_emitted(source: str) -> bool:
    """Return whether `render_module` wrote the text."""
    return _MARK in source.partition("\n\n")[0]


def _docstring(program: Program, provenance: Provenance) -> str:
    lines = [f"{_plain(program.graph.name)}, {_MARK} {provenance.version}.", ""]
    lines += [f"{_plain(name)} sha256:{digest}" for name, digest in provenance.files]
    feeds = program.graph.feeds()
    for value, name in program.inputs:
        lines.append(_describe("Input", value, name, batched=True))
        feed = feeds.get(value.blob)
        preparation = feed.describe() if feed else ""
        if preparation:
            lines.append(f"    {_plain(preparation)}.")
    lines += [_describe("Output", v, v.blob, batched=v.id not in program.graph.unbatched) for v, _ in program.outputs]
    if any("/" in part for node in program.graph.nodes for part in node.parts):
        lines.append("Layers have Caffe's names, with - for /.")
    return '"""' + "\n".join(lines) + '\n"""'


def _describe(kind: str, value: Value, name: str, *, batched: bool) -> str:
    extents = ["?" if d is None else str(d) for d in value.tensor_shape]
    tensor = "x".join(["N", *extents[1:]] if batched else extents)
    axes = "" if value.layout.is_plain else f" {_AXES.get(value.rank, 'channels last')}"
    return f"{kind} `{_plain(name)}`: float32{axes} {tensor} (Caffe: {format_shape(value.shape)})."


def _plain(text: str) -> str:
    """Text of a network inside a docstring: no double quotes, backslashes or control characters get through."""
    return literal(text)[1:-1].replace("\\", "/").replace('"', "'").strip() or "network"
