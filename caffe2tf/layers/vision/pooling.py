"""Pooling: one value for each window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Construct, Expr, keras, runtime, unless
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register
from caffe2tf.layers.vision.convolution_base import per_side
from caffe2tf.layers.window import brief, fits_same, read_sides, same_pads, shown_pads

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import PoolingParameter

__all__ = ["Pooling"]

Ints = tuple[int, ...]

_WITHOUT_PAD: Final = frozenset(("AVE_EXC_PAD", "AVE_TF"))


@register("Pooling")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling(Layer):
    """The largest value, or an average, of each window of each channel.

    - MAX: the largest value; padding does not take part. A second top holds where it stands, as ``row * width +
      column`` of its channel, the first where several are largest.
    - AVE: the sum, divided by the window's size. The size counts padding, but no place beyond the padding.
    - AVE_EXC_PAD, of Synopsys' fork, which also calls it AVE_TF: the sum, divided by the count of the window's places
      within the input; so is AVE with avg_include_pad: false, of Intel's fork.
    - STOCHASTIC: ``sum(x * x) / sum(x)``, 0 where ``sum(x)`` is not positive. Caffe draws at random in training;
      this does not.

    Output extents are ``ceil((n + 2 pad - kernel) / stride) + 1``; with padding, a last window that would begin beyond
    the input and its first padding is left out. A window without any place, which strides larger than the kernel can
    give, is the lowest float32 (MAX; -1 in the mask), or what a division by its size of 0 or less gives (AVE).

    | parameter | default | meaning |
    |---|---|---|
    | pool | MAX | MAX, AVE, AVE_EXC_PAD, AVE_TF, or STOCHASTIC |
    | kernel_size, or kernel_h and kernel_w | required | window; not with global_pooling |
    | stride, or stride_h and stride_w | 1 | |
    | pad, or pad_h and pad_w | 0 | on both sides; smaller than the kernel; not for STOCHASTIC |
    | global_pooling | false | the window is the whole input |
    | round_mode | CEIL | FLOOR: rounds output extents down |
    | ceil_mode | true | false: the same, in many forks; round_mode counts where both are given |
    | torch_pooling | false | true: the same, in Facebook's and NVIDIA's forks |
    | pad_l, pad_r, pad_t, pad_b | 0 | on each side, in place of pad, of any extent; of Synopsys' fork, as is the next |
    | pad_type | 0 | 1: in place of pad, what ``n / stride`` places need, rounded up; the smaller half before |
    | avg_include_pad | true | false: AVE is AVE_EXC_PAD; of Intel's fork |
    """

    tops: ClassVar[tuple[int, int | None]] = (1, 2)
    spatial: ClassVar[int] = 2
    clips: ClassVar[bool] = True

    method: str
    kernel: Ints | None  # None: the whole input
    stride: Ints = (1, 1)
    pad: Ints = (0, 0)
    after: Ints | None = None  # what is added after the input, where a fork's field may say otherwise than `pad`
    same: bool = False  # whether the padding waits for the input's extents
    round_up: bool = True
    count_pad: bool = True
    masked: bool = False

    def __post_init__(self) -> None:
        """Caffe's rules on the parameters as they are used."""
        if self.kernel is not None and min(self.kernel) < 1:
            raise LayerError(f"the pooling kernel must be 1 or more along both axes, not {brief(self.kernel)}")
        if min(self.stride) < 1:
            raise LayerError(f"the pooling stride must be 1 or more along both axes, not {brief(self.stride)}")
        own = self.after is None  # a fork's padding has fewer rules
        if self.kernel is None and ((own and any(self.pad)) or max(self.stride) > 1):
            raise LayerError(
                f"global_pooling takes no pad and no stride: pad {brief(self.pad)} and stride {brief(self.stride)} "
                "are given; leave them out"
            )
        if self.method == "STOCHASTIC" and (self.same or self.is_padded):
            raise LayerError(f"STOCHASTIC pooling takes no pad, {shown_pads(self.pads)} is given; leave it out")
        if self.kernel is None or not own or not any(self.pad):
            return
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
        sides, same = read_sides(p), p.pad_type == 1
        return cls(
            method="AVE" if method in _WITHOUT_PAD else method,
            kernel=_kernel(p),
            stride=_pair(p, "stride"),
            pad=tuple(before for before, _ in sides) if sides else (0, 0) if same else _pair(p, "pad"),
            after=tuple(after for _, after in sides) if sides else None,
            same=same,
            round_up=_rounds_up(p),
            count_pad=method not in _WITHOUT_PAD and p.avg_include_pad,
            masked=len(proto.tops) > 1,
        )

    @property
    def pads(self) -> tuple[tuple[int, int], ...]:
        """What is added before and after each axis."""
        return tuple(zip(self.pad, self.after or self.pad, strict=True))

    @property
    def is_padded(self) -> bool:
        """Whether anything is added anywhere."""
        return any(map(any, self.pads))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """One value for each window."""
        return (self.pooled(inputs[0]),) * (2 if self.masked else 1)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        layout = Layout.channels_last(2 + self.spatial)
        return Arrangement(inputs=(layout,), outputs=(layout,) * len(outputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A pooling layer of Keras where it puts every window where Caffe does, else one of our own."""
        return self.expression(inputs[0], inputs[0].shape)

    def pooled(self, shape: Shape) -> Shape:
        """The output's shape for an input of ``shape``; raises LayerError where no window fits."""
        self._check_rank(shape)
        return (*shape[:2], *self._placed(shape).windows(shape[2:]))

    def expression(self, x: Expr, shape: Shape, *, role: str = "") -> Expr:
        """The pooling of ``x`` (channels last) of Caffe's ``shape``; ``role`` tells it from others of one layer."""
        return self._placed(shape).call(x, shape[2:], role)

    def windows(self, spatial: Shape) -> Shape:
        """How many windows stand along each spatial axis; raises LayerError where none fits."""
        if self.kernel is None:
            return (1,) * self.spatial
        out = tuple(self._along(i, n) for i, n in enumerate(spatial))
        if any(n is not None and n < 1 for n in out):
            raise LayerError(
                f"the pooling window ({format_shape(self.kernel)}) is larger than the input "
                f"({format_shape(spatial)}) with its padding ({shown_pads(self.pads)})"
            )
        return out

    def call(self, x: Expr, spatial: Shape, role: str) -> Expr:
        """`expression` for a pooling whose padding is placed."""
        out = self.windows(spatial)
        name = {"MAX": "Max", "AVE": "Average"}.get(self.method)
        if name is None or self.masked:
            return self._own("MaxPoolingWithMask" if self.masked else "StochasticPooling", spatial, role)(x)
        if self.kernel is None:
            return keras(f"Global{name}Pooling{self.spatial}D", keepdims=True, role=role)(x)
        fits, same = self._fits(spatial, out), self._fits_same(spatial, out)
        counts = self.method == "AVE" and self.count_pad and (self.same or self.is_padded)
        if fits and not self.is_padded:
            return self._keras(name, OMIT, role)(x)
        if same and not counts:
            return self._keras(name, "same", role)(x)
        if fits and counts:
            zeros = per_side("ZeroPadding", self.pads, role=f"{role}-pad".strip("-"))
            return self._keras(name, OMIT, role)(zeros(x))
        inside = "WithoutPadding" if self.method == "AVE" and not self.count_pad else ""
        return self._own(f"{name}Pooling{inside}", spatial, role)(x)

    def _keras(self, name: str, padding: str | tuple[str, str], role: str) -> Construct:
        kernel = brief(self.kernel or ())
        strides = unless(brief(self.stride), kernel)
        return keras(f"{name}Pooling{self.spatial}D", kernel, strides=strides, padding=padding, role=role)

    def _own(self, name: str, spatial: Shape, role: str) -> Construct:
        if self.same:
            raise LayerError("with pad_type 1, the extents of what is pooled must be known before the network runs")
        kernel = self.kernel or known(spatial, "the extents of what is pooled globally")
        even = all(before == after for before, after in self.pads)
        return runtime(
            name,
            brief(kernel) if self.spatial == 2 else kernel,
            stride=unless(brief(self.stride), 1),
            pad=unless(brief(self.pad), 0) if even else self.pads,
            round_mode=unless("CEIL" if self.round_up else "FLOOR", "CEIL"),
            clip=OMIT if self.clips or not self.is_padded else False,
            role=role,
        )

    def _check_rank(self, shape: Shape) -> None:
        if len(shape) != 4:
            raise LayerError(f"pooling takes an input of 4 axes (N, C, H, W), not {len(shape)}")

    def _placed(self, shape: Shape) -> Self:
        """The pooling with the window and the padding that an input of ``shape`` gets, as far as it is known."""
        kernel = self.kernel
        if kernel is None:
            if not (self.same or self.is_padded):
                return self
            kernel = known(shape[2:], "the extents of what is pooled globally")  # a window that moves all the same
        extents = tuple(n for n in shape[2:] if n is not None)
        if not self.same or len(extents) != self.spatial:
            return replace(self, kernel=kernel)
        pads = [same_pads(n, k, s) for n, k, s in zip(extents, kernel, self.stride, strict=True)]
        before, after = tuple(b for b, _ in pads), tuple(a for _, a in pads)
        return replace(self, kernel=kernel, pad=before, after=after, same=False, round_up=False)

    def _along(self, i: int, extent: int | None) -> int | None:
        """How many windows stand along spatial axis ``i``."""
        if extent is None or self.kernel is None:
            return extent
        if self.same:
            return -(-extent // self.stride[i])
        before, after = self.pads[i]
        free = extent + before + after - self.kernel[i]
        out = (-(-free // self.stride[i]) if self.round_up else free // self.stride[i]) + 1
        if not (self.clips and self.is_padded):
            return out
        if (out - 1) * self.stride[i] >= extent + before:
            out -= 1
        if (out - 1) * self.stride[i] >= extent + before:
            raise LayerError(
                f"two pooling windows or more would begin beyond the input ({extent}) and the padding before it: give "
                f"less padding than {shown_pads(self.pads)}"
            )
        return out

    def _fits(self, spatial: Shape, out: Shape) -> bool:
        """Whether all windows lie within the padded input: "valid" padding then places them as Caffe does."""
        if self.kernel is None or self.same:
            return self.kernel is None
        return all(
            (not self.round_up or s == 1) if n is None else o == (n + b + a - k) // s + 1
            for n, o, k, s, (b, a) in zip(spatial, out, self.kernel, self.stride, self.pads, strict=True)
        )

    def _fits_same(self, spatial: Shape, out: Shape) -> bool:
        """Whether "same" padding places all windows as Caffe does; windows of 2 that meet rounded up always do."""
        if self.kernel is None or self.same:
            return self.same
        return all(
            fits_same(n, o, k=k, s=s, p=b, after=a) or (n is None and self.round_up and (k, s, b, a) == (2, 2, 0, 0))
            for n, o, k, s, (b, a) in zip(spatial, out, self.kernel, self.stride, self.pads, strict=True)
        )


def _rounds_up(p: PoolingParameter) -> bool:
    if p.HasField("round_mode"):
        return p.round_mode == type(p).CEIL
    return p.ceil_mode and not p.torch_pooling


def _kernel(p: PoolingParameter) -> Ints | None:
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


def _pair(p: PoolingParameter, stem: str) -> Ints:
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
