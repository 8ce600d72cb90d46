"""The networks of the benchmarks: definitions written for this project, and files of drawn weights."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ROOT", "Draft", "Network", "alexnet", "resnet50", "vgg16"]

ROOT = Path(__file__).resolve().parents[1]
Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A definition and its layers with trained blobs: (name, type, shapes of the blobs)."""

    name: str
    prototxt: str
    trained: tuple[tuple[str, str, Shapes], ...]

    @property
    def largest_blob(self) -> int:
        """The size of the largest trained blob in bytes."""
        return 4 * max(math.prod(shape) for _, _, shapes in self.trained for shape in shapes)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write the definition to ``folder``, and the weights unless they are there already; return the paths."""
        folder.mkdir(parents=True, exist_ok=True)
        definition, weights = folder / f"{self.name}.prototxt", folder / f"{self.name}.caffemodel"
        params = folder / f"{self.name}.params.json"
        definition.write_text(self.prototxt, encoding="utf-8")
        listing = json.dumps(self.trained)
        if not (weights.exists() and params.exists() and params.read_text(encoding="utf-8") == listing):
            with tempfile.NamedTemporaryFile("w", suffix=".json", dir=folder) as file:
                file.write(listing)
                file.flush()
                draw = (sys.executable, ROOT / "scripts" / "draw.py", "weights", file.name, weights)
                subprocess.run(draw, check=True, cwd=ROOT)
            params.write_text(listing, encoding="utf-8")
        return definition, weights


@dataclass(slots=True, kw_only=True)
class Draft:
    """Writes a network layer by layer. Its input holds ``batch`` colour images of ``size`` x ``size`` pixels."""

    name: str
    size: int
    batch: int = 1
    layers: list[str] = field(default_factory=list)
    trained: list[tuple[str, str, Shapes]] = field(default_factory=list)

    def add(self, name: str, type_: str, bottoms: str, top: str, parameters: str = "", blobs: Shapes = ()) -> str:
        """Add a layer; ``bottoms`` are separated by spaces."""
        feeds = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
        self.layers.append(f'layer {{ name: "{name}" type: "{type_}" {feeds} top: "{top}" {parameters} }}')
        if blobs:
            self.trained.append((name, type_, blobs))
        return top

    def convolution(self, name: str, bottom: str, blob: tuple[int, int, int], settings: str = "") -> str:
        """Add a convolution with a kernel of shape ``blob`` = (outputs, inputs, window)."""
        outputs, inputs, window = blob
        bias = "bias_term: false" not in settings
        parameters = f"convolution_param {{ num_output: {outputs} kernel_size: {window} {settings} }}"
        shapes: Shapes = ((outputs, inputs, window, window), *([(outputs,)] if bias else []))
        return self.add(name, "Convolution", bottom, name, parameters, shapes)

    def dense(self, name: str, bottom: str, outputs: int, inputs: int) -> str:
        """Add a fully connected layer."""
        parameters = f"inner_product_param {{ num_output: {outputs} }}"
        return self.add(name, "InnerProduct", bottom, name, parameters, ((outputs, inputs), (outputs,)))

    def relu(self, blob: str) -> str:
        """Add a ReLU in place."""
        return self.add(f"{blob}_relu", "ReLU", blob, blob)

    def normalise(self, blob: str) -> str:
        """Add a BatchNorm and a Scale in place.

        The layers of blob res2a are called bn2a and scale2a, those of conv1 bn_conv1 and scale_conv1.
        """
        channels = self.trained[-1][2][0][0]
        place = blob.removeprefix("res") if blob.startswith("res") else f"_{blob}"
        self.add(f"bn{place}", "BatchNorm", blob, blob, "", ((channels,), (channels,), (1,)))
        settings = "scale_param { bias_term: true }"
        return self.add(f"scale{place}", "Scale", blob, blob, settings, ((channels,), (channels,)))

    def pool(self, name: str, bottom: str, settings: str) -> str:
        """Add a pooling layer with these settings."""
        return self.add(name, "Pooling", bottom, name, f"pooling_param {{ {settings} }}")

    def finish(self) -> Network:
        """Return the whole definition."""
        shape = f"shape {{ dim: {self.batch} dim: 3 dim: {self.size} dim: {self.size} }}"
        head = f'name: "{self.name}"\nlayer {{ name: "data" type: "Input" top: "data" input_param {{ {shape} }} }}\n'
        return Network(name=self.name, prototxt=head + "\n".join(self.layers) + "\n", trained=tuple(self.trained))


def alexnet() -> Network:
    """Return AlexNet, 244 MB, with the definition that the tests use."""
    nets = ROOT / "tests" / "data" / "nets"
    rows = json.loads((nets / "alexnet.params.json").read_text(encoding="utf-8"))
    trained = tuple((name, type_, tuple(tuple(shape) for shape in shapes)) for name, type_, shapes in rows)
    return Network(name="alexnet", prototxt=(nets / "alexnet.prototxt").read_text(encoding="utf-8"), trained=trained)


def vgg16() -> Network:
    """Return VGG-16, 553 MB, of which one blob takes three quarters."""
    draft = Draft(name="vgg16", size=224)
    blob, channels = "data", 3
    for stage, (width, count) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], 1):
        for number in range(1, count + 1):
            blob = draft.relu(draft.convolution(f"conv{stage}_{number}", blob, (width, channels, 3), "pad: 1"))
            channels = width
        blob = draft.pool(f"pool{stage}", blob, "pool: MAX kernel_size: 2 stride: 2")
    for name, outputs, inputs in [("fc6", 4096, 512 * 7 * 7), ("fc7", 4096, 4096)]:
        blob = draft.relu(draft.dense(name, blob, outputs, inputs))
        blob = draft.add(f"drop_{name}", "Dropout", blob, blob, "dropout_param { dropout_ratio: 0.5 }")
    draft.add("prob", "Softmax", draft.dense("fc8", blob, 1000, 4096), "prob")
    return draft.finish()


def resnet50() -> Network:
    """Return ResNet-50, 102 MB, which has 229 Caffe layers."""
    draft = Draft(name="resnet50", size=224)
    blob = draft.convolution("conv1", "data", (64, 3, 7), "pad: 3 stride: 2")
    blob = draft.relu(draft.normalise(blob))
    blob = draft.pool("pool1", blob, "pool: MAX kernel_size: 3 stride: 2")
    channels = 64
    for stage, count in enumerate([3, 4, 6, 3], 2):
        for number in range(count):
            width = 32 << stage - 1
            stride = 2 if number == 0 and stage > 2 else 1
            blob = _block(draft, f"res{stage}{'abcdef'[number]}", blob, (channels, width, stride))
            channels = 4 * width
    blob = draft.pool("pool5", blob, "pool: AVE kernel_size: 7 stride: 1")
    draft.add("prob", "Softmax", draft.dense("fc1000", blob, 1000, channels), "prob")
    return draft.finish()


def _block(draft: Draft, name: str, bottom: str, extents: tuple[int, int, int]) -> str:
    """Add a residual block of three convolutions; ``extents`` are (channels, width, stride)."""
    channels, width, stride = extents
    shortcut = bottom
    if channels != 4 * width:
        settings = f"stride: {stride} bias_term: false"
        shortcut = draft.normalise(draft.convolution(f"{name}_branch1", bottom, (4 * width, channels, 1), settings))
    blob = draft.convolution(f"{name}_branch2a", bottom, (width, channels, 1), f"stride: {stride} bias_term: false")
    blob = draft.relu(draft.normalise(blob))
    blob = draft.convolution(f"{name}_branch2b", blob, (width, width, 3), "pad: 1 bias_term: false")
    blob = draft.relu(draft.normalise(blob))
    blob = draft.normalise(draft.convolution(f"{name}_branch2c", blob, (4 * width, width, 1), "bias_term: false"))
    return draft.relu(draft.add(name, "Eltwise", f"{shortcut} {blob}", name, "eltwise_param { operation: SUM }"))
