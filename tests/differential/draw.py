"""Random networks of Caffe layers. Each new layer is run by the interpreter, so that Caffe accepts the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tests.builders import input_layer, layer
from tests.differential.naive import Interpreter
from tests.differential.rules import Array, Refused, parsed

__all__ = ["Drawn", "Grower", "draw"]

Floats = npt.NDArray[np.float32]

LARGEST = 3000  # values in a blob


@dataclass(slots=True)
class Drawn:
    """A network with its inputs and weights.

    Attributes:
        text: the definition.
        inputs: an array for each input.
        weights: trained blobs by layer name.
    """

    text: str
    inputs: dict[str, Floats]
    weights: dict[str, list[Floats]]


@dataclass(slots=True)
class Grower:
    """A network that grows by random layers.

    Attributes:
        rng: source of the random choices.
        drawn: the network so far.
        machine: the interpreter, which has run all layers so far.
        read: for each blob, the number of layers that read it.
        names: number of names in use.
    """

    rng: np.random.Generator
    drawn: Drawn = field(default_factory=lambda: Drawn(text="", inputs={}, weights={}))
    machine: Interpreter = field(default_factory=Interpreter)
    read: dict[str, int] = field(default_factory=dict)
    names: int = 0

    def pick(self, *options: object) -> str:
        """Return one of ``options`` as text."""
        return str(options[int(self.rng.integers(len(options)))])

    def chance(self, p: float) -> bool:
        """Return True with probability ``p``."""
        return bool(self.rng.random() < p)

    def number(self, low: float, high: float) -> str:
        """Return a number from ``low`` to ``high`` as short text."""
        return f"{self.rng.uniform(low, high):.4g}"

    def whole(self, low: int, high: int) -> int:
        """Return an integer from ``low`` to ``high``, both included."""
        return int(self.rng.integers(low, high + 1))

    def normal(self, shape: Sequence[int], scale: float = 1.0) -> Floats:
        """Return normally distributed numbers."""
        return (scale * self.rng.standard_normal(tuple(shape))).astype(np.float32)

    def value(self, blob: str) -> Array:
        """Return the present values of a blob."""
        return self.machine.blobs[blob]

    def fresh(self, stem: str = "b") -> str:
        """Return an unused name."""
        self.names += 1
        return f"{stem}{self.names}"

    def feed(self, value: npt.ArrayLike) -> str:
        """Add an input to the network; return its name."""
        name = self.fresh("in")
        array = np.asarray(value, np.float32)
        self.drawn.text += input_layer(name, array.shape)
        self.drawn.inputs[name] = array
        self.machine.feed(name, array)
        return name

    def add(
        self,
        kind: str,
        bottoms: Sequence[str],
        parameters: str = "",
        *,
        tops: int | Sequence[str] = 1,
        weights: Sequence[npt.ArrayLike] = (),
        name: str = "",
    ) -> list[str]:
        """Add a layer; return the names of its tops.

        Raises:
            Refused: Caffe refuses the layer, or its values are too many or too large. The network is unchanged.
        """
        named = [self.fresh() for _ in range(tops)] if isinstance(tops, int) else list(tops)
        name = name or self.fresh("layer")
        line = layer(kind, name, bottoms, named, parameters)
        arrays = [np.asarray(w, np.float32) for w in weights]
        before = {k: (v, v.copy()) for k, v in self.machine.blobs.items()}
        self.machine.step(parsed(line).layer[0], arrays)
        made = [self.machine.blobs[t] for t in named]
        if any(v.size > LARGEST or np.abs(v).max(initial=0) > 1e6 or not np.isfinite(v).all() for v in made):
            for k, (view, copy) in before.items():
                view[...] = copy
                self.machine.blobs[k] = view
            for t in named:
                if t not in before:
                    del self.machine.blobs[t]
            raise Refused("too large")
        self.drawn.text += line
        if arrays:
            self.drawn.weights[name] = arrays
        for b in bottoms:
            self.read[b] = self.read.get(b, 0) + 1
        for t in named:
            self.read[t] = 0
        return named

    def spot(self, bottom: str) -> int | list[str]:
        """Choose the tops of a layer that may work in place: the bottom, if no other layer reads it, or a new blob."""
        if self.read.get(bottom, 0) == 0 and self.chance(0.35):
            return [bottom]
        return 1

    def axis(self, x: Array, *, low: int = 0) -> int:
        """Return a random axis from ``low`` on, sometimes counted from the end."""
        if x.ndim <= low:
            raise Refused("no such axis")
        axis = self.whole(low, x.ndim - 1)
        return axis - x.ndim if self.chance(0.3) else axis


def draw(seed: int, layers: Sequence[Callable[[Grower, str], None]], *, depth: int | None = None) -> Drawn:
    """Return a random network.

    Args:
        seed: seed of the random numbers.
        layers: functions that add layers after a blob.
        depth: number of calls of them; 1 to 7, at random, if absent.
    """
    g = Grower(rng=np.random.default_rng(seed))
    rank = int(g.rng.choice([1, 2, 3, 4, 5], p=[0.03, 0.15, 0.12, 0.62, 0.08]))
    extents = [2, 3, 4, 5, 6, 7, 8] if rank == 4 else [2, 3, 4, 5, 6] if rank < 4 else [2, 3, 4]
    shape = [int(d) for d in g.rng.choice(extents, rank, replace=rank > len(extents))]
    if g.chance(0.15):  # equal extents, so that wrong broadcasting goes unnoticed by shapes
        shape = [min(shape)] * rank
    shape[0] = shape[0] if g.chance(0.1) else g.whole(1, 3)
    if g.chance(0.25):
        shape[g.whole(0, rank - 1)] = 1
    g.feed(g.normal(shape))
    wanted, tries = depth or g.whole(1, 7), 0
    done = 0
    while done < wanted and tries < 60:
        tries += 1
        blobs = list(g.machine.blobs)
        at = blobs[-1] if g.chance(0.75) else blobs[g.whole(0, len(blobs) - 1)]
        try:
            layers[g.whole(0, len(layers) - 1)](g, at)
            done += 1
        except Refused:
            continue
    return g.drawn


def factors(n: int) -> list[int]:
    """Return the divisors of ``n``."""
    return [d for d in range(1, n + 1) if n % d == 0]


def split_count(g: Grower, n: int, parts: int) -> list[int]:
    """Return random extents whose product is ``n``."""
    dims = []
    for _ in range(parts - 1):
        d = int(g.rng.choice(factors(n)))
        dims.append(d)
        n //= d
    return [*dims, n] if math.prod(dims) else [n]
