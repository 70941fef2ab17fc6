"""A decorator that was forgotten."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.search.edits.source import Change, FunctionNode, Source

_MOST = 4


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Those that a method may need, and those that other functions of the file have."""
    if function.decorator_list or source.indent(function) is None:
        return
    first = [one.arg for one in function.args.args][:1]
    method = function.col_offset > 0
    usual = ["property", "classmethod"] if first in (["self"], ["cls"]) else ["staticmethod"]
    others = [
        source.of(one)
        for other in source.functions
        for one in other.decorator_list
        if isinstance(one, ast.Name | ast.Attribute)
    ]
    begin = source.line_start(function.lineno)
    indent = " " * function.col_offset
    for name in list(dict.fromkeys([*(usual if method else ()), *others]))[:_MOST]:
        line = f"{indent}@{name}\n"
        yield Change("decorator.missing", function.lineno, ((begin, begin, line),))
