"""A stand-in for a layer whose type nobody knows: what it computes is for the user to fill in."""

from __future__ import annotations

import keyword
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from caffe2tf.ir.expr import Expr, stub
from caffe2tf.ir.layer import BlobSpec, Context, Layer
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Stub"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub(Layer):
    """A layer of unknown type, in Caffe's axis order, with whatever trained blobs the weight file has for it.

    Attributes:
        type: Caffe's name of the type.
        parameters: what the definition says of it, as text.
        given: the shapes of its tops where the user states them; a top without one is taken to have the shape of the
            bottom at its place, or of the first one.
        blob_shapes: of its trained blobs.
    """

    type: str
    parameters: str = ""
    given: tuple[Shape | None, ...] = ()
    blob_shapes: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, proto: LayerProto, given: Sequence[Shape | None]) -> Self:
        """The stand-in for a definition."""
        lines = [line for field in proto.unknown for line in field.text.splitlines()]
        param_str = proto.message.python_param.param_str
        if param_str:
            lines.append(f"param_str: {param_str!r}")
        return cls(type=proto.type or "Untyped", parameters="\n".join(lines), given=tuple(given))

    @property
    def class_name(self) -> str:
        """The name of the Keras layer to be filled in: that of the type, where Python takes it."""
        name = re.sub(r"\W", "_", self.type, flags=re.ASCII)
        if name == self.type and name.isidentifier() and not keyword.iskeyword(name):
            return name
        return f"Layer_{name}_{zlib.crc32(self.type.encode()):08x}"

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shapes that the user states, else those of the bottoms."""
        return tuple(
            shape if shape is not None else inputs[min(i, len(inputs) - 1)] for i, shape in enumerate(self.given)
        )

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """As many as the weight file has."""
        del inputs
        return tuple(BlobSpec(name=f"blob{i}", shape=shape) for i, shape in enumerate(self.blob_shapes))

    def with_blobs(self, shapes: Sequence[tuple[int, ...]]) -> Self:
        """The stand-in with weights of these shapes."""
        return replace(self, blob_shapes=tuple(shapes))

    def remarks(self) -> tuple[str, ...]:
        """That it is to be filled in, and what was assumed."""
        assumed = any(s is None for s in self.given)
        shapes = "; its tops are taken to have the shape of its bottom (else: --input-shape TOP=N,C,H,W)"
        return (f"type {self.type!r} is a stub, to be filled in{shapes if assumed else ''}",)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A call of the class to be filled in."""
        del ctx
        return stub(self.class_name)(*inputs)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """The blobs as they are."""
        del ctx
        return {f"blob{i}": b.weight() for i, b in enumerate(blobs)}
