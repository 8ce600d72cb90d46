"""Shapes of the network's inputs: given by the user, by the definition, or by files that the definition names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from caffe2tf.diagnostics import Diagnostic
from caffe2tf.ir import Node, Shape, Value
from caffe2tf.layers.data.source import Input, Source

if TYPE_CHECKING:
    from caffe2tf.diagnostics import Position

__all__ = ["InputShapes", "input_node"]


class InputShapes:
    """The shapes that the user gives for inputs, by blob, and which of them were used.

    Args:
        given: shapes by blob, in Caffe's axes.
        beside: the path of the definition; files that it names are looked for in its folder first.
    """

    def __init__(self, given: Mapping[str, Shape], *, beside: str) -> None:
        self._given = dict(given)
        self._beside = beside
        self._used: set[str] = set()

    def take(self, blob: str) -> Shape | None:
        """Return the shape given for a blob and count it as used; None if there is none."""
        shape = self._given.get(blob)
        if shape is not None:
            self._used.add(blob)
        return shape

    def settle(self, source: Source, tops: Sequence[str]) -> Source:
        """Return the data layer with all shapes that can be known.

        A shape that the user gives comes before the definition's, and that before one from a file.

        Raises:
            LayerError: the mean image cannot belong to the images.
        """
        given = [self.take(top) for top in tops]
        if isinstance(source, Input):
            return source.with_shapes(given)
        from caffe2tf.load.named_files import settle_shapes  # noqa: PLC0415 - few networks have such layers

        return settle_shapes(source, given, beside=self._beside)

    def unused(self, inputs: Sequence[str]) -> list[Diagnostic]:
        """Return a problem for each shape that is given for something other than an input.

        Args:
            inputs: the tops of data layers.
        """
        known = ", ".join(map(repr, inputs)) or "none"
        return [
            Diagnostic(message=f"a shape is given for {blob!r}, which is not an input; inputs: {known}")
            for blob in sorted(set(self._given) - self._used - set(inputs))
        ]


def input_node(value: Value, where: Position) -> tuple[Node, Diagnostic]:
    """Return the input that a missing blob becomes if the user gives its shape, and a note about it.

    This lets the user convert a part of a network, which reads blobs of the rest.

    Args:
        value: the blob's value.
        where: the place of the layer that reads it.
    """
    layer = Input(shapes=(value.shape,), names=(value.blob,))
    node = Node(name=f"{value.blob}@input", layer=layer, inputs=(), outputs=(value.id,), where=where)
    message = f"no layer writes {value.blob!r}, so it is an input of the shape that you gave"
    return node, Diagnostic.note(message, where=where)
