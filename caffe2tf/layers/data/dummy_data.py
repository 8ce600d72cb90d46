"""DummyData: inputs that fillers can fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from caffe2tf.errors import LayerError
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.weight import Array
from caffe2tf.layers.data.source import Source, check_extents
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import DummyDataParameter

__all__ = ["DummyData"]

T = TypeVar("T")


@register("DummyData")
@dataclass(frozen=True, slots=True, kw_only=True)
class DummyData(Source):
    """Values from fillers; its tops are inputs of the converted network.

    | parameter (dummy_data_param) | default | meaning |
    |---|---|---|
    | data_filler | constant 0 | one filler for all tops, or one for each |
    | shape | required | one shape for all tops, or one for each |
    | num, channels, height, width | | old form of shape, for four axes: each once, or once for each top |

    Tops: any number, of the stated shapes. If the network runs without an array for a top, its filler makes one:
    Caffe's values if the filler is constant.

    Deviation: random values follow Caffe's distribution, but they are the same in each run; Caffe draws anew in each
    forward pass.

    Source: ``src/caffe/layers/dummy_data_layer.cpp``.
    """

    fillers: tuple[Filler, ...]
    seed: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read a shape and a filler for each top, by Caffe's rules for their number."""
        p, tops = proto.message.dummy_data_param, len(proto.tops)
        if len(p.data_filler) not in (0, 1, tops):
            raise LayerError(
                f"dummy_data_param.data_filler must be absent, or given once, or once for each of the {tops} tops; "
                f"{len(p.data_filler)} are given"
            )
        fillers = [Filler.read(f) for f in p.data_filler] or [Filler()]
        for filler in fillers:
            filler.check()  # no weight file can replace these values
        shapes: tuple[Shape, ...] = _shapes(p, tops)
        return cls(
            shapes=shapes,
            names=proto.tops,
            fillers=tuple(fillers * tops if len(fillers) == 1 else fillers),
            seed=proto.name,
        )

    def default(self, top: int, shape: tuple[int, ...]) -> Array:
        """Return the values of the filler of a top."""
        return self.fillers[top].fill(shape, seed=f"{self.seed}/{top}")


def _shapes(p: DummyDataParameter, tops: int) -> tuple[tuple[int, ...], ...]:
    old = {"num": p.num, "channels": p.channels, "height": p.height, "width": p.width}
    if any(old.values()):
        if p.shape:
            raise LayerError("dummy_data_param gives both `shape` and num, channels, height or width; keep one of them")
        shapes = list(zip(*(_each(name, list(extents), tops) for name, extents in old.items()), strict=True))
    else:
        shapes = _each("shape", [tuple(s.dim) for s in p.shape], tops)
    check_extents("a DummyData's top", shapes)
    return tuple(shapes)


def _each(name: str, given: Sequence[T], tops: int) -> list[T]:
    if len(given) not in (1, tops):
        raise LayerError(
            f"dummy_data_param.{name} must be given once, or once for each of the {tops} tops; {len(given)} are given"
        )
    return list(given) * tops if len(given) == 1 else list(given)
