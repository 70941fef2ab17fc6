"""Wrong operators: comparison and its boundary, arithmetic, and/or, a condition the other way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from agent.search.edits.source import Change, FunctionNode, Source

_BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_OPPOSITE = {
    **{"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="},
    **{"in": "not in", "not in": "in", "is": "is not", "is not": "is"},
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LOOSER = {"==": (">=", "<="), "!=": ("<", ">")}
_COMPARISONS = {
    **{ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="},
    **{ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not"},
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, tuple[str, ...]]] = {
    ast.Add: ("+", ("-", "*")),
    ast.Sub: ("-", ("+", "%")),
    ast.Mult: ("*", ("+", "**", "//")),
    ast.Div: ("/", ("//", "*", "%")),
    ast.FloorDiv: ("//", ("/", "%")),
    ast.Mod: ("%", ("//", "/")),
    ast.Pow: ("**", ("*",)),
    ast.BitAnd: ("&", ("|", "^")),
    ast.BitOr: ("|", ("&", "^")),
    ast.BitXor: ("^", ("&", "|", "**")),
    ast.LShift: ("<<", (">>",)),
    ast.RShift: (">>", ("<<",)),
}


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Other operators in place of those that stand there."""
    for node in source.nodes(function):
        if isinstance(node, ast.Compare):
            yield from _compare(source, node)
        elif isinstance(node, ast.BinOp):
            sign, others = _ARITHMETIC.get(type(node.op), ("", ()))
            for other in others:
                yield from between(
                    source, "arithmetic.operator", node.left, node.right, sign, other
                )
        elif isinstance(node, ast.AugAssign):
            sign, others = _ARITHMETIC.get(type(node.op), ("", ()))
            for other in (*(one + "=" for one in others), "="):
                yield from between(
                    source, "arithmetic.augmented", node.target, node.value, sign + "=", other
                )
        elif isinstance(node, ast.BoolOp):
            sign, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in pairwise(node.values):
                yield from between(source, "boolean.and-or", left, right, sign, other)
            for value in node.values:
                yield source.replace("boolean.only", node, source.of(value))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            yield source.replace("boolean.unary", node, f"({source.of(node.operand)})")
        elif isinstance(node, ast.If | ast.While | ast.IfExp):
            test = source.of(node.test)
            if not isinstance(node.test, ast.Compare):
                yield source.replace("boolean.negated", node.test, f"not ({test})")


def _compare(source: Source, node: ast.Compare) -> Iterator[Change]:
    operands = [node.left, *node.comparators]
    for place, operator in enumerate(node.ops):
        sign = _COMPARISONS[type(operator)]
        left, right = operands[place], operands[place + 1]
        if sign in _BOUNDARY:
            yield from between(source, "comparison.boundary", left, right, sign, _BOUNDARY[sign])
            yield from between(source, "comparison.turned", left, right, sign, _TURNED[sign])
        for looser in _LOOSER.get(sign, ()):
            yield from between(source, "comparison.looser", left, right, sign, looser)
        yield from between(source, "comparison.opposite", left, right, sign, _OPPOSITE[sign])


def sign_of(operator: ast.operator | ast.cmpop) -> str:
    """How an operator is written."""
    if isinstance(operator, ast.cmpop):
        return _COMPARISONS[type(operator)]
    return _ARITHMETIC[type(operator)][0] if type(operator) in _ARITHMETIC else ""


def between(
    source: Source, kind: str, left: ast.expr, right: ast.expr, sign: str, other: str
) -> Iterator[Change]:
    """The operator between two operands replaced; their brackets and blanks stay."""
    begin, text = source.between(left, right)
    written = re.search(r"\s+".join(map(re.escape, sign.split())), text)
    if written is None or "#" in text:
        return
    spans = ((begin + len(text[: written.start()].encode()), begin + written.end(), other),)
    yield Change(kind, getattr(left, "end_lineno", None) or left.lineno, spans)
