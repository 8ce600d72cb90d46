"""Layers that only take blobs: Silence, HDF5Output, and the ends that Netscope draws."""

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
    """A layer that has bottoms alone."""

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)
    tops: ClassVar[tuple[int, int | None]] = (0, 0)
    role: ClassVar[Role] = Role.SINK

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """No tops."""
        del inputs
        return ()

    def emit(self, ctx: Context, *inputs: Value) -> tuple[Expr, ...]:
        """Nothing."""
        del ctx, inputs
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Sink):
    """A sink whose bottoms stay outputs of the network."""

    role: ClassVar[Role] = Role.END


@register("Silence")
@dataclass(frozen=True, slots=True, kw_only=True)
class Silence(Sink):
    """Takes blobs that nothing else reads, so that Caffe does not take them for outputs of the network."""


@register("BlackHole")
@dataclass(frozen=True, slots=True, kw_only=True)
class BlackHole(Sink):
    """What C3D calls Silence."""


@register("MatWrite", "FLOWriter", "FloatWriter", "ImgWriter", "PFMWriter")
@dataclass(frozen=True, slots=True, kw_only=True)
class Writer(End):
    """Writes blobs to files, in DeepLab's and FlowNet's forks: its bottoms are outputs of the network instead.

    Nothing is written by a converted network: save what the model returns.
    """


@register("implicit")
@dataclass(frozen=True, slots=True, kw_only=True)
class Implicit(End):
    """The end that Netscope's definitions put behind an output. It computes nothing: its bottoms stay outputs."""


@register("HDF5Output")
@dataclass(frozen=True, slots=True, kw_only=True)
class HDF5Output(Sink):
    """Writes its two bottoms, data and label, to an HDF5 file.

    | parameter | default | meaning |
    |---|---|---|
    | file_name | required | the file |

    Nothing is written by a converted network: save what the model returns instead.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The file must have a name."""
        if not proto.message.hdf5_output_param.file_name:
            raise LayerError("hdf5_output_param.file_name must be given")
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """No tops; both bottoms hold equally many items."""
        for shape in inputs:
            if len(shape) > 4:
                raise LayerError(f"a bottom may have 4 axes at most, not {len(shape)} ({format_shape(shape)})")
        first, second = ((s or (1,))[0] for s in inputs)
        if first is not None and second is not None and first != second:
            raise LayerError(f"both bottoms must hold the same number of items along axis 0, not {first} and {second}")
        return ()
