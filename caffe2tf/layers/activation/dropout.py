"""Dropout: nothing in the TEST phase; in training, values left out at random."""

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
    """``y = x`` in the TEST phase; in training each value is 0 with probability `dropout_ratio`.

    The values that stay are divided by ``1 - dropout_ratio`` in training. With ``scale_train: false`` they are not,
    and in the TEST phase all values are multiplied by ``1 - dropout_ratio`` instead.

    | parameter | default | meaning |
    |---|---|---|
    | dropout_ratio | 0.5 | probability that a value is left out; 0 to 1 |
    | scale_train | true | of forks of Caffe: whether training scales, and not testing |
    """

    ratio: float
    scale_train: bool = True

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Ratio, and where scaling takes place."""
        ratio = proto.message.dropout_param.dropout_ratio
        if not 0 <= ratio <= 1:
            raise LayerError(
                f"dropout_param.dropout_ratio must be 0 to 1, not {short(ratio)}: "
                f"it is the share of the values that is left out"
            )
        return cls(ratio=ratio, scale_train=proto.message.dropout_param.scale_train)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' Dropout, which scales in training."""
        del ctx
        if self.scale_train:
            return keras("Dropout", short(self.ratio))(inputs[0])
        return runtime("UnscaledDropout", short(self.ratio))(inputs[0])


@register("SpatialDropout")
@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialDropout(Dropout):
    """``y = x`` in the TEST phase; in training each channel (axis 1) is 0 with probability `dropout_ratio`.

    The channels that stay are divided by ``1 - dropout_ratio`` in training. Of Intel's fork; ENet's layer of this name
    is Python, and differs.

    | parameter | default | meaning |
    |---|---|---|
    | dropout_ratio | 0.5 | probability that a channel is left out; 0 to 1; in ``dropout_param`` |
    """

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last, where there is more than channels."""
        x = inputs[0]
        layout = Layout.channels_last(x.rank) if x.rank > 2 else x.layout
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' layer for as many axes."""
        del ctx
        axes = inputs[0].rank - 2
        name = f"SpatialDropout{axes}D" if 1 <= axes <= 3 else "Dropout"
        return keras(name, short(self.ratio))(inputs[0])
