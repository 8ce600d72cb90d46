"""Pooling: one value for each window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Construct, Expr, keras, runtime, unless
from caffe2tf.ir.graph import Value
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.layers.base import Arrangement, Context, Layer, known
from caffe2tf.layers.registry import register
from caffe2tf.layers.window import brief, fits_same

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import PoolingParameter

__all__ = ["Pooling"]

Pair = tuple[int, int]


@register("Pooling")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling(Layer):
    """The largest value, or an average, of each window of each channel.

    - MAX: the largest value; padding does not take part. A second top holds where it stands, as ``row * width +
      column`` of its channel, the first where several are largest.
    - AVE: the sum, divided by the window's size. The size counts padding, but no place beyond the padding.
    - STOCHASTIC: ``sum(x * x) / sum(x)``, 0 where ``sum(x)`` is not positive. Caffe draws at random in training;
      this does not.

    Output extents are ``ceil((n + 2 pad - kernel) / stride) + 1``; with padding, a last window that would begin beyond
    the input and its first padding is left out. A window without any place, which strides larger than the kernel can
    give, is the lowest float32 (MAX; -1 in the mask), or what a division by its size of 0 or less gives (AVE).

    | parameter | default | meaning |
    |---|---|---|
    | pool | MAX | MAX, AVE, or STOCHASTIC |
    | kernel_size, or kernel_h and kernel_w | required | window; not with global_pooling |
    | stride, or stride_h and stride_w | 1 | |
    | pad, or pad_h and pad_w | 0 | on both sides; smaller than the kernel; not for STOCHASTIC |
    | global_pooling | false | the window is the whole input |
    | round_mode | CEIL | FLOOR: rounds output extents down |
    """

    tops: ClassVar[tuple[int, int | None]] = (1, 2)

    method: str
    kernel: Pair | None  # None: the whole input
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)
    round_up: bool = True
    masked: bool = False

    def __post_init__(self) -> None:
        """Caffe's rules on the parameters as they are used."""
        if self.kernel is not None and min(self.kernel) < 1:
            raise LayerError(f"the pooling kernel must be 1 or more along both axes, not {brief(self.kernel)}")
        if min(self.stride) < 1:
            raise LayerError(f"the pooling stride must be 1 or more along both axes, not {brief(self.stride)}")
        if self.kernel is None and (any(self.pad) or self.stride != (1, 1)):
            raise LayerError(
                f"global_pooling takes no pad and no stride: pad {brief(self.pad)} and stride {brief(self.stride)} "
                "are given; leave them out"
            )
        if not any(self.pad) or self.kernel is None:
            return
        if self.method == "STOCHASTIC":
            raise LayerError(f"STOCHASTIC pooling takes no pad, {brief(self.pad)} is given; leave it out")
        if any(p >= k for p, k in zip(self.pad, self.kernel, strict=True)):
            raise LayerError(
                f"the pooling pad must be smaller than the kernel along both axes: "
                f"pad {brief(self.pad)} and kernel {brief(self.kernel)} are given"
            )

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.pooling_param
        method = type(p).PoolMethod.Name(p.pool)
        if len(proto.tops) > 1 and method != "MAX":
            raise LayerError(f"only MAX pooling has a second top (its mask), not {method}; remove {proto.tops[1]!r}")
        return cls(
            method=method,
            kernel=_kernel(p),
            stride=_pair(p, "stride"),
            pad=_pair(p, "pad"),
            round_up=p.round_mode == type(p).CEIL,
            masked=len(proto.tops) > 1,
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """One value for each window."""
        return (self.pooled(inputs[0]),) * (2 if self.masked else 1)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        return Arrangement(inputs=(Layout.channels_last(4),), outputs=(Layout.channels_last(4),) * len(outputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A pooling layer of Keras where it puts every window where Caffe does, else one of our own."""
        return self.expression(inputs[0], inputs[0].shape)

    def pooled(self, shape: Shape) -> Shape:
        """The output's shape for an input of ``shape``; raises LayerError where no window fits."""
        if len(shape) != 4:
            raise LayerError(f"pooling takes an input of 4 axes (N, C, H, W), not {len(shape)}")
        if self.kernel is None:
            return (*shape[:2], 1, 1)
        out = tuple(self._windows(i, n) for i, n in enumerate(shape[2:]))
        if any(n is not None and n < 1 for n in out):
            raise LayerError(
                f"the pooling window ({format_shape(self.kernel)}) is larger than the input "
                f"({format_shape(shape[2:])}) with its padding ({format_shape(self.pad)})"
            )
        return (*shape[:2], *out)

    def expression(self, x: Expr, shape: Shape, *, role: str = "") -> Expr:
        """The pooling of ``x`` (channels last) of Caffe's ``shape``; ``role`` tells it from others of one layer."""
        spatial, out = shape[2:], self.pooled(shape)[2:]
        name = {"MAX": "Max", "AVE": "Average"}.get(self.method)
        if name is None or self.masked:
            return self._own("MaxPoolingWithMask" if self.masked else "StochasticPooling", spatial, role)(x)
        if self.kernel is None:
            return keras(f"Global{name}Pooling2D", keepdims=True, role=role)(x)
        padded = any(self.pad)
        fits, same = self._fits(spatial, out), self._fits_same(spatial, out)
        if fits and not padded:
            return self._keras(name, OMIT, role)(x)
        if same and (self.method == "MAX" or not padded):
            return self._keras(name, "same", role)(x)
        if fits and self.method == "AVE":
            zeros = keras("ZeroPadding2D", brief(self.pad), role=f"{role}-pad".strip("-"))
            return self._keras(name, OMIT, role)(zeros(x))
        return self._own(f"{name}Pooling", spatial, role)(x)

    def _keras(self, name: str, padding: str | tuple[str, str], role: str) -> Construct:
        kernel = brief(self.kernel or ())
        strides = unless(brief(self.stride), kernel)
        return keras(f"{name}Pooling2D", kernel, strides=strides, padding=padding, role=role)

    def _own(self, name: str, spatial: Shape, role: str) -> Construct:
        kernel = self.kernel or known(spatial, "the extents of what is pooled globally")
        return runtime(
            name,
            brief(kernel),
            stride=unless(brief(self.stride), 1),
            pad=unless(brief(self.pad), 0),
            round_mode=unless("CEIL" if self.round_up else "FLOOR", "CEIL"),
            role=role,
        )

    def _windows(self, i: int, extent: int | None) -> int | None:
        """How many windows stand along spatial axis ``i``."""
        if extent is None or self.kernel is None:
            return extent
        free = extent + 2 * self.pad[i] - self.kernel[i]
        out = (-(-free // self.stride[i]) if self.round_up else free // self.stride[i]) + 1
        if any(self.pad) and (out - 1) * self.stride[i] >= extent + self.pad[i]:
            out -= 1
        return out

    def _fits(self, spatial: Shape, out: Shape) -> bool:
        """Whether all windows lie within the padded input: "valid" padding then places them as Caffe does."""
        if self.kernel is None:
            return True
        return all(
            (not self.round_up or s == 1) if n is None else o == (n + 2 * p - k) // s + 1
            for n, o, k, s, p in zip(spatial, out, self.kernel, self.stride, self.pad, strict=True)
        )

    def _fits_same(self, spatial: Shape, out: Shape) -> bool:
        """Whether "same" padding places all windows as Caffe does; windows of 2 that meet rounded up always do."""
        if self.kernel is None:
            return False
        return all(
            fits_same(n, o, k=k, s=s, p=p) or (n is None and self.round_up and (k, s, p) == (2, 2, 0))
            for n, o, k, s, p in zip(spatial, out, self.kernel, self.stride, self.pad, strict=True)
        )


def _kernel(p: PoolingParameter) -> Pair | None:
    both = p.HasField("kernel_h") and p.HasField("kernel_w")
    if p.global_pooling:
        if p.HasField("kernel_size") or p.HasField("kernel_h") or p.HasField("kernel_w"):
            raise LayerError("global_pooling takes no kernel: remove kernel_size, kernel_h and kernel_w")
        return None
    if p.HasField("kernel_size") == both:
        raise LayerError(
            f"a pooling kernel is kernel_size, or kernel_h and kernel_w: {'both' if both else 'neither'} given"
        )
    return (p.kernel_h, p.kernel_w) if both else (p.kernel_size, p.kernel_size)


def _pair(p: PoolingParameter, stem: str) -> Pair:
    """``stem``, or ``stem``_h and ``stem``_w."""
    names = [f for f in (stem, f"{stem}_h", f"{stem}_w") if p.HasField(f)]
    if names[-1:] in ([], [stem]):
        value = getattr(p, stem)
        return (value, value)
    if len(names) != 2 or stem in names:
        raise LayerError(
            f"give pooling's {stem}, or both {stem}_h and {stem}_w, and not {' and '.join(names)}"
            + (" alone" if len(names) == 1 else "")
        )
    return (getattr(p, f"{stem}_h"), getattr(p, f"{stem}_w"))
