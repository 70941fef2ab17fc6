"""Two statements in the wrong order."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from agent.search.edits.source import Change, FunctionNode, Source, blocks

_FIXED = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom),
    *(ast.Return, ast.Raise, ast.Break, ast.Continue, ast.Global, ast.Nonlocal, ast.Pass),
)
"""Statements that stay where they are."""


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Neighbours swapped, where they have a name in common."""
    for _, block in blocks([function, *source.nodes(function)]):
        for first, second in pairwise(block):
            here, there = _lines(source, first), _lines(source, second)
            if here is None or there is None or here[1] > there[0]:
                continue
            if _names(first) & _names(second):
                texts = [source.data[begin:end].decode() for begin, end in (here, there)]
                spans = ((*here, texts[1]), (*there, texts[0]))
                yield Change("order.swapped", first.lineno, spans)


def _lines(source: Source, statement: ast.stmt) -> tuple[int, int] | None:
    """The bytes of a statement that begins its line and is alone on its lines."""
    begin, end = source.span(statement)
    last = statement.end_lineno or statement.lineno
    behind = source.data[end : source.line_start(last + 1)].decode().strip()
    alone = source.indent(statement) is not None and (not behind or behind.startswith("#"))
    return (begin, end) if alone else None


def _names(statement: ast.stmt) -> set[str]:
    if isinstance(statement, _FIXED):
        return set()
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
