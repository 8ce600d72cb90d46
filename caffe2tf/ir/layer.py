"""The contract of a layer: one class holds all that is known about one Caffe layer type."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.ir.expr import Expr
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Array, Weight

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Arrangement", "BlobSpec", "Context", "Elementwise", "Layer", "Role"]


class Role(enum.Enum):
    """What a layer is there for."""

    COMPUTE = "compute"
    SOURCE = "source"  # its tops come from outside: network inputs
    CONSTANT = "constant"  # reads nothing, and always gives the same values (trained ones included)
    LOSS = "loss"  # losses and metrics: left out unless asked for
    SINK = "sink"  # reads and gives nothing: left out


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
        tops: likewise for tops.
        paired: whether each bottom has its own top (Convolution).
        role: see `Role`.
        swallows: of a layer without tops, whether what it reads is no output of the network for that.
        reads_unknown: what it reads of the fields that the schema lacks: names of fields of the layer (``crop_param``),
            each with all that stands in it. Any other is refused unless it cannot matter. None: a layer of caffe2tf
            reads no such field, a user's own answers for all.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 1)
    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    paired: ClassVar[bool] = False
    role: ClassVar[Role] = Role.COMPUTE
    swallows: ClassVar[bool] = True
    reads_unknown: ClassVar[tuple[str, ...] | None] = None

    __slots__ = ()

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The layer that ``proto`` describes; raises LayerError, stating Caffe's rule, where it breaks one."""
        del proto
        return cls()

    @classmethod
    def class_for(cls, proto: LayerProto) -> type[Layer]:
        """The class that implements ``proto``: another one where layers of one type are of several roles."""
        del proto
        return cls

    def files(self) -> tuple[str, ...]:
        """The mean images that it computes with, as the definition names them; the loader looks for them."""
        return ()

    def with_files(self, images: Sequence[Array]) -> Self:
        """The layer with the images that `files` names, each (channels, height, width) or of four axes."""
        del images
        return self

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

    def check_blobs(self, blobs: Sequence[Array]) -> None:
        """Raises LayerError where the values of its blobs, in Caffe's shapes, make it one that cannot be converted."""
        del blobs

    def remarks(self) -> tuple[str, ...]:
        """What the user is told about how the layer was understood: a choice between forks, say. One sentence each."""
        return ()

    def keeps_batch(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> bool:
        """Whether each index along axis 0 of the outputs depends on the same index of the inputs alone.

        If every layer of a network keeps the batch apart, the emitted model takes any batch size.
        """
        firsts = {s[0] if s else None for s in (*inputs, *outputs)}
        return len(firsts) == 1 and None not in firsts

    def carries_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> bool | None:
        """Whether axis 0 of its outputs is the batch, or None where the layer fixes the batch size.

        Layers that read both the batch and what is the same for all of it (SSD's prior boxes) say so here.

        Args:
            batched: for each input, whether its axis 0 is the batch; at least one is.
            inputs: shapes of the inputs.
            outputs: shapes of the outputs.
        """
        return True if all(batched) and self.keeps_batch(inputs, outputs) else None

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
