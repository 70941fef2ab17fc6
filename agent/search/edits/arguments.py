"""An argument that was forgotten, or for which nothing was handed over."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.search.edits.source import Change, FunctionNode, Source, names_in

_MOST_NAMES = 8


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Names of the function around a call as further arguments, and in place of `None`."""
    known = names_in(function)
    for node in source.nodes(function):
        if not isinstance(node, ast.Call):
            continue
        for argument in (*node.args, *(one.value for one in node.keywords)):
            if isinstance(argument, ast.Constant) and argument.value is None:
                for name in known[:_MOST_NAMES]:
                    yield source.replace("argument.none", argument, name)
        yield from _forgotten(source, node, known)


def _forgotten(source: Source, node: ast.Call, known: list[str]) -> Iterator[Change]:
    """Parameters that a call leaves out, where a name of the same kind is at hand.

    The callee has to be a function of the same file, so that its parameters are known.
    """
    if any(isinstance(one, ast.Starred) for one in node.args):
        return
    named = {one.arg for one in node.keywords}
    end = source.span(node)[1] - 1
    for callee in _callees(source, node.func):
        names = [one.arg for one in (*callee.args.posonlyargs, *callee.args.args)]
        bound = isinstance(node.func, ast.Attribute) and names[:1] in (["self"], ["cls"])
        left_out = names[int(bound) + len(node.args) :]
        for name in [one for one in left_out if one in known and one not in named]:
            between = ", " if node.args or node.keywords else ""
            if source.data[source.span(node)[0] : end].decode().rstrip().endswith(","):
                between = " "
            text = f"{between}{name}={name}"
            line = node.end_lineno or node.lineno
            yield Change("argument.forgotten", line, ((end, end, text),))
        for place, own in enumerate(node.args):
            rest = names[int(bound) :]
            forgotten = rest[place] if place < len(rest) else ""
            if forgotten in known and source.of(own) != forgotten and len(rest) > len(node.args):
                begin = source.span(own)[0]
                yield Change("argument.forgotten", own.lineno, ((begin, begin, f"{forgotten}, "),))


def _callees(source: Source, called: ast.expr) -> list[FunctionNode]:
    """Functions of the file that a call may mean, by its name."""
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return [one for one in source.functions if one.name == name]
