"""The layer contract: one class per Caffe layer type, from its parameters to the emitted Keras calls."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from caffe2tf.ir.expr import Expr
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Array, Weight

if TYPE_CHECKING:
    from caffe2tf.ir.preprocessing import Feed
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = [
    "PER_BOTTOM",
    "Arrangement",
    "Batch",
    "BlobSpec",
    "Context",
    "Elementwise",
    "FeedsInputs",
    "Layer",
    "PerBottom",
    "ReadsBlobs",
    "ReadsImages",
    "Role",
    "same_batch",
]


class Role(enum.Enum):
    """The purpose of a layer in the network."""

    COMPUTE = "compute"
    SOURCE = "source"  # data layers: their tops are inputs of the network
    CONSTANT = "constant"  # no bottoms, and the same values for every input; they may be trained
    LOSS = "loss"  # losses and metrics: left out by default
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
    """A trained blob that a layer requires.

    Attributes:
        name: used in messages, for example ``weight``.
        shape: Caffe's shape.
        filler: the values before training; None if the layer defines none.
    """

    name: str
    shape: tuple[int, ...]
    filler: Filler | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """The layouts in which a layer reads its inputs and writes its outputs, one for each."""

    inputs: tuple[Layout, ...]
    outputs: tuple[Layout, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The surroundings of a layer, with final layouts, as `Layer.emit` and `Layer.convert` need them.

    Attributes:
        name: the name of the Keras layer.
        inputs: the values that the layer reads.
        outputs: the values that it writes.
        free_batch: whether the model takes any batch size.
        fixed_rows: whether layers with a varying number of results (detections, proposals) return the largest possible
            number of rows, padded.
        anchor: an input of the network. A layer without bottoms is called on it. None if the network has no input.
    """

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    free_batch: bool = True
    fixed_rows: bool = False
    anchor: Value | None = None


class Layer(ABC):
    """One Caffe layer and its parameters.

    A subclass is a frozen dataclass, registered with `caffe2tf.layers.register`. Its docstring is its specification:
    the formula, the parameters with Caffe's defaults, the shapes of bottoms and tops, the layout of the trained blobs,
    known deviations from Caffe, and the source file that it follows.

    Class attributes:
        bottoms: the smallest and the largest number of bottoms; None for no upper limit.
        tops: the same for tops; `PER_BOTTOM` if the layer has one top for each bottom (Convolution).
        role: the purpose of the layer.
        reads_unknown: the fields outside caffe2tf's schema that the layer reads, for example ``("crop_param",)``; each
            includes all fields inside it. Other unknown fields are refused unless they cannot affect the result. With
            None, a layer of caffe2tf reads no unknown field, and a plugin's layer is trusted to read all of them.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 1)
    tops: ClassVar[tuple[int, int | None] | PerBottom] = (1, 1)
    role: ClassVar[Role] = Role.COMPUTE
    reads_unknown: ClassVar[tuple[str, ...] | None] = None

    __slots__ = ()

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read a layer from its definition.

        Args:
            proto: the definition. ``proto.message`` is Caffe's message, ``proto.extra`` holds unknown fields.

        Raises:
            LayerError: a parameter breaks one of Caffe's rules; the message states the rule.
        """
        del proto
        return cls()

    @abstractmethod
    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Infer the shapes of the tops from those of the bottoms, all in Caffe's axis order.

        None stands for an extent that is known only when the network runs.

        Raises:
            LayerError: the bottoms' shapes do not fit the layer.
        """

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the trained blobs that the layer requires for bottoms of these shapes, in Caffe's order."""
        del inputs
        return ()

    def with_blobs(self, shapes: Sequence[tuple[int, ...]]) -> Self:
        """Return the variant of the layer that the shapes of its trained blobs reveal.

        Forks of Caffe gave one type name to layers that differ only in their trained blobs.

        Args:
            shapes: shapes of the layer's blobs in the weight file, at least one. They need not fit the layer.
        """
        del shapes
        return self

    def remarks(self) -> tuple[str, ...]:
        """Return notes for the user on how the layer was read, for example which fork's rule was chosen.

        Each is one sentence without a full stop. Equal remarks of several layers are shown once.
        """
        return ()

    def differs_in_training(self) -> bool:
        """Return whether Caffe in phase TRAIN computes something else than the emitted layer outside training."""
        return False

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Return what the layer does with the batch, axis 0 of its inputs.

        If every layer of a network keeps the batch or does without it, the emitted model takes any batch size. The
        default is for layers all of whose inputs and outputs have the batch on axis 0.

        Args:
            batched: for each input, whether its axis 0 is the batch; at least one is.
            inputs: shapes of the inputs.
            outputs: shapes of the outputs.
        """
        return Batch.kept_if(all(batched) and same_batch(*inputs, *outputs))

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Return whether in Caffe the tops share the memory of the first bottom.

        Writing one of them in place then changes all of them.

        Args:
            bottoms: the number of bottoms.
            tops: the number of tops.
        """
        del bottoms, tops
        return False

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Return the layouts in which the layer reads its inputs and writes its outputs.

        The default is Caffe's own axis order for all of them, which is always correct but may need transpositions.

        Args:
            inputs: the values that reach the layer, in their present layouts.
            outputs: the values that it writes. Their shapes are final, their layouts are not.
        """
        return Arrangement(
            inputs=tuple(Layout.plain(v.rank) for v in inputs),
            outputs=tuple(Layout.plain(v.rank) for v in outputs),
        )

    @abstractmethod
    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """Return the layer as calls of Keras layers.

        Args:
            ctx: the surroundings of the layer.
            inputs: the same as ``ctx.inputs``.

        Returns:
            One expression whose call returns all tops, or a tuple with one expression for each top.
        """

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Convert Caffe's trained blobs to Keras weights.

        Args:
            blobs: the trained blobs, in Caffe's shapes and order.
            ctx: the surroundings of the layer; its layouts decide how weights are permuted.

        Returns:
            The weights by name, in the order of the Keras layer's ``weights``. They should be views of the blobs.
        """
        del blobs, ctx
        return {}

    def with_activation(self, name: str) -> Self | None:
        """Return the layer with a Keras activation applied to its output.

        Args:
            name: Keras' name of the activation, for example ``relu``.

        Returns:
            The layer; None if the Keras layer has no ``activation`` argument, or it is in use already.
        """
        del name
        return None

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """Return the multiply-add operations of one forward pass; 0 for layers that only move or scale values."""
        del inputs, outputs
        return 0


class Elementwise(Layer):
    """A layer of one bottom that computes each output value from the input value at the same position."""

    __slots__ = ()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom."""
        return (inputs[0],)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout of the bottom."""
        return Arrangement(inputs=tuple(v.layout for v in inputs), outputs=tuple(inputs[0].layout for _ in outputs))


class ReadsImages(ABC):
    """A layer that computes with mean images, which the definition names and the loader reads."""

    __slots__ = ()

    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """Return the paths of the mean images as written in the definition; empty if there are none."""

    @abstractmethod
    def with_files(self, images: Sequence[Array]) -> Layer:
        """Return the layer with the images of `files`, each (C, H, W) or (1, C, H, W)."""


class FeedsInputs(ABC):
    """A source whose definition states what Caffe feeds into its tops."""

    __slots__ = ()

    @abstractmethod
    def feed(self, top: str) -> Feed | None:
        """Return what Caffe feeds into the blob ``top``, or None if it is not a top of this layer."""


class ReadsBlobs(ABC):
    """A layer that depends on the values of its trained blobs.

    Forks of Caffe store different things there, and some values rule a conversion out.
    """

    __slots__ = ()

    @abstractmethod
    def with_values(self, blobs: Sequence[Array]) -> Layer:
        """Return the variant of the layer that the values of its trained blobs, in Caffe's shapes, reveal.

        Raises:
            LayerError: with these values the layer cannot be converted.
        """


def same_batch(*shapes: Shape) -> bool:
    """Return whether all shapes have the same extent along axis 0, and it is known."""
    firsts = {s[0] if s else None for s in shapes}
    return len(firsts) == 1 and None not in firsts
