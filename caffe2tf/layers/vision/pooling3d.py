"""Pooling3D: pooling over time, height and width (C3D)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.shape import Shape
from caffe2tf.layers.checks import check_count
from caffe2tf.layers.registry import register
from caffe2tf.layers.vision.pooling import Pooling

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Pooling3D"]

_FIELDS = frozenset(("pool", "kernel_size", "kernel_depth", "stride", "temporal_stride", "pad", "engine"))


@register("Pooling3D")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling3D(Pooling):
    """The maximum or the average of each window over time, height and width of each channel.

    - MAX: the maximum.
    - AVE: the sum divided by the size of the window. Padding counts for the size, positions beyond the padding do not.

    Output extents are ``ceil((n + 2 * pad - kernel) / stride) + 1`` along every axis. Unlike in Pooling, a last window
    that begins beyond the input and its padding is kept. Its MAX is the lowest float32, its AVE a division by a size of
    0 or less.

    | parameter (``pooling3d_param`` in C3D 1.1, ``pooling_param`` in C3D 1.0) | default | meaning |
    |---|---|---|
    | pool | MAX | MAX or AVE |
    | kernel_size | required | window along height and width |
    | kernel_depth | required | window along time |
    | stride | 1 | distance between adjacent windows along height and width |
    | temporal_stride | 1 | distance between adjacent windows along time |
    | pad | 0 | zeros before and after height and width; for AVE only |
    | engine | | no effect |

    Bottoms: one, (N, C, L, H, W), where L is time. Tops: one, (N, C, L', H', W'). Trained blobs: none.

    Source: ``facebookarchive/C3D``, ``C3D-v1.1/src/caffe/layers/pool3d_layer.cpp``.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    spatial: ClassVar[int] = 3
    clips: ClassVar[bool] = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``pooling3d_param`` if it is given, else ``pooling_param``."""
        own = proto.message.HasField("pooling3d_param")
        p = proto.message.pooling3d_param if own else proto.message.pooling_param
        block = "pooling3d_param" if own else "pooling_param"
        foreign = [f.name for f, _ in p.ListFields() if f.name not in _FIELDS]
        if foreign:
            raise LayerError(f"{block} of a Pooling3D has no {', '.join(foreign)}; it has {', '.join(sorted(_FIELDS))}")
        method = type(p).PoolMethod.Name(p.pool)
        if method not in ("MAX", "AVE"):
            raise LayerUnsupportedError(f"Pooling3D supports MAX and AVE, not {method}")
        for name in ("kernel_size", "kernel_depth", "stride", "temporal_stride"):
            check_count(f"{block}.{name}", getattr(p, name), given=p.HasField(name))
        if p.pad and method != "AVE":
            raise LayerError(f"Pooling3D takes a pad for AVE only, but {p.pad} is given for {method}; remove it")
        pad = (0, p.pad, p.pad)
        return cls(
            method=method,
            kernel=(p.kernel_depth, p.kernel_size, p.kernel_size),
            stride=(p.temporal_stride, p.stride, p.stride),
            pad=pad,
            after=pad,
        )

    def _check_rank(self, shape: Shape) -> None:
        if len(shape) != 5:
            raise LayerError(f"Pooling3D takes an input of 5 axes (N, C, L, H, W), not {len(shape)}")
