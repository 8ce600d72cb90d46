"""The contract of a layer: one class holds all that is known about one Caffe layer type."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, Self, runtime_checkable

from caffe2tf.ir.expr import Expr
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Array, Weight

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = [
    "PER_BOTTOM",
    "Arrangement",
    "Batch",
    "BlobSpec",
    "ChecksBlobs",
    "Context",
    "Elementwise",
    "Layer",
    "PerBottom",
    "ReadsImages",
    "Role",
    "same_batch",
]


class Role(enum.Enum):
    """What a layer is there for."""

    COMPUTE = "compute"
    SOURCE = "source"  # its tops come from outside: network inputs
    CONSTANT = "constant"  # reads nothing, and always gives the same values (trained ones included)
    LOSS = "loss"  # losses and metrics: left out unless asked for
    SINK = "sink"  # consumes its bottoms: left out, and blobs read only by it are dropped from the outputs
    END = "end"  # marks its bottoms as ends of the network: left out, and its bottoms stay outputs


class Batch(enum.Enum):
    """What a layer does with the batch, axis 0 of the blobs that it reads."""

    KEPT = "kept"  # item n of each output depends on item n of the inputs alone
    ABSENT = "absent"  # axis 0 of the outputs is not the batch, for a batch of any size: constants, gathered rows
    FIXED = "fixed"  # items mix, or the batch size is built in: the model takes the one size it was converted for

    @classmethod
    def kept_if(cls, condition: bool) -> Self:  # noqa: FBT001 - reads like the sentence it is
        """Return KEPT if the condition holds, else FIXED."""
        return cls.KEPT if condition else cls.FIXED


class PerBottom(enum.Enum):
    """The type of `PER_BOTTOM`."""

    PER_BOTTOM = "per bottom"


PER_BOTTOM: Final = PerBottom.PER_BOTTOM
"""As `Layer.tops`: the layer has one top for each bottom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobSpec:
    """A trained blob that a layer must have: its name (for messages), Caffe's shape, and what fills it untrained."""

    name: str
    shape: tuple[int, ...]
    filler: Filler | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """The layouts in which a layer reads its inputs and gives its outputs."""

    inputs: tuple[Layout, ...]
    outputs: tuple[Layout, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A layer's place in the network, for `Layer.emit` and `Layer.convert`: layouts are settled by then.

    Attributes:
        name: the name of the Keras layer to be.
        inputs: the values read.
        outputs: the values written.
        free_batch: whether axis 0 may have any extent when the model runs.
        fixed_rows: whether layers that find a varying number of things (detections, proposals) are to give as many rows
            as they ever can, padded, in place of as many as they find.
        anchor: an input of the network, on which a layer without bottoms is called; None where there is none.
    """

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    free_batch: bool = True
    fixed_rows: bool = False
    anchor: Value | None = None


class Layer(ABC):
    """One Caffe layer with its parameters, frozen.

    A subclass is a frozen dataclass, registered with `caffe2tf.layers.registry.register`. Its docstring states the
    formula, the parameters with Caffe's defaults, the layout of the trained blobs, and known deviations.

    Class attributes:
        bottoms: the fewest and the most bottoms Caffe accepts; None for any number.
        tops: the fewest and the most tops; or `PER_BOTTOM` where each bottom has its own top (Convolution).
        role: see `Role`.
        reads_unknown: what it reads of the fields that the schema lacks: names of fields of the layer (``crop_param``),
            each with all that stands in it. Any other is refused unless it cannot matter. None: a layer of caffe2tf
            reads no such field, a user's own answers for all.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 1)
    tops: ClassVar[tuple[int, int | None] | PerBottom] = (1, 1)
    role: ClassVar[Role] = Role.COMPUTE
    reads_unknown: ClassVar[tuple[str, ...] | None] = None

    __slots__ = ()

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The layer that ``proto`` describes; raises LayerError, stating Caffe's rule, where it breaks one."""
        del proto
        return cls()

    @abstractmethod
    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Shapes of all tops, in Caffe's axes, from those of the bottoms; raises LayerError where they do not fit."""

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """The trained blobs that the layer must have, in Caffe's order."""
        del inputs
        return ()

    def with_blobs(self, shapes: Sequence[tuple[int, ...]]) -> Self:
        """The layer as its trained blobs show it to be, where forks gave one type to layers that differ in them.

        Args:
            shapes: of the blobs that the weight file holds for it, at least one; they need not fit.
        """
        del shapes
        return self

    def remarks(self) -> tuple[str, ...]:
        """What the user is told about how the layer was understood: a choice between forks, say. One sentence each."""
        return ()

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Return what becomes of the batch, axis 0 of the inputs.

        If every layer of a network keeps the batch or does without it, the emitted model takes any batch size. The
        default is for layers all of whose inputs and outputs have the batch on axis 0.

        Args:
            batched: for each input, whether its axis 0 is the batch; at least one is.
            inputs: shapes of the inputs.
            outputs: shapes of the outputs.
        """
        return Batch.kept_if(all(batched) and same_batch(*inputs, *outputs))

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Whether Caffe makes its tops the memory of its first bottom, so that writing one in place changes both."""
        del bottoms, tops
        return False

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """The layouts it reads and gives, given those of the values that reach it: Caffe's order unless it says more.

        Called before layouts are settled: `outputs` have shapes, but no layout that means anything.
        """
        return Arrangement(
            inputs=tuple(Layout.plain(v.rank) for v in inputs),
            outputs=tuple(Layout.plain(v.rank) for v in outputs),
        )

    @abstractmethod
    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """The layer as calls of Keras layers: one expression, whose call gives all tops, or one for each top."""

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Caffe's trained blobs as named Keras weights, in the order in which Keras keeps them."""
        del blobs, ctx
        return {}

    def with_activation(self, name: str) -> Self | None:
        """This layer with an activation of Keras applied to its output, or None where it takes none or has one."""
        del name
        return None

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """Multiply-add operations of one forward pass; 0 for layers that only move or scale values."""
        del inputs, outputs
        return 0


class Elementwise(Layer):
    """A layer of one bottom whose every output value depends on the input value at the same place."""

    __slots__ = ()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of the bottom."""
        return (inputs[0],)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Whatever the order of the values, it stays."""
        return Arrangement(inputs=tuple(v.layout for v in inputs), outputs=tuple(inputs[0].layout for _ in outputs))


@runtime_checkable
class ReadsImages(Protocol):
    """A layer that computes with mean images, which the definition names and the loader reads."""

    def files(self) -> tuple[str, ...]:
        """Return the paths of the mean images as the definition names them; empty if there are none."""

    def with_files(self, images: Sequence[Array]) -> Layer:
        """Return the layer with the images that `files` names, each (channels, height, width) or of four axes."""


@runtime_checkable
class ChecksBlobs(Protocol):
    """A layer that can be converted only if the values of its trained blobs allow it."""

    def check_blobs(self, blobs: Sequence[Array]) -> None:
        """Check the values of the trained blobs, in Caffe's shapes.

        Raises:
            LayerError: with these values the layer cannot be converted.
        """


def same_batch(*shapes: Shape) -> bool:
    """Return whether all shapes have the same extent along axis 0, and it is known."""
    firsts = {s[0] if s else None for s in shapes}
    return len(firsts) == 1 and None not in firsts
