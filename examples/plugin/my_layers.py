"""A layer of a user's own: hard swish, ``y = x * min(max(x + offset, 0), 6) / 6``, under the type HSwish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.layers import Context, Elementwise, register, register_runtime

if TYPE_CHECKING:
    from caffe2tf.ir import Value
    from caffe2tf.parse import LayerDefinition

register_runtime(Path(__file__).with_name("my_keras.py"))


@register("HSwish")
@dataclass(frozen=True, slots=True, kw_only=True)
class HSwish(Elementwise):
    """``y = x * min(max(x + offset, 0), 6) / 6``.

    | parameter | default | meaning |
    |---|---|---|
    | hswish_param.offset | 3 | |
    """

    reads_unknown: ClassVar[tuple[str, ...]] = ("hswish_param",)

    offset: float = 3.0

    @classmethod
    def read(cls, proto: LayerDefinition) -> Self:
        """The parameter, which the schema of Caffe does not know."""
        block = next((f.value for f in proto.unknown if f.path == "hswish_param"), ())
        given = {name: text for name, text in block if isinstance(text, str)} if isinstance(block, tuple) else {}
        return cls(offset=float(given.get("offset", 3.0)))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Our own Keras layer."""
        return runtime("HardSwish", self.offset)(inputs[0])
