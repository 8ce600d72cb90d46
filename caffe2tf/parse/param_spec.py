"""How a trained blob is shared and trained: ``param { name: "w" lr_mult: 2 }``."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Self

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

    @classmethod
    def of(cls, message: caffe_pb2.ParamSpec) -> Self:
        """Return the specification that a message describes."""
        return cls(
            name=message.name,
            share_mode=_MODES[message.share_mode],
            lr_mult=message.lr_mult,
            decay_mult=message.decay_mult,
        )
