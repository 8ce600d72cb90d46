"""HDF5Data: rows of datasets in HDF5 files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.layer import FeedsInputs
from caffe2tf.ir.preprocessing import Content, DataSource, Feed, SourceKind
from caffe2tf.layers.data.image_base import read_batch_size
from caffe2tf.layers.data.source import Source
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["HDF5Data"]


@register("HDF5Data")
@dataclass(frozen=True, slots=True, kw_only=True)
class HDF5Data(Source, FeedsInputs):
    """Rows of the HDF5 datasets that have the names of the tops, which are inputs of the converted network.

    | parameter (hdf5_data_param) | default | meaning |
    |---|---|---|
    | source | | a text file with names of HDF5 files, separated by white space |
    | batch_size | none | rows in a batch |
    | shuffle | false | read the files, and the rows of each file, in a new random order in each pass |

    Tops: any number, each (N, ...) with the axes of its dataset after the first one, converted to float32.

    The shapes are those of the datasets in the first file of the list. If it cannot be read, give them. Caffe goes
    through the rows of all files in the order of the list, without end, and refuses `transform_param`.

    Source: ``src/caffe/layers/hdf5_data_layer.cpp``.
    """

    source: DataSource

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read the source; a transformation is an error."""
        p = proto.message.hdf5_data_param
        batch = read_batch_size(p, "hdf5_data_param")
        if proto.message.HasField("transform_param"):
            raise LayerError("an HDF5Data layer does not transform its data; take transform_param away")
        source = DataSource(kind=SourceKind.HDF5_LIST, path=p.source, batch_size=batch, shuffle=p.shuffle)
        return cls(shapes=(None,) * len(proto.tops), names=proto.tops, source=source)

    def feed(self, top: str) -> Feed | None:
        """Return what Caffe feeds into a top: rows of the dataset of that name."""
        return Feed(source=self.source, content=Content.DATASET) if top in self.names else None

    def with_datasets(self, shapes: Mapping[str, Sequence[int]]) -> Self:
        """Return the layer with shapes from the datasets of a file: each top has their axes after the first one."""
        batch = self.source.batch_size
        if batch is None:
            return self
        return replace(
            self,
            shapes=tuple(
                (batch, *shapes[name][1:]) if name in shapes else shape
                for name, shape in zip(self.names, self.shapes, strict=True)
            ),
        )
