"""Window arithmetic: kernel, stride, padding and dilation along each spatial axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.shape import Shape, format_shape

if TYPE_CHECKING:
    from caffe2tf.proto.caffe_pb2 import ConvolutionParameter, PoolingParameter

__all__ = [
    "Stated",
    "StatedWindow",
    "Window",
    "brief",
    "fits_same",
    "per_axis",
    "read_sides",
    "same_pads",
    "shown_pads",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A sliding window. Each field holds one number per spatial axis, in Caffe's order (height, width).

    Attributes:
        kernel: extent of the window, ignoring dilation.
        stride: distance between adjacent windows.
        pad: padding before the input, and after it unless `after` is set.
        dilation: distance between adjacent values of a window.
        after: padding after the input, if it differs from `pad`.
        same: whether the padding is TensorFlow's "same", which depends on the extents of the input (see `placed`).
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]
    after: tuple[int, ...] | None = None
    same: bool = False

    @property
    def extent(self) -> tuple[int, ...]:
        """The extent of the window with dilation: ``dilation * (kernel - 1) + 1``."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def pads(self) -> tuple[tuple[int, int], ...]:
        """Padding (before, after) of each axis."""
        return tuple(zip(self.pad, self.after or self.pad, strict=True))

    def padded(self, pads: Sequence[tuple[int, int]]) -> Self:
        """Return the window with other padding, (before, after) for each axis."""
        before, after = tuple(b for b, _ in pads), tuple(a for _, a in pads)
        return replace(self, pad=before, after=None if before == after else after, same=False)

    def placed(self, spatial: Shape) -> Self:
        """Return the window with "same" padding worked out for an input of these extents, if they are known."""
        extents = tuple(n for n in spatial if n is not None)
        if not self.same or len(extents) != len(spatial):
            return self
        pads = []
        for n, k, e, s in zip(extents, self.kernel, self.extent, self.stride, strict=True):
            before, _ = same_pads(n, k, s)
            pads.append((before, max((_places(n, s) - 1) * s + e - n - before, 0)))
        return self.padded(pads)

    def convolved(self, spatial: Shape) -> Shape:
        """Return the output extents of a convolution.

        Caffe divides in C++, which rounds towards 0. An input that is too small by less than a stride therefore still
        holds one window, which extends past its end into zeros.

        Raises:
            LayerError: the window does not fit into the input.
        """
        if self.same:
            return tuple(None if n is None else _places(n, s) for n, s in zip(spatial, self.stride, strict=True))
        out = tuple(
            None if n is None else _quotient(n + b + a - e, s) + 1
            for n, (b, a), e, s in zip(spatial, self.pads, self.extent, self.stride, strict=True)
        )
        if any(n is not None and n < 1 for n in out):
            raise LayerError(
                f"the window ({format_shape(self.extent)}) is larger than the input ({format_shape(spatial)}) "
                f"with its padding ({shown_pads(self.pads)})"
            )
        return out

    def deconvolved(self, spatial: Shape) -> Shape:
        """Return the output extents of a deconvolution."""
        return tuple(
            None if n is None else s * (n - 1) + e - b - a
            for n, (b, a), e, s in zip(spatial, self.pads, self.extent, self.stride, strict=True)
        )

    def is_same(self, spatial: Shape, out: Shape) -> bool:
        """Return whether TensorFlow's "same" padding places all windows as Caffe does (see `fits_same`)."""
        return all(
            fits_same(n, o, k=e, s=s, p=b, after=a)
            for n, o, e, s, (b, a) in zip(spatial, out, self.extent, self.stride, self.pads, strict=True)
        )


def fits_same(n: int | None, out: int | None, *, k: int, s: int, p: int, after: int | None = None) -> bool:
    """Return whether "same" padding along one axis places all windows as Caffe does.

    TensorFlow pads ``max((out - 1) * s + k - n, 0)`` in total, the smaller half before the input. Caffe pads `p` before
    it. Padding after the last window does not matter. If the extent is known only at run time, the two agree for stride
    1 only, and then the padding after the input matters, too.

    Args:
        n: extent of the input; None if unknown.
        out: extent of Caffe's output; None if unknown.
        k: extent of the window with dilation.
        s: stride.
        p: Caffe's padding before the input.
        after: Caffe's padding after the input; None for the same as before it.
    """
    if n is None or out is None:
        return s == 1 and p + (p if after is None else after) == k - 1 and p == (k - 1) // 2
    return out == _places(n, s) and same_pads(n, k, s)[0] == p


def same_pads(n: int, k: int, s: int) -> tuple[int, int]:
    """Return the "same" padding (before, after) of `n` values for a window of extent `k` and a stride of `s`."""
    total = max((_places(n, s) - 1) * s + k - n, 0)
    return total // 2, total - total // 2


def shown_pads(pads: Sequence[tuple[int, int]]) -> str:
    """Format padding for messages: ``1x2``, or ``0+1x1+1`` if it differs before and after."""
    even = all(before == after for before, after in pads)
    return "x".join(str(b) if even else f"{b}+{a}" for b, a in pads)


def per_axis(name: str, values: Sequence[int], spatial: int, default: int | None) -> tuple[int, ...]:
    """Expand a repeated field to one number per spatial axis.

    Args:
        name: the field, for the message.
        values: its values: one for all axes, one for each axis, or none.
        spatial: the number of spatial axes.
        default: the number for each axis if the field is not given; None if it is required.

    Raises:
        LayerError: the field is given another number of times.
    """
    if len(values) == spatial and values:
        return tuple(values)
    if len(values) == 1:
        return (values[0],) * spatial
    if not values and default is not None:
        return (default,) * spatial
    if not values:
        raise LayerError(f"{name} is required: once, or once for each of the {spatial} spatial axes")
    raise LayerError(
        f"{name} must be given once, or once for each spatial axis: it is given {len(values)} times, "
        f"and the input has {spatial} spatial axes"
    )


def brief(values: Sequence[int]) -> int | tuple[int, ...]:
    """Return one number if all are equal, as Keras writes square windows; else a tuple."""
    return values[0] if len(set(values)) == 1 else tuple(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """One property of a window as the definition states it: a repeated field, or separate fields for two axes.

    Attributes:
        name: the repeated field, for example ``kernel_size``.
        values: its values.
        pair: (height, width) if a separate field is given for either; else None.
    """

    name: str
    values: tuple[int, ...] = ()
    pair: tuple[int, int] | None = None

    @classmethod
    def read(cls, p: ConvolutionParameter, name: str, stem: str) -> Self:
        """Read the repeated field `name`, and the fields `stem` + ``_h`` and `stem` + ``_w``."""
        names = (f"{stem}_h", f"{stem}_w")
        given = any(p.HasField(n) for n in names)
        height, width = (getattr(p, n) for n in names)
        return cls(name=name, values=tuple(getattr(p, name)), pair=(height, width) if given else None)

    def along(self, spatial: int, default: int | None) -> tuple[int, ...]:
        """Return one number for each of `spatial` axes.

        Raises:
            LayerError: the fields do not give that many, or contradict each other.
        """
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
    """The window of a ``convolution_param`` before the number of spatial axes is known.

    Attributes:
        kernel: ``kernel_size``.
        stride: ``stride``.
        pad: ``pad``.
        dilation: ``dilation``, or ``hole``.
        sides: separate padding of each side: (top, bottom), (left, right); a field of Synopsys' fork.
        same: whether the padding is TensorFlow's "same".
    """

    kernel: Stated
    stride: Stated
    pad: Stated
    dilation: Stated
    sides: tuple[tuple[int, int], tuple[int, int]] | None = None
    same: bool = False

    @classmethod
    def read(cls, p: ConvolutionParameter, *, sided: bool = False) -> Self:
        """Read the fields.

        Args:
            p: the message.
            sided: whether the layer supports the padding fields of forks (``pad_l`` and the like, ``pad_type``).

        Raises:
            LayerError: the fields contradict each other, or are not supported.
        """
        sides, same = read_sides(p), p.pad_type == 1
        if (sides or same) and not sided:
            raise LayerUnsupportedError("pad_type, pad_l, pad_r, pad_t and pad_b are not supported for this layer")
        if (sides or same) and p.force_nd_im2col:
            raise LayerUnsupportedError(
                "with force_nd_im2col the fork that has pad_type, pad_l, pad_r, pad_t and pad_b puts all padding "
                "after the input, which is not supported; remove force_nd_im2col"
            )
        return cls(
            kernel=Stated.read(p, "kernel_size", "kernel"),
            stride=Stated.read(p, "stride", "stride"),
            pad=Stated(name="pad") if same else Stated.read(p, "pad", "pad"),
            dilation=_dilation(p),
            sides=sides,
            same=same,
        )

    def over(self, spatial: int) -> Window:
        """Return the window over `spatial` axes.

        Raises:
            LayerError: the fields break one of Caffe's rules.
        """
        kernel, stride = self.kernel.along(spatial, None), self.stride.along(spatial, 1)
        for name, values in (("kernel_size", kernel), ("stride", stride)):
            if any(v < 1 for v in values):
                raise LayerError(f"{name} must be 1 or more along every axis, not {brief(values)}")
        # the dilation of a window of one value has no effect
        gaps = zip(kernel, self.dilation.along(spatial, 1), strict=True)
        dilation = tuple(1 if k == 1 else d for k, d in gaps)
        if (self.sides or self.same) and spatial != 2:
            name = "pad_l, pad_r, pad_t and pad_b are" if self.sides else "pad_type is"
            raise LayerError(f"{name} for 2 spatial axes, the input has {spatial}")
        window = Window(kernel=kernel, stride=stride, pad=self.pad.along(spatial, 0), dilation=dilation, same=self.same)
        return window.padded(self.sides) if self.sides else window


def read_sides(p: ConvolutionParameter | PoolingParameter) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Read the padding fields of Synopsys' fork: ``pad_t``, ``pad_b``, ``pad_l``, ``pad_r``, checked with ``pad_type``.

    A field with the value 0 counts as absent. With ``pad_type: 1``, ``pad``, ``pad_h`` and ``pad_w`` are ignored, as in
    the versions of that fork that accept both.

    Returns:
        (top, bottom), (left, right); None if all of them are 0.

    Raises:
        LayerError: the fields contradict each other, or have values that are not supported.
    """
    sides = ((p.pad_t, p.pad_b), (p.pad_l, p.pad_r))
    other = [f.name for f, v in p.ListFields() if f.name == "pad" or (f.name in ("pad_h", "pad_w") and v)]
    if p.pad_type > 1:
        raise LayerError(f'pad_type must be 0 (pad) or 1 (TensorFlow\'s "same"), not {p.pad_type}')
    if not any(map(any, sides)):
        return None
    if other or p.pad_type:
        raise LayerError(f"give either {' and '.join(other) or 'pad_type'} or pad_l, pad_r, pad_t and pad_b, not both")
    if min(min(pair) for pair in sides) < 0:
        raise LayerUnsupportedError(f"negative padding is not supported: {shown_pads(sides)}; use a Crop layer")
    return sides


def _dilation(p: ConvolutionParameter) -> Stated:
    """Read ``dilation``, or ``hole``, DeepLab's name for it."""
    names = [n for n in ("hole", "hole_h", "hole_w") if p.HasField(n)]
    if not names:
        return Stated(name="dilation", values=tuple(p.dilation))
    if p.dilation or names not in (["hole"], ["hole_h", "hole_w"]):
        also = ["dilation", *names] if p.dilation else names
        raise LayerError(
            f"give one of hole, both hole_h and hole_w, or dilation, and not {' and '.join(also)}"
            + (" alone" if len(also) == 1 else "")
        )
    if names == ["hole"]:
        return Stated(name="hole", values=(p.hole,))
    return Stated(name="hole", pair=(p.hole_h, p.hole_w))


def _places(n: int, s: int) -> int:
    """Return the number of windows over `n` values with "same" padding: ``ceil(n / s)``."""
    return -(-n // s)


def _quotient(a: int, b: int) -> int:
    """Return ``a / b`` rounded towards 0, as C++ divides; `b` is positive."""
    return a // b if a >= 0 else -(-a // b)
