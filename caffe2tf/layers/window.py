"""The arithmetic of sliding windows: kernel, stride, padding and dilation along each spatial axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.shape import Shape, format_shape

if TYPE_CHECKING:
    from caffe2tf.proto.caffe_pb2 import ConvolutionParameter

__all__ = ["Stated", "StatedWindow", "Window", "brief", "fits_same", "per_axis"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A sliding window; each field holds one number for each spatial axis, in Caffe's order (height, width)."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def extent(self) -> tuple[int, ...]:
        """The window's extent along each axis with its dilation: ``dilation * (kernel - 1) + 1``."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def convolved(self, spatial: Shape) -> Shape:
        """Output extents of a convolution; raises LayerError where the window does not fit into the input.

        Caffe divides in C++, which rounds towards 0: an input that lacks less than a stride still holds one window,
        whose end lies on zeros.
        """
        out = tuple(
            None if n is None else _quotient(n + 2 * p - e, s) + 1
            for n, p, e, s in zip(spatial, self.pad, self.extent, self.stride, strict=True)
        )
        if any(n is not None and n < 1 for n in out):
            raise LayerError(
                f"the window ({format_shape(self.extent)}) is larger than the input ({format_shape(spatial)}) "
                f"with its padding ({format_shape(self.pad)})"
            )
        return out

    def deconvolved(self, spatial: Shape) -> Shape:
        """Output extents of a deconvolution."""
        return tuple(
            None if n is None else s * (n - 1) + e - 2 * p
            for n, p, e, s in zip(spatial, self.pad, self.extent, self.stride, strict=True)
        )

    def is_same(self, spatial: Shape, out: Shape) -> bool:
        """Whether TensorFlow's "same" padding puts every window where Caffe puts it (see `fits_same`)."""
        return all(
            fits_same(n, o, k=e, s=s, p=p)
            for n, o, e, s, p in zip(spatial, out, self.extent, self.stride, self.pad, strict=True)
        )


def fits_same(n: int | None, out: int | None, *, k: int, s: int, p: int) -> bool:
    """Whether "same" padding along one axis is Caffe's: as many windows, and the first at the same place.

    TensorFlow pads ``max((out - 1) * s + k - n, 0)`` in all and puts the smaller half before; Caffe puts ``p`` before.
    What lies after the last window does not matter. For an extent known only at run time it holds at stride 1 alone.
    """
    if n is None or out is None:
        return s == 1 and k % 2 == 1 and 2 * p == k - 1
    return out == -(-n // s) and max((out - 1) * s + k - n, 0) // 2 == p


def per_axis(name: str, values: Sequence[int], spatial: int, default: int | None) -> tuple[int, ...]:
    """A repeated field as one number for each axis: given once, or once for each axis, or not at all (``default``)."""
    if len(values) == spatial and values:
        return tuple(values)
    if len(values) == 1:
        return (values[0],) * spatial
    if not values and default is not None:
        return (default,) * spatial
    raise LayerError(
        f"{name} must be given once, or once for each spatial axis: it is given {len(values)} times, "
        f"and the input has {spatial} spatial axes"
    )


def brief(values: Sequence[int]) -> int | tuple[int, ...]:
    """One number where all are the same: how Keras takes square windows."""
    return values[0] if len(set(values)) == 1 else tuple(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """One number of a window as the definition states it: a repeated field, or one field for each of two axes.

    Attributes:
        name: the repeated field.
        values: its values.
        pair: (height, width) where either has a field of its own; None where neither has.
    """

    name: str
    values: tuple[int, ...] = ()
    pair: tuple[int, int] | None = None

    @classmethod
    def read(cls, p: ConvolutionParameter, name: str, stem: str) -> Self:
        """The field ``name``, and ``stem`` with _h and _w."""
        names = (f"{stem}_h", f"{stem}_w")
        given = any(p.HasField(n) for n in names)
        height, width = (getattr(p, n) for n in names)
        return cls(name=name, values=tuple(getattr(p, name)), pair=(height, width) if given else None)

    def along(self, spatial: int, default: int | None) -> tuple[int, ...]:
        """One number for each of ``spatial`` axes; raises LayerError where the fields do not say so many."""
        if self.pair is None:
            return () if not (spatial or self.values) else per_axis(self.name, self.values, spatial, default)
        stem = self.name.removesuffix("_size")
        if spatial != 2:
            raise LayerError(f"{stem}_h and {stem}_w are for 2 spatial axes, the input has {spatial}; use {self.name}")
        if self.values:
            raise LayerError(f"give either {self.name} or {stem}_h and {stem}_w, not both")
        return self.pair


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedWindow:
    """The window of a ``convolution_param``, whose numbers wait for the rank of the input."""

    kernel: Stated
    stride: Stated
    pad: Stated
    dilation: Stated

    @classmethod
    def read(cls, p: ConvolutionParameter) -> Self:
        """The fields as they stand."""
        return cls(
            kernel=Stated.read(p, "kernel_size", "kernel"),
            stride=Stated.read(p, "stride", "stride"),
            pad=Stated.read(p, "pad", "pad"),
            dilation=Stated(name="dilation", values=tuple(p.dilation)),
        )

    def over(self, spatial: int) -> Window:
        """The window over so many axes; raises LayerError where Caffe's rules for its fields are broken."""
        kernel, stride = self.kernel.along(spatial, None), self.stride.along(spatial, 1)
        for name, values in (("kernel_size", kernel), ("stride", stride)):
            if any(v < 1 for v in values):
                raise LayerError(f"{name} must be 1 or more along every axis, not {brief(values)}")
        # the gap in a window of one value says nothing
        gaps = zip(kernel, self.dilation.along(spatial, 1), strict=True)
        dilation = tuple(1 if k == 1 else d for k, d in gaps)
        return Window(kernel=kernel, stride=stride, pad=self.pad.along(spatial, 0), dilation=dilation)


def _quotient(a: int, b: int) -> int:
    """``a / b`` as C++ has it, rounded towards 0; b is positive."""
    return a // b if a >= 0 else -(-a // b)
