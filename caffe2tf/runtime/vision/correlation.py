"""Correlation and Correlation1D: comparison of the patches of two feature maps (FlowNet, DispNet)."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Correlation", "Correlation1D"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Correlation(keras.layers.Layer):
    """Compares patches of two feature maps for each displacement of the second one.

    Output channel ``d`` at a position ``p`` is the mean of ``first[p + o] * second[p + o + d]`` over all channels and
    all offsets ``o`` within a patch. FlowNet's layer of this name computes it.

    Args:
        kernel_size: int, odd. Height and width of a patch.
        max_displacement: int. The limit of displacements along either axis.
        pad: int. The zeros on each side of both maps. Defaults to 0.
        stride_1: int. The step between positions. Defaults to 1.
        stride_2: int. The step between displacements. Defaults to 1.
        correlation_type: ``"MULTIPLY"``, or ``"SUBTRACT"`` for the mean of ``abs(first - second)``. Defaults to
            ``"MULTIPLY"``.

    Input shape:
        A list of two tensors, both ``(N, H, W, C)``. All extents but `N` must be known when the layer is called.

    Output shape:
        ``(N, rows, columns, D * D)``, where ``D = 2 * (max_displacement // stride_2) + 1``, and each of `rows` and
        `columns` is ``(n + 2 * (pad - max_displacement) - kernel_size + 1) / stride_1``, rounded up, for an extent of
        ``n``. The displacements are ordered by row, then by column, from negative to positive.

    Raises:
        ValueError: the height, width or channels are unknown when the layer is called.
    """

    def __init__(
        self,
        kernel_size: int,
        max_displacement: int,
        pad: int = 0,
        stride_1: int = 1,
        stride_2: int = 1,
        correlation_type: str = "MULTIPLY",
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.max_displacement = max_displacement
        self.pad = pad
        self.stride_1 = stride_1
        self.stride_2 = stride_2
        self.correlation_type = correlation_type

    def displacements(self) -> tuple[range, range]:
        """Return the displacements along the height and along the width."""
        steps = self.max_displacement // self.stride_2
        reach = range(-steps * self.stride_2, steps * self.stride_2 + 1, self.stride_2)
        return reach, reach

    def margins(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return for the height and for the width the zeros on each side and the start of the first patch."""
        return (self.pad, self.max_displacement), (self.pad, self.max_displacement)

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the shape with one pixel for each position and one channel for each displacement."""
        batch, *extents, _ = input_shape[0]
        down, across = self.displacements()
        places = []
        for extent, (pad, margin) in zip(extents, self.margins(), strict=True):
            room = None if extent is None else extent + 2 * (pad - margin) - self.kernel_size + 1
            places.append(None if room is None else -(-room // self.stride_1))
        return (batch, *places, len(down) * len(across))

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the correlation of the two inputs."""
        first, second = inputs
        if None in first.shape[1:]:
            raise ValueError(f"the height, width and channels must be known, not {tuple(first.shape)}")
        rows, columns = (n or 0 for n in self.compute_output_shape([tuple(first.shape)])[1:3])
        (pad_y, margin_y), (pad_x, margin_x) = self.margins()
        down, across = self.displacements()
        k, step = self.kernel_size, self.stride_1
        if k > 1:  # compare all pixels of the patches, and take the means over patches at the end
            rows, columns, step = (rows - 1) * step + k, (columns - 1) * step + k, 1
        # With single_direction -1, displacements reach one step further than the margin.
        before, after = max(0, -across[0] - margin_x), max(0, across[-1] - margin_x)
        first = tf.pad(first, [[0, 0], [pad_y, pad_y], [pad_x, pad_x], [0, 0]])
        second = tf.pad(second, [[0, 0], [pad_y, pad_y], [pad_x + before, pad_x + after], [0, 0]])
        height, width = (rows - 1) * step + 1, (columns - 1) * step + 1
        patches = first[:, margin_y : margin_y + height : step, margin_x : margin_x + width : step]
        places = (margin_y, margin_x + before, height, width, step)
        compare = _absolute_differences if self.correlation_type == "SUBTRACT" else _products
        maps = compare(patches, second, places, down, across) / first.shape[-1]
        return tf.nn.avg_pool2d(maps, k, self.stride_1, "VALID") if k > 1 else maps

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        names = ("kernel_size", "max_displacement", "pad", "stride_1", "stride_2", "correlation_type")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Correlation1D(Correlation):
    """Correlation with displacements and padding along the width only, as in DispNet.

    Args:
        kernel_size: int, odd. Height and width of a patch.
        max_displacement: int. The limit of displacements.
        single_direction: int. 0 for displacements to both sides; 1 for those to the right, including none; -1 for
            those to the left from one step on, up to one step beyond `max_displacement`. Defaults to 0.
        **kwargs: the other arguments of `Correlation`.

    Input shape:
        A list of two tensors, both ``(N, H, W, C)``. All extents but `N` must be known when the layer is called.

    Output shape:
        ``(N, rows, columns, D)``, where D is the number of displacements. `columns` is as in `Correlation`, and `rows`
        is ``(H - kernel_size + 1) / stride_1``, rounded up.
    """

    def __init__(self, kernel_size: int, max_displacement: int, *, single_direction: int = 0, **kwargs: object) -> None:
        super().__init__(kernel_size, max_displacement, **kwargs)  # type: ignore[arg-type]  # those of Correlation
        self.single_direction = single_direction

    def displacements(self) -> tuple[range, range]:
        """Return no displacement along the height, and those along the width."""
        steps, stride = self.max_displacement // self.stride_2, self.stride_2
        first, count = {-1: (-steps - 1, steps + 1), 0: (-steps, 2 * steps + 1), 1: (0, steps + 1)}[
            self.single_direction
        ]
        return range(1), range(first * stride, (first + count - 1) * stride + 1, stride)

    def margins(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the zeros and the start along the width; there are none along the height."""
        return (0, 0), (self.pad, self.max_displacement)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "single_direction": self.single_direction}


def _products(
    patches: tf.Tensor, second: tf.Tensor, places: tuple[int, int, int, int, int], down: range, across: range
) -> tf.Tensor:
    """Return the sums of products over the channels, by one matrix product for each displacement along the height.

    It multiplies each position of a row of the first map by each position of a row of the second. The displacements of
    position x begin at column ``x * step`` of the product. With ``step`` columns appended to the product and its rows
    read one after the other, they begin at the same column.
    """
    top, left, height, width, step = places
    _, rows, columns, _ = patches.shape
    span = across[-1] - across[0] + 1
    breadth = width - 1 + span
    start = left + across[0]
    turned = tf.transpose(second[:, :, start : start + breadth], [0, 1, 3, 2])
    maps = []
    for dy in down:
        every = tf.matmul(patches, turned[:, top + dy : top + dy + height : step])
        every = tf.reshape(every, [-1, rows, columns * breadth])
        every = tf.pad(every, [[0, 0], [0, 0], [0, columns * step]])
        maps.append(tf.reshape(every, [-1, rows, columns, breadth + step])[..., : span : across.step])
    return tf.concat(maps, axis=-1)


def _absolute_differences(
    patches: tf.Tensor, second: tf.Tensor, places: tuple[int, int, int, int, int], down: range, across: range
) -> tf.Tensor:
    """Return the sums of absolute differences over the channels, one displacement after the other."""
    top, left, height, width, step = places

    def at(displacement: tf.Tensor) -> tf.Tensor:
        y, x = displacement[0] + top, displacement[1] + left
        return tf.reduce_sum(tf.abs(patches - second[:, y : y + height : step, x : x + width : step]), axis=-1)

    shifts = tf.constant([(dy, dx) for dy in down for dx in across], tf.int32)
    plain = tf.autograph.experimental.do_not_convert(at)  # it has no Python control flow
    maps = tf.map_fn(plain, shifts, fn_output_signature=patches.dtype)
    _, rows, columns, _ = patches.shape
    return tf.ensure_shape(tf.transpose(maps, [1, 2, 3, 0]), [None, rows, columns, shifts.shape[0]])
