"""Compare the speed of emitted models with hand-written Keras models of the same layers, on the CPU.

    python -m benchmarks.bench_models [--rounds 10] [--folder FOLDER] [--json]

Both models have the same weights and must compute the same probabilities before anything is timed. Each round calls one
model and then the other. If a call is short, a measurement is the mean of several calls.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Goal, Outcome, Run, Series, Table, in_turn, parse_options, report
from benchmarks.networks import Network, alexnet, resnet50

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt

    Images = npt.NDArray[Any]
    Calls = dict[str, Callable[[], npt.NDArray[Any]]]

__all__ = ["main", "measure_models"]

BATCHES = (1, 8)
LONG_ENOUGH = 0.2  # seconds that one measurement takes at least
AS_QUICK = 0.97
MORE = 3  # times as many rounds as elsewhere, because the differences are a few percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The measurements of both models for one way of calling them."""

    network: str
    way: str
    batch: int
    hand: Series
    emitted: Series

    @property
    def ratio(self) -> float:
        """The time of the hand-written model over that of the emitted one."""
        return self.hand.ratio(self.emitted)


def measure_models(options: argparse.Namespace) -> Outcome:
    """Measure each network with ``predict`` and ``tf.function``, for several batch sizes."""
    found = [one for network in (alexnet(), resnet50()) for one in _compare(network, options)]
    columns = ("", "hand-written ms", "emitted ms", "hand-written / emitted", "of processor time")
    rows = tuple(
        (
            f"{one.network}, {one.way}, batch {one.batch}",
            f"{1e3 * one.hand.median:.1f}",
            f"{1e3 * one.emitted.median:.1f}",
            f"{one.ratio:.3f}",
            f"{one.hand.work_ratio(one.emitted):.3f}",
        )
        for one in found
    )
    goals = tuple(
        Goal(
            promise=f"{name}: hand-written / emitted at least {AS_QUICK}",
            measured=", ".join(f"{one.ratio:.3f}" for one in found if one.network == name),
            met=all(one.ratio >= AS_QUICK for one in found if one.network == name),
        )
        for name in dict.fromkeys(one.network for one in found)
    )
    title = f"models on the processor, medians of {MORE * options.rounds} rounds"
    return Outcome(name="models", tables=(Table(title=title, columns=columns, rows=rows),), goals=goals)


def _compare(network: Network, options: argparse.Namespace) -> list[Comparison]:
    import keras  # noqa: PLC0415 - takes seconds
    import numpy as np  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415

    models = _models(network, options.folder)
    size = models["emitted"].inputs[0].shape[1]
    found = []
    for batch in BATCHES:
        images = np.random.default_rng(batch).uniform(-120, 135, (batch, size, size, 3)).astype(np.float32)
        _require_same(models, images)
        ways = {"predict": _predictors(models, images), "tf.function": _functions(models, tf.constant(images))}
        for way, calls in ways.items():
            candidates = {name: _timed(call) for name, call in calls.items()}
            series = in_turn(candidates, MORE * options.rounds)
            found.append(Comparison(network=network.name, way=way, batch=batch, **series))
    keras.backend.clear_session()
    return found


def _models(network: Network, folder: Path) -> dict[str, keras.Model]:
    """Return the two models of a network, ``hand`` and ``emitted``, with the same weights."""
    import caffe2tf  # noqa: PLC0415
    from benchmarks import handwritten  # noqa: PLC0415 - imports TensorFlow

    definition, weights = network.write(folder)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        emitted = caffe2tf.convert(definition, weights, out).build()
    hand = getattr(handwritten, network.name)()
    trained = [[layer for layer in model.layers if layer.weights] for model in (emitted, hand)]
    for source, target in zip(*trained, strict=True):
        target.set_weights(source.get_weights())
    return {"hand": hand, "emitted": emitted}


def _predictors(models: dict[str, keras.Model], images: Images) -> Calls:
    name = models["emitted"].inputs[0].name
    return {
        "hand": lambda: models["hand"].predict(images, batch_size=len(images), verbose=0),
        "emitted": lambda: models["emitted"].predict({name: images}, batch_size=len(images), verbose=0),
    }


def _functions(models: dict[str, keras.Model], images: Images) -> Calls:
    import tensorflow as tf  # noqa: PLC0415

    name = models["emitted"].inputs[0].name
    hand = tf.function(lambda x: models["hand"](x, training=False))
    emitted = tf.function(lambda x: models["emitted"]({name: x}, training=False))
    return {"hand": lambda: hand(images).numpy(), "emitted": lambda: next(iter(emitted(images).values())).numpy()}


def _timed(call: Callable[[], object]) -> Callable[[], Run]:
    """Return a function that calls a model often enough for a measurement, after the calls that trace it."""
    call()
    start = time.perf_counter()
    call()
    times = max(1, round(LONG_ENOUGH / (time.perf_counter() - start)))

    def run() -> Run:
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(times):
            call()
        return Run(
            wall=(time.perf_counter() - wall) / times,
            processor=(time.process_time() - processor) / times,
        )

    return run


def _require_same(models: dict[str, keras.Model], images: Images) -> None:
    """Check that both models compute the same.

    Raises:
        RuntimeError: Their probabilities differ.
    """
    import numpy as np  # noqa: PLC0415

    hand, emitted = (call() for call in _functions(models, images).values())
    if not np.allclose(hand, emitted, rtol=1e-3, atol=1e-5):
        raise RuntimeError(f"the two models differ by up to {np.abs(hand - emitted).max()}")


def main() -> int:
    """Run only this benchmark; return the exit status."""
    options = parse_options(__doc__)
    return report([measure_models(options)], as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
