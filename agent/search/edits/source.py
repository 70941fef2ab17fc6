"""A program as text and syntax tree at once, and changes of it that keep all other text."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from verifiers.syntax import canonical

LONGEST = 20_000
"""Characters of a program that is edited; longer ones are left alone."""
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

Span = tuple[int, int, str]
"""Bytes from and to, and what stands there instead."""


@dataclass(frozen=True, slots=True)
class Change:
    """One small change.

    Attributes:
        kind: family and sort, such as `comparison.boundary`; what its prior is looked up by.
        line: where, counted from 1.
        spans: what is replaced, in any order, without overlap.
    """

    kind: str
    line: int
    spans: tuple[Span, ...]


class Source:
    """A program that can be edited.

    Args:
        text: of the program; CPython accepts it (see `read`).
        tree: its syntax tree.
        entry_point: functions that it doesn't reach are left alone; empty: all are looked at.
        given: text in which the functions of others stand, which are left alone too.
    """

    def __init__(self, text: str, tree: ast.Module, entry_point: str = "", given: str = "") -> None:
        self.text = text
        self.data = text.encode()
        self.tree = tree
        self._starts = [0]
        for line in self.data.split(b"\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._entry_point = entry_point
        self._given = given

    @cached_property
    def functions(self) -> tuple[FunctionNode, ...]:
        """The functions that may be edited, outermost, the entry point first."""
        by_name: dict[str, list[FunctionNode]] = {}
        for node in self.tree.body:
            for function in _outermost(node):
                by_name.setdefault(_top_name(node), []).append(function)
        first = self._entry_point.partition(".")[0]
        order = [first] if first in by_name else list(by_name)
        for name in order:  # grows while it is walked: what a function names is reached
            for function in by_name[name]:
                used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
                order.extend(other for other in by_name if other in used and other not in order)
        found = [function for name in order for function in by_name[name]]
        return tuple(one for one in found if self.of(one).strip() not in self._given)

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node stands, in bytes."""
        assert isinstance(node, ast.expr | ast.stmt | ast.arg | ast.excepthandler)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = self._starts[node.lineno - 1] + node.col_offset
        return begin, self._starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: ast.AST) -> str:
        """The text of a node."""
        begin, end = self.span(node)
        return self.data[begin:end].decode()

    def between(self, left: ast.AST, right: ast.AST) -> tuple[int, str]:
        """Where the text between two nodes begins, and the text."""
        begin, end = self.span(left)[1], self.span(right)[0]
        return begin, self.data[begin:end].decode()

    def line_start(self, line: int) -> int:
        """Where a line begins, in bytes; the line after the last is the end."""
        return min(self._starts[line - 1], len(self.data))

    def indent(self, node: ast.stmt) -> str | None:
        """The blanks before a statement; `None` if it doesn't begin its line."""
        begin = self.line_start(node.lineno)
        blanks = self.data[begin : begin + node.col_offset].decode()
        return blanks if not blanks.strip() else None

    def replace(self, kind: str, node: ast.AST, text: str) -> Change:
        """The change that puts a text in place of a node."""
        return Change(kind, getattr(node, "lineno", 0), ((*self.span(node), text),))

    def body(self, function: FunctionNode) -> list[ast.stmt]:
        """A function's statements after its docstring."""
        first = function.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        return function.body[1:] if documented else function.body

    def nodes(self, function: FunctionNode) -> Iterator[ast.AST]:
        """All nodes of a function's statements, in the order of the text, without annotations."""
        for statement in self.body(function):
            yield from _walk(statement)

    def apply(self, change: Change) -> str:
        """The program with the change; whether CPython accepts it has yet to be seen."""
        data = self.data
        for begin, end, text in sorted(change.spans, reverse=True):
            data = data[:begin] + text.encode() + data[end:]
        return data.decode()


def read(
    program: str, entry_point: str = "", given: str = "", *, longest: int = LONGEST
) -> Source | None:
    """The program to edit; `None` where there is nothing to edit in it.

    Args:
        program: complete source.
        entry_point: of its task; what it doesn't reach is left alone.
        given: what the task itself says, whose functions are left alone.
        longest: characters of a program that is looked at.
    """
    text = program.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > longest or "\f" in text or canonical(text) is None:
        return None
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(text)
    return Source(text, tree, entry_point, given)


def names_in(function: FunctionNode) -> list[str]:
    """Parameters and local names of a function, in the order of their first binding."""
    arguments = function.args
    known = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    stored = [
        (node.lineno, node.col_offset, node.id)
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return list(dict.fromkeys([*known, *(name for _, _, name in sorted(stored))]))


def parameters(function: FunctionNode) -> list[ast.arg]:
    """A function's positional parameters but `self`."""
    found = [*function.args.posonlyargs, *function.args.args]
    return [one for one in found if one.arg not in ("self", "cls")]


def blocks(nodes: Iterable[ast.AST]) -> Iterator[tuple[ast.AST, list[ast.stmt]]]:
    """Every block of statements among the nodes, with the node that has it."""
    for node in nodes:
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                yield node, block


def _outermost(node: ast.stmt) -> list[FunctionNode]:
    if isinstance(node, FunctionNode):
        return [node]
    if isinstance(node, ast.ClassDef):
        return [one for one in node.body if isinstance(one, FunctionNode)]
    return []


def _top_name(node: ast.stmt) -> str:
    return getattr(node, "name", "")


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        if isinstance(node, ast.JoinedStr):
            continue  # before 3.12 what stands in an f-string has no position of its own
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child)
