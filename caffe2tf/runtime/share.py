"""One variable for two layers that share one of their weights."""

from __future__ import annotations

import keras  # noqa: TC002 - the emitted file needs it at run time anyway

__all__ = ["share_weight"]


def share_weight(model: keras.Model, layer: str, weight: str, *, owner: str) -> None:
    """Replace a weight of one layer by the variable that another layer uses.

    The model then lists the variable once, and the gradients of both uses train it. This is Caffe's
    ``param { name: ... }`` for layers of which only some weights are shared.

    Weight files (``.weights.h5``) still store the values once for each layer. A model that is saved as ``.keras`` and
    loaded again has two variables of equal values: call this function again to share one.

    Args:
        model: keras.Model. A built model that contains both layers.
        layer: str. The name of the layer whose own variable is dropped.
        weight: str. The name of the weight, which is the same in both layers.
        owner: str. The name of the layer whose variable both use from now on.

    Raises:
        ValueError: a layer does not have exactly one weight of this name, or the two differ in shape or dtype.
    """
    user = model.get_layer(layer)
    old, new = (_weight(one, weight) for one in (user, model.get_layer(owner)))
    if old is new:
        return
    if (old.shape, old.dtype) != (new.shape, new.dtype):
        raise ValueError(
            f"{weight} is {old.dtype} {tuple(old.shape)} in {layer} and {new.dtype} {tuple(new.shape)} in {owner}"
        )
    # A built layer accepts no new variables, so the new one takes the place of the old one, by which Keras saves it.
    tracker = user._tracker  # noqa: SLF001 - Keras has no public way
    for store, (_, variables) in tracker.config.items():
        for place, variable in enumerate(variables):
            if variable is old:
                variables[place] = new
                tracker.stored_ids[store] ^= {id(old), id(new)}
    for attribute, value in list(vars(user).items()):
        if value is old:
            setattr(user, attribute, new)


def _weight(layer: keras.layers.Layer, name: str) -> keras.Variable:
    found = [v for v in layer.weights if v.name == name]
    if len(found) != 1:
        raise ValueError(f"{layer.name} has {len(found)} weights {name}; it has {[v.name for v in layer.weights]}")
    return found[0]
