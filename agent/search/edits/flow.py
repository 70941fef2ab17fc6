"""Statements in the wrong place: a return inside a loop, one that is missing, one too many."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from agent.search.edits.source import Change, FunctionNode, Source, Span, blocks, names_in

_RETURNED = ("True", "False", "None", "[]", "0", "-1", "''")


def changes(source: Source, function: FunctionNode) -> Iterator[Change]:
    """Statements moved out of and into blocks, removed, and returns added."""
    yield from _last_return(source, function)
    nodes = [function, *source.nodes(function)]
    for node, block in blocks(nodes):
        yield from _moved_out(source, node, block)
        yield from _moved_in(source, block)
        for statement in block:
            yield from _removed(source, statement, block)
    for node in nodes:
        if isinstance(node, ast.Break | ast.Continue):
            other = "continue" if isinstance(node, ast.Break) else "break"
            yield source.replace("flow.break", node, other)
        elif isinstance(node, ast.If):
            yield from _branches(source, node)
        elif isinstance(node, ast.For | ast.While):
            yield from _else_after_loop(source, node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value
            printed = isinstance(called.func, ast.Name) and called.func.id == "print"
            if printed and len(called.args) == 1:
                text = f"return {source.of(called.args[0])}"
                yield source.replace("flow.printed", node, text)


def _last_return(source: Source, function: FunctionNode) -> Iterator[Change]:
    """A return after all else, where the last statement is none."""
    last = function.body[-1]
    indent = source.indent(last)
    if isinstance(last, ast.Return) or indent is None or last.end_lineno is None:
        return
    end = source.span(last)[1]
    for answer in (*names_in(function)[::-1], *_RETURNED):
        text = f"\n{indent}return {answer}"
        yield Change("flow.missing-return", last.end_lineno, ((end, end, text),))


def _lines(source: Source, first: ast.stmt, last: ast.stmt) -> tuple[int, int, list[str]] | None:
    """The lines of statements, if they have them to themselves and can be indented."""
    assert last.end_lineno is not None
    begin = source.line_start(first.lineno)
    end = source.span(last)[1]
    text = source.data[begin:end].decode()
    behind = source.data[end : source.line_start(last.end_lineno + 1)].decode().strip()
    if source.indent(first) is None or '"""' in text or "'''" in text or "\\\n" in text:
        return None
    if behind and not behind.startswith("#"):
        return None
    return begin, end, text.split("\n")


def _moved_out(source: Source, node: ast.AST, block: list[ast.stmt]) -> Iterator[Change]:
    """The last statement of a block, one level out: it then comes after the block's owner."""
    if not isinstance(node, ast.For | ast.While | ast.If | ast.With):
        return
    last = block[-1]
    found = _lines(source, last, last)
    outer = source.indent(node)
    if found is None or outer is None or node.end_lineno is None:
        return
    begin, end, lines = found
    inner = source.indent(last) or ""
    dedented = [outer + line.removeprefix(inner) for line in lines]
    left = [] if len(block) > 1 else [f"{inner}pass"]
    returns = "return" if isinstance(last, ast.Return) else "statement"
    loop = "loop" if isinstance(node, ast.For | ast.While) else "branch"
    kind = f"flow.{returns}-out-of-{loop}"
    owner_end = source.span(node)[1]
    if owner_end == end:
        yield Change(kind, last.lineno, ((begin, end, "\n".join([*left, *dedented])),))
    else:  # an `else` follows: behind all of it
        rest = "\n".join(left) or f"{inner}pass"
        moved = "\n" + "\n".join(dedented)
        yield Change(kind, last.lineno, ((begin, end, rest), (owner_end, owner_end, moved)))


def _moved_in(source: Source, block: list[ast.stmt]) -> Iterator[Change]:
    """A statement that follows a loop or a branch, taken into it."""
    for before, statement in pairwise(block):
        if not isinstance(before, ast.For | ast.While | ast.If):
            continue
        found = _lines(source, statement, statement)
        inner = source.indent((before.orelse or before.body)[-1])
        outer = source.indent(statement)
        if found is None or inner is None or outer is None:
            continue
        begin, end, lines = found
        text = "\n".join(inner + line.removeprefix(outer) for line in lines)
        yield Change("flow.into-block", statement.lineno, ((begin, end, text),))


def _removed(source: Source, statement: ast.stmt, block: list[ast.stmt]) -> Iterator[Change]:
    if isinstance(statement, ast.FunctionDef | ast.Import | ast.ImportFrom | ast.Pass):
        return
    if isinstance(statement, ast.Return) and len(block) == 1:
        yield source.replace("flow.return-removed", statement, "pass")
    elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
        simple = isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr | ast.Return)
        kind = "flow.removed" if simple else "flow.block-removed"
        yield source.replace(kind, statement, "pass")


def _branches(source: Source, node: ast.If) -> Iterator[Change]:
    """A condition that holds always or never; an `else` that comes after the loop instead."""
    if source.of(node).startswith("elif"):
        begin, _ = source.span(node)
        yield Change("flow.elif", node.lineno, ((begin, begin + len("elif"), "if"),))
    for answer in ("True", "False"):
        yield source.replace("flow.condition", node.test, answer)
    if node.orelse and not isinstance(node.orelse[0], ast.If):
        begin, end = source.span(node.body[-1])[1], source.span(node)[1]
        yield Change("flow.else-removed", node.orelse[0].lineno, ((begin, end, ""),))


def _else_after_loop(source: Source, loop: ast.For | ast.While) -> Iterator[Change]:
    """`else: return x` of a condition in a loop, moved after the loop."""
    indent = source.indent(loop)
    for node in loop.body:
        if not isinstance(node, ast.If) or len(node.orelse) != 1 or indent is None:
            continue
        last = node.orelse[0]
        if isinstance(last, ast.Return) and source.span(node)[1] == source.span(last)[1]:
            begin, end = source.span(node.body[-1])[1], source.span(node)[1]
            loop_end = source.span(loop)[1]
            text = f"\n{indent}{source.of(last)}"
            spans: tuple[Span, ...] = ((begin, end, text if end == loop_end else ""),)
            if end != loop_end:
                spans = (*spans, (loop_end, loop_end, text))
            yield Change("flow.else-after-loop", last.lineno, spans)
