"""Write docs/layers.md from the docstrings of the registered layers, and docs/forks.md from the contested numbers.

python scripts/generate_docs.py            write the pages
python scripts/generate_docs.py --check    exit with 1 if a page is outdated
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from caffe2tf.layers import Layer, Role, is_ours, registered
from caffe2tf.layers.loss.loss_base import Loss
from caffe2tf.parse.contested import CONTESTED, V1_TYPES, Contested, Meaning

PAGE = Path(__file__).resolve().parents[1] / "docs" / "layers.md"
FORKS_PAGE = PAGE.with_name("forks.md")
HEAD = """# Layers

Every Caffe layer type that converts, with its formula, its parameters and Caffe's defaults, its trained blobs, and
where it deviates. This page is generated from the layers' docstrings by `scripts/generate_docs.py`.
"""
FORKS_HEAD = """# Field numbers of forks

A `.prototxt` names its fields; a `.caffemodel` holds only their numbers, and forks of Caffe gave one number to
different fields. Where a binary file shows which field it means, that field is read. Otherwise BVLC Caffe's is read,
and a note asks for the text definition if the choice can matter. C3D's numbers of blobs are left to the reader of
blobs. This page is generated from `caffe2tf/parse/contested.py` by `scripts/generate_docs.py`.

## Fields

| message | number | read as, unless told apart | in | it means | told apart by |
|---|---|---|---|---|---|
"""
FORKS_TYPES = """
## V1 types

The numbers in the last column are those of fields of V1's `LayerParameter`.

| number | read as, unless told apart | in | it means | told apart by |
|---|---|---|---|---|
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
    parser.add_argument("--check", action="store_true", help="exit with 1 if a page is outdated")
    check = parser.parse_args(argv).check
    pages = {PAGE: render(), FORKS_PAGE: render_forks()}
    if not check:
        for page, text in pages.items():
            page.write_text(text, encoding="utf-8")
        return 0
    old = [page for page, text in pages.items() if not page.is_file() or page.read_text(encoding="utf-8") != text]
    for page in old:
        print(f"{page} is outdated: run scripts/generate_docs.py", file=sys.stderr)
    return 1 if old else 0


def render() -> str:
    """Return the text of the page."""
    types = {name: cls for name, cls in sorted(registered().items()) if is_ours(cls)}
    rows = [f"| [{n}](#{n.lower()}) | {_summary(c)} | {_fate(c)} |" for n, c in types.items()]
    table = "\n".join(["| type | | in a converted network |", "|---|---|---|", *rows])
    sections = [f"## {name}\n\n{inspect.getdoc(cls)}\n" for name, cls in types.items()]
    return "\n".join([HEAD, table, "", *sections])


def render_forks() -> str:
    """Return the text of the page about contested field numbers."""
    rows = [_contested(row, meaning) for row in CONTESTED for meaning in row.meanings]
    types = [f"| {x.value} | {_code(x.name)} | {x.forks} | `{x.word}` | {x.rule.text or 'nothing'} |" for x in V1_TYPES]
    return FORKS_HEAD + "\n".join(rows) + "\n" + FORKS_TYPES + "\n".join(types) + "\n"


def _contested(row: Contested, meaning: Meaning) -> str:
    means = f"`{meaning.name}` ({meaning.declared})" + (f": {meaning.why}" if meaning.why else "")
    told = meaning.rule.text or ("nothing; a note" if row.doubtful.text else "nothing; it matters in training only")
    read = f"; read as `{meaning.read_as}`" if meaning.read_as else ""
    return f"| {row.message} | {row.number} | {_code(row.name)} | {meaning.forks} | {means}{read} | {told} |"


def _code(name: str) -> str:
    return f"`{name}`" if name else "unknown"


def _summary(cls: type[Layer]) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0].replace("|", "\\|")


def _fate(cls: type[Layer]) -> str:
    """Return what the layer becomes in a converted network."""
    never = issubclass(cls, Loss) and not cls.computable
    return ROLES[Role.SINK if never else cls.role]


if __name__ == "__main__":
    sys.exit(main())
