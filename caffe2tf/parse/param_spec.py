"""How a trained blob is shared and trained: ``param { name: "w" lr_mult: 2 }``."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from caffe2tf.proto import caffe_pb2

__all__ = ["ParamSpec", "ShareMode"]


class ShareMode(enum.Enum):
    """Which blobs of one name may be shared."""

    STRICT = "STRICT"  # blobs of equal shapes
    PERMISSIVE = "PERMISSIVE"  # blobs with equal numbers of values


_MODES: Final = {
    caffe_pb2.ParamSpec.STRICT: ShareMode.STRICT,
    caffe_pb2.ParamSpec.PERMISSIVE: ShareMode.PERMISSIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamSpec:
    """How one trained blob of a layer is shared and trained.

    Attributes:
        name: Blobs of one name are shared; "" if the blob is not shared.
        share_mode: Which shapes this blob may have if it is shared.
        lr_mult: Factor of the solver's learning rate; 0 freezes the blob.
        decay_mult: Factor of the solver's weight decay.
    """

    name: str = ""
    share_mode: ShareMode = ShareMode.STRICT
    lr_mult: float = 1.0
    decay_mult: float = 1.0

    @staticmethod
    def of(message: caffe_pb2.ParamSpec) -> ParamSpec:
        """Return the specification that a message describes."""
        return _spec(message.name, message.share_mode, message.lr_mult, message.decay_mult)


@lru_cache(maxsize=256)
def _spec(name: str, mode: caffe_pb2.ParamSpec.DimCheckMode, lr_mult: float, decay_mult: float) -> ParamSpec:
    """Return a specification; most layers of a network have the same few."""
    return ParamSpec(name=name, share_mode=_MODES[mode], lr_mult=lr_mult, decay_mult=decay_mult)
