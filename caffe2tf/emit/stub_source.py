"""The source of stubs: one Keras layer for each unknown Caffe type, for the user to fill in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from caffe2tf.emit.literals import literal
from caffe2tf.emit.program import Program
from caffe2tf.ir import Node, Value

if TYPE_CHECKING:
    from caffe2tf.ir.stub import Stub

__all__ = ["has_stubs", "is_stubs", "render_stubs", "stubs_module"]

_MARK = "STUBS, written by caffe2tf"
_HEAD = '''\
"""{mark}: the layers of {network} whose types it does not know, for you to fill in.

Replace the `NotImplementedError` in each method `call` by what the layer computes. Nothing else is needed: the model
already uses these classes, and loads their trained blobs, if any, as the weights blob0, blob1, ... in Caffe's shapes.
Inputs and outputs are in Caffe's axis order (N, C, H, W). None in a shape is the batch.

Once you have changed this file, later conversions do not overwrite it.
"""

from __future__ import annotations

import keras
import tensorflow as tf
'''
_CLASS = '''

@keras.saving.register_keras_serializable(package={package})
class {name}(keras.layers.Layer):
    """STUB of the Caffe layer type {type}.

{layers}
    """

    OUTPUTS = {{
{outputs}
    }}
    BLOBS = {{
{blobs}
    }}

    def build(self, *_: object) -> None:
        """Create a weight for each trained blob of the layer."""
        for i, shape in enumerate(self.BLOBS[self.name]):
            setattr(self, f"blob{{i}}", self.add_weight(name=f"blob{{i}}", shape=shape))

    def compute_output_spec(self, {arguments}: {annotation}) -> {spec}:
        """Return the shapes of what `call` returns."""
        {returned}

    def call(self, {arguments}: {annotation}) -> {result}:
        """{signature}"""
        raise NotImplementedError({message})
'''


def stubs_module(module_name: str) -> str:
    """Return the name of the module with the stubs of an emitted module."""
    return f"{module_name}_stubs"


def is_stubs(source: str) -> bool:
    """Return whether `render_stubs` wrote the text, even if the user has edited it since."""
    return _MARK in source.partition("\n\n")[0]


def has_stubs(program: Program) -> bool:
    """Return whether the program uses stubs."""
    return any(s.construct is not None and s.construct.target.startswith("stubs.") for s in program.statements)


def render_stubs(program: Program) -> str | None:
    """Return the text of the file; None if the network has no stubs."""
    found: dict[str, list[tuple[str, Node]]] = {}
    for statement in program.statements:
        construct = statement.construct
        if construct is not None and construct.target.startswith("stubs."):
            node = next(n for n in program.graph.nodes if n.outputs and n.outputs[0] == statement.targets[0])
            found.setdefault(construct.target.removeprefix("stubs."), []).append((statement.name, node))
    if not found:
        return None
    head = _HEAD.format(mark=_MARK, network=_plain(program.graph.name))
    return head + "".join(_class(program, name, uses) for name, uses in sorted(found.items()))


def _class(program: Program, name: str, uses: Sequence[tuple[str, Node]]) -> str:
    layer = _stub(uses[0][1])
    several = len(uses[0][1].inputs) > 1
    gives_several = len(uses[0][1].outputs) > 1
    outputs = "self.OUTPUTS[self.name]"
    one = f"keras.KerasTensor({outputs}[0], dtype=self.compute_dtype)"
    each = f"[keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in {outputs}]"
    return _CLASS.format(
        package=literal(f"{program.graph.name}_stubs"),
        name=name,
        type=_plain(repr(layer.type)),
        layers="\n\n".join(_description(program, node) for _, node in uses),
        outputs="\n".join(f"        {literal(k)}: {_shapes(program, program.graph.written(n))}," for k, n in uses),
        blobs="\n".join(f"        {literal(k)}: {_blob_shapes(n)}," for k, n in uses),
        arguments="inputs" if several else "x",
        annotation="list[tf.Tensor]" if several else "tf.Tensor",
        spec="list[keras.KerasTensor]" if gives_several else "keras.KerasTensor",
        returned=f"return {each if gives_several else one}",
        result="list[tf.Tensor]" if gives_several else "tf.Tensor",
        signature=f"Compute {'a list of tensors' if gives_several else 'a tensor'} from "
        f"{'a list of tensors' if several else 'a tensor'}.",
        message=literal(f"{name} is a stub: compute the layer here"),
    )


def _description(program: Program, node: Node) -> str:
    layer = _stub(node)
    line = f", line {node.where.line}" if node.where and node.where.line else ""
    lines = [f"    Layer {_plain(repr(node.name))}{line}:", ""]
    lines += [f"    - reads {_value(program, v)}" for v in program.graph.read(node)]
    lines += [f"    - gives {_value(program, v)}" for v in program.graph.written(node)]
    lines += [f"    - trained blob{i}: {shape}" for i, shape in enumerate(layer.blob_shapes)]
    if layer.parameters:
        lines += ["    - parameters:", ""]
        lines += [f"          {_plain(line, strip=False)}" for line in layer.parameters.splitlines()]
    return "\n".join(lines)


def _value(program: Program, value: Value) -> str:
    return f"{_plain(repr(value.blob))} {literal(_shape(program, value))}"


def _shapes(program: Program, values: Sequence[Value]) -> str:
    return literal(tuple(_shape(program, v) for v in values))


def _shape(program: Program, value: Value) -> tuple[int | None, ...]:
    free = program.graph.free_batch and value.rank
    return (None, *value.shape[1:]) if free else tuple(value.shape)


def _blob_shapes(node: Node) -> str:
    return literal(_stub(node).blob_shapes)


def _stub(node: Node) -> Stub:
    return cast("Stub", node.layer)  # nothing else emits a call of a stub


def _plain(text: str, *, strip: bool = True) -> str:
    """Make text of a network safe inside a docstring: no double quotes, backslashes or control characters."""
    safe = literal(text)[1:-1].replace("\\", "/").replace('"', "'")
    return safe.strip() if strip else safe
