"""Over-fits made on purpose: patches that know the failing tests' inputs, and repair nothing."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from bench.mutants.twin import Call


def special_case(text: str, function: str, calls: Sequence[Call]) -> str | None:
    """A file in which a function gives the expected value for some calls, and else what it gave.

    Args:
        text: of the file.
        function: the qualified name of the function.
        calls: on which it was wrong, with the right results.

    Returns:
        `None` where that can't be written: no calls, no arguments, or arguments without a name.
    """
    node = _find(text, function)
    if node is None or not calls:
        return None
    conditions = []
    for call in calls:
        condition = _condition(node, call)
        if not condition or not call.result:
            return None
        conditions.append((condition, call.result))
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    after = node.body[1] if documented and len(node.body) > 1 else first
    if after.lineno == node.lineno:
        return None
    decorators = getattr(after, "decorator_list", [])
    line = min([after.lineno, *(one.lineno for one in decorators)])
    indent = " " * after.col_offset
    added = [
        f"{indent}if {condition}:\n{indent}    return {result}\n"
        for condition, result in dict.fromkeys(conditions)
    ]
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: line - 1], *added, *lines[line - 1 :]])


def _condition(node: ast.FunctionDef | ast.AsyncFunctionDef, call: Call) -> str:
    """That a call is this one; empty where its arguments have no names."""
    try:
        given, named = ast.literal_eval(call.arguments)
    except (ValueError, SyntaxError):
        return ""
    names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)][int(call.bound) :]
    pairs = dict(zip(names, given, strict=False))
    rest = given[len(names) :]
    if rest and node.args.vararg is None:
        return ""
    if rest and node.args.vararg is not None:
        pairs[node.args.vararg.arg] = tuple(rest)
    known = {*names, *(one.arg for one in node.args.kwonlyargs)}
    if not named.keys() <= known:
        return ""
    pairs |= named
    if not pairs:
        return ""
    left, right = ", ".join(pairs), ", ".join(repr(value) for value in pairs.values())
    return f"{left} == {right}" if len(pairs) == 1 else f"({left}) == ({right})"


def _find(text: str, function: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    node: ast.AST = ast.parse(text)
    for name in function.split("."):
        sorts = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        inner = [one for one in ast.walk(node) if isinstance(one, sorts) and one.name == name]
        if not inner:
            return None
        node = inner[0]
    return node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None
