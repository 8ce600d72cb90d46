"""``caffe2tf layers``: list the supported layer types."""

from __future__ import annotations

from caffe2tf.cli.options import Json, Plugins, load_plugins

__all__ = ["EXAMPLES", "layers"]

EXAMPLES = ("caffe2tf layers", "caffe2tf layers --json")


def layers(plugin: Plugins = None, *, json: Json = False) -> None:
    """List the supported Caffe layer types."""
    from caffe2tf.cli.output import print_json, print_line, print_table
    from caffe2tf.layers import find_offered, registered

    load_plugins(plugin)
    find_offered()
    found = {name: (cls.__doc__ or "").partition("\n")[0] for name, cls in sorted(registered().items())}
    if json:
        print_json(found)
        return
    print_table([("type", "left"), ("computes", "left")], list(found.items()))
    print_line(f"{len(found)} layer types")
