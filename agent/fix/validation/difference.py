"""What a patch adds to the syntax of a file and what it takes away, function by function."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.fix import functions
from verifiers.repository import Patch, Snapshot

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Part:
    """One outermost function before and after, or what a file has outside of functions.

    Attributes:
        path: of the file.
        name: qualified, as `Class.method`; empty for what is outside of functions.
        old: as it was; `None` if it is new.
        new: as it will be; `None` if it goes.
    """

    path: str
    name: str
    old: ast.AST | None
    new: ast.AST | None

    def added(self) -> list[ast.AST]:
        """Nodes of the new one of which the old one has no like, or fewer; outer ones first."""
        return _surplus(self.new, self.old)

    def removed(self) -> list[ast.AST]:
        """Nodes of the old one of which the new one has no like, or fewer; outer ones first."""
        return _surplus(self.old, self.new)

    @property
    def line(self) -> int:
        """Where it begins; of a module, its first line."""
        node = self.new if self.new is not None else self.old
        return getattr(node, "lineno", 1)


def parts(snapshot: Snapshot, patch: Patch) -> tuple[Part, ...]:
    """The functions and modules that a patch changes, adds or removes.

    What can't be parsed counts as empty: the suite has the last word on that.

    Args:
        snapshot: the repository as it was.
        patch: whole new texts of files by their paths.
    """
    found: list[Part] = []
    for path, text in sorted(patch.items()):
        old, new = (_functions(parse(one or "")) for one in (snapshot.text(path), text))
        for name in dict.fromkeys((*new, *old)):
            before, after = old.get(name), new.get(name)
            if _dump(before) != _dump(after):
                found.append(Part(path, name, before, after))
    return tuple(found)


def parse(text: str) -> ast.Module:
    """A syntax tree; an empty one of what is no Python."""
    return functions.parse(text) or ast.Module(body=[], type_ignores=[])


def statements(node: ast.AST | None) -> list[ast.stmt]:
    """All statements in a node, itself not included, without docstrings."""
    found = [one for one in _walk(node) if isinstance(one, ast.stmt) and one is not node]
    return [one for one in found if not is_text(one)]


def head(statement: ast.stmt) -> str:
    """What a statement is without the statements in it."""
    fields = [
        ast.dump(part) if isinstance(part, ast.AST) else repr(part)
        for name, value in ast.iter_fields(statement)
        if name not in ("body", "orelse", "finalbody", "handlers", "cases")
        for part in (value if isinstance(value, list) else [value])
    ]
    return f"{type(statement).__name__}({', '.join(fields)})"


def is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring, or a text like one."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def root_name(node: ast.AST) -> str:
    """The name that a chain of attributes, subscripts and calls begins with, or empty."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def last_name(node: ast.AST) -> str:
    """The name of a variable, or of the last attribute of a chain, or empty."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _functions(tree: ast.Module) -> dict[str, ast.AST]:
    """The outermost functions by qualified name, and under an empty one what is left."""
    found: dict[str, ast.AST] = {}
    rest: list[ast.stmt] = []
    for node in tree.body:
        rest += _split(node, "", found)
    found[""] = ast.Module(body=[one for one in rest if not is_text(one)], type_ignores=[])
    return found


def _split(node: ast.stmt, prefix: str, found: dict[str, ast.AST]) -> list[ast.stmt]:
    """Puts functions by their names, and gives back what is left of a statement."""
    if isinstance(node, FunctionNode):
        found[_free(f"{prefix}{node.name}", found)] = node
        return []
    if isinstance(node, ast.ClassDef):
        rest = [one for part in node.body for one in _split(part, f"{prefix}{node.name}.", found)]
        kept = [one for one in rest if not is_text(one)]
        left = ast.ClassDef(node.name, node.bases, node.keywords, kept, node.decorator_list)
        return [ast.copy_location(left, node)]
    return [node]


def _free(name: str, found: dict[str, ast.AST]) -> str:
    """A name of its own for each: a property has its setter under the same one."""
    number = 2
    free = name
    while free in found:
        free, number = f"{name}#{number}", number + 1
    return free


def _surplus(these: ast.AST | None, those: ast.AST | None) -> list[ast.AST]:
    left = Counter(_dump(node) for node in _walk(those))
    found: list[ast.AST] = []
    for node in _walk(these):
        form = _dump(node)
        if left[form] > 0:
            left[form] -= 1
        else:
            found.append(node)
    return found


def _walk(node: ast.AST | None) -> Iterable[ast.AST]:
    return ast.walk(node) if node is not None else ()


def _dump(node: ast.AST | None) -> str:
    return ast.dump(node) if node is not None else ""


def imported(tree: ast.AST | None) -> Iterator[str]:
    """Names that stand for modules: of `import a.b` it is `a`, of `import a as b` it is `b`."""
    for node in _walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0]
