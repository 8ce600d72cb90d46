"""Greedy suppression of boxes that overlap better ones: what detection layers share."""

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
    """Which boxes stay when, from the best on, each one that stays removes what overlaps it too much.

    All rows are worked on at once: in each round, one box of each stays. TensorFlow's own operation would be the same
    only in part: it knows no `eta`, turns boxes whose left and right are exchanged, and takes no threshold above 1.

    Args:
        corners: (rows, boxes, 4): left, top, right, bottom, the best box of each row first.
        sizes: (rows, boxes): their areas, 0 where left and right, or top and bottom, are exchanged.
        valid: (rows, boxes): false where there is no box.
        threshold: the overlap, intersection over union, above which a box is removed.
        eta: what the threshold is multiplied with after each box that stays, while it is above 0.5.
        inclusive: whether a box that overlaps by just the threshold is removed, too. If so, an overlap that is no
            number removes none; if not, it removes.

    Returns:
        (rows, boxes), true for those that stay.
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
        worst = tf.maximum(worst, number)  # a falling limit may reach an overlap with a box kept before
        limit = tf.where(found & (limit > 0.5), limit * eta, limit)
        removed = worst >= limit[:, None] if inclusive else worst > limit[:, None]
        here = tf.equal(places, first[:, None]) & found[:, None]
        return free & ~here & ~removed, kept | here, worst, limit

    lowest = tf.fill(tf.shape(sizes), -float("inf"))
    start = (valid, tf.zeros_like(valid), lowest, tf.fill(tf.shape(sizes)[:1], threshold))
    return tf.while_loop(some_are_left, keep_one, start)[1]


def rows_or_none(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Detections (n, 7) as (1, 1, n, 7); where there are none, one row of -1 for each image, that has its number."""
    numbers = tf.cast(tf.range(images), rows.dtype)[:, None]
    nothing = tf.pad(numbers, [[0, 0], [0, 6]], constant_values=-1)
    return tf.cond(tf.shape(rows)[0] > 0, lambda: rows, lambda: nothing)[None, None]
