"""Pooling over time, height and width, of the forks for video (C3D)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.shape import Shape
from caffe2tf.layers.registry import register
from caffe2tf.layers.vision.pooling import Pooling

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Pooling3D"]

_FIELDS = frozenset(("pool", "kernel_size", "kernel_depth", "stride", "temporal_stride", "pad", "engine"))


@register("Pooling3D")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling3D(Pooling):
    """The largest value, or an average, of each window of each channel of an input (N, C, L, H, W), L being time.

    - MAX: the largest value.
    - AVE: the sum, divided by the window's size. The size counts padding, but no place beyond the padding.

    Output extents are ``ceil((n + 2 pad - kernel) / stride) + 1`` along every axis. Other than in Pooling, a last
    window that begins beyond the input and its padding stays, and is what a division by its size of 0 or less gives.

    | parameter | default | meaning |
    |---|---|---|
    | pool | MAX | MAX or AVE |
    | kernel_size | required | window along height and width |
    | kernel_depth | required | window along time |
    | stride | 1 | along height and width |
    | temporal_stride | 1 | along time |
    | pad | 0 | on both sides of height and width; for AVE alone |

    They stand in ``pooling3d_param`` (C3D 1.1) or in ``pooling_param`` (C3D 1.0, type POOLING3D).
    """

    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    spatial: ClassVar[int] = 3
    clips: ClassVar[bool] = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters, from whichever block has them."""
        own = proto.message.HasField("pooling3d_param")
        p = proto.message.pooling3d_param if own else proto.message.pooling_param
        block = "pooling3d_param" if own else "pooling_param"
        foreign = [f.name for f, _ in p.ListFields() if f.name not in _FIELDS]
        if foreign:
            raise LayerError(f"{block} of a Pooling3D has no {', '.join(foreign)}; it has {', '.join(sorted(_FIELDS))}")
        method = type(p).PoolMethod.Name(p.pool)
        if method not in ("MAX", "AVE"):
            raise LayerUnsupportedError(f"Pooling3D computes MAX and AVE alone, not {method}")
        for name in ("kernel_size", "kernel_depth", "stride", "temporal_stride"):
            if getattr(p, name) < 1:
                raise LayerError(f"{block}.{name} must be 1 or more, not {getattr(p, name)}")
        if p.pad and method != "AVE":
            raise LayerError(f"Pooling3D takes a pad for AVE alone, {p.pad} is given for {method}; leave it out")
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
