"""Write docs/layers.md from the docstrings of the registered layers.

python scripts/generate_docs.py            write the page
python scripts/generate_docs.py --check    exit with 1 if the page is outdated
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from caffe2tf.layers import Layer, Role, is_ours, registered
from caffe2tf.layers.loss.loss_base import Loss

PAGE = Path(__file__).resolve().parents[1] / "docs" / "layers.md"
HEAD = """# Layers

Every Caffe layer type that converts, with its formula, its parameters and Caffe's defaults, its trained blobs, and
where it deviates. This page is generated from the layers' docstrings by `scripts/generate_docs.py`.
"""
ROLES = {
    Role.COMPUTE: "",
    Role.SOURCE: "network input",
    Role.CONSTANT: "constant",
    Role.LOSS: "left out unless asked for (`--keep-losses`)",
    Role.SINK: "left out",
    Role.END: "left out",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the page; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 if the page is outdated")
    if not parser.parse_args(argv).check:
        PAGE.write_text(render(), encoding="utf-8")
        return 0
    current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == render()
    if not current:
        print(f"{PAGE} is outdated: run scripts/generate_docs.py", file=sys.stderr)
    return 0 if current else 1


def render() -> str:
    """Return the text of the page."""
    types = {name: cls for name, cls in sorted(registered().items()) if is_ours(cls)}
    rows = [f"| [{n}](#{n.lower()}) | {_summary(c)} | {_fate(c)} |" for n, c in types.items()]
    table = "\n".join(["| type | | in a converted network |", "|---|---|---|", *rows])
    sections = [f"## {name}\n\n{inspect.getdoc(cls)}\n" for name, cls in types.items()]
    return "\n".join([HEAD, table, "", *sections])


def _summary(cls: type[Layer]) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0].replace("|", "\\|")


def _fate(cls: type[Layer]) -> str:
    """Return what the layer becomes in a converted network."""
    never = issubclass(cls, Loss) and not cls.computable
    return ROLES[Role.SINK if never else cls.role]


if __name__ == "__main__":
    sys.exit(main())
