"""Holds every module of caffe2tf against the table of docs/architecture.md and the sizes of its house style."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "caffe2tf"
GENERATED = {"caffe2tf.proto.caffe_pb2"}

# What each part of caffe2tf may import of the other parts when it runs.
REPORTING = {"diagnostics", "errors"}
MAY_IMPORT: Mapping[str, set[str]] = {
    "diagnostics": set(),
    "errors": {"diagnostics"},
    "atomic": {"errors"},
    "quiet": set(),
    "version": set(),
    "proto": set(),
    "parse": REPORTING | {"atomic", "proto"},
    "ir": REPORTING,
    "layers": REPORTING | {"ir"},
    "load": REPORTING | {"parse", "ir", "layers"},
    "passes": REPORTING | {"ir", "layers"},
    "emit": REPORTING | {"version", "ir", "layers"},
    "artifacts": REPORTING | {"atomic", "quiet", "ir", "emit"},
    "speed": {"artifacts"},
    "pipeline": REPORTING | {"parse", "ir", "load", "passes", "emit", "artifacts"},
    "runtime": set(),
    "verification": {"errors", "atomic"},
    # The package itself and the modules directly in it: the public interface.
    "": REPORTING | {"version", "parse", "ir", "layers", "load", "emit", "artifacts", "pipeline", "verification"},
    "alexnet": REPORTING | {"atomic", "parse", "artifacts", "pipeline", "verification", ""},
    "cli": REPORTING
    | {"atomic", "quiet", "parse", "ir", "layers", "load", "emit", "artifacts", "speed", "verification", "", "alexnet"},
    "__main__": {"cli"},
}
# What each part may import besides, for annotations only (`if TYPE_CHECKING`).
FOR_TYPES: Mapping[str, set[str]] = {
    "ir": {"proto", "parse"},
    "layers": {"proto", "parse"},
    "alexnet": {"ir"},
}
MAY_IMPORT_PROTOBUF = ("caffe2tf.parse", "caffe2tf.proto")
# Where models are run. All but the runtime, which is copied beside them, import it within a function.
MAY_RUN_MODELS = re.compile(r"caffe2tf\.(runtime|artifacts|alexnet)(\.|$)")
AT_MODULE_LEVEL = re.compile(r"caffe2tf\.runtime(\.|$)")
BAD_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A module that a module imports.

    Attributes:
        name: the imported module.
        line: the line of the statement.
        at_module_level: whether it is imported as soon as the importing module is.
        for_types: whether only a type checker imports it.
    """

    name: str
    line: int
    at_module_level: bool
    for_types: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(p): p for p in sorted(PACKAGE.rglob("*.py"))}
OURS = {name: path for name, path in MODULES.items() if name not in GENERATED}
each_module = pytest.mark.parametrize("module", OURS)


def part_of(module: str) -> str:
    """The row of the table that a module belongs to."""
    _, _, rest = module.partition(".")
    part = rest.split(".")[0]
    return part if part in MAY_IMPORT or (PACKAGE / part).is_dir() else ""


def is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def imported_names(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    """What the statement imports: ``from a import b`` counts as a.b, which may be a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, base] if base else above)
    return [f"{base}.{alias.name}" for alias in node.names]


def imports(tree: ast.AST, package: str, *, at_module_level: bool = True, for_types: bool = False) -> Iterator[Import]:
    """Every import below ``tree``; ``importlib`` with a literal name included."""
    for node in ast.iter_child_nodes(tree):
        level = at_module_level and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If) and is_type_checking(node.test):
            yield from imports(ast.Module(node.body, []), package, at_module_level=level, for_types=True)
            yield from imports(ast.Module(node.orelse, []), package, at_module_level=level, for_types=for_types)
            continue
        for name, line in named_by(node, package):
            yield Import(name=name, line=line, at_module_level=level, for_types=for_types)
        yield from imports(node, package, at_module_level=level, for_types=for_types)


def named_by(node: ast.AST, package: str) -> list[tuple[str, int]]:
    """What one statement or call imports, each with its line."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(name, node.lineno) for name in imported_names(node, package)]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in {"import_module", "importlib.import_module"}:
        literals = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        return [(name, node.lineno) for name in literals]
    return []


def starts_with(name: str, *packages: str) -> bool:
    return any(name == p or name.startswith(p + ".") for p in packages)


def wrong(module: str, one: Import) -> str | None:
    """Which rule the import breaks, if any."""
    if starts_with(one.name, "caffe2tf"):
        mine, other = part_of(module), part_of(one.name)
        allowed = MAY_IMPORT.get(mine, set()) | (FOR_TYPES.get(mine, set()) if one.for_types else set())
        if other != mine and other not in allowed:
            return f"{mine or 'caffe2tf'} may not import {other or 'caffe2tf'}"
    if one.for_types:
        return None
    if starts_with(one.name, "google.protobuf") and not starts_with(module, *MAY_IMPORT_PROTOBUF):
        return "only parse imports protobuf"
    if starts_with(one.name, "tensorflow", "keras"):
        if not MAY_RUN_MODELS.match(module):
            return "TensorFlow and Keras are imported only where a model is run"
        if one.at_module_level and not AT_MODULE_LEVEL.match(module):
            return "TensorFlow and Keras are imported within the function that runs a model"
    return None


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    package = module if is_package else module.rpartition(".")[0]
    found = ((one, wrong(module, one)) for one in imports(ast.parse(source), package))
    return [f"{module}:{one.line}: {one.name}: {rule}" for one, rule in found if rule]


@each_module
def test_a_module_imports_only_packages_above_it(module: str) -> None:
    path = MODULES[module]
    assert not violations(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("caffe2tf.ir.graph", "import google.protobuf"),
        ("caffe2tf.ir.graph", "def f():\n    from google import protobuf"),
        ("caffe2tf.ir.graph", "from caffe2tf.layers import find"),
        ("caffe2tf.ir.graph", "from ..layers import find"),
        ("caffe2tf.ir.graph", "from caffe2tf import layers"),
        ("caffe2tf.ir.graph", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import keras"),
        ("caffe2tf.ir.graph", "if TYPE_CHECKING:\n    from caffe2tf.layers import Layer"),
        ("caffe2tf.layers.vision.pooling", "from caffe2tf.parse import Phase"),
        ("caffe2tf.layers.vision.pooling", "from caffe2tf.proto import caffe_pb2"),
        ("caffe2tf.passes.drop", "import typing\nif typing.TYPE_CHECKING:\n    from caffe2tf.parse import Blob"),
        ("caffe2tf.layers.vision.pooling", "def f():\n    import keras"),
        ("caffe2tf.layers.vision.pooling", "import importlib\ntf = importlib.import_module('tensorflow')"),
        ("caffe2tf.emit.source", "import tensorflow as tf"),
        ("caffe2tf.emit.source", "def f():\n    from caffe2tf.artifacts import kinds"),
        ("caffe2tf.artifacts.running", "try:\n    import keras.ops\nexcept ImportError:\n    pass"),
        ("caffe2tf.artifacts.running", "class C:\n    import keras"),
        ("caffe2tf.execute", "def f():\n    import keras"),
        ("caffe2tf.conversion", "def f():\n    import keras"),
        ("caffe2tf.conversion", "from caffe2tf import cli"),
        ("caffe2tf.__main__", "from caffe2tf.errors import ParseError"),
        ("caffe2tf.runtime.normalization.lrn", "from caffe2tf import errors"),
        ("caffe2tf.errors", "import caffe2tf"),
    ],
)
def test_a_forbidden_import_is_found(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("caffe2tf.parse.text", "from google.protobuf import text_format"),
        ("caffe2tf.runtime.normalization.lrn", "import keras\nfrom caffe2tf.runtime import pool"),
        ("caffe2tf.alexnet.network", "def f():\n    import tensorflow.keras"),
        ("caffe2tf.artifacts.running", "def f():\n    import keras"),
        ("caffe2tf.ir.layer", "if TYPE_CHECKING:\n    from caffe2tf.proto import caffe_pb2"),
        ("caffe2tf.ir.layer", "from caffe2tf.errors import LayerError\nfrom . import registry\nimport kerastuner"),
        ("caffe2tf.execute", "from caffe2tf import conversion\nfrom caffe2tf.load import load_graph"),
        ("caffe2tf.__main__", "from caffe2tf.cli import main"),
    ],
)
def test_an_allowed_import_is_not(module: str, source: str) -> None:
    assert violations(module, source) == []


def offered(tree: ast.Module) -> set[str] | None:
    """The names in ``__all__``; None where there is none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return None


TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in OURS.items()}
OFFERED = {name: offered(tree) for name, tree in TREES.items()}


def hidden(tree: ast.Module) -> list[str]:
    """What a module imports from another of ours that does not offer it."""
    found = []
    for node in ast.walk(tree):
        names = OFFERED.get(node.module or "") if isinstance(node, ast.ImportFrom) else None
        if names is not None and isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{a.name}" for a in node.names if a.name not in names]
    return [name for name in found if name not in MODULES]


def imported_modules(module: str) -> set[str]:
    """The modules of caffe2tf that a module imports, for types too; a package counts as its ``__init__``."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for one in imports(TREES[module], package):
        known = one.name if one.name in MODULES else one.name.rpartition(".")[0]
        found |= {known} & MODULES.keys() - {module}
    return found


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """The sets of modules that import each other, directly or not."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        queue = [start]
        while queue:
            queue += (new := graph.get(queue.pop(), set()) - seen)
            seen |= new
        reach[start] = seen
    tied = {m: {o for o in reach[m] if m in reach.get(o, ())} for m in graph}
    return [group for m, group in tied.items() if len(group) > 1 and m == min(group)]


def test_no_modules_import_each_other() -> None:
    # A package's __init__ re-exports names of its modules, which import their siblings directly.
    modules = [m for m in OURS if MODULES[m].name != "__init__.py"]
    assert circles({m: imported_modules(m) & set(modules) for m in modules}) == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [{"a", "b", "c"}]


def test_layers_stand_in_folders_by_family() -> None:
    assert len([p for p in (PACKAGE / "layers").glob("*.py") if p.name != "__init__.py"]) <= 12


@each_module
def test_a_module_imports_only_public_names(module: str) -> None:
    assert hidden(TREES[module]) == []


def test_an_import_of_a_private_name_is_found() -> None:
    assert hidden(ast.parse("from caffe2tf.errors import Caffe2TFError\nfrom caffe2tf import layers")) == []
    source = "def f():\n    from caffe2tf.runtime.loss.losses import HingeLoss, _batch_of"
    assert hidden(ast.parse(source)) == ["caffe2tf.runtime.loss.losses._batch_of"]


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """The table of docs/architecture.md in its order; the package itself is ``""``.

    For each part: what it imports when it runs, and what it imports for annotations only.
    """
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `caffe2tf(?:\.(\w+))?` \|.*\| ([^|]+) \|([^|]*)\|$", text, re.MULTILINE)
    assert len({part for part, _, _ in rows}) == len(rows)
    return {part: (named_in(running), named_in(typing)) for part, running, typing in rows}


def named_in(cell: str) -> set[str]:
    return {"" if name == "caffe2tf" else name for name in re.findall(r"`(\w+)`", cell)}


def test_the_documented_table_is_the_tested_one() -> None:
    assert documented() == {part: (others, FOR_TYPES.get(part, set())) for part, others in MAY_IMPORT.items()}


def test_each_package_imports_only_packages_above_it() -> None:
    above: set[str] = set()
    for part, (running, typing) in documented().items():
        assert running | typing <= above, part
        above.add(part)


def test_columns_of_the_import_table_do_not_overlap() -> None:
    """An arrow of the last column that code follows at run time belongs in the column before it."""
    assert all(not others & MAY_IMPORT[part] for part, others in FOR_TYPES.items())


def test_every_import_in_the_table_is_made() -> None:
    made: dict[str, set[str]] = {part: set() for part in MAY_IMPORT}
    for module, tree in TREES.items():
        package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
        made[part_of(module)] |= {part_of(i.name) for i in imports(tree, package) if starts_with(i.name, "caffe2tf")}
    listed = {part: others | FOR_TYPES.get(part, set()) for part, others in MAY_IMPORT.items()}
    assert {part: others - made[part] for part, others in listed.items() if others - made[part]} == {}


def test_every_part_stands_in_the_table_and_is_there() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= MAY_IMPORT.keys()
    assert {"caffe2tf" + f".{part}" * bool(part) for part in MAY_IMPORT} <= MODULES.keys()


@each_module
def test_a_module_is_named_after_what_it_does(module: str) -> None:
    assert not BAD_NAMES & set(module.split("."))


@each_module
def test_sizes(module: str) -> None:
    source = MODULES[module].read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 400
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions}
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}


@pytest.mark.parametrize("heavy", ["tensorflow", "keras", "numpy", "h5py", "google.protobuf", "typer"])
def test_importing_the_package_alone_costs_next_to_nothing(heavy: str) -> None:
    probe = f"import sys, caffe2tf; assert caffe2tf.__file__; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=False).returncode == 0
