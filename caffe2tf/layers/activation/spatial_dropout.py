"""SpatialDropout: ENet's layer of Python, which leaves out whole channels in training, and scales in every phase."""

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
    """``y = x / (1 - p)``; in training a channel is 0 with probability p.

    Unlike Dropout, the layer scales in the TEST phase as well: ENet's script that merges it into the convolution before
    it multiplies the weights by ``1 / (1 - p)``.

    | parameter | default | meaning |
    |---|---|---|
    | param_str: p | required | probability that a channel is left out; above 0 and below 1 |
    | param_str: phase | required | TRAIN leaves channels out in every pass of Caffe, whatever the network's phase |

    Deviation: channels are left out when the model is trained, and only then, whatever `phase` says.
    """

    rate: float
    always: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """What param_str says."""
        settings = read_param_str(proto.message.python_param.param_str)
        missing = [name for name in ("phase", "p") if name not in settings]
        if missing:
            raise LayerError(f"python_param.param_str must give both phase and p; {' and '.join(missing)} missing")
        try:
            rate = float(str(settings["p"]))
        except ValueError:
            raise LayerError(f"p in python_param.param_str must be a number, not {settings['p']!r}") from None
        if not 0 < rate < 1:
            raise LayerError(f"p in python_param.param_str must be above 0 and below 1, not {rate}")
        return cls(rate=rate, always=settings["phase"] == "TRAIN")

    def remarks(self) -> tuple[str, ...]:
        """What becomes of phase TRAIN."""
        if not self.always:
            return ()
        said = (
            "its param_str asks for phase TRAIN, in which Caffe leaves out channels at random in every pass; the model "
            "does so in training alone, and computes what Caffe does with phase TEST"
        )
        return (said,)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own: Keras' SpatialDropout scales in training alone."""
        del ctx
        x = inputs[0]
        axis = x.layout.tensor_axis(1) if x.rank > 1 else 0
        return runtime("ScaledSpatialDropout", self.rate, axis=unless(axis, x.rank - 1))(x)
