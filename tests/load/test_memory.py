"""Aliases: which blobs share memory, and random chains of layers compared with NumPy views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import caffe2tf
from caffe2tf.layers.shape.reshape import Reshape
from caffe2tf.layers.shape.split import Split
from caffe2tf.load import load_graph
from caffe2tf.load.memory import Memory, echo_layer
from caffe2tf.parse import read_network
from tests.builders import input_layer, layer, write_prototxt

Floats = npt.NDArray[np.float32]


def test_tops_are_aliases_of_the_bottom_and_of_each_other() -> None:
    memory = Memory()
    assert memory.others("a") == []
    memory.share("a", ["c", "b"])
    assert [memory.others(blob) for blob in "abc"] == [["b", "c"], ["a", "c"], ["a", "b"]]
    memory.share("b", ["d"])
    assert memory.others("a") == ["b", "c", "d"]
    assert memory.others("d") == ["a", "b", "c"]
    assert memory.others("elsewhere") == []


def test_a_top_that_is_shared_again_leaves_its_old_memory() -> None:
    memory = Memory()
    memory.share("a", ["b", "c"])
    memory.share("x", ["b"])
    assert memory.others("a") == ["c"]
    assert memory.others("b") == ["x"]
    memory.share("a", ["a", "d"])  # in place, with a second top
    assert memory.others("d") == ["a", "c"]


@pytest.mark.parametrize(
    ("source", "target"), [((2, 3, 4), (2, 12)), ((2, 3, 4), (2, 4, 3)), ((None, 12), (None, 3, 4)), ((6,), (2, 3))]
)
def test_an_echo_has_the_shape_of_the_alias(source: tuple[int | None, ...], target: tuple[int | None, ...]) -> None:
    layer = echo_layer(source, target)
    assert isinstance(layer, Reshape)
    assert layer.infer(source) == (target,)
    assert echo_layer(source, source) == Split(count=1)


@dataclass(slots=True)
class Chain:
    """A random network with many aliases of few memories, and its NumPy counterpart, where aliases are views."""

    rng: np.random.Generator
    text: str = input_layer("data", (2, 6, 4, 5))
    blobs: dict[str, Floats] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)  # blobs that no layer reads: only these are written in place in Caffe
    written: int = 0

    def __post_init__(self) -> None:
        self.blobs["data"] = self.rng.standard_normal((2, 6, 4, 5)).astype(np.float32)
        self.free.add("data")

    def _add(self, type_: str, bottom: str, *tops: str, parameters: str = "") -> None:
        listed = " ".join(f'top: "{top}"' for top in tops)
        name = f"layer{self.text.count('layer {')}"
        self.text += f'layer {{ name: "{name}" type: "{type_}" bottom: "{bottom}" {listed} {parameters} }}\n'

    def _fresh(self, array: Floats) -> str:
        name = f"b{len(self.blobs)}"
        self.blobs[name] = array
        self.free.add(name)
        return name

    def _other_name(self, bottom: str) -> None:
        self.free.discard(bottom)
        memory = self.blobs[bottom]
        n, rest = len(memory), memory.size // len(memory)
        kind = str(self.rng.choice(["Split", "Flatten", "Reshape", "Concat", "Slice"]))
        if kind == "Split":
            self._add("Split", bottom, *(self._fresh(memory.view()) for _ in range(2)))
        elif kind == "Flatten":
            self._add("Flatten", bottom, self._fresh(memory.reshape(n, rest)))
        elif kind == "Reshape":
            shape = [(n, 3, rest // 3), (n, rest // 4, 2, 2), (n, 2, 1, rest // 2)][int(self.rng.integers(3))]
            dims = " ".join(f"dim: {d}" for d in shape)
            parameters = f"reshape_param {{ shape {{ {dims} }} }}"
            self._add("Reshape", bottom, self._fresh(memory.reshape(shape)), parameters=parameters)
        else:
            self._add(kind, bottom, self._fresh(memory.view()))

    def _write(self, blob: str) -> None:
        memory = self.blobs[blob]
        if self.rng.random() < 0.5:
            memory *= np.float32(-1.5)
            memory += np.float32(0.25)
            self._add("Power", blob, blob, parameters="power_param { scale: -1.5 shift: 0.25 }")
        else:
            np.maximum(memory, memory * np.float32(0.5), out=memory)
            self._add("ReLU", blob, blob, parameters="relu_param { negative_slope: 0.5 }")
        self.written += 1

    def _read(self, bottom: str) -> None:
        self.free.discard(bottom)
        self._add("AbsVal", bottom, self._fresh(np.abs(self.blobs[bottom])))

    def extend(self) -> None:
        """Add a layer."""
        steps: list[tuple[Callable[[str], None], set[str]]] = [
            (self._other_name, set(self.blobs)),
            (self._write, self.free),
            (self._read, set(self.blobs)),
        ]
        step, blobs = steps[int(self.rng.choice(3, p=[0.4, 0.4, 0.2]))]
        if blobs:
            step(str(self.rng.choice(sorted(blobs))))


@pytest.mark.parametrize("seed", range(20))
def test_a_write_in_place_shows_in_all_aliases(seed: int, tmp_path: Path) -> None:
    chain = Chain(np.random.default_rng(seed))
    data = chain.blobs["data"].copy()
    while chain.written < 4 or len(chain.blobs) < 6:
        chain.extend()
    file = write_prototxt(tmp_path, chain.text)
    have = caffe2tf.run(file, None, {"data": data})
    assert have.keys() == chain.blobs.keys()
    for blob, want in chain.blobs.items():
        assert have[blob].shape == want.shape
        np.testing.assert_allclose(have[blob], want, rtol=1e-5, atol=1e-6, err_msg=f"{blob} of\n{chain.text}")


def test_field_split_in_place(tmp_path: Path) -> None:
    """Writing each of many aliases in place adds one node for each alias, not for each pair of them."""
    count = 300
    aliases = [f"s{i}" for i in range(count)]
    text = input_layer("data", (1, 3, 2, 2)) + layer("Split", "split", ["data"], aliases)
    text += "".join(layer("Power", f"r{i}", [a], [a], "power_param { shift: 1 }") for i, a in enumerate(aliases))
    file = write_prototxt(tmp_path, text)
    graph = load_graph(read_network(file))
    assert len(graph.nodes) <= 3 * count + 2
    short = write_prototxt(tmp_path, text.partition('layer { name: "r5"')[0])
    blobs = caffe2tf.run(short, None, {"data": np.ones((1, 3, 2, 2))})
    assert {float(blobs[a].max()) for a in (*aliases, "data")} == {6.0}
