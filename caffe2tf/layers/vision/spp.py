"""SPP: spatial pyramid pooling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Expr, keras
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Block, Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register
from caffe2tf.layers.vision.pooling import Pooling

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["SPP"]


@register("SPP")
@dataclass(frozen=True, slots=True, kw_only=True)
class SPP(Layer):
    """The input pooled over grids of 1, 2 by 2, 4 by 4... windows, all values of all grids in one row.

    Along an axis of n values, a level of b windows has kernel and stride ``ceil(n / b)``, and half of what the windows
    overhang, rounded up, as pad. The values of each level are in Caffe's order (channels, height, width). Where there
    is one level only, Caffe does not flatten it: the output is (N, C, 1, 1).

    | parameter | default | meaning |
    |---|---|---|
    | pyramid_height | required | count of levels |
    | pool | MAX | MAX or AVE |

    STOCHASTIC is not converted: Caffe draws its values at random here, outside training too.
    """

    levels: int
    method: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.spp_param
        if p.pyramid_height < 1:
            raise LayerError(f"spp_param.pyramid_height must be 1 or more, not {p.pyramid_height}")
        method = type(p).PoolMethod.Name(p.pool)
        if method == "STOCHASTIC":
            raise LayerUnsupportedError(
                "STOCHASTIC pooling in an SPP layer cannot be converted: Caffe draws its values at random, "
                "outside training too; use MAX or AVE"
            )
        return cls(levels=p.pyramid_height, method=method)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """All values of all levels."""
        shape = self._known(inputs[0])
        pooled = [known(p.pooled(shape), "what an SPP layer pools") for p in self._pools(shape)]
        if len(pooled) == 1:
            return ((inputs[0][0], *pooled[0][1:]),)
        return ((inputs[0][0], sum(c * h * w for _, c, h, w in pooled)),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last, and each level flattened in that order."""
        layout = Layout.channels_last(4)
        if self.levels == 1:
            return Arrangement(inputs=(layout,), outputs=(layout,))
        shape = self._known(inputs[0].shape)
        dims = [known(p.pooled(shape)[1:], "what an SPP layer pools") for p in self._pools(shape)]
        return Arrangement(inputs=(layout,), outputs=(Layout.flat([Block.of(d, (1, 2, 0)) for d in dims]),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """One pooling layer for each level, flattened and concatenated."""
        shape = self._known(inputs[0].shape)
        pools = list(self._pools(shape))
        if len(pools) == 1:
            return pools[0].expression(inputs[0], shape)
        grids = [p.expression(inputs[0], shape, role=f"level{i}") for i, p in enumerate(pools)]
        return keras("Concatenate")(*(keras("Flatten", role=f"flat{i}")(g) for i, g in enumerate(grids)))

    def _pools(self, shape: tuple[int, ...]) -> Iterator[Pooling]:
        """The pooling of each level."""
        for level in range(self.levels):
            bins = 2**level
            (kernel_h, pad_h), (kernel_w, pad_w) = (_window(n, bins) for n in shape[2:])
            kernel = (kernel_h, kernel_w)
            try:
                yield Pooling(method=self.method, kernel=kernel, stride=kernel, pad=(pad_h, pad_w))
            except LayerError as e:
                raise LayerError(
                    f"the input is too small for level {level} of the pyramid ({bins} by {bins} windows): {e}; "
                    f"use a pyramid_height of {level} or less"
                ) from None

    @staticmethod
    def _known(shape: Shape) -> tuple[int, ...]:
        """The shape, with 1 for a batch that is known only at run time."""
        if len(shape) != 4:
            raise LayerError(f"SPP takes an input of 4 axes (N, C, H, W), not {len(shape)}")
        return (shape[0] or 1, *known(shape[1:], "the extents of what an SPP layer pools"))


def _window(extent: int, bins: int) -> tuple[int, int]:
    """Kernel and pad along one axis."""
    kernel = -(-extent // bins)
    return kernel, (kernel * bins - extent + 1) // 2
