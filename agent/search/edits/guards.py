"""A missing guard: empty input, zero, one, None, or an exception that should be an answer."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.search.edits.source import Change, FunctionNode, Source, parameters

_ANSWERS = {
    "int": ("0", "-1", "1", "None"), "float": ("0", "0.0", "None"), "bool": ("True", "False"),
    "str": ("''", "None"), "list": ("[]", "None"), "tuple": ("()", "None", "(None, None)"),
    "dict": ("{}", "None"), "set": ("set()",), "optional": ("None",),
}  # fmt: skip
_ANY = ("0", "[]", "''", "False", "True", "None", "1", "-1")
_SIZED = ("not {0}", "len({0}) < 2", "len({0}) == 1")
_NUMBERS = ("{0} == 0", "{0} < 0", "{0} == 1", "{0} < 2", "{0} == 2")


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Guards at the beginning, and conditions with one more clause."""
    first = (source.body(function) or function.body)[0]
    indent = source.indent(first)
    if indent is not None:
        begin = source.line_start(first.lineno)
        for parameter in parameters(function)[:2]:
            kind = _kind(parameter.annotation)
            for condition in _conditions(kind):
                test = condition.format(parameter.arg)
                sort = "guard.empty" if condition == _SIZED[0] else "guard.small"
                for answer in (*_answers(function.returns), parameter.arg):
                    line = f"{indent}if {test}: return {answer}\n"
                    yield Change(sort, first.lineno, ((begin, begin, line),))
    yield from _clauses(source, function)


def _clauses(source: Source, function: FunctionNode) -> Iterator[Change]:
    named = [parameter.arg for parameter in parameters(function)[:2]]
    for node in source.nodes(function):
        if not isinstance(node, ast.If | ast.While):
            continue
        text = source.of(node.test)
        looked_at = [one.id for one in ast.walk(node.test) if isinstance(one, ast.Name)]
        for name in dict.fromkeys([*looked_at[:2], *named]):
            yield source.replace("guard.clause", node.test, f"{name} and ({text})")
            yield source.replace("guard.clause", node.test, f"not {name} or ({text})")


def _conditions(kind: str) -> tuple[str, ...]:
    if kind in ("int", "float"):
        return _NUMBERS
    return _SIZED if kind else (*_SIZED, *_NUMBERS)


def _answers(returns: ast.expr | None) -> tuple[str, ...]:
    return _ANSWERS.get(_kind(returns), _ANY)


def _kind(annotation: ast.expr | None) -> str:
    """The builtin type that an annotation names, in lower case; empty where it names none."""
    if isinstance(annotation, ast.Subscript):
        annotation = annotation.value
    if isinstance(annotation, ast.Attribute):
        return annotation.attr.lower()
    name = annotation.id.lower() if isinstance(annotation, ast.Name) else ""
    return name if name in _ANSWERS else ""
