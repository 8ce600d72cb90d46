"""Non-maximum suppression, shared by the detection layers."""

from __future__ import annotations

import tensorflow as tf

__all__ = ["keep_best_boxes", "rows_or_none"]


@tf.function(autograph=False, reduce_retracing=True)
def keep_best_boxes(
    corners: tf.Tensor,
    sizes: tf.Tensor,
    valid: tf.Tensor,
    threshold: tf.Tensor,
    eta: tf.Tensor,
    *,
    inclusive: bool = False,
) -> tf.Tensor:
    """Return which boxes are kept by greedy non-maximum suppression, for several rows of boxes at once.

    The best box of each row is kept and removes the boxes that overlap it too much; then the best of the others, and
    so on. ``tf.image.non_max_suppression`` differs from Caffe: it has no `eta`, it swaps the corners of inverted
    boxes, and it rejects thresholds above 1.

    Args:
        corners: (rows, boxes, 4). Left, top, right and bottom of each box, the best box of each row first.
        sizes: (rows, boxes). The areas of the boxes; 0 for an inverted box.
        valid: (rows, boxes). False where there is no box.
        threshold: scalar. A box is removed if its overlap (intersection over union) exceeds this.
        eta: scalar. After each box that is kept, the threshold is multiplied by this while it exceeds 0.5.
        inclusive: whether an overlap equal to the threshold removes a box, too. An overlap that is NaN removes a box
            if `inclusive` is false, and none if it is true.

    Returns:
        (rows, boxes), true for the boxes that are kept.
    """
    left, top, right, bottom = tf.unstack(corners, axis=2)
    places = tf.range(tf.shape(valid)[1])

    def some_are_left(free: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(free)

    def keep_one(
        free: tf.Tensor, kept: tf.Tensor, worst: tf.Tensor, limit: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        found = tf.reduce_any(free, axis=1)
        first = tf.argmax(tf.cast(free, tf.int32), axis=1, output_type=tf.int32)
        box = tf.gather(corners, first, batch_dims=1)[:, :, None]
        width = tf.minimum(right, box[:, 2]) - tf.maximum(left, box[:, 0])
        height = tf.minimum(bottom, box[:, 3]) - tf.maximum(top, box[:, 1])
        shared = tf.where((width > 0) & (height > 0), width * height, 0.0)
        union = sizes + tf.gather(sizes, first, batch_dims=1)[:, None] - shared
        overlap = tf.where(tf.equal(shared, 0.0), 0.0, shared / union)
        number = tf.where(tf.math.is_nan(overlap), -float("inf") if inclusive else float("inf"), overlap)
        worst = tf.maximum(worst, number)  # a lower limit may be exceeded by the overlap with an earlier box
        limit = tf.where(found & (limit > 0.5), limit * eta, limit)
        removed = worst >= limit[:, None] if inclusive else worst > limit[:, None]
        here = tf.equal(places, first[:, None]) & found[:, None]
        return free & ~here & ~removed, kept | here, worst, limit

    lowest = tf.fill(tf.shape(sizes), -float("inf"))
    start = (valid, tf.zeros_like(valid), lowest, tf.fill(tf.shape(sizes)[:1], threshold))
    return tf.while_loop(some_are_left, keep_one, start)[1]


def rows_or_none(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Return detections (n, 7) as (1, 1, n, 7).

    If there are none, return one row for each image, as Caffe does: the number of the image, followed by -1.
    """
    numbers = tf.cast(tf.range(images), rows.dtype)[:, None]
    nothing = tf.pad(numbers, [[0, 0], [0, 6]], constant_values=-1)
    return tf.cond(tf.shape(rows)[0] > 0, lambda: rows, lambda: nothing)[None, None]
