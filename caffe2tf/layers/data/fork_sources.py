"""Layers of forks that read or make training data: their tops are inputs of the converted network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from caffe2tf.ir.weight import Array
from caffe2tf.layers.data.source import Input, Source
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Augmented", "ContinuationIndicator", "ForkData", "WordData"]


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


@register("ImageSegData", "MatRead", "FloatReader", "ImgReader", "DisparityData", "LaneData")
@dataclass(frozen=True, slots=True, kw_only=True)
class FileData(ForkData):
    """A layer of DeepLab's, FlowNet's or YOLO's fork that reads files; its tops are inputs as `AnnotatedData`'s are."""


@register("DocData", "SparseData", "RandVec", "SpatialPyramidPoolingData", "CustomImageData")
@dataclass(frozen=True, slots=True, kw_only=True)
class OtherData(ForkData):
    """A source of data of a fork; its tops are inputs as `AnnotatedData`'s are."""


@register(
    "Python:roi_data_layer.layer.RoIDataLayer", "Python:layers.data_layer.FaceDataLayer", "Python:data_layer.DataLayer"
)
@dataclass(frozen=True, slots=True, kw_only=True)
class PythonData(ForkData):
    """A data layer of Faster R-CNN and its kin that is Python code; its tops are inputs as `AnnotatedData`'s are."""


@register("data", "memory_data", "data_blob")
@dataclass(frozen=True, slots=True, kw_only=True)
class WordData(Input):
    """A data layer of an old preset, whose type is a plain word: its tops are inputs.

    | parameter | default | meaning |
    |---|---|---|
    | input_param.shape | | the shape of every top, or one for each top; else shapes are to be given |
    """


@register("ContinuationIndicator")
@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuationIndicator(Source):
    """What tells a recurrent layer of the CTC forks where sequences begin: an input of the converted network.

    | parameter (continuation_indicator_param) | default | meaning |
    |---|---|---|
    | time_step | required | extent of the top's axis 0 |
    | batch_size | | extent of the top's axis 1; without it, the shape is to be given |
    | flag | false | whether all sequences go on from the time before |
    | axis | | not used |

    Where the network runs without an array for it, it is 0 at the first time and 1 after it, for each sequence begins
    there; with `flag` it is 1 throughout. Where it reads a blob, it must be fed.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (0, 1)
    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    reads_unknown: ClassVar[tuple[str, ...]] = ("continuation_indicator_param",)

    goes_on: bool = False
    told: bool = True

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Both extents, as far as they are given."""
        p = proto.extra.block("continuation_indicator_param").only("time_step", "batch_size", "flag", "axis")
        times, batch = p.whole_number("time_step", least=1), p.whole_number("batch_size", 0, least=0)
        shape = (times, batch) if batch else None
        return cls(shapes=(shape,), names=proto.tops, goes_on=p.boolean("flag"), told=not proto.bottoms)

    def default(self, top: int, shape: tuple[int, ...]) -> Array | None:
        """What it gives where it reads nothing."""
        del top
        if not self.told:
            return None
        values = np.ones(shape, np.float32)
        values[:1] = self.goes_on
        return values


@register("FlowAugmentation", "GenerateAugmentationParameters", "BlackAugmentation")
@dataclass(frozen=True, slots=True, kw_only=True)
class Augmented(ForkData):
    """Alters training data at random: the network begins behind it. Its tops are inputs, whose shapes are to be given.

    What the layer reads is left out where nothing else reads it.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (0, None)


@register("Python:rpn.proposal_target_layer.ProposalTargetLayer")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalTarget(Augmented):
    """Faster R-CNN's choice of regions to train on, drawn at random; its tops are inputs as `FlowAugmentation`'s are.

    A network for use has no such layer; convert the test definition to have its head read the proposals.
    """
