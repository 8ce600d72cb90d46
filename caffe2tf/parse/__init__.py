"""Readers of Caffe's files: definitions of any age in one modern form, and weights as memory-mapped arrays."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from caffe2tf.parse.blobs import Blob
from caffe2tf.parse.definition import LayerDefinition, NetworkDefinition
from caffe2tf.parse.network import read_network
from caffe2tf.parse.param_spec import ParamSpec, ShareMode
from caffe2tf.parse.parameters import Parameters
from caffe2tf.parse.state import NetState, Phase, StateRule
from caffe2tf.parse.unknown_field import UnknownField
from caffe2tf.parse.weights import TrainedWeights, open_weights

if TYPE_CHECKING:
    from caffe2tf.parse.mean_image import read_mean
    from caffe2tf.parse.rewrite import Upgraded, upgrade_file
    from caffe2tf.parse.write import format_prototxt, write_prototxt

__all__ = [
    "Blob",
    "LayerDefinition",
    "NetState",
    "NetworkDefinition",
    "ParamSpec",
    "Parameters",
    "Phase",
    "ShareMode",
    "StateRule",
    "TrainedWeights",
    "UnknownField",
    "Upgraded",
    "format_prototxt",
    "open_weights",
    "read_mean",
    "read_network",
    "upgrade_file",
    "write_prototxt",
]

# Imported on first use: most conversions do not need them, and some are slow to import.
_LATE = {
    "Upgraded": "rewrite",
    "format_prototxt": "write",
    "read_mean": "mean_image",
    "upgrade_file": "rewrite",
    "write_prototxt": "write",
}


def __getattr__(name: str) -> object:
    home = _LATE.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
