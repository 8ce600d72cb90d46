"""One layer of a definition: find its class, read its parameters, infer the shapes of its tops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir import Shape, format_shape
from caffe2tf.ir.layer import PER_BOTTOM, PerBottom, ReadsImages
from caffe2tf.layers import Layer, find, without_implementation
from caffe2tf.parse.blobs import check_shape

if TYPE_CHECKING:
    from caffe2tf.load.sources import InputShapes
    from caffe2tf.parse import LayerDefinition

__all__ = ["infer_tops", "read_layer", "stub_for"]


def read_layer(definition: LayerDefinition, *, beside: str) -> Layer:
    """Return the layer of a definition.

    Args:
        definition: the layer.
        beside: the path of the network's definition; files that it names are looked for in its folder first.

    Raises:
        LayerUnsupportedError: its type or what it asks for is not supported.
        LayerError: it is wrong.
    """
    cls = find(definition.type, definition)
    if cls is None:
        raise without_implementation(definition)
    _check_counts(cls, definition)
    layer = cls.read(definition)
    if isinstance(layer, ReadsImages) and layer.files():
        from caffe2tf.load.named_files import read_images  # noqa: PLC0415 - few networks have such layers

        return read_images(layer, beside=beside)
    return layer


def stub_for(definition: LayerDefinition, shapes: InputShapes) -> Layer | None:
    """Return the stand-in for a layer of unknown type, or None if the type is known.

    A layer that reads nothing becomes an input.

    Raises:
        LayerUnsupportedError: the type is unknown, and the layer has no top.
    """
    if find(definition.type, definition) is not None:
        return None
    from caffe2tf.ir.stub import Stub  # noqa: PLC0415 - few networks have such layers
    from caffe2tf.layers.data.fork_sources import ForkData  # noqa: PLC0415 - few networks have such layers

    if not definition.tops:
        what = f"a layer of type {definition.type!r} without a top computes nothing that a stub could; remove the layer"
        raise LayerUnsupportedError(what)
    if not definition.bottoms:
        return ForkData.read(definition)
    return Stub.of(definition, [shapes.take(t) for t in definition.tops])


def infer_tops(layer: Layer, tops: Sequence[str], bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
    """Return the shapes of a layer's tops.

    Args:
        layer: the layer.
        tops: the names of its tops, for messages.
        bottoms: the shapes of its bottoms, in Caffe's axes.

    Raises:
        LayerError: the bottoms do not fit, or a top or a trained blob would be empty or larger than Caffe allows.
    """
    try:
        shapes = layer.infer(*bottoms)
        specs = layer.blobs(*bottoms)
    except LayerError as e:
        raise _with_bottoms(e, bottoms) from None
    if any(d is not None and d < 1 for s in shapes for d in s):
        raise LayerError(f"its tops would be empty ({', '.join(format_shape(s) for s in shapes)})")
    named = [(f"top {top!r}", shape) for top, shape in zip(tops, shapes, strict=False)]
    for what, shape in (*named, *((f"its {spec.name}", spec.shape) for spec in specs)):
        try:
            check_shape([d for d in shape if d is not None])
        except ValueError as e:
            raise LayerError(f"{what}: {e}") from None
    return shapes


def _with_bottoms(error: LayerError, bottoms: Sequence[Shape]) -> LayerError:
    if not bottoms:
        return error
    kind = LayerUnsupportedError if isinstance(error, LayerUnsupportedError) else LayerError
    message = f"{error.message} (bottoms: {', '.join(format_shape(s) for s in bottoms)})"
    return kind(message, hint=error.hint, about=error.about)


def _check_counts(cls: type[Layer], definition: LayerDefinition) -> None:
    for what, have, allowed in (
        ("bottom", len(definition.bottoms), cls.bottoms),
        ("top", len(definition.tops), cls.tops),
    ):
        if isinstance(allowed, PerBottom):
            continue
        low, high = allowed
        if have < low or (high is not None and have > high):
            want = f"{low} or more" if high is None else str(low) if low == high else f"{low} to {high}"
            raise LayerError(f"a layer of type {definition.type} takes {want} {what}s, {have} given")
    if cls.tops is PER_BOTTOM and len(definition.bottoms) != len(definition.tops):
        raise LayerError(
            f"a layer of type {definition.type} has one top for each bottom: "
            f"{len(definition.bottoms)} bottoms and {len(definition.tops)} tops are given"
        )
