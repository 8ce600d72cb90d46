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
from caffe2tf.layers.checks import check_count
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register
from caffe2tf.layers.vision.pooling import Pooling

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["SPP"]


@register("SPP")
@dataclass(frozen=True, slots=True, kw_only=True)
class SPP(Layer):
    """Spatial pyramid pooling: the input pooled by grids of 1, 2 x 2, 4 x 4, ... windows, flattened and concatenated.

    Along an axis of n values, a level of b windows has kernel and stride ``k = ceil(n / b)`` and pad
    ``ceil((k * b - n) / 2)``. Pooling describes how windows are pooled. The values of each level are in Caffe's order
    (channels, height, width).

    | parameter (``spp_param``) | default | meaning |
    |---|---|---|
    | pyramid_height | required | number of levels |
    | pool | MAX | MAX or AVE |

    Bottoms: one, (N, C, H, W). Tops: one, (N, values of all levels), or (N, C, 1, 1) for a single level, which Caffe
    does not flatten. Trained blobs: none.

    Deviations: STOCHASTIC is not supported, because Caffe draws values at random here in every phase.

    Source: ``src/caffe/layers/spp_layer.cpp``.
    """

    levels: int
    method: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``spp_param``."""
        p = proto.message.spp_param
        check_count("spp_param.pyramid_height", p.pyramid_height, given=p.HasField("pyramid_height"))
        method = type(p).PoolMethod.Name(p.pool)
        if method == "STOCHASTIC":
            raise LayerUnsupportedError(
                "STOCHASTIC pooling in an SPP layer is not supported: Caffe draws values at random in every phase; "
                "use MAX or AVE"
            )
        return cls(levels=p.pyramid_height, method=method)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the top: the values of all levels, or the one level."""
        shape = self._known(inputs[0])
        pooled = [known(p.pooled(shape), "the extents of SPP's input") for p in self._pools(shape)]
        if len(pooled) == 1:
            return ((inputs[0][0], *pooled[0][1:]),)
        return ((inputs[0][0], sum(c * h * w for _, c, h, w in pooled)),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC, and flatten each level in this order."""
        layout = Layout.channels_last(4)
        if self.levels == 1:
            return Arrangement(inputs=(layout,), outputs=(layout,))
        shape = self._known(inputs[0].shape)
        dims = [known(p.pooled(shape)[1:], "the extents of SPP's input") for p in self._pools(shape)]
        return Arrangement(inputs=(layout,), outputs=(Layout.flat([Block.of(d, (1, 2, 0)) for d in dims]),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a pooling layer for each level, then Flatten and Concatenate."""
        shape = self._known(inputs[0].shape)
        pools = list(self._pools(shape))
        if len(pools) == 1:
            return pools[0].expression(inputs[0], shape)
        grids = [p.expression(inputs[0], shape, role=f"level{i}") for i, p in enumerate(pools)]
        return keras("Concatenate")(*(keras("Flatten", role=f"flat{i}")(g) for i, g in enumerate(grids)))

    def _pools(self, shape: tuple[int, ...]) -> Iterator[Pooling]:
        """Yield the pooling of each level."""
        for level in range(self.levels):
            bins = 2**level
            (kernel_h, pad_h), (kernel_w, pad_w) = (_window(n, bins) for n in shape[2:])
            kernel = (kernel_h, kernel_w)
            try:
                yield Pooling(method=self.method, kernel=kernel, stride=kernel, pad=(pad_h, pad_w))
            except LayerError as e:
                raise LayerError(
                    f"the input is too small for level {level} of the pyramid ({bins} x {bins} windows): {e}; "
                    f"use a pyramid_height of {level} or less"
                ) from None

    @staticmethod
    def _known(shape: Shape) -> tuple[int, ...]:
        """Return the shape, with 1 for a batch size that is known only at run time."""
        if len(shape) != 4:
            raise LayerError(f"SPP takes an input of 4 axes (N, C, H, W), not {len(shape)}")
        return (shape[0] or 1, *known(shape[1:], "the extents of SPP's input"))


def _window(extent: int, bins: int) -> tuple[int, int]:
    """Return kernel and pad along one axis."""
    kernel = -(-extent // bins)
    return kernel, (kernel * bins - extent + 1) // 2
