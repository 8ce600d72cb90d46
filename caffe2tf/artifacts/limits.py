"""Errors of TensorFlow about networks that are too large, as errors that a user understands."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from caffe2tf.emit import Program
from caffe2tf.errors import UsageError
from caffe2tf.quiet import starting_tensorflow

__all__ = ["explained_limits", "reason_of"]


@contextmanager
def explained_limits(program: Program) -> Iterator[None]:
    """Explain errors inside the block that come from the limits of the machine or of TensorFlow.

    Raises:
        UsageError: the network needs more memory than there is, or TensorFlow cannot compute one of its layers, for
            example because a tensor has too many axes.
    """
    with starting_tensorflow():
        import tensorflow as tf  # noqa: PLC0415 - takes seconds; only running a model needs it

    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.AbortedError, tf.errors.UnimplementedError) as e:
        layer = _keras_layer(e)
        nodes = {program.taps[i].layer: n.name for n in program.graph.nodes for i in n.outputs if i in program.taps}
        place = f"layer {nodes.get(layer, layer)!r}: " if layer else ""
        memory = isinstance(e, MemoryError | tf.errors.ResourceExhaustedError)
        what = "this needs more memory than there is" if memory else "TensorFlow cannot compute this"
        raise UsageError(f"{place}{what}: {reason_of(e)}") from e


def reason_of(error: BaseException) -> str:
    """Return the message of an error of TensorFlow, without the place in TensorFlow that raised it."""
    text = str(error).partition(" [Op:")[0].rpartition("}} ")[2]
    return text.partition(" on /job:")[0] or type(error).__name__


def _keras_layer(error: BaseException) -> str:
    """Return the name of the innermost Keras layer that raised the error; empty if there is none."""
    import keras  # noqa: PLC0415 - takes seconds; only running a model needs it

    callers = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    layers = [c.name for c in callers if isinstance(c, keras.Layer) and not isinstance(c, keras.Model)]
    return layers[-1] if layers else ""
