"""Random networks whose names are whatever they are, for tests of what is emitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from caffe2tf.emit import Plan
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from caffe2tf.pipeline import plan_conversion

if TYPE_CHECKING:
    import numpy as np

__all__ = ["HOSTILE", "chain", "fan", "plan", "quoted", "tangle"]

HOSTILE = (
    '"',
    "'",
    "\\",
    "\n",
    '"""',
    "'''",
    "\\n",
    "{}",
    "{0}",
    "%s",
    "#",
    "a\rb",
    "\t",
    "a b",
    " ",
    "",
    "..",
    ".",
    "/",
    "a/b",
    "a-b",
    "a_b",
    "a//b",
    "-a",
    "_a",
    "__class__",
    "__init__",
    "é",
    "中文",
    "\u202e",
    "\x00",
    "\x7f",
    "😀",
    "x",
    "x_",
    "X",
    "keras",
    "layers",
    "build",
    "weights",
    "model",
    "load_weights",
    "_read_weights",
    "np",
    "os",
    "h5py",
    "class",
    "def",
    "None",
    "True",
    "match",
    "type",
    "_",
    "print",
    "list",
    "input",
    "data",
    "name",
    "LRN",
    "caffe_layers",
    "n",
    "l" * 300,
    'x")\nimport os\nos.system("touch /tmp/pwned',
    '"""\nraise SystemExit\n"""',
    "# type: ignore",
    "fmt: off",
    "a.2",
    "a.b",
    "1a",
    "İ",
    "\u017f",
    "\u212a",
    "kernel",
    "bias",
    "0",
    "self",
    "Tensor",
    "a:0",
    "^a",
    "a>b",
    "annotations",
)


def quoted(text: str) -> str:
    """A string of a prototxt."""
    return '"' + "".join(f"\\{b:03o}" for b in text.encode()) + '"'


def chain(network: str, names: Sequence[str], blobs: Sequence[str]) -> str:
    """A network in which the first blob goes through layers of these names; each writes the next of the blobs.

    Every third layer also reads the first blob, so that some blobs have several readers.
    """
    text = [f"name: {quoted(network)}\n"]
    text.append(
        f'layer {{ name: "(the input)" type: "Input" top: {quoted(blobs[0])} '
        "input_param { shape { dim: 2 dim: 3 } } }\n"
    )
    for i, (name, bottom, top) in enumerate(zip(names, blobs, blobs[1:], strict=False)):
        if i % 3 == 0:
            body = 'type: "InnerProduct" inner_product_param { num_output: 3 weight_filler { type: "gaussian" } }'
            extra = ""
        elif i % 3 == 1:
            body, extra = 'type: "Eltwise"', f" bottom: {quoted(blobs[0])}"
        else:
            body, extra = 'type: "TanH"', ""
        text.append(f"layer {{ name: {quoted(name)} {body} bottom: {quoted(bottom)}{extra} top: {quoted(top)} }}\n")
    return "".join(text)


def fan(inputs: Sequence[str], outputs: Sequence[str]) -> str:
    """A network in which each output is a layer of its own over one of the inputs, and has the layer's name."""
    text = [
        f'layer {{ name: "(input {i})" type: "Input" top: {quoted(n)} input_param {{ shape {{ dim: 2 dim: 3 }} }} }}\n'
        for i, n in enumerate(inputs)
    ]
    for i, name in enumerate(outputs):
        body = f'num_output: {i % 5 + 1} weight_filler {{ type: "gaussian" }}'
        bottom = quoted(inputs[i % len(inputs)])
        text.append(
            f'layer {{ name: {quoted(name)} type: "InnerProduct" bottom: {bottom} top: {quoted(name)} '
            f"inner_product_param {{ {body} }} }}\n"
        )
    return "".join(text)


def tangle(rng: np.random.Generator, *, layers: int = 14) -> str:
    """A random network: several inputs, layers of one shape, some of them shared, sums, slices, any number of outputs.

    All blobs are 2x4, so that no shape betrays a mistake in an order.
    """
    blobs = [f"in{i}" for i in range(int(rng.integers(1, 4)))]
    text = [
        f'layer {{ name: "{b}" type: "Input" top: "{b}" input_param {{ shape {{ dim: 2 dim: 4 }} }} }}\n' for b in blobs
    ]
    for i in range(layers):
        kind = rng.choice(["InnerProduct", "Shared", "Eltwise", "TanH", "Slice"], p=[0.35, 0.2, 0.2, 0.1, 0.15])
        a, b = (str(rng.choice(blobs)) for _ in range(2))
        name = f"{rng.choice(list('zyxabc'))}{i}"
        if kind in ("InnerProduct", "Shared"):
            which = int(rng.integers(2))
            param = f'param {{ name: "w{which}" }} param {{ name: "b{which}" }} ' if kind == "Shared" else ""
            fill = 'num_output: 4 weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'
            body = f'type: "InnerProduct" bottom: "{a}" top: "{name}" {param}inner_product_param {{ {fill} }}'
            blobs.append(name)
        elif kind == "Slice":
            halves = [f"{name}l", f"{name}r"]
            slices = f'type: "Slice" bottom: "{a}" top: "{halves[0]}" top: "{halves[1]}" slice_param {{ axis: 1 }}'
            text.append(f'layer {{ name: "{name}s" {slices} }}\n')
            body = f'type: "Concat" bottom: "{halves[1]}" bottom: "{halves[0]}" top: "{name}"'
            blobs.append(name)
        elif kind == "Eltwise":
            body = f'type: "Eltwise" bottom: "{a}" bottom: "{b}" top: "{name}"'
            blobs.append(name)
        else:
            body = f'type: "TanH" bottom: "{a}" top: "{name}"'
            blobs.append(name)
        text.append(f'layer {{ name: "{name}" {body} }}\n')
    return "".join(text)


def plan(text: str, folder: Path) -> Plan:
    """The conversion of a network, its blobs filled by its fillers."""
    file = folder / "net.prototxt"
    file.write_text(text, encoding="utf-8")
    definition = read_network(file)
    return plan_conversion(load_graph(definition, None, fill=True), definition)
