"""Operators that are seldom meant where another one stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.search.edits import operators
from agent.search.edits.source import Change, FunctionNode, Source

_ARITHMETIC = ("+", "-", "*", "/", "//", "%")
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not")


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Those that `operators` does not try."""
    likely = {(one.line, one.spans) for one in operators.changes(source, function)}
    for change in _all(source, function):
        if (change.line, change.spans) not in likely:
            yield change


def _all(source: Source, function: FunctionNode) -> Iterator[Change]:
    for node in source.nodes(function):
        if isinstance(node, ast.BinOp):
            sign = operators.sign_of(node.op)
            for other in [one for one in _ARITHMETIC if sign in _ARITHMETIC and one != sign]:
                yield from operators.between(
                    source, "other.arithmetic", node.left, node.right, sign, other
                )
        elif isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for place, operator in enumerate(node.ops):
                sign = operators.sign_of(operator)
                left, right = operands[place], operands[place + 1]
                for other in [one for one in _COMPARISONS if one != sign]:
                    yield from operators.between(
                        source, "other.comparison", left, right, sign, other
                    )
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
            yield source.replace("other.sign", node, f"(-{source.of(node.operand)})")
