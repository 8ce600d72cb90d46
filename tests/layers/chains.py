"""Random chains of layers, and their blobs as NumPy computes them in Caffe's axis order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tests.builders import layer
from tests.layers.oracle import Array

__all__ = ["CHAIN_SHAPES", "Chain"]

CHAIN_SHAPES = ((2, 6, 4, 5), (3, 4, 6), (2, 12), (2, 3, 2, 4, 3), (2, 6, 1, 1))


@dataclass(slots=True)
class Chain:
    """A network that grows layer by layer.

    Each layer reads the last blob, or a pair of layers splits the last blob and joins or crops the pieces.

    Attributes:
        seed: the seed of the random numbers.
        shape: the shape of the input ``data``.
        text: the layers so far, without the input.
        values: all blobs so far.
        blobs: trained blobs by layer name.
        last: the name of the last blob.
    """

    seed: int
    shape: tuple[int, ...]
    text: str = ""
    values: dict[str, Array] = field(default_factory=dict)
    blobs: dict[str, list[Array]] = field(default_factory=dict)
    last: str = "data"
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.values["data"] = self._normal(self.shape)

    def extend(self, count: int) -> None:
        """Add this number of layers, where a pair of layers counts as one."""
        steps: tuple[Callable[[Array, str], None], ...] = (
            *(self._reshape, self._reshape, self._flatten, self._convolve),
            *(self._tile, self._split_and_join, self._crop, self._rectify),
        )
        for i in range(count):
            x = self.values[self.last]
            steps[int(self.rng.integers(len(steps)))](x, f"t{i}")

    def _normal(self, shape: tuple[int, ...]) -> Array:
        return self.rng.standard_normal(shape).astype(np.float32)

    def _add(self, type_: str, name: str, parameters: str, value: Array, *, bottoms: tuple[str, ...] = ()) -> None:
        self.text += layer(type_, name, bottoms or (self.last,), parameters=parameters)
        self.values[name] = np.ascontiguousarray(value)
        self.last = name

    def _reshape(self, x: Array, name: str) -> None:
        primes = [p for d in x.shape[1:] for p in _prime_factors(d)]
        if self.rng.random() < 0.3:
            self.rng.shuffle(primes)
        count = int(self.rng.integers(1, 5))
        bounds = sorted(int(c) for c in self.rng.integers(0, len(primes) + 1, count - 1))
        dims = [math.prod(primes[a:b]) for a, b in zip([0, *bounds], [*bounds, len(primes)], strict=True)]
        wanted = (x.shape[0], *dims)
        given = [0, *dims]
        if self.rng.random() < 0.5:
            given[int(self.rng.integers(1, len(given)))] = -1
        shape = " ".join(f"dim: {d}" for d in given)
        self._add("Reshape", name, f"reshape_param {{ shape {{ {shape} }} }}", x.reshape(wanted))

    def _flatten(self, x: Array, name: str) -> None:
        start = int(self.rng.integers(1, x.ndim))
        end = int(self.rng.integers(start, x.ndim)) if self.rng.random() < 0.5 else x.ndim - 1
        shape = (*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])
        self._add("Flatten", name, f"flatten_param {{ axis: {start} end_axis: {end - x.ndim} }}", x.reshape(shape))

    def _convolve(self, x: Array, name: str) -> None:
        if x.ndim != 4:
            self._rectify(x, name)
            return
        w = self._normal((int(self.rng.choice([2, 3, 4, 6])), x.shape[1], 1, 1)) / np.float32(x.shape[1])
        self.blobs[name] = [w]
        parameters = f"convolution_param {{ num_output: {len(w)} kernel_size: 1 bias_term: false }}"
        self._add("Convolution", name, parameters, np.einsum("oc,nchw->nohw", w[:, :, 0, 0], x))

    def _tile(self, x: Array, name: str) -> None:
        axis = int(self.rng.integers(1, x.ndim))
        tiles = 2 if x.size < 500 else 1
        value = np.concatenate([x] * tiles, axis)
        self._add("Tile", name, f"tile_param {{ axis: {axis} tiles: {tiles} }}", value)

    def _rectify(self, x: Array, name: str) -> None:
        self._add("ReLU", name, "relu_param { negative_slope: 0.5 }", np.where(x > 0, x, np.float32(0.5) * x))

    def _crop(self, x: Array, name: str) -> None:
        axis = int(self.rng.integers(1, x.ndim))
        if x.shape[axis] < 3:
            self._rectify(x, name)
            return
        self._split(x, name, axis, 2)
        index = [slice(None)] * x.ndim
        index[axis] = slice(1, 3)
        parameters = f"crop_param {{ axis: {axis} offset: 1 {'offset: 0 ' * (x.ndim - axis - 1)}}}"
        self._add("Crop", name, parameters, x[tuple(index)], bottoms=(self.last, f"{name}a"))

    def _split_and_join(self, x: Array, name: str) -> None:
        axis = int(self.rng.integers(1, x.ndim))
        if x.shape[axis] < 2:
            self._flatten(x, name)
            return
        point = int(self.rng.integers(1, x.shape[axis]))
        head, tail = self._split(x, name, axis, point)
        joined = np.concatenate([tail, head], axis)
        parameters = f"concat_param {{ axis: {axis - x.ndim} }}"
        self._add("Concat", name, parameters, joined, bottoms=(f"{name}b", f"{name}a"))

    def _split(self, x: Array, name: str, axis: int, point: int) -> tuple[Array, Array]:
        tops = (f"{name}a", f"{name}b")
        parameters = f"slice_param {{ axis: {axis} slice_point: {point} }}"
        self.text += layer("Slice", f"{name}s", [self.last], tops, parameters)
        head, tail = np.split(x, [point], axis)
        self.values |= dict(zip(tops, (head, tail), strict=True))
        return head, tail


def _prime_factors(n: int) -> list[int]:
    found, p = [], 2
    while n > 1:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 1
    return found
