"""Every function of a repository, and which others it may come to by their names."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from verifiers.repository import Snapshot
from verifiers.syntax import python_module

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Function:
    """One function or method.

    Attributes:
        path: of its file.
        name: qualified, as `Class.method`.
        first: its first line, that of its first decorator if it has one.
        last: its last line.
        uses: names that it mentions: variables, attributes and parameters.
    """

    path: str
    name: str
    first: int
    last: int
    uses: frozenset[str]

    @property
    def own_name(self) -> str:
        """Its name without that of its class."""
        return self.name.rpartition(".")[2]


class Functions:
    """The functions of some files, found by name.

    Args:
        snapshot: the repository.
        paths: of the files to read; what is no Python is left out.
    """

    def __init__(self, snapshot: Snapshot, paths: Iterable[str]) -> None:
        self.of_file: dict[str, tuple[Function, ...]] = {}
        for path in paths:
            tree = parse(snapshot.text(path) or "")
            if tree is not None:
                self.of_file[path] = tuple(_functions(path, tree))
        self._by_name: dict[str, list[Function]] = {}
        for function in self:
            self._by_name.setdefault(function.own_name, []).append(function)
            owner = function.name.rpartition(".")[0].rpartition(".")[2]
            if owner:  # who names a class may come to any of its methods
                self._by_name.setdefault(owner, []).append(function)

    def __iter__(self) -> Iterator[Function]:
        for found in self.of_file.values():
            yield from found

    def at(self, path: str, line: int) -> Function | None:
        """The innermost function around a line."""
        around = [one for one in self.of_file.get(path, ()) if one.first <= line <= one.last]
        return max(around, key=lambda one: one.first, default=None)

    def of_test(self, test: str) -> Function | None:
        """The function behind a pytest id, as `path::Class::function[parameters]`."""
        path, _, rest = test.partition("::")
        name = rest.partition("[")[0].replace("::", ".")
        return next((one for one in self.of_file.get(path, ()) if one.name == name), None)

    def reached(self, start: Function, depth: int) -> Mapping[Function, int]:
        """What a function may come to by names, with the number of steps to it.

        A name stands for everything that bears it, so this is too much rather than too little.

        Args:
            start: where to begin; it is not part of the result.
            depth: steps at the most.
        """
        found: dict[Function, int] = {}
        front = [start]
        for step in range(1, depth + 1):
            names = {name for one in front for name in one.uses}
            reached = {one for name in names for one in self._by_name.get(name, ())}
            front = [one for one in reached if one not in found and one != start]
            found |= dict.fromkeys(front, step)
        return found


def imported_modules(text: str) -> set[str]:
    """The last parts of all module names that a file imports from, or imports."""
    tree = parse(text)
    found: set[str] = set()
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            found |= {alias.name.rpartition(".")[2] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").rpartition(".")[2])
            found |= {alias.name for alias in node.names}
    return found - {""}


def module_name(path: str) -> str:
    """What a file is imported as, without the packages around it."""
    pure = PurePosixPath(path)
    return pure.parent.name if pure.stem == "__init__" else pure.stem


def _functions(path: str, tree: ast.AST, prefix: str = "") -> Iterator[Function]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, FunctionNode):
            name = f"{prefix}{node.name}"
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            yield Function(path, name, first, node.end_lineno or node.lineno, _uses(node))
            yield from _functions(path, node, f"{name}.")
        elif isinstance(node, ast.ClassDef):
            yield from _functions(path, node, f"{prefix}{node.name}.")
        else:
            yield from _functions(path, node, prefix)


def _uses(function: FunctionNode) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.arg):
            found.add(node.arg)  # of a test: a fixture
    return frozenset(found - {function.name, "self", "cls"})


def parse(text: str) -> ast.Module | None:
    """A file's syntax tree, byte order mark or not; `None` of what is no Python."""
    return python_module(text.removeprefix("\ufeff"))
