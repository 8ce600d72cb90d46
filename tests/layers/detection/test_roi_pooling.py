"""ROIPooling and PSROIPooling: recordings of Caffe, loops in its order, boxes of every kind, and every error."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError, LayerError, UsageError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.detection.roi_pooling import PSROIPooling, ROIPooling
from tests.builders import layer
from tests.layers.emitted import built, calls, emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

F = np.float32


def pooling(type_: str, parameters: str) -> str:
    return layer(type_, "out", ["data", "rois"], parameters=parameters)


def max_layer(rows: int, columns: int, scale: float = 1.0) -> str:
    return pooling("ROIPooling", f"roi_pooling_param {{ pooled_h: {rows} pooled_w: {columns} spatial_scale: {scale} }}")


def mean_layer(channels: int, group: int, scale: float = 1.0) -> str:
    return pooling(
        "PSROIPooling",
        f"psroi_pooling_param {{ spatial_scale: {scale} output_dim: {channels} group_size: {group} }}",
    )


def half_up(x: np.floating) -> int:
    """Round as C does: halves away from zero."""
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), float(x)))


def clip(value: float, most: int) -> int:
    return min(max(int(value), 0), most)


def max_of_boxes(x: Array, rois: Array, rows: int, columns: int, scale: float) -> Array:
    """Return ROIPooling by Caffe's loops, in float32."""
    _, channels, height, width = x.shape
    out = np.zeros((len(rois), channels, rows, columns), F)
    for n, roi in enumerate(rois):
        left, top, right, bottom = (half_up(F(v) * F(scale)) for v in roi[1:])
        step_h = F(max(bottom - top + 1, 1)) / F(rows)
        step_w = F(max(right - left + 1, 1)) / F(columns)
        for c in range(channels):
            for i in range(rows):
                h0, h1 = (clip(v + top, height) for v in (math.floor(F(i) * step_h), math.ceil(F(i + 1) * step_h)))
                for j in range(columns):
                    w0, w1 = (clip(v + left, width) for v in (math.floor(F(j) * step_w), math.ceil(F(j + 1) * step_w)))
                    cell = x[int(roi[0]), c, h0:h1, w0:w1]
                    out[n, c, i, j] = cell.max() if cell.size else 0
    return out


def mean_of_boxes(x: Array, rois: Array, channels: int, group: int, scale: float) -> Array:
    """Return PSROIPooling by Caffe's loops, in float32."""
    _, _, height, width = x.shape
    out = np.zeros((len(rois), channels, group, group), F)
    for n, roi in enumerate(rois):
        left, top = (F(half_up(v)) * F(scale) for v in roi[1:3])
        right, bottom = ((F(half_up(v)) + F(1)) * F(scale) for v in roi[3:5])
        step_h, step_w = (max(v, F(0.1)) / F(group) for v in (bottom - top, right - left))
        for k in range(channels):
            for i in range(group):
                ends = math.floor(F(i) * step_h + top), math.ceil(F(i + 1) * step_h + top)
                h0, h1 = (clip(v, height) for v in ends)
                for j in range(group):
                    ends = math.floor(F(j) * step_w + left), math.ceil(F(j + 1) * step_w + left)
                    w0, w1 = (clip(v, width) for v in ends)
                    cell = x[int(roi[0]), (k * group + i) * group + j, h0:h1, w0:w1]
                    out[n, k, i, j] = cell.astype(np.float64).mean() if cell.size else 0
    return out


def boxes(rng: np.random.Generator, count: int, images: int, width: float, height: float) -> Array:
    """Return random boxes: some have negative extents, some lie outside the images, some corners are halves."""
    corners = rng.uniform(-0.3, 1.3, (count, 4)) * [width, height, width, height]
    ordered = rng.uniform(size=count) < 0.7
    low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
    corners[ordered] = np.concatenate([low, high], axis=1)[ordered]
    corners[::3] = np.round(corners[::3] * 2) / 2
    return np.concatenate([rng.integers(0, images, (count, 1)), corners], axis=1).astype(F)


def features(rng: np.random.Generator, *shape: int) -> Array:
    return (rng.standard_normal(shape) - 1).astype(F)  # mostly negative, so that 0 for an empty cell is not the maximum


@pytest.mark.parametrize("case", recorded("fork_roipooling", "fork_psroipooling"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize(
    ("rows", "columns", "scale"),
    [(1, 1, 1.0), (3, 5, 1.0), (7, 7, 0.0625), (2, 9, 0.3), (6, 1, 0.5), (14, 7, 0.125), (4, 3, 2.0)],
)
@pytest.mark.parametrize("size", [(5, 9), (23, 6), (1, 17)])
def test_max_pooling(rows: int, columns: int, scale: float, size: tuple[int, int], rng: np.random.Generator) -> None:
    x = features(rng, 2, 3, *size)
    rois = boxes(rng, 23, 2, size[1] / scale, size[0] / scale)
    have = run_layer(max_layer(rows, columns, scale), {"data": x, "rois": rois})["out"]
    assert np.array_equal(have, max_of_boxes(x, rois, rows, columns, scale))


@pytest.mark.parametrize(
    ("channels", "group", "scale"), [(1, 1, 1.0), (2, 3, 1.0), (3, 7, 0.0625), (5, 2, 0.3), (2, 4, 0.5)]
)
@pytest.mark.parametrize("size", [(5, 9), (23, 6)])
def test_position_sensitive_pooling(
    channels: int, group: int, scale: float, size: tuple[int, int], rng: np.random.Generator
) -> None:
    x = features(rng, 2, channels * group**2, *size)
    rois = boxes(rng, 17, 2, size[1] / scale, size[0] / scale)
    have = run_layer(mean_layer(channels, group, scale), {"data": x, "rois": rois})["out"]
    assert_matches(have, mean_of_boxes(x, rois, channels, group, scale))


def test_means_of_a_large_feature_map_are_exact(rng: np.random.Generator) -> None:
    x = features(rng, 1, 4, 90, 110) + F(1000)
    x[:, :, 80:, 100:] = rng.standard_normal((1, 4, 10, 10))
    rois = np.array([[0, 101, 82, 108, 88]], F)
    have = run_layer(mean_layer(1, 2), {"data": x, "rois": rois})["out"]
    assert_matches(have, mean_of_boxes(x, rois, 1, 2, 1.0))


def test_boxes_with_four_axes(rng: np.random.Generator) -> None:
    x, rois = features(rng, 2, 3, 6, 7), boxes(rng, 4, 2, 7, 6)
    have = run_layer(max_layer(2, 3), {"data": x, "rois": rois[:, :, None, None]})["out"]
    assert np.array_equal(have, max_of_boxes(x, rois, 2, 3, 1.0))


def test_features_are_not_transposed() -> None:
    window = "convolution_param { num_output: 4 kernel_size: 3 }"
    convolution = layer("Convolution", "conv", ["image"], ["data"], window)
    product = layer("InnerProduct", "fc", ["out"], parameters="inner_product_param { num_output: 3 }")
    shapes = {"image": (1, 3, 9, 8), "rois": (2, 5)}
    found = calls(convolution + max_layer(2, 3) + product, shapes)
    assert found == ["Conv2D", "ROIPooling", "Flatten", "Dense"]


def test_any_number_of_images_and_boxes(rng: np.random.Generator) -> None:
    model = built(max_layer(2, 3), {"data": (1, 3, 6, 7), "rois": (1, 5)})
    assert [i.shape[0] for i in model.inputs] == [None, None]
    x, rois = features(rng, 3, 3, 6, 7), boxes(rng, 8, 3, 7, 6)
    fed = {"data": x.transpose(0, 2, 3, 1), "rois": rois}
    have = np.asarray(model(fed)["out"]).transpose(0, 3, 1, 2)
    assert np.array_equal(have, max_of_boxes(x, rois, 2, 3, 1.0))


def test_emitted_code() -> None:
    shapes = {"data": (1, 18, 6, 7), "rois": (4, 5)}
    assert "ROIPooling(2, 3, name=" in emitted(max_layer(2, 3), shapes)
    assert "ROIPooling(2, 3, spatial_scale=0.0625, name=" in emitted(max_layer(2, 3, 0.0625), shapes)
    assert "PSROIPooling(0.0625, 2, 3, name=" in emitted(mean_layer(2, 3, 0.0625), shapes)


def test_shapes_and_batch() -> None:
    largest = ROIPooling(pooled_h=2, pooled_w=3, spatial_scale=1.0)
    assert largest.infer((1, 8, None, None), (None, 5)) == ((None, 8, 2, 3),)
    assert largest.trace_batch([True, True], [], []) is Batch.KEPT
    assert largest.trace_batch([True, False], [], []) is Batch.ABSENT
    mean = PSROIPooling(spatial_scale=1.0, output_dim=2, group_size=3)
    assert mean.infer((None, None, 4, 5), (7, 5)) == ((7, 2, 3, 3),)
    with pytest.raises(LayerError, match="must be known before the network runs"):
        largest.infer((1, 8, 4, 4), (7, None))


def test_a_box_of_a_missing_image_is_refused(rng: np.random.Generator) -> None:
    x, rois = features(rng, 2, 3, 6, 7), np.array([[2, 0, 0, 3, 3]], F)
    with pytest.raises(UsageError, match="cannot be computed on these inputs"):
        run_layer(max_layer(2, 3), {"data": x, "rois": rois})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (max_layer(0, 3), "pooled_h must be 1 or more, not 0"),
        (max_layer(3, 0), "pooled_w must be 1 or more, not 0"),
        (pooling("ROIPooling", ""), "roi_pooling_param.pooled_h is required"),
        (max_layer(2, 2).replace('bottom: "rois"', ""), "takes 2 bottoms, 1 given"),
        (max_layer(2, 2).replace('"rois"', '"flat"'), "5 values for each box .*, not 6x3"),
        (max_layer(2, 2).replace('"data"', '"flat"'), r"4 axes \(N, C, H, W\), not 6x3"),
        (pooling("PSROIPooling", "psroi_pooling_param { output_dim: 2 group_size: 3 }"), "spatial_scale is required"),
        (pooling("PSROIPooling", "psroi_pooling_param { spatial_scale: 1 group_size: 3 }"), "output_dim is required"),
        (pooling("PSROIPooling", "psroi_pooling_param { spatial_scale: 1 output_dim: 2 }"), "group_size is required"),
        (max_layer(2, 2, float("inf")), "roi_pooling_param.spatial_scale must be finite, not inf"),
        (mean_layer(2, 2, float("nan")), "psroi_pooling_param.spatial_scale must be finite, not nan"),
        (mean_layer(0, 3), "output_dim must be 1 or more, not 0"),
        (mean_layer(2, 0), "group_size must be 1 or more, not 0"),
        (mean_layer(2, 2), "output_dim . group_size . group_size = 8 channels, not 3"),
    ],
)
def test_errors(text: str, message: str, rng: np.random.Generator) -> None:
    fed = {"data": features(rng, 2, 3, 6, 7), "rois": boxes(rng, 4, 2, 7, 6), "flat": features(rng, 6, 3)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, fed)
