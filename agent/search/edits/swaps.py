"""Two things in each other's place: operands, arguments, branches, targets."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import pairwise

from agent.search.edits.source import Change, FunctionNode, Source

_MOST_ARGUMENTS = 5


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Neighbours swapped."""
    for node in source.nodes(function):
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Mult):
            yield _swap(source, "swap.operands", node.left, node.right)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            if isinstance(node.ops[0], ast.In | ast.NotIn):
                yield _swap(source, "swap.operands", node.left, node.comparators[0])
        elif isinstance(node, ast.Call):
            yield from _neighbours(source, "swap.arguments", node.args)
        elif isinstance(node, ast.Tuple | ast.List):
            yield from _neighbours(source, "swap.elements", node.elts)
        elif isinstance(node, ast.IfExp):
            yield _swap(source, "swap.branches", node.body, node.orelse)
        elif isinstance(node, ast.Dict) and len(node.keys) == 1 and node.keys[0] is not None:
            yield _swap(source, "swap.elements", node.keys[0], node.values[0])


def _neighbours(source: Source, kind: str, nodes: Sequence[ast.expr]) -> Iterator[Change]:
    if any(isinstance(node, ast.Starred) for node in nodes) or len(nodes) > _MOST_ARGUMENTS:
        return
    for left, right in pairwise(nodes):
        yield _swap(source, kind, left, right)


def _swap(source: Source, kind: str, left: ast.expr, right: ast.expr) -> Change:
    first, second = source.of(left), source.of(right)
    if isinstance(left, ast.BinOp | ast.BoolOp | ast.IfExp | ast.Compare):
        first = f"({first})"
    if isinstance(right, ast.BinOp | ast.BoolOp | ast.IfExp | ast.Compare):
        second = f"({second})"
    spans = ((*source.span(left), second), (*source.span(right), first))
    return Change(kind, left.lineno, spans)
