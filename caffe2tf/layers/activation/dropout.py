"""Dropout and Intel's SpatialDropout: the identity in the TEST phase, random zeros in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras, runtime, short
from caffe2tf.ir.layer import Arrangement, Context, Elementwise
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Dropout", "SpatialDropout"]


@register("Dropout")
@dataclass(frozen=True, slots=True, kw_only=True)
class Dropout(Elementwise):
    """``y = x`` in the TEST phase; in training each value becomes 0 with probability `dropout_ratio`.

    In training the other values are divided by ``1 - dropout_ratio``. With ``scale_train: false`` they are not, and all
    values are multiplied by ``1 - dropout_ratio`` in the TEST phase instead.

    | parameter (``dropout_param``) | default | meaning |
    |---|---|---|
    | dropout_ratio | 0.5 | probability of a zero, 0 to 1 |
    | scale_train | true | scale in training, not in the TEST phase; a field of forks |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/dropout_layer.cpp``.
    """

    ratio: float
    scale_train: bool = True

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``dropout_param``."""
        ratio = proto.message.dropout_param.dropout_ratio
        if not 0 <= ratio <= 1:
            raise LayerError(
                f"dropout_param.dropout_ratio must be 0 to 1, not {short(ratio)}: "
                "it is the probability that a value becomes 0"
            )
        return cls(ratio=ratio, scale_train=proto.message.dropout_param.scale_train)

    def differs_in_training(self) -> bool:
        """Return whether Caffe zeroes values in phase TRAIN."""
        return self.ratio > 0

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' Dropout, which scales in training, or a runtime layer that scales in the TEST phase."""
        del ctx
        if self.scale_train:
            return keras("Dropout", short(self.ratio))(inputs[0])
        return runtime("UnscaledDropout", short(self.ratio))(inputs[0])


@register("SpatialDropout")
@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialDropout(Dropout):
    """``y = x`` in the TEST phase; in training each channel (axis 1) becomes 0 with probability `dropout_ratio`.

    In training the other channels are divided by ``1 - dropout_ratio``. ENet's Python layer of this name differs.

    | parameter (``dropout_param``) | default | meaning |
    |---|---|---|
    | dropout_ratio | 0.5 | probability that a channel becomes 0, 0 to 1 |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: Intel's fork, ``intel/caffe``.
    """

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use channels last if there are spatial axes."""
        x = inputs[0]
        layout = Layout.channels_last(x.rank) if x.rank > 2 else x.layout
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' SpatialDropout for 1 to 3 spatial axes, else Dropout."""
        del ctx
        axes = inputs[0].rank - 2
        name = f"SpatialDropout{axes}D" if 1 <= axes <= 3 else "Dropout"
        return keras(name, short(self.ratio))(inputs[0])
