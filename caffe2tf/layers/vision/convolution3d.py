"""Convolution3D: convolution over time, height and width (C3D)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import BlobSpec
from caffe2tf.ir.shape import Shape
from caffe2tf.layers.checks import check_count
from caffe2tf.layers.registry import register
from caffe2tf.layers.vision.convolution import Convolution
from caffe2tf.layers.window import Stated, StatedWindow

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Convolution3D"]

_WINDOW = frozenset(("kernel_size", "kernel_depth", "stride", "temporal_stride", "pad", "temporal_pad"))
_FIELDS = _WINDOW | {"num_output", "bias_term", "weight_filler", "bias_filler", "group", "filter_group", "engine"}


@register("Convolution3D")
@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution3D(Convolution):
    """Weighted sum over windows that slide over time, height and width.

    The formula and the output extents are those of Convolution without groups.

    | parameter (``convolution3d_param`` in C3D 1.1, ``convolution_param`` in C3D 1.0) | default | meaning |
    |---|---|---|
    | num_output | required | output channels |
    | kernel_size | required | window along height and width |
    | kernel_depth | required | window along time |
    | stride | 1 | distance between adjacent windows along height and width |
    | temporal_stride | 1 | distance between adjacent windows along time |
    | pad | 0 | zeros before and after height and width |
    | temporal_pad | 0 | zeros before and after time |
    | bias_term | true | whether there is a bias |
    | weight_filler, bias_filler | constant 0 | initial values of blobs that the weight file lacks |
    | filter_group | 1 | number of parts in which C3D computes the output; must divide num_output; no effect on it |
    | group, engine | | no effect: every output channel depends on all input channels |

    Bottoms: one, (N, C, L, H, W), where L is time. Tops: one, (N, num_output, L', H', W').

    Trained blobs: weight (num_output, C, kernel_depth, kernel_size, kernel_size), bias (1, 1, 1, 1, num_output).

    Keras weights: kernel (kernel_depth, kernel_size, kernel_size, C, num_output), bias (num_output).

    Source: ``facebookarchive/C3D``, ``C3D-v1.1/src/caffe/layers/convolution3d_layer.cpp``.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``convolution3d_param`` if it is given, else ``convolution_param``."""
        own = proto.message.HasField("convolution3d_param")
        p = proto.message.convolution3d_param if own else proto.message.convolution_param
        block = "convolution3d_param" if own else "convolution_param"
        given = {f.name for f, _ in p.ListFields()}
        foreign = [f.name for f, _ in p.ListFields() if f.name not in _FIELDS]
        if foreign:
            raise LayerError(
                f"{block} of a Convolution3D has no {', '.join(foreign)}; it has {', '.join(sorted(_FIELDS))}"
            )
        size, stride = _once("kernel_size", p.kernel_size, 0), _once("stride", p.stride, 1)
        pad = _once("pad", p.pad, 0)
        least = {"num_output": p.num_output, "kernel_size": size, "kernel_depth": p.kernel_depth}
        least |= {"stride": stride, "temporal_stride": p.temporal_stride, "filter_group": p.filter_group}
        for name, value in least.items():
            check_count(f"{block}.{name}", value, given=name in given)
        if p.num_output % p.filter_group:
            raise LayerError(f"num_output ({p.num_output}) must be a multiple of filter_group ({p.filter_group})")
        return cls(
            num_output=p.num_output,
            group=1,
            bias=p.bias_term,
            axis=1,
            window=StatedWindow(
                kernel=Stated(name="kernel", values=(p.kernel_depth, size, size)),
                stride=Stated(name="stride", values=(p.temporal_stride, stride, stride)),
                pad=Stated(name="pad", values=(p.temporal_pad, pad, pad)),
                dilation=Stated(name="dilation"),
            ),
            weight_filler=Filler.read(p.weight_filler, given=p.HasField("weight_filler")),
            bias_filler=Filler.read(p.bias_filler, given=p.HasField("bias_filler")),
        )

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the weight, and the bias with its 5 axes."""
        weight = BlobSpec(name="weight", shape=self._weight_shape(self._geometry(inputs[0])), filler=self.weight_filler)
        bias = BlobSpec(name="bias", shape=(1, 1, 1, 1, self.num_output), filler=self.bias_filler)
        return (weight, bias) if self.bias else (weight,)

    def _axis(self, shape: Shape) -> int:
        if len(shape) != 5:
            raise LayerError(f"Convolution3D takes an input of 5 axes (N, C, L, H, W), not {len(shape)}")
        return 1


def _once(name: str, values: int | Sequence[int], default: int) -> int:
    """Return the number that a field gives; C3D has one where BVLC's schema has a repeated field."""
    if isinstance(values, int):
        return values
    if len(values) > 1:
        raise LayerError(f"{name} of a Convolution3D must be given once, not {len(values)} times")
    return values[0] if values else default
