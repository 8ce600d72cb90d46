"""Layers of forks that read or make training data: their tops are inputs of the converted network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.layers.data.source import Input, Source
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Augmented", "ForkData", "WordData"]


@register("AnnotatedData", "VideoData", "VolumeData", "DenseImageData", "BoxData", "BboxData", "CustomData", "CPMData")
@dataclass(frozen=True, slots=True, kw_only=True)
class ForkData(Source):
    """A data layer of a fork; its tops are inputs of the converted network.

    Tops: any number. Give their shapes.

    Ignored: all parameters, so what the layer reads and how it transforms it. Feed what it would have given.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read the names of the tops alone."""
        return cls(shapes=(None,) * len(proto.tops), names=proto.tops)


@register("ImageSegData", "MatRead", "FloatReader", "ImgReader", "DisparityData", "LaneData")
@dataclass(frozen=True, slots=True, kw_only=True)
class FileData(ForkData):
    """A layer of DeepLab's, FlowNet's or YOLO's fork that reads files; its tops are inputs, as for AnnotatedData."""


@register("DocData", "SparseData", "RandVec", "SpatialPyramidPoolingData", "CustomImageData")
@dataclass(frozen=True, slots=True, kw_only=True)
class OtherData(ForkData):
    """A source of data of a fork; its tops are inputs, as for AnnotatedData."""


@register(
    "Python:roi_data_layer.layer.RoIDataLayer", "Python:layers.data_layer.FaceDataLayer", "Python:data_layer.DataLayer"
)
@dataclass(frozen=True, slots=True, kw_only=True)
class PythonData(ForkData):
    """A data layer of the Faster R-CNN family that is Python code; its tops are inputs, as for AnnotatedData."""


@register("data", "memory_data", "data_blob")
@dataclass(frozen=True, slots=True, kw_only=True)
class WordData(Input):
    """A data layer of an old definition whose type is a plain word; its tops are inputs of the converted network.

    | parameter (input_param) | default | meaning |
    |---|---|---|
    | shape | | the shape of every top, or one shape for each top; if absent, give the shapes |
    """


@register("FlowAugmentation", "GenerateAugmentationParameters", "BlackAugmentation")
@dataclass(frozen=True, slots=True, kw_only=True)
class Augmented(ForkData):
    """A layer that alters training data at random; its tops are inputs of the converted network.

    The network begins after this layer. Give the shapes of its tops. Layers that feed only this layer are left out.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (0, None)


@register("Python:rpn.proposal_target_layer.ProposalTargetLayer")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalTarget(Augmented):
    """Faster R-CNN's random choice of regions to train on; its tops are inputs, as for FlowAugmentation.

    A test definition has no such layer: convert it to have the head read the proposals.
    """
