"""Chooses between the two sizes that `zoom_factor` of Interp layers stands for.

In DeepLab's and PSPNet's Caffe, ``zoom_factor: z`` makes ``(n - 1) * z + 1`` values of n. In the Caffe of OpenVINO's
training toolbox it makes ``n * z``. The file does not say which one it means, but the layers behind it do: an Eltwise
or Concat takes only blobs whose extents agree. DeepLab's size is tried first. The other one is chosen if
fewer layers are invalid with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from caffe2tf.diagnostics import Diagnostic, Severity, in_order
from caffe2tf.load.builder import Built, build_graph
from caffe2tf.parse import LayerDefinition, UnknownField

if TYPE_CHECKING:
    from caffe2tf.ir import Shape
    from caffe2tf.parse import NetworkDefinition

__all__ = ["build_fitting"]


def build_fitting(
    definition: NetworkDefinition, *, input_shapes: Mapping[str, Shape], stub_unknown: bool = False
) -> Built:
    """Return what `build_graph` returns, with the size of Interp layers that fits the layers behind them."""
    built = build_graph(definition, input_shapes=input_shapes, stub_unknown=stub_unknown)
    zooming = [layer for layer in definition.layers if _zooms(layer)]
    if not zooming or not _misfits(built):
        return built
    layers = tuple(_enlarged(layer) if _zooms(layer) else layer for layer in definition.layers)
    other = build_graph(replace(definition, layers=layers), input_shapes=input_shapes, stub_unknown=stub_unknown)
    return _with_note(other, zooming) if _misfits(other) < _misfits(built) else built


def _zooms(layer: LayerDefinition) -> bool:
    """Return whether a layer is an Interp whose size `zoom_factor` alone gives."""
    if layer.type != "Interp" or len(layer.bottoms) != 1:
        return False
    p = layer.message.interp_param
    if p.zoom_factor < 2:
        return False
    return p.shrink_factor == 1 and "full_zoom_factor" not in layer.extra.block("interp_param")


def _misfits(built: Built) -> frozenset[str | None]:
    """Return the names of the invalid layers, among them those whose bottoms do not fit each other."""
    return frozenset(d.layer for d in built.problems if d.severity is Severity.ERROR and d.layer is not None)


def _enlarged(layer: LayerDefinition) -> LayerDefinition:
    """Return an Interp with `full_zoom_factor`, Synopsys' name for this size, in place of `zoom_factor`."""
    message = type(layer.message)()
    message.CopyFrom(layer.message)
    factor = message.interp_param.zoom_factor
    message.interp_param.ClearField("zoom_factor")
    field = UnknownField(path="interp_param.full_zoom_factor", value=factor, where=layer.where)
    return replace(layer, message=message, unknown=(*layer.unknown, field))


def _with_note(built: Built, zooming: list[LayerDefinition]) -> Built:
    factor = zooming[0].message.interp_param.zoom_factor
    note = replace(
        Diagnostic.note(
            f"zoom_factor {factor} makes {factor} n values of n, as in the training toolbox of OpenVINO; the "
            f"{factor} (n - 1) + 1 of DeepLab and PSPNet do not fit the layers that follow",
            layer=zooming[0].name,
            where=zooming[0].where,
        ),
        repeats=len(zooming) - 1,
    )
    return replace(built, graph=replace(built.graph, notes=tuple(in_order([*built.graph.notes, note]))))
