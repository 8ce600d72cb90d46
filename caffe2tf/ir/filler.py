"""Fillers: the values of a blob before training."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import short

if TYPE_CHECKING:
    from caffe2tf.proto.caffe_pb2 import FillerParameter

__all__ = ["Filler"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filler:
    """The rule for the initial values of a blob (``include/caffe/filler.hpp``).

    ``constant``, ``bilinear`` and FlowNet's ``diagonal`` are deterministic and equal Caffe's values. The others are
    random. They follow Caffe's distribution, and the seed is derived from the name of the blob, so that the values are
    the same in every run.

    Attributes:
        type: constant, uniform, gaussian, positive_unitball, xavier, msra, bilinear or diagonal. Other names of forks
            are kept, but cannot fill a blob.
        value: the value of ``constant``.
        low: the lower end of ``uniform``.
        high: the upper end of ``uniform``.
        mean: the mean of ``gaussian``.
        std: the standard deviation of ``gaussian``.
        sparse: for ``gaussian``, the expected number of nonzero values per output; -1 for all.
        norm: for ``xavier`` and ``msra``, the divisor of the variance: 0 fan in, 1 fan out, 2 their mean.
        diagonal: for ``diagonal``, the weight from input n to output n, spread over the window; 1 if not stated.
        given: whether the definition states a filler; Caffe's default is ``constant`` with 0.
    """

    type: str = "constant"
    value: float = 0.0
    low: float = 0.0
    high: float = 1.0
    mean: float = 0.0
    std: float = 1.0
    sparse: int = -1
    norm: int = 0
    diagonal: tuple[float, ...] = ()
    given: bool = False

    @classmethod
    def read(cls, proto: FillerParameter, *, given: bool = True) -> Self:
        """Read a filler. A type that only a fork knows is kept, because a trained blob needs no filler."""
        return cls(
            type=proto.type,
            value=proto.value,
            low=proto.min,
            high=proto.max,
            mean=proto.mean,
            std=proto.std,
            sparse=proto.sparse,
            norm=proto.variance_norm,
            diagonal=tuple(proto.diag_val),
            given=given,
        )

    @property
    def is_random(self) -> bool:
        """Whether Caffe draws new values in every run."""
        return self.type not in ("constant", "bilinear", "diagonal")

    def check(self) -> None:
        """Check the type and the parameters.

        Raises:
            LayerError: the type is unknown, or the parameters define no distribution.
        """
        if self.type not in _RULES:
            raise LayerError(f"unknown filler type {self.type!r}; Caffe has {', '.join(_RULES)}")
        if self.type == "uniform" and not -math.inf < self.low <= self.high < math.inf:
            raise LayerError(
                f"a uniform filler needs a finite min that is not above a finite max, not {short(self.low)} and "
                f"{short(self.high)}"
            )
        if self.type == "gaussian" and not (math.isfinite(self.mean) and 0 <= self.std < math.inf):
            raise LayerError(
                f"a gaussian filler needs a finite mean and a finite std of 0 or more, not {short(self.mean)} and "
                f"{short(self.std)}"
            )

    def fill(self, shape: tuple[int, ...], *, seed: str) -> Floats:
        """Return initial values for a blob, float32.

        Args:
            shape: Caffe's shape of the blob.
            seed: a name for the blob, from which the seed of random values is derived.

        Raises:
            LayerError: as for `check`, or the rule does not apply to a blob of this shape.
        """
        self.check()
        rng = np.random.default_rng(zlib.crc32(seed.encode()))
        return _RULES[self.type](self, shape, rng).astype(np.float32).reshape(shape)


# A string, because evaluating np.random would import it, which is slow and rarely needed.
Rule: TypeAlias = "Callable[[Filler, tuple[int, ...], np.random.Generator], npt.NDArray[np.floating]]"


def _constant(f: Filler, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.floating]:
    del rng
    return np.full(shape, f.value, np.float32)


def _uniform(f: Filler, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.floating]:
    return rng.uniform(f.low, f.high, shape)


def _gaussian(f: Filler, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.floating]:
    values = rng.normal(f.mean, f.std, shape)
    return values * (rng.random(shape) < f.sparse / shape[0]) if f.sparse >= 0 else values


def _positive_unitball(f: Filler, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.floating]:
    del f
    values = rng.random((shape[0], math.prod(shape[1:])))
    totals: npt.NDArray[np.float64] = values.sum(axis=1, keepdims=True)
    return values / totals


def _fan(f: Filler, shape: tuple[int, ...]) -> float:
    total = math.prod(shape)
    fan_in = total / shape[0]
    fan_out = total / shape[1] if len(shape) > 1 else total
    return (fan_in, fan_out, (fan_in + fan_out) / 2)[f.norm]


def _xavier(f: Filler, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.floating]:
    limit = math.sqrt(3 / _fan(f, shape))
    return rng.uniform(-limit, limit, shape)


def _msra(f: Filler, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.floating]:
    return rng.normal(0, math.sqrt(2 / _fan(f, shape)), shape)


def _bilinear(f: Filler, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.floating]:
    del f, rng
    if len(shape) != 4 or shape[2] != shape[3]:
        raise LayerError(f"a bilinear filler needs a blob of 4 axes with a square window, not {shape}")
    half = math.ceil(shape[3] / 2)
    centre = (shape[3] - 1) / (2 * half)
    ramp = 1 - np.abs(np.arange(shape[3]) / half - centre)
    return np.broadcast_to(np.outer(ramp, ramp), shape)


def _diagonal(f: Filler, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.floating]:
    del rng
    if len(shape) > 4:
        raise LayerError(f"a diagonal filler takes a blob of at most 4 axes, not {shape}")
    if f.sparse != -1:
        raise LayerError(f"a diagonal filler takes no `sparse`: {f.sparse} is given")
    num, channels, height, width = (*shape, *(1,) * (4 - len(shape)))
    values = np.zeros((num, channels, height, width), np.float32)
    for n in range(min(num, channels)):
        values[n, n] = np.float32(f.diagonal[n] if n < len(f.diagonal) else 1) / np.float32(height * width)
    return values


_RULES: dict[str, Rule] = {
    "constant": _constant,
    "uniform": _uniform,
    "gaussian": _gaussian,
    "positive_unitball": _positive_unitball,
    "xavier": _xavier,
    "msra": _msra,
    "bilinear": _bilinear,
    "diagonal": _diagonal,
}
