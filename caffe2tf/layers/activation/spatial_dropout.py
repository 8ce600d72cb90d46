"""SpatialDropout: ENet's Python layer, which zeroes channels in training and scales in every phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime, unless
from caffe2tf.ir.layer import Context, Elementwise
from caffe2tf.ir.value import Value
from caffe2tf.layers.param_str import read_param_str
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["SpatialDropout"]


@register("Python:spatial_dropout.SpatialDropoutLayer")
@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialDropout(Elementwise):
    """``y = x / (1 - p)``; in training each channel (axis 1) becomes 0 with probability p.

    Unlike Dropout, the layer scales in the TEST phase, too. ENet's script that merges it into the preceding convolution
    therefore multiplies the weights by ``1 / (1 - p)``.

    | parameter (``python_param.param_str``) | default | meaning |
    |---|---|---|
    | p | required | probability that a channel becomes 0; between 0 and 1 |
    | phase | required | with TRAIN, Caffe zeroes channels in every pass, whatever the phase of the network |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Deviations: channels become 0 only while the model is trained, whatever `phase` says.

    Source: ENet's ``spatial_dropout.py`` (``TimoSaemann/ENet``).
    """

    rate: float
    always: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``param_str``."""
        settings = read_param_str(proto.message.python_param.param_str)
        missing = [name for name in ("phase", "p") if name not in settings]
        if missing:
            raise LayerError(
                "phase and p are required in python_param.param_str; " + " and ".join(missing) + " missing"
            )
        try:
            rate = float(str(settings["p"]))
        except ValueError:
            raise LayerError(f"p in python_param.param_str must be a number, not {settings['p']!r}") from None
        if not 0 < rate < 1:
            raise LayerError(f"p in python_param.param_str must be greater than 0 and less than 1, not {rate}")
        return cls(rate=rate, always=settings["phase"] == "TRAIN")

    def remarks(self) -> tuple[str, ...]:
        """Note that phase TRAIN is not followed."""
        if not self.always:
            return ()
        said = (
            "its param_str asks for phase TRAIN, in which Caffe zeroes channels in every pass; the model does so only "
            "in training, and otherwise computes what Caffe computes with phase TEST"
        )
        return (said,)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer, because Keras' SpatialDropout does not scale in inference."""
        del ctx
        x = inputs[0]
        axis = x.layout.tensor_axis(1) if x.rank > 1 else 0
        return runtime("ScaledSpatialDropout", self.rate, axis=unless(axis, x.rank - 1))(x)
