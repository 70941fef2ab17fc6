"""The wrong name: another variable in scope, another variable returned, a method's sibling."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.search.edits.source import Change, FunctionNode, Source, names_in

_MOST_NAMES = 8
_SIBLINGS = (
    ("append", "extend"), ("lower", "upper"), ("islower", "isupper"), ("isalpha", "isalnum"),
    ("isdigit", "isalpha"), ("isdigit", "isnumeric"), ("startswith", "endswith"),
    ("lstrip", "rstrip"), ("strip", "rstrip"), ("find", "index"), ("find", "rfind"),
    ("index", "count"), ("keys", "values"), ("values", "items"), ("union", "intersection"),
    ("sort", "reverse"), ("ceil", "floor"), ("add", "discard"), ("split", "splitlines"),
)  # fmt: skip
_FUNCTIONS = (
    ("min", "max"), ("any", "all"), ("sum", "len"), ("sum", "max"), ("round", "int"),
    ("list", "set"), ("list", "tuple"), ("int", "float"), ("sorted", "list"), ("sorted", "set"),
    ("sorted", "reversed"), ("abs", "int"), ("ord", "int"), ("str", "repr"), ("str", "bin"),
)  # fmt: skip


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Other names in place of those that stand there."""
    known = names_in(function)
    attributes = _attributes(function)
    returned = {
        id(node.value) for node in ast.walk(function) if isinstance(node, ast.Return) and node.value
    }
    for node in source.nodes(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            for other in _others(node.id, _FUNCTIONS):
                yield source.replace("name.function", node, other)
            if node.id in known:
                kind = "name.return" if id(node) in returned else "name.variable"
                for other in [one for one in known if one != node.id][:_MOST_NAMES]:
                    yield source.replace(kind, node, other)
        elif isinstance(node, ast.Attribute):
            end, line = source.span(node)[1], node.end_lineno or node.lineno
            begin = end - len(node.attr.encode())
            for other in _others(node.attr, _SIBLINGS):
                yield Change("name.method", line, ((begin, end, other),))
            for other in sorted(attributes - {node.attr}):
                yield Change("name.attribute", line, ((begin, end, other),))


def _others(name: str, pairs: tuple[tuple[str, str], ...]) -> list[str]:
    return [b if name == a else a for a, b in pairs if name in (a, b)]


def _attributes(function: FunctionNode) -> set[str]:
    """Attributes that a function reads and does not call."""
    nodes = list(ast.walk(function))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    found = {
        node.attr for node in nodes if isinstance(node, ast.Attribute) and id(node) not in called
    }
    return found if len(found) <= _MOST_NAMES else set()
