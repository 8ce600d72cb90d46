"""Layers of forks that read or make training data: their tops are inputs of the converted network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.layers.registry import register
from caffe2tf.layers.sources import Source

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Augmented", "ForkData"]


@register("AnnotatedData", "VideoData", "VolumeData", "DenseImageData", "BoxData", "BboxData", "CustomData", "CPMData")
@dataclass(frozen=True, slots=True, kw_only=True)
class ForkData(Source):
    """A data layer of a fork: its tops are inputs, whose shapes are to be given.

    What it reads, and how it transforms that, is left out: feed what it would have given.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Nothing of its parameters."""
        return cls(shapes=(None,) * len(proto.tops), names=proto.tops)


@register("DocData", "SparseData", "ContinuationIndicator", "RandVec", "SpatialPyramidPoolingData", "CustomImageData")
@dataclass(frozen=True, slots=True, kw_only=True)
class OtherData(ForkData):
    """A source of data of a fork, as `ForkData`."""


@register(
    "Python:roi_data_layer.layer.RoIDataLayer", "Python:layers.data_layer.FaceDataLayer", "Python:data_layer.DataLayer"
)
@dataclass(frozen=True, slots=True, kw_only=True)
class PythonData(ForkData):
    """A data layer of Faster R-CNN and its kin that is Python code, as `ForkData`."""


@register("DataAugmentation", "FlowAugmentation", "GenerateAugmentationParameters", "BlackAugmentation")
@dataclass(frozen=True, slots=True, kw_only=True)
class Augmented(ForkData):
    """Alters training data at random: the network begins behind it. Its tops are inputs, whose shapes are to be given.

    What the layer reads is left out where nothing else reads it.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (0, None)


@register("Python:rpn.proposal_target_layer.ProposalTargetLayer")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalTarget(Augmented):
    """Faster R-CNN's choice of regions to train on, drawn at random: as `Augmented`.

    A network for use has no such layer; convert the test definition to have its head read the proposals.
    """
