"""The order in which Keras lists the layers of a model, for weight files that Keras reads by position.

A Functional model sorts its layers by depth (steps to the farthest output), greatest first, and within a depth in the
order in which a depth-first walk from the outputs meets them. Outputs in a dict are visited in the order of their keys.
Source: the behaviour of `keras.Model.layers`, Keras 3.
"""

from __future__ import annotations

from collections import defaultdict

from caffe2tf.emit.program import Program

__all__ = ["keras_order", "left_out"]


def keras_order(program: Program) -> list[str]:
    """Return the names of the Keras layers of the emitted model, in the order of ``model.layers``."""
    operation, parents, node_of = _nodes(program)
    outputs = [node_of[key] for _, key in sorted(program.outputs, key=lambda o: o[0].blob)]
    indices, finished = _walk(outputs, operation, parents)
    node_depth: dict[str, int] = {}
    depths: dict[str, int] = {}
    for node in reversed(finished):
        depth = max(node_depth.get(node, 0), depths.get(operation[node], 0))
        depths[operation[node]] = node_depth[node] = depth
        for parent in parents[node]:
            node_depth[parent] = max(depth + 1, node_depth.get(parent, 0))
    by_depth: dict[int, list[str]] = defaultdict(list)
    for name, depth in depths.items():
        by_depth[depth].append(name)
    return [n for d in sorted(by_depth, reverse=True) for n in sorted(by_depth[d], key=indices.__getitem__)]


def left_out(program: Program) -> tuple[str, ...]:
    """Return the last values of blobs, by id, that no output depends on, so that the Keras model lacks them.

    An example is a blob whose readers need only its shape.
    """
    operation, parents, node_of = _nodes(program)
    _, reached = _walk([node_of[key] for _, key in program.outputs], operation, parents)
    known = {*reached, *(value.id for value, _ in program.inputs)}
    values = program.graph.final_values().values()
    return tuple(v.id for v in values if node_of[program.aliases[v.id]] not in known)


def _nodes(program: Program) -> tuple[dict[str, str], dict[str, tuple[str, ...]], dict[str, str]]:
    """Return the layer of each call, the calls it reads, and the call of each tensor. Its first tensor names a call."""
    operation = {value.id: name for value, name in program.inputs}
    parents: dict[str, tuple[str, ...]] = {value.id: () for value, _ in program.inputs}
    node_of = {value.id: value.id for value, _ in program.inputs}
    made: dict[str, str] = {}
    for statement in program.statements:
        if statement.inputs is None:
            made[statement.targets[0]] = statement.name
            continue
        node = statement.targets[0]
        operation[node] = made[statement.uses] if statement.uses else statement.name
        parents[node] = tuple(node_of[i] for i in statement.inputs)
        node_of |= dict.fromkeys(statement.targets, node)
    return operation, parents, node_of


def _walk(
    outputs: list[str], operation: dict[str, str], parents: dict[str, tuple[str, ...]]
) -> tuple[dict[str, int], list[str]]:
    """Walk depth first from the outputs; return the order in which layers are met and in which calls are finished."""
    indices: dict[str, int] = {}
    finished: list[str] = []
    done: set[str] = set()
    for output in outputs:
        stack = [(output, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                if node not in done:
                    finished.append(node)
                    done.add(node)
                continue
            if node in done:
                continue  # met before, on another path
            indices.setdefault(operation[node], len(indices))
            stack.append((node, True))
            stack += [(p, False) for p in reversed(parents[node])]
    return indices, finished
