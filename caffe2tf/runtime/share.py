"""One variable for two layers that share a weight and nothing else."""

from __future__ import annotations

import keras  # noqa: TC002 - the emitted file needs it at run time anyway

__all__ = ["share_weight"]


def share_weight(model: keras.Model, layer: str, weight: str, *, owner: str) -> None:
    """Make a weight of one layer the variable of another: one entry among the model's weights, trained by both uses.

    What was the layer's own variable is dropped. Files of weights keep holding the values once for each layer. A
    model that is saved whole and loaded again (``.keras``) has two variables of the same values: call this again.

    Args:
        model: a model that has both layers, built.
        layer: name of the layer that gives up its variable.
        weight: name of the weight, the same in both layers.
        owner: name of the layer whose variable both have from now on.

    Raises:
        ValueError: a layer has no such weight, or the two differ in shape or type.
    """
    user = model.get_layer(layer)
    old, new = (_weight(one, weight) for one in (user, model.get_layer(owner)))
    if old is new:
        return
    if (old.shape, old.dtype) != (new.shape, new.dtype):
        raise ValueError(
            f"{weight} is {old.dtype} {tuple(old.shape)} in {layer} and {new.dtype} {tuple(new.shape)} in {owner}"
        )
    # A built layer takes no new variables, so this one goes to the old one's place, by which Keras saves it.
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
