"""Something missing around a value, or too much: a conversion, `abs`, `sorted`, `.lower()`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.search.edits.source import Change, FunctionNode, Source, parameters

_RETURNED = (
    "list({})", "tuple({})", "str({})", "int({})", "float({})", "bool({})", "round({}, 2)",
    "round({})", "abs({})", "sorted({})", "set({})", "len({})", "sum({})", "max({})", "min({})",
    "not ({})", "-({})", "({})[::-1]", "''.join({})", "' '.join({})", "sorted(set({}))",
    "list(dict.fromkeys({}))", "({}).lower()", "({}).upper()", "({}).strip()", "[{}]",
    "sorted({}, reverse=True)", "({})[0]", "({})[1:]", "({})[:-1]", "({}) or None", "({}) * 2",
)  # fmt: skip
_ITERATED = (
    "sorted({})", "set({})", "reversed({})", "range({})", "range(len({}))", "str({})", "({})[1:]",
    "({})[:-1]", "({}).split()", "list({})", "({}).items()",
)  # fmt: skip
_COMPARED = ("abs({})", "({}).lower()", "len({})", "int({})", "str({})", "sorted({})", "set({})")
_ASSIGNED = (
    "int({})",
    "abs({})",
    "sorted({})",
    "list({})",
    "({}).copy()",
    "str({})",
    "list(str({}))",
)
_AT_ENTRY = (
    "list({})", "sorted({})", "{}.lower()", "str({})", "abs({})", "{}[::-1]", "set({})",
    "{}.split()", "{}.replace(' ', '')", "sorted({}, reverse=True)", "int({})", "{}.upper()",
    "sorted(set({}))", "{}.strip()",
)  # fmt: skip
_UNWRAPPED = frozenset(
    {"list", "tuple", "str", "int", "float", "bool", "abs", "sorted", "set", "round", "reversed"}
    | {"len", "sum", "max", "min", "ord", "chr", "bin"}
)
_TAKERS = frozenset({"append", "add", "join", "extend"})
_TAKEN = ("str({})", "int({})", "({})[::-1]", "abs({})", "({}).lower()", "sorted({})")
_METHODS = frozenset({"lower", "upper", "strip", "copy", "split", "title", "sort", "rstrip"})


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Values wrapped and unwrapped."""
    yield from _at_entry(source, function)
    for node in source.nodes(function):
        if isinstance(node, ast.Return) and node.value is not None:
            if not isinstance(node.value, ast.Constant):
                yield from _each(source, "wrap.return", node.value, _RETURNED)
        elif isinstance(node, ast.For | ast.comprehension):
            yield from _each(source, "wrap.iterated", node.iter, _ITERATED)
        elif isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                if not isinstance(side, ast.Constant):
                    yield from _each(source, "wrap.compared", side, _COMPARED)
        elif isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant):
            yield from _each(source, "wrap.assigned", node.value, _ASSIGNED)
        elif isinstance(node, ast.Call):
            yield from _call(source, node)


def _call(source: Source, node: ast.Call) -> Iterator[Change]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in _UNWRAPPED and len(node.args) == 1:
        yield source.replace("wrap.removed", node, f"({source.of(node.args[0])})")
        if function.id in ("sum", "max", "min", "len"):
            argument = node.args[0]
            yield from _each(source, "wrap.argument", argument, ("set({})", "({})[1:]"))
        if function.id == "sorted" and not node.keywords:
            first = node.args[0]
            for added in ("reverse=True", "key=len", "key=str", "key=abs", "key=lambda x: x[1]"):
                text = f"{source.of(first)}, {added}"
                yield source.replace("wrap.sorted", first, text)
    elif isinstance(function, ast.Attribute) and function.attr in _METHODS and not node.args:
        yield source.replace("wrap.removed", node, source.of(function.value))
    elif isinstance(function, ast.Attribute) and function.attr in _TAKERS and len(node.args) == 1:
        yield from _each(source, "wrap.argument", node.args[0], _TAKEN)


def _each(source: Source, kind: str, node: ast.expr, forms: tuple[str, ...]) -> Iterator[Change]:
    text = source.of(node)
    for form in forms:
        yield source.replace(kind, node, form.format(text))


def _at_entry(source: Source, function: FunctionNode) -> Iterator[Change]:
    """A parameter brought into shape before anything else is done."""
    first = (source.body(function) or function.body)[0]
    indent = source.indent(first)
    if indent is None:
        return
    begin = source.line_start(first.lineno)
    for parameter in parameters(function)[:2]:
        for form in _AT_ENTRY:
            line = f"{indent}{parameter.arg} = {form.format(parameter.arg)}\n"
            yield Change("wrap.entry", first.lineno, ((begin, begin, line),))
