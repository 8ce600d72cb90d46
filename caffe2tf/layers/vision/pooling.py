"""Pooling: the maximum or an average of each window."""

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
    """The maximum or an average of each window of each channel.

    - MAX: the maximum of the values inside the input. The second top is the mask: the position of the maximum in its
      channel, ``row * width + column``; the first position if several values are the maximum.
    - AVE: the sum divided by the size of the window. Padding counts for the size, positions beyond the padding do not.
    - AVE_EXC_PAD and AVE_TF, in Synopsys' fork, and AVE with ``avg_include_pad: false``, in Intel's fork: the sum
      divided by the number of values inside the input.
    - STOCHASTIC: ``sum(x * x) / sum(x)``, or 0 if ``sum(x)`` is not positive.

    Output extents are ``ceil((n + 2 * pad - kernel) / stride) + 1``. If there is any padding, a last window that would
    begin beyond the input and the padding before it is dropped. With a stride greater than the kernel, a window can be
    outside the input. Its MAX is the lowest float32 (-1 in the mask), its AVE a division by a size of 0 or less.

    With `pad_type: 1` there are ``ceil(n / stride)`` windows, padded as TensorFlow pads "same" windows: the smaller
    half before the input.

    | parameter (``pooling_param``) | default | meaning |
    |---|---|---|
    | pool | MAX | MAX, AVE, AVE_EXC_PAD, AVE_TF or STOCHASTIC |
    | kernel_size, or kernel_h and kernel_w | required | window; not with global_pooling |
    | stride, or stride_h and stride_w | 1 | distance between adjacent windows |
    | pad, or pad_h and pad_w | 0 | padding before and after the input; less than the kernel; not for STOCHASTIC |
    | global_pooling | false | the window is the whole input |
    | round_mode | CEIL | FLOOR: round output extents down |
    | ceil_mode | true | false: round output extents down; a field of many forks; round_mode takes precedence |
    | torch_pooling | false | true: round output extents down; a field of Facebook's and NVIDIA's forks |
    | pad_t, pad_b, pad_l, pad_r | 0 | padding of each side, in place of pad, of any size; fields of Synopsys' fork |
    | pad_type | 0 | 1: TensorFlow's "same" padding in place of pad; a field of Synopsys' fork |
    | avg_include_pad | true | false: AVE ignores the padding; a field of Intel's fork |

    Bottoms: one, (N, C, H, W). Tops: one, (N, C, H', W'), or two for MAX, values and mask. Trained blobs: none.

    Deviations: in training, Caffe's STOCHASTIC draws one value of each window at random. Here it computes the same as
    in the TEST phase.

    Source: ``src/caffe/layers/pooling_layer.cpp``.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, 2)
    spatial: ClassVar[int] = 2
    clips: ClassVar[bool] = True

    method: str
    kernel: Ints | None  # None: the whole input
    stride: Ints = (1, 1)
    pad: Ints = (0, 0)
    after: Ints | None = None  # padding after the input, if a fork's fields give it; None: the same as `pad`
    same: bool = False  # TensorFlow's "same" padding, which depends on the extents of the input
    round_up: bool = True
    count_pad: bool = True
    masked: bool = False

    def __post_init__(self) -> None:
        """Check Caffe's rules for the parameters."""
        if self.kernel is not None and min(self.kernel) < 1:
            raise LayerError(f"the pooling kernel must be 1 or more along both axes, not {brief(self.kernel)}")
        if min(self.stride) < 1:
            raise LayerError(f"the pooling stride must be 1 or more along both axes, not {brief(self.stride)}")
        own = self.after is None  # a fork's padding has fewer rules
        if self.kernel is None and ((own and any(self.pad)) or max(self.stride) > 1):
            raise LayerError(
                f"global_pooling takes no pad and no stride, but pad {brief(self.pad)} and stride {brief(self.stride)} "
                "are given; remove them"
            )
        if self.method == "STOCHASTIC" and (self.same or self.is_padded):
            raise LayerError(f"STOCHASTIC pooling takes no pad, but {shown_pads(self.pads)} is given; remove it")
        if self.kernel is None or not own or not any(self.pad):
            return
        if any(p >= k for p, k in zip(self.pad, self.kernel, strict=True)):
            raise LayerError(
                "the pooling pad must be smaller than the kernel along both axes, not "
                f"pad {brief(self.pad)} and kernel {brief(self.kernel)}"
            )

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``pooling_param``; a second top asks for the mask."""
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
        """Padding (before, after) of each axis."""
        return tuple(zip(self.pad, self.after or self.pad, strict=True))

    @property
    def is_padded(self) -> bool:
        """Whether there is padding on any side."""
        return any(map(any, self.pads))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the top, and the same for the mask."""
        return (self.pooled(inputs[0]),) * (2 if self.masked else 1)

    def differs_in_training(self) -> bool:
        """Return whether Caffe draws values at random in phase TRAIN."""
        return self.method == "STOCHASTIC"

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use channels last."""
        layout = Layout.channels_last(2 + self.spatial)
        return Arrangement(inputs=(layout,), outputs=(layout,) * len(outputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a Keras pooling layer if it places all windows as Caffe does, else a runtime layer."""
        return self.expression(inputs[0], inputs[0].shape)

    def pooled(self, shape: Shape) -> Shape:
        """Return the shape of the output for an input of `shape`.

        Raises:
            LayerError: no window fits into the input, or the input has a wrong number of axes.
        """
        self._check_rank(shape)
        return (*shape[:2], *self._placed(shape).windows(shape[2:]))

    def expression(self, x: Expr, shape: Shape, *, role: str = "") -> Expr:
        """Return the calls that pool `x`.

        Args:
            x: the input, channels last.
            shape: its shape in Caffe's axes.
            role: distinguishes the Keras layers of one Caffe layer.
        """
        return self._placed(shape).call(x, shape[2:], role)

    def windows(self, spatial: Shape) -> Shape:
        """Return the number of windows along each spatial axis.

        Raises:
            LayerError: no window fits along an axis.
        """
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
        """Return the calls that pool `x`, as `expression` does, once the padding is known."""
        out = self.windows(spatial)
        name = {"MAX": "Max", "AVE": "Average"}.get(self.method)
        if name is None or self.masked:
            return self._runtime("MaxPoolingWithMask" if self.masked else "StochasticPooling", spatial, role)(x)
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
        return self._runtime(f"{name}Pooling{inside}", spatial, role)(x)

    def _keras(self, name: str, padding: str | tuple[str, str], role: str) -> Construct:
        kernel = brief(self.kernel or ())
        strides = unless(brief(self.stride), kernel)
        return keras(f"{name}Pooling{self.spatial}D", kernel, strides=strides, padding=padding, role=role)

    def _runtime(self, name: str, spatial: Shape, role: str) -> Construct:
        if self.same:
            raise LayerError("with pad_type 1, height and width of the input must be known before the network runs")
        kernel = self.kernel or known(spatial, "the extents of the input of a global pooling")
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
        """Return the pooling with the window and padding for an input of `shape`, as far as its extents are known."""
        kernel = self.kernel
        if kernel is None:
            if not (self.same or self.is_padded):
                return self
            # with padding, a window as large as the input still moves
            kernel = known(shape[2:], "the extents of the input of a global pooling")
        extents = tuple(n for n in shape[2:] if n is not None)
        if not self.same or len(extents) != self.spatial:
            return replace(self, kernel=kernel)
        pads = [same_pads(n, k, s) for n, k, s in zip(extents, kernel, self.stride, strict=True)]
        before, after = tuple(b for b, _ in pads), tuple(a for _, a in pads)
        return replace(self, kernel=kernel, pad=before, after=after, same=False, round_up=False)

    def _along(self, i: int, extent: int | None) -> int | None:
        """Return the number of windows along spatial axis `i`."""
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
                f"two or more pooling windows would begin beyond the input ({extent}) and the padding before it; "
                f"reduce the padding ({shown_pads(self.pads)})"
            )
        return out

    def _fits(self, spatial: Shape, out: Shape) -> bool:
        """Return whether all windows are inside the padded input, so that "valid" padding places them as Caffe does."""
        if self.kernel is None or self.same:
            return self.kernel is None
        return all(
            (not self.round_up or s == 1) if n is None else o == (n + b + a - k) // s + 1
            for n, o, k, s, (b, a) in zip(spatial, out, self.kernel, self.stride, self.pads, strict=True)
        )

    def _fits_same(self, spatial: Shape, out: Shape) -> bool:
        """Return whether "same" padding places all windows as Caffe does.

        For kernel 2 and stride 2 without padding it does for any extent, if output extents are rounded up.
        """
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
            raise LayerError("global_pooling takes no kernel; remove kernel_size, kernel_h and kernel_w")
        return None
    if p.HasField("kernel_size") == both:
        raise LayerError(
            "give the pooling kernel as kernel_size, or as kernel_h and kernel_w; "
            + ("both are given" if both else "neither is given")
        )
    return (p.kernel_h, p.kernel_w) if both else (p.kernel_size, p.kernel_size)


def _pair(p: PoolingParameter, stem: str) -> Ints:
    """Read `stem`, or `stem` with _h and with _w."""
    names = [f for f in (stem, f"{stem}_h", f"{stem}_w") if p.HasField(f)]
    if names[-1:] in ([], [stem]):
        value = getattr(p, stem)
        return (value, value)
    if len(names) != 2 or stem in names:
        raise LayerError(
            f"give the pooling {stem} as {stem}, or as both {stem}_h and {stem}_w, not {' and '.join(names)}"
            + (" alone" if len(names) == 1 else "")
        )
    return (getattr(p, f"{stem}_h"), getattr(p, f"{stem}_w"))
