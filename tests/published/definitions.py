"""Definitions of published networks, written from the tables of their papers, with the names that Caffe users know."""

from __future__ import annotations

from benchmarks.networks import Draft, Network, resnet50

__all__ = ["NETWORKS", "caffenet", "googlenet", "squeezenet11"]

LRN = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"
MAX_HALF = "pool: MAX kernel_size: 3 stride: 2"

INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Channels of each module: 1x1; before 3x3, 3x3; before 5x5, 5x5; after the pooling."""


def caffenet() -> Network:
    """Return CaffeNet: AlexNet with each normalization after the pooling, 244 MB."""
    draft = Draft(name="caffenet", size=227, batch=10)
    blob = draft.relu(draft.convolution("conv1", "data", (96, 3, 11), "stride: 4"))
    blob = draft.add("norm1", "LRN", draft.pool("pool1", blob, MAX_HALF), "norm1", LRN)
    blob = draft.relu(draft.convolution("conv2", blob, (256, 48, 5), "pad: 2 group: 2"))
    blob = draft.add("norm2", "LRN", draft.pool("pool2", blob, MAX_HALF), "norm2", LRN)
    blob = draft.relu(draft.convolution("conv3", blob, (384, 256, 3), "pad: 1"))
    blob = draft.relu(draft.convolution("conv4", blob, (384, 192, 3), "pad: 1 group: 2"))
    blob = draft.relu(draft.convolution("conv5", blob, (256, 192, 3), "pad: 1 group: 2"))
    blob = draft.pool("pool5", blob, MAX_HALF)
    for name, inputs in (("fc6", 256 * 6 * 6), ("fc7", 4096)):
        blob = draft.relu(draft.dense(name, blob, 4096, inputs))
        blob = draft.add(f"drop_{name}", "Dropout", blob, blob)
    draft.add("prob", "Softmax", draft.dense("fc8", blob, 1000, 4096), "prob")
    return draft.finish()


def squeezenet11() -> Network:
    """Return SqueezeNet 1.1, 5 MB."""
    draft = Draft(name="squeezenet11", size=227)
    blob, channels = draft.relu(draft.convolution("conv1", "data", (64, 3, 3), "stride: 2")), 64
    for number, squeezed in enumerate((16, 16, 32, 32, 48, 48, 64, 64), 2):
        if number in {2, 4, 6}:
            blob = draft.pool(f"pool{number - 1}", blob, MAX_HALF)
        fire, wide = f"fire{number}", 4 * squeezed
        blob = draft.relu(draft.convolution(f"{fire}/squeeze1x1", blob, (squeezed, channels, 1)))
        one = draft.relu(draft.convolution(f"{fire}/expand1x1", blob, (wide, squeezed, 1)))
        three = draft.relu(draft.convolution(f"{fire}/expand3x3", blob, (wide, squeezed, 3), "pad: 1"))
        blob, channels = draft.add(f"{fire}/concat", "Concat", f"{one} {three}", f"{fire}/concat"), 2 * wide
    blob = draft.add("drop9", "Dropout", blob, blob)
    blob = draft.relu(draft.convolution("conv10", blob, (1000, channels, 1), "pad: 1"))
    draft.add("prob", "Softmax", draft.pool("pool10", blob, "pool: AVE global_pooling: true"), "prob")
    return draft.finish()


def googlenet() -> Network:
    """Return GoogLeNet, the 22-layer network of Szegedy and others, 28 MB, without its auxiliary classifiers."""
    draft = Draft(name="googlenet", size=224, batch=10)
    blob = draft.relu(draft.convolution("conv1/7x7_s2", "data", (64, 3, 7), "pad: 3 stride: 2"))
    blob = draft.add("pool1/norm1", "LRN", draft.pool("pool1/3x3_s2", blob, MAX_HALF), "pool1/norm1", LRN)
    blob = draft.relu(draft.convolution("conv2/3x3_reduce", blob, (64, 64, 1)))
    blob = draft.relu(draft.convolution("conv2/3x3", blob, (192, 64, 3), "pad: 1"))
    blob = draft.pool("pool2/3x3_s2", draft.add("conv2/norm2", "LRN", blob, "conv2/norm2", LRN), MAX_HALF)
    channels = 192
    for name, extents in INCEPTIONS.items():
        blob, channels = _inception(draft, f"inception_{name}", blob, (channels, extents))
        if name in {"3b", "4e"}:
            blob = draft.pool(f"pool{int(name[0])}/3x3_s2", blob, MAX_HALF)
    blob = draft.pool("pool5/7x7_s1", blob, "pool: AVE kernel_size: 7 stride: 1")
    blob = draft.add("pool5/drop_7x7_s1", "Dropout", blob, blob, "dropout_param { dropout_ratio: 0.4 }")
    draft.add("prob", "Softmax", draft.dense("loss3/classifier", blob, 1000, channels), "prob")
    return draft.finish()


def _inception(draft: Draft, name: str, bottom: str, extents: tuple[int, tuple[int, ...]]) -> tuple[str, int]:
    """Append four parallel branches; return the blob that concatenates them, and its channels."""
    channels, (one, before_three, three, before_five, five, behind) = extents
    ends = [draft.relu(draft.convolution(f"{name}/1x1", bottom, (one, channels, 1)))]
    for window, before, outputs in ((3, before_three, three), (5, before_five, five)):
        branch = f"{name}/{window}x{window}"
        blob = draft.relu(draft.convolution(f"{branch}_reduce", bottom, (before, channels, 1)))
        ends.append(draft.relu(draft.convolution(branch, blob, (outputs, before, window), f"pad: {window // 2}")))
    blob = draft.pool(f"{name}/pool", bottom, "pool: MAX kernel_size: 3 stride: 1 pad: 1")
    ends.append(draft.relu(draft.convolution(f"{name}/pool_proj", blob, (behind, channels, 1))))
    joined = draft.add(f"{name}/output", "Concat", " ".join(ends), f"{name}/output")
    return joined, one + three + five + behind


NETWORKS = {"caffenet": caffenet, "googlenet": googlenet, "resnet50": resnet50, "squeezenet11": squeezenet11}
