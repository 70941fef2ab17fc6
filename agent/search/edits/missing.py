"""A statement that was forgotten: a step of a loop, a note of what has been seen."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.search.edits.source import Change, FunctionNode, Source, blocks, names_in

_MOST_NAMES = 6
_ADDERS = {"set": "add", "list": "append", "deque": "append"}


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Statements put before others."""
    known = names_in(function)
    taking = _collections(function)
    changing = _set_in(function, known)
    for node, block in blocks([function, *source.nodes(function)]):
        own = _own_names(node, known)
        lines = [
            f"{name}.{method}({other})"
            for name, method in taking.items()
            for other in own
            if other != name
        ]
        in_loop = isinstance(node, ast.For | ast.While)
        if in_loop:
            lines += [f"{a} = {b}" for a in changing for b in known[:_MOST_NAMES] if a != b]
        for statement in block:
            indent = source.indent(statement)
            if indent is None or (not in_loop and statement is not block[-1]):
                continue
            begin = source.line_start(statement.lineno)
            for line in lines:
                sort = "assignment" if "=" in line else "call"
                text = f"{indent}{line}\n"
                yield Change(f"missing.{sort}", statement.lineno, ((begin, begin, text),))
    for node in source.nodes(function):
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant):
            for name in known[:_MOST_NAMES]:
                yield source.replace("missing.condition", node.test, name)


def _collections(function: FunctionNode) -> dict[str, str]:
    """Local collections, with the method that puts something into each."""
    found: dict[str, str] = {}
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        value, made = node.value, ""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            made = value.func.id
        elif isinstance(value, ast.List):
            made = "list"
        if made in _ADDERS:
            found[node.targets[0].id] = _ADDERS[made]
    return found


def _set_in(function: FunctionNode, known: list[str]) -> list[str]:
    """Variables that a function sets, of which a loop may have to carry one along."""
    stored = {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return [name for name in known if name in stored][:_MOST_NAMES]


def _own_names(node: ast.AST, known: list[str]) -> list[str]:
    """What a block would take note of: names of the function around it, and what it loops over."""
    arguments = [one.arg for one in ast.walk(node) if isinstance(one, ast.arg)]
    return list(dict.fromkeys([*arguments, *known]))[:_MOST_NAMES]
