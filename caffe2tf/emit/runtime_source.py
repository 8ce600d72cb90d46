"""The source of the runtime layers that a model uses, copied from the files that define them without importing them.

These are the files of `caffe2tf.runtime`, and those that plugins register with `caffe2tf.layers.register_runtime`.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from caffe2tf.emit.format import format_imports
from caffe2tf.errors import UsageError
from caffe2tf.layers import runtime_files

__all__ = ["MARK", "extract_runtime", "listed_classes", "runtime_names"]

MARK = "Keras layers that networks converted from Caffe by caffe2tf need."
_PACKAGE = "caffe2tf.runtime"
_HEADING = "Layers:"
_APART = "\n\n"  # between definitions
_SIBLING = re.compile(rf"^from {re.escape(_PACKAGE)}(?:\.\w+)*\.(\w+) import ", re.MULTILINE)
_FOR_OUR_TOOLS = re.compile(
    r"\s+# (noqa|type: ignore)\b.*"
)  # comments for our own tools, which the emitted file does not need


@dataclass(frozen=True, slots=True)
class _Definition:
    """A class, function or constant of a runtime module.

    Attributes:
        name: its name.
        place: the numbers of its file and of the statement in the file.
        source: its lines.
        uses: all names in it.
        uses_at_once: the names that must be defined before it: base classes, decorators, defaults.
        is_constant: whether it is neither a class nor a function.
    """

    name: str
    place: tuple[int, int]
    source: str
    uses: frozenset[str]
    uses_at_once: frozenset[str]
    is_constant: bool


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """All definitions by name, and for each file the import statement of each imported name."""

    definitions: dict[str, _Definition]
    imports: list[dict[str, str]]


def extract_runtime(classes: Iterable[str]) -> str:
    """Return the text of a module with ``classes`` and everything that they use.

    Raises:
        UsageError: no file defines a class, or two files give a name different meanings.
    """
    wanted = sorted(set(classes))
    catalogue = _catalogue(runtime_files(), _files_of(wanted))
    definitions = catalogue.definitions
    unknown = [name for name in wanted if name not in definitions]
    if unknown:
        raise UsageError(
            f"no file defines the runtime layers {', '.join(unknown)}; a plugin names the file that does with "
            "caffe2tf.layers.register_runtime(path)"
        )
    needed: set[str] = set()
    queue = list(wanted)
    while queue:
        name = queue.pop()
        if name not in needed:
            needed.add(name)
            queue += [u for u in definitions[name].uses if u in definitions]
    chosen = _in_order([definitions[n] for n in needed])
    known = catalogue.imports
    imports = format_imports({known[d.place[0]][u] for d in chosen for u in d.uses if u in known[d.place[0]]})
    listing = "".join(f"\n    {name}" for name in wanted)
    doc = (
        f'"""{MARK}\n\nDeploy this file with the model. It needs only TensorFlow and Keras. Import it before you load a'
        f' saved model, so\nthat Keras knows the layers.\n\n{_HEADING}{listing}\n"""\n'
    )
    blocks = [doc, "from __future__ import annotations\n", *([f"{imports}\n"] if imports else [])]
    text, below = "\n".join(blocks), "\n"  # `below`: the blank lines that a constant has above it
    for one in chosen:
        text += f"{below if one.is_constant else _APART}{one.source}\n"
        below = "" if one.is_constant else _APART
    return text


def listed_classes(source: str) -> list[str] | None:
    """Return the classes that a module of `extract_runtime` lists; None if the text is something else."""
    try:
        doc = ast.get_docstring(ast.parse(source)) or ""
    except (SyntaxError, ValueError):  # ValueError: null characters
        return None
    if MARK not in doc:
        return None
    return doc.partition(_HEADING)[2].split()


def runtime_names() -> frozenset[str]:
    """Return the names of all runtime layers."""
    return frozenset(n for n in _catalogue(runtime_files()).definitions if not n.startswith("_"))


def _in_order(definitions: Sequence[_Definition]) -> list[_Definition]:
    """Sort definitions as in their files, but put what a definition needs at once before it."""
    by_name = {d.name: d for d in definitions}
    done: dict[str, _Definition] = {}

    def place(one: _Definition) -> None:
        for name in sorted(one.uses_at_once & by_name.keys() - done.keys() - {one.name}):
            place(by_name[name])
        done.setdefault(one.name, one)

    for one in sorted(definitions, key=lambda d: d.place):
        place(one)
    return list(done.values())


@functools.cache
def _own_files() -> Mapping[str, Traversable]:
    """Return the files of `caffe2tf.runtime` and its families by module name, in alphabetical order."""
    own: dict[str, Traversable] = {}
    queue: list[Traversable] = [resources.files(_PACKAGE)]
    while queue:
        for entry in queue.pop().iterdir():
            if entry.is_dir():
                queue.append(entry)
            elif entry.name.endswith(".py") and entry.name != "__init__.py":
                own[entry.name.removesuffix(".py")] = entry
    return dict(sorted(own.items()))


def _files_of(classes: Sequence[str]) -> tuple[str, ...] | None:
    """Return the modules of ours that define ``classes``, and the modules that these import. Parsing all is slower.

    None means all: if plugins have files, these must agree with every file of ours.
    """
    if runtime_files():
        return None
    texts = {name: file.read_text(encoding="utf-8") for name, file in _own_files().items()}
    heads = re.compile(rf"^(?:class |def )?(?:{'|'.join(map(re.escape, classes))})\b", re.MULTILINE)
    queue = [name for name, text in texts.items() if heads.search(text)]
    needed: set[str] = set()
    while queue:
        name = queue.pop()
        if name not in needed:
            needed.add(name)
            queue += _SIBLING.findall(texts[name])
    return tuple(sorted(needed))


@functools.cache
def _catalogue(plugins: tuple[Path, ...], modules: tuple[str, ...] | None = None) -> _Catalogue:
    """Collect what plugins and the given modules of ours define; None for ``modules`` means all of them."""
    own = _own_files()
    files: list[Path | Traversable] = [*(own[m] for m in (own if modules is None else modules)), *plugins]
    catalogue = _Catalogue({}, [{} for _ in files])
    for number, file in enumerate(files):
        try:
            text = file.read_text(encoding="utf-8")
            tree = ast.parse(text)
        except (OSError, SyntaxError, ValueError) as e:
            raise UsageError(f"{file}: this is not a readable Python file: {e}") from e
        for order, node in enumerate(tree.body):
            if isinstance(node, ast.Import | ast.ImportFrom):
                _note_import(node, number, catalogue, file)
            else:
                _note_definition(node, text.splitlines(), (number, order), catalogue, file)
    return catalogue


def _note_definition(
    node: ast.stmt, lines: Sequence[str], place: tuple[int, int], catalogue: _Catalogue, file: Path | Traversable
) -> None:
    name = _defined(node)
    if name is None:
        return
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    source = "\n".join(_FOR_OUR_TOOLS.sub("", line) for line in lines[first - 1 : node.end_lineno])
    at_once = frozenset(n for part in _evaluated_at_once(node) for n in _names_in(part))
    is_constant = not isinstance(node, ast.ClassDef | ast.FunctionDef)
    one = _Definition(name, place, source, _names_in(node), at_once, is_constant)
    if catalogue.definitions.setdefault(name, one).source != source:
        raise UsageError(f"{file}: another file of runtime layers defines {name} differently; rename one of them")


def _note_import(
    node: ast.Import | ast.ImportFrom, number: int, catalogue: _Catalogue, file: Path | Traversable
) -> None:
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("caffe2tf", "__future__")):
        return
    for alias in node.names:
        renamed = f" as {alias.asname}" if alias.asname else ""
        head = f"from {node.module} import " if isinstance(node, ast.ImportFrom) else "import "
        name, line = alias.asname or alias.name.partition(".")[0], f"{head}{alias.name}{renamed}"
        catalogue.imports[number][name] = line
        other = next((known[name] for known in catalogue.imports if known.get(name, line) != line), None)
        if other is not None:
            raise UsageError(
                f"{file}: `{line}` gives {name} another meaning than `{other}` in another file of runtime layers; "
                "import it under another name"
            )


def _defined(node: ast.stmt) -> str | None:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return node.name
    target = None
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    return target.id if isinstance(target, ast.Name) and target.id != "__all__" else None


def _evaluated_at_once(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a definition that Python evaluates at once; annotations are not among them."""
    if isinstance(node, ast.FunctionDef):
        yield from (*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d is not None))
    elif isinstance(node, ast.ClassDef):
        yield from (*node.decorator_list, *node.bases, *node.keywords)
        for child in node.body:
            yield from _evaluated_at_once(child)
    elif isinstance(node, ast.AnnAssign):
        yield from (node.value,) if node.value is not None else ()
    else:
        yield node


def _names_in(node: ast.AST) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
