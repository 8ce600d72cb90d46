"""From the statements of a program to the Python source of the function ``build``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from caffe2tf.emit.format import INDENT, Group, Item, format_call
from caffe2tf.emit.literals import literal
from caffe2tf.emit.names import NameMap, identifier, keras_name
from caffe2tf.emit.program import Program, Statement
from caffe2tf.ir import Value
from caffe2tf.ir.expr import Construct, Literal

__all__ = ["is_deep", "render_build", "runtime_classes"]

_SHARE = "share_weight"
_DEEP = 500
"""Number of layers in a row that Keras handles within the default recursion limit of Python, 1000 calls."""


def runtime_classes(program: Program) -> list[str]:
    """Return the names that the program uses of `caffe2tf.runtime` and of plugins, sorted."""
    targets = {s.construct.target for s in program.statements if s.construct is not None}
    targets |= {_SHARE} if program.ties else set()
    return sorted(t for t in targets if not t.startswith(("layers.", "stubs.")))


def is_deep(program: Program) -> bool:
    """Return whether the model may exceed the recursion limit; ``build`` then raises it, and needs ``sys``."""
    return len(program.statements) > _DEEP


def render_build(program: Program, *, model_name: str, with_weights: bool) -> str:
    """Return the source of the function that builds the model."""
    variables = _Variables.of(program)
    if with_weights:
        head = "def build(*, weights: str | None = None) -> keras.Model:"
        doc = '"""Build the network, and load its weights if the path of a weight file is given."""'
    else:
        head = "def build() -> keras.Model:"
        doc = '"""Build the network; Keras initialises its weights."""'
    lines = [doc]
    if is_deep(program):
        lines.append("# Keras calls one layer from within another, deeper than the default recursion limit of Python.")
        lines.append(f"sys.setrecursionlimit(max(sys.getrecursionlimit(), {len(program.statements) + 1000}))")
    for value, name in program.inputs:
        lines += _input(program, value, name, variables)
    lines += [""] if program.statements else []
    for statement in program.statements:
        lines += [f"# {literal(statement.comment)}"] if statement.comment else []
        lines += _statement(statement, variables)
    lines += ["", *_ending(program, variables, model_name, with_weights=with_weights)]
    return "\n".join([head, *(INDENT + line if line else "" for line in lines)]) + "\n"


def _input(program: Program, value: Value, name: str, variables: _Variables) -> list[str]:
    shape = value.tensor_shape
    free = program.graph.free_batch and shape
    extents = _argument("", shape[1:]) if free else _argument("batch_shape=", shape)
    return format_call([variables[value.id]], "keras.Input", [extents, f"name={literal(name)}"])


def _statement(statement: Statement, variables: _Variables) -> list[str]:
    targets = [variables[t] for t in statement.targets]
    inputs = None if statement.inputs is None else [variables[i] for i in statement.inputs]
    if statement.construct is None:
        given: Item = (
            Group("", "[", inputs or [], "]") if inputs is not None and len(inputs) != 1 else (inputs or [""])[0]
        )
        return format_call(targets, variables[statement.uses or ""], [given])
    return format_call(targets, statement.construct.target, _arguments(statement.construct, statement.name), inputs)


def _arguments(construct: Construct, name: str) -> list[Item]:
    named = [_argument(f"{k}=", v) for k, v in construct.kwargs]
    return [*(_argument("", a) for a in construct.args), *named, f"name={literal(name)}"]


def _argument(prefix: str, value: Literal) -> Item:
    if not isinstance(value, tuple) or len(value) < 2:
        return prefix + literal(value)
    return Group(prefix, "(", [_argument("", v) for v in value], ")")


def _ending(program: Program, variables: _Variables, model_name: str, *, with_weights: bool) -> list[str]:
    inputs = [f"{literal(name)}: {variables[value.id]}" for value, name in program.inputs]
    outputs = [f"{literal(value.blob)}: {variables[key]}" for value, key in program.outputs]
    arguments: list[Item] = [Group("", "{", inputs, "}"), Group("", "{", outputs, "}"), f"name={literal(model_name)}"]
    if not (with_weights or program.ties):
        return format_call([], "return keras.Model", arguments)
    lines = format_call(["model"], "keras.Model", arguments)
    for tie in program.ties:
        names: list[Item] = ["model", literal(tie.layer), literal(tie.weight), f"owner={literal(tie.owner)}"]
        lines += format_call([], _SHARE, names)
    if with_weights:
        lines += ["if weights is not None:", f"{INDENT}load_weights(model, weights)"]
    return [*lines, "return model"]


@dataclass(frozen=True, slots=True)
class _Variables:
    """The Python variable of each tensor. Tensors of a straight chain share the variable ``x``."""

    names: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        return self.names[key]

    @classmethod
    def of(cls, program: Program) -> _Variables:
        uses = Counter(i for s in program.statements for i in s.inputs or ())
        uses.update(key for _, key in program.outputs)
        kept = {key for _, key in program.outputs}
        names = NameMap(taken=[*runtime_classes(program), "stubs"])
        found: dict[str, str] = {}
        values = program.graph.values
        for value, _ in program.inputs:
            found[value.id] = names.claim(identifier(value.blob), separator="_")
        for n, statement in enumerate(program.statements):
            after = program.statements[n + 1] if n + 1 < len(program.statements) else None
            for key in statement.targets:
                chained = after is not None and after.inputs == (key,) and uses[key] == 1 and key not in kept
                if chained and statement.inputs is not None:
                    found[key] = "x"
                else:
                    wanted = values[key].blob if key in values else keras_name(key.replace("~", "-"))
                    found[key] = names.claim(identifier(wanted), separator="_")
        return cls(found)
