"""A term that is missing or too much: in sums, in arguments, in what is accumulated or returned."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.search.edits.source import Change, FunctionNode, Source, names_in, parameters

_MOST_NAMES = 6
_BOUNDED = ("max(0, {})", "max(1, {})", "min(1, {})")


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Terms added and left out."""
    known = names_in(function)[:_MOST_NAMES]
    for node in source.nodes(function):
        if isinstance(node, ast.BinOp):
            for side in (node.left, node.right):
                yield source.replace("term.removed", node, f"({source.of(side)})")
        elif isinstance(node, ast.Call):
            yield from _arguments(source, node, known)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            yield from _assigned(source, node, node.targets[0])
        elif isinstance(node, ast.Return) and node.value is not None:
            yield from _returned(source, function, node.value)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
            for index in node.slice.elts:
                for step in ("+ 1", "- 1"):
                    yield source.replace("index.moved", index, f"{source.of(index)} {step}")
        elif isinstance(node, ast.Compare) and _is_size(node):
            for text in ("<= 1", "< 2"):
                yield source.replace("comparison.size", node, f"{source.of(node.left)} {text}")


def _arguments(source: Source, node: ast.Call, known: list[str]) -> Iterator[Change]:
    """A variable that is handed on, with a little more or less."""
    if not isinstance(node.func, ast.Name):
        return
    for argument in node.args:
        if not isinstance(argument, ast.Name):
            continue
        others = [name for name in known if name != argument.id]
        for other in ("1", *others):
            for sign in "-+":
                text = f"{argument.id} {sign} {other}"
                yield source.replace("term.argument", argument, text)


def _assigned(source: Source, node: ast.Assign, target: ast.expr) -> Iterator[Change]:
    if isinstance(node.value, ast.BinOp):
        for form in _BOUNDED:
            yield source.replace("term.bounded", node.value, form.format(source.of(node.value)))
    begin, between = source.between(target, node.value)
    equals = between.find("=")
    if equals >= 0 and not isinstance(target, ast.Tuple | ast.List):
        at = begin + len(between[:equals].encode())
        for sign in ("+=", "-=", "*=", "|="):
            yield Change("term.accumulated", node.lineno, ((at, at + 1, sign),))


def _returned(source: Source, function: FunctionNode, value: ast.expr) -> Iterator[Change]:
    """What an empty list should have had in it."""
    if isinstance(value, ast.List) and not value.elts:
        yield source.replace("term.returned", value, "[[]]")
        for parameter in parameters(function):
            yield source.replace("term.returned", value, f"[{parameter.arg}]")


def _is_size(node: ast.Compare) -> bool:
    """Whether a length is compared with zero."""
    right = node.comparators[0]
    called = node.left
    return (
        isinstance(node.ops[0], ast.Eq)
        and isinstance(right, ast.Constant)
        and right.value == 0
        and isinstance(called, ast.Call)
        and isinstance(called.func, ast.Name)
        and called.func.id == "len"
    )
