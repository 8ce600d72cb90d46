"""The source of the function that loads weights into an emitted model; it needs nothing of caffe2tf.

`LOADER_SOURCE` goes into the emitted module as it stands, two blank lines before and after, below the imports that
`LOADER_IMPORTS` lists. h5py is imported only where such a file is read.
"""

from __future__ import annotations

__all__ = ["LOADER_IMPORTS", "LOADER_SOURCE"]

LOADER_IMPORTS = ("import os", "import pickle", "import keras", "import numpy as np")

LOADER_SOURCE = '''\
def load_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Assign every weight of the model from a file, by layer name and weight name.

    Args:
        model: a built model whose layers have no layers of their own.
        path: ``.h5`` or ``.npz`` as the converter writes them, Keras' own ``.weights.h5``, or a classic ``.npy``
            (layer -> {"weights": array, "biases": array}, or layer -> [weights, biases]).

    Raises:
        ValueError: names or shapes in the file and in the model differ; all are listed, and nothing is assigned.
    """
    path = os.fspath(path)
    if path.endswith(".weights.h5"):
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
    """All arrays of a weight file by "layer/weight"; ``wanted`` tells the order in which a layer has its weights."""
    found = {}
    if path.endswith((".h5", ".hdf5")):
        import h5py

        with h5py.File(path, "r") as file:
            file.visititems(lambda key, item: found.update({key: item[()]}) if isinstance(item, h5py.Dataset) else None)
    elif path.endswith(".npz"):
        with np.load(path) as archive:
            found.update(archive)
    elif path.endswith(".npy"):
        with open(path, "rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            content = _Arrays(file, encoding="latin1").load().item()  # Python 2 wrote the classic ones
        for layer, own in content.items():
            if not isinstance(own, dict):  # a list, in the order of the layer
                names = [key.rpartition("/")[2] for key in wanted if key.startswith(f"{layer}/")]
                own = dict(zip([*names, *map(str, range(len(names), len(own)))], own))
            for name, value in own.items():
                found[f"{layer}/{ {'weights': 'kernel', 'biases': 'bias'}.get(name, name) }"] = np.asarray(value)
    else:
        raise ValueError(f"{path}: weights are read from .h5, .weights.h5, .npz and .npy files")
    return found


class _Arrays(pickle.Unpickler):
    """Makes arrays of a pickle, and refuses what else could be in it: that could run any code."""

    def find_class(self, module: str, name: str) -> object:
        known = {"ndarray", "dtype", "scalar", "_reconstruct", "_frombuffer", "encode"}
        if module.partition(".")[0] not in {"numpy", "_codecs"} or name not in known:
            raise ValueError(f"{module}.{name} is no part of a file of weights; it may do harm when read otherwise")
        return super().find_class(module, name)
'''
