"""Sinks: layers that consume blobs and have no tops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr
from caffe2tf.ir.layer import Context, Layer, Role
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["BlackHole", "End", "HDF5Output", "Implicit", "Silence", "Sink", "Writer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink(Layer):
    """A layer without tops. It is left out of the converted network."""

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)
    tops: ClassVar[tuple[int, int | None]] = (0, 0)
    role: ClassVar[Role] = Role.SINK

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return no shapes: there are no tops."""
        del inputs
        return ()

    def emit(self, ctx: Context, *inputs: Value) -> tuple[Expr, ...]:
        """Emit nothing."""
        del ctx, inputs
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Sink):
    """A sink whose bottoms stay outputs of the network."""

    role: ClassVar[Role] = Role.END


@register("Silence")
@dataclass(frozen=True, slots=True, kw_only=True)
class Silence(Sink):
    """Consumes blobs that no other layer reads, so that they are not outputs of the network.

    Bottoms: one or more, of any shape.

    Source: ``src/caffe/layers/silence_layer.cpp``.
    """


@register("BlackHole")
@dataclass(frozen=True, slots=True, kw_only=True)
class BlackHole(Sink):
    """Silence under its name in C3D."""


@register("MatWrite", "FLOWriter", "FloatWriter", "ImgWriter", "PFMWriter")
@dataclass(frozen=True, slots=True, kw_only=True)
class Writer(End):
    """Writes blobs to files, in DeepLab's and FlowNet's forks.

    Deviation: a converted network writes no file. The bottoms are outputs of the network: save what it returns.
    """


@register("implicit")
@dataclass(frozen=True, slots=True, kw_only=True)
class Implicit(End):
    """Marks an output in definitions for Netscope. It computes nothing, and its bottoms stay outputs."""


@register("HDF5Output")
@dataclass(frozen=True, slots=True, kw_only=True)
class HDF5Output(Sink):
    """Writes its two bottoms, data and label, to an HDF5 file.

    | parameter (hdf5_output_param) | default | meaning |
    |---|---|---|
    | file_name | required | the file |

    Bottoms: two, of at most 4 axes and the same extent along axis 0.

    Deviation: a converted network writes no file, and blobs read only by this layer are dropped from its outputs.

    Source: ``src/caffe/layers/hdf5_output_layer.cpp``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Check that the file has a name."""
        if not proto.message.hdf5_output_param.file_name:
            raise LayerError("hdf5_output_param.file_name is required")
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return no shapes; check that both bottoms hold the same number of items."""
        for shape in inputs:
            if len(shape) > 4:
                raise LayerError(f"a bottom may have 4 axes at most, not {len(shape)} ({format_shape(shape)})")
        first, second = ((s or (1,))[0] for s in inputs)
        if first is not None and second is not None and first != second:
            raise LayerError(f"both bottoms must hold the same number of items along axis 0, not {first} and {second}")
        return ()
