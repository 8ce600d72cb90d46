"""The source of the function that loads weights into an emitted model. It does not need caffe2tf.

The source goes into every emitted module that has weights, below the imports that `LOADER_IMPORTS` lists. h5py is
imported only when an HDF5 file is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["LOADER_IMPORTS", "loader_source"]

LOADER_IMPORTS = ("import os", "import pickle", "import keras", "import numpy as np")


def loader_source(loadable: Mapping[str, Sequence[str]]) -> str:
    """Return the source of the emitted function ``load_weights`` and of what it calls.

    Args:
        loadable: suffixes by kind of weight file. The emitted code has a branch for each kind; the template names its
            suffixes ``<kind>``.

    Raises:
        ValueError: the template lacks a branch for one of the kinds.
    """
    source = _TEMPLATE
    for kind, suffixes in loadable.items():
        if f"<{kind}>" not in source:
            raise ValueError(f"the emitted loader has no branch for weights of the kind {kind!r}")
        one = f'"{suffixes[0]}"'
        several = "(" + ", ".join(f'"{suffix}"' for suffix in suffixes) + ")"
        source = source.replace(f"<{kind}>", one if len(suffixes) == 1 else several)
    *most, last = sorted({own[0] for own in loadable.values()})
    return source.replace("<all>", f"{', '.join(most)} or {last}")


_TEMPLATE = '''\
def load_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Assign every weight of the model from a file, by layer name and weight name.

    Args:
        model: a built model without nested layers.
        path: a file whose name ends in <all>. A .npy file is a pickled dict: layer ->
            {"weights": array, "biases": array}, or layer -> [weights, biases].

    Raises:
        ValueError: names or shapes differ; the message lists all differences, and no weight is assigned.
    """
    path = os.fspath(path)
    if path.endswith(<weights.h5>):
        model.load_weights(path)
        return
    problems, wanted = [], {}
    for layer in model.layers:
        for variable in layer.weights:
            key = f"{layer.name}/{variable.name}"
            if key in wanted:
                problems.append(f"{key}: two weights of the model have this name")
            wanted[key] = variable
    found = _read_weights(path, wanted)
    problems += [f"{key}: not in the file" for key in wanted if key not in found]
    problems += [f"{key}: not in the model" for key in found if key not in wanted]
    for key in wanted.keys() & found.keys():
        expected, actual = tuple(wanted[key].shape), found[key].shape
        if expected != actual:
            problems.append(f"{key}: shape {actual} in the file, {expected} in the model")
    if problems:
        raise ValueError("\\n  ".join([f"{path} does not fit the model:", *sorted(problems)]))
    for key, variable in wanted.items():
        variable.assign(found[key])


def _read_weights(path: str, wanted: dict[str, keras.Variable]) -> dict[str, np.ndarray]:
    """Return the arrays of a weight file by "layer/weight". ``wanted`` has the order of the weights in each layer."""
    found = {}
    if path.endswith(<h5>):
        import h5py

        with h5py.File(path, "r") as file:
            file.visititems(lambda key, item: found.update({key: item[()]}) if isinstance(item, h5py.Dataset) else None)
    elif path.endswith(<npz>):
        with np.load(path) as archive:
            found.update(archive)
    elif path.endswith(<npy>):
        with open(path, "rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            content = _Arrays(file, encoding="latin1").load().item()  # latin1: for files that Python 2 wrote
        for layer, own in content.items():
            if not isinstance(own, dict):  # a list, in the order of the layer's weights
                names = [key.rpartition("/")[2] for key in wanted if key.startswith(f"{layer}/")]
                own = dict(zip([*names, *map(str, range(len(names), len(own)))], own))
            for name, value in own.items():
                found[f"{layer}/{ {'weights': 'kernel', 'biases': 'bias'}.get(name, name) }"] = np.asarray(value)
    else:
        raise ValueError(f"{path}: the name of a weight file ends in <all>")
    return found


class _Arrays(pickle.Unpickler):
    """Unpickler that creates arrays and refuses everything else, because a pickle could run any code."""

    def find_class(self, module: str, name: str) -> object:
        known = {"ndarray", "dtype", "scalar", "_reconstruct", "_frombuffer", "encode"}
        if module.partition(".")[0] not in {"numpy", "_codecs"} or name not in known:
            raise ValueError(f"{module}.{name} does not belong in a weight file; pickle could run harmful code")
        return super().find_class(module, name)
'''
