"""Off by one, and other small constants: numbers, ranges, slices, indices, defaults."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.search.edits.source import Change, FunctionNode, Source

_LARGEST = 10_000
_TEXTS = {"": (" ",), " ": ("", ", "), ",": (", ",), ", ": (",", " "), "\n": ("",)}


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Neighbouring constants, and ranges, slices and indices moved by one."""
    defaults = [*function.args.defaults, *(one for one in function.args.kw_defaults if one)]
    for default in defaults:
        for change in _constant(source, default):
            yield Change("constant.default", change.line, change.spans)
    for node in source.nodes(function):
        yield from _constant(source, node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield from _call(source, node, node.func.id)
        elif isinstance(node, ast.Subscript):
            yield from _subscript(source, node)
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Name | ast.BinOp):
            for step in ("+ 1", "- 1"):
                text = f"({source.of(node.value)}) {step}"
                yield source.replace("constant.return", node.value, text)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt | ast.Gt | ast.LtE):
            right = node.comparators[0]
            if not isinstance(right, ast.Constant):
                for step in ("+ 1", "- 1"):
                    yield _moved(source, "constant.compared", right, step)


def _constant(source: Source, node: ast.AST) -> Iterator[Change]:
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, bool):
        yield source.replace("constant.truth", node, str(not value))
    elif isinstance(value, int) and abs(value) < _LARGEST:
        for other in dict.fromkeys((value + 1, value - 1, 0, 1)):
            if other != value:
                near = "near" if abs(other - value) == 1 else "far"
                yield source.replace(f"constant.{near}", node, _number(other))
    elif isinstance(value, float):
        for changed in (value + 1, value - 1, value / 2, value * 2):
            yield source.replace("constant.float", node, repr(changed))
    elif isinstance(value, str):
        for text in _TEXTS.get(value, ()):
            yield source.replace("constant.text", node, repr(text))
    elif value is None:
        for empty in ("0", "[]", "''", "False"):
            yield source.replace("constant.none", node, empty)


def _call(source: Source, node: ast.Call, name: str) -> Iterator[Change]:
    arguments = node.args
    if name == "range" and arguments:
        stop = arguments[0] if len(arguments) == 1 else arguments[1]
        for step in ("+ 1", "- 1"):
            yield _moved(source, "range.stop", stop, step)
        if len(arguments) == 1:
            text = source.of(stop)
            for begin, end in (
                ("1", text),
                ("1", f"{text} + 1"),
                ("2", text),
                ("2", f"{text} + 1"),
            ):
                yield source.replace("range.start", stop, f"{begin}, {end}")
            yield source.replace("range.backwards", stop, f"({text}) - 1, -1, -1")
        else:
            for step in ("+ 1", "- 1"):
                yield _moved(source, "range.start", arguments[0], step)
            if len(arguments) == 2:
                yield source.replace("range.step", stop, f"{source.of(stop)}, 2")
    elif name == "len" and len(arguments) == 1:
        for step in ("+ 1", "- 1"):
            yield source.replace("constant.length", node, f"({source.of(node)} {step})")


def _subscript(source: Source, node: ast.Subscript) -> Iterator[Change]:
    index = node.slice
    if not isinstance(index, ast.Slice):
        # a constant is moved as every constant is
        if not isinstance(index, ast.Constant | ast.Tuple) and isinstance(node.ctx, ast.Load):
            for step in ("+ 1", "- 1"):
                yield _moved(source, "index.moved", index, step)
        return
    for name, bound in (("lower", index.lower), ("upper", index.upper)):
        if bound is None:
            continue
        if not isinstance(bound, ast.Constant):
            for step in ("+ 1", "- 1"):
                yield _moved(source, f"slice.{name}", bound, step)
        yield source.replace("slice.open", bound, "")


def _moved(source: Source, kind: str, node: ast.expr, step: str) -> Change:
    """A node with one more or less; one that already has it is freed of it."""
    if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant):
        sign = {ast.Add: "+", ast.Sub: "-"}.get(type(node.op))
        if sign and node.right.value == 1 and sign != step[0]:
            return source.replace(kind, node, source.of(node.left))
    simple = isinstance(node, ast.Name | ast.Call | ast.Attribute | ast.Subscript | ast.Constant)
    text = source.of(node)
    return source.replace(kind, node, f"{text} {step}" if simple else f"({text}) {step}")


def _number(value: int) -> str:
    return str(value) if value >= 0 else f"({value})"
