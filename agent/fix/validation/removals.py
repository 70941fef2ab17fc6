"""Flags for what a patch takes away: guards, features, exceptions that nobody sees any more.

A patch that deletes what a test objects to passes the test. Such patches are nearly all wrong (Tan,
Yoshida, Prasad and Roychoudhury, "Anti-patterns in Search-Based Program Repair", 2016).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from agent.fix.validation.difference import Part, head, last_name, parts, statements
from agent.fix.validation.flags import Flag, Sort, Weight
from verifiers.repository import Patch, Snapshot

_GUARDS: tuple[tuple[str, type[ast.stmt]], ...] = (
    ("a raise", ast.Raise),
    ("an assertion", ast.Assert),
    ("a try", ast.Try),
)
_FEATURES: tuple[tuple[str, type[ast.stmt]], ...] = (
    ("a loop", ast.For),
    ("a loop", ast.While),
    ("a with", ast.With),
)
_LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_BROAD = frozenset({"Exception", "BaseException"})
_SMALLER = 0.6
"""A function with less than this share of its statements is no longer the same one."""


def removals(snapshot: Snapshot, patch: Patch) -> Iterator[Flag]:
    """Flags for what a patch takes away.

    Args:
        snapshot: the repository as it was.
        patch: whole new texts of files by their paths.
    """
    for path, text in patch.items():
        if text is None:
            yield _flag(Sort.FEATURE_REMOVED, path, 1, f"removes the file {path}")
    for part in parts(snapshot, patch):
        if part.old is not None and part.new is None:
            yield _flag(Sort.FEATURE_REMOVED, part.path, part.line, f"removes {part.name}")
            continue
        yield from _swallowed(part)
        yield from _constant(part)
        yield from _unreachable(part)
        if part.old is not None:
            yield from _fewer(part)


def _fewer(part: Part) -> Iterator[Flag]:
    old, new = statements(part.old), statements(part.new)
    for word, kind in _GUARDS:
        if _count(new, kind) < _count(old, kind):
            yield _flag(Sort.GUARD_REMOVED, part.path, _gone(part, kind), f"removes {word}")
    before, after = (sum(map(_is_guard, some)) for some in (old, new))
    if after < before:
        yield _flag(Sort.GUARD_REMOVED, part.path, part.line, "removes a guard")
    for word, kind in _FEATURES:
        if _count(new, kind) < _count(old, kind):
            yield _flag(Sort.FEATURE_REMOVED, part.path, _gone(part, kind), f"removes {word}")
    if sum(map(_arms, new)) < sum(map(_arms, old)) and after >= before:
        yield _flag(Sort.FEATURE_REMOVED, part.path, part.line, "removes a branch")
    heads = Counter(map(head, new))
    heads.subtract(Counter(map(head, old)))
    added = sum(count for count in heads.values() if count > 0)
    if len(new) < len(old) * _SMALLER:
        text = f"leaves {len(new)} of {len(old)} statements of {part.name or 'the module'}"
        yield _flag(Sort.FEATURE_REMOVED, part.path, part.line, text)
    elif len(new) < len(old) and not added:
        gone = next(one for one in old if heads[head(one)] < 0)
        yield _flag(Sort.FEATURE_REMOVED, part.path, gone.lineno, "only removes statements")


def _swallowed(part: Part) -> Iterator[Flag]:
    for node in part.added():
        if isinstance(node, ast.ExceptHandler):
            names = {last_name(one) for one in ast.walk(node.type)} if node.type else _BROAD
            quiet = all(_is_quiet(one) for one in node.body)
            if names & _BROAD or quiet:
                text = "swallows an exception" if quiet else "catches every exception"
                yield _flag(Sort.EXCEPTION_SWALLOWED, part.path, node.lineno, text)
        elif isinstance(node, ast.Call) and last_name(node.func) == "suppress":
            yield _flag(Sort.EXCEPTION_SWALLOWED, part.path, node.lineno, "swallows an exception")


def _constant(part: Part) -> Iterator[Flag]:
    """Conditions that no longer ask anything."""
    for node in part.added():
        tests: list[ast.expr] = []
        if isinstance(node, ast.If | ast.IfExp):
            tests = [node.test]
        elif isinstance(node, ast.BoolOp):
            tests = node.values[:-1]  # the last one may be a default, as in `x or 0`
            if isinstance(node.op, ast.And):
                tests = node.values
        elif isinstance(node, ast.Compare) and ast.dump(node.left) == ast.dump(node.comparators[0]):
            yield _flag(
                Sort.CONSTANT_CONDITION, part.path, node.lineno, "compares a value with itself"
            )
        for test in tests:
            if isinstance(test, ast.Constant):
                text = f"has a condition that is always {bool(test.value)}"
                yield _flag(Sort.CONSTANT_CONDITION, part.path, test.lineno, text)


def _unreachable(part: Part) -> Iterator[Flag]:
    old = Counter(ast.dump(one) for one in _dead(part.old))
    for one in _dead(part.new):
        if not old[ast.dump(one)]:
            yield _flag(Sort.FEATURE_REMOVED, part.path, one.lineno, "puts statements out of reach")


def _dead(node: ast.AST | None) -> Iterator[ast.stmt]:
    """The first statement behind one that leaves, of every block."""
    for one in ast.walk(node) if node is not None else ():
        for name in ("body", "orelse", "finalbody"):
            block = getattr(one, name, None)
            if isinstance(block, list):
                for before, behind in pairwise(block):
                    if isinstance(before, _LEAVING):
                        yield behind
                        break


def _is_guard(statement: ast.stmt) -> bool:
    """Whether it only asks something and leaves."""
    return (
        isinstance(statement, ast.If)
        and not statement.orelse
        and isinstance(statement.body[-1], _LEAVING)
    )


def _is_quiet(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Return):
        return statement.value is None or isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass | ast.Continue | ast.Break) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _arms(statement: ast.stmt) -> int:
    return 1 + bool(statement.orelse) if isinstance(statement, ast.If) else 0


def _count(found: list[ast.stmt], kind: type[ast.stmt]) -> int:
    return sum(isinstance(one, kind) for one in found)


def _gone(part: Part, kind: type[ast.stmt]) -> int:
    lines = [one.lineno for one in part.removed() if isinstance(one, kind)]
    return lines[0] if lines else part.line


def _flag(sort: Sort, path: str, line: int, text: str) -> Flag:
    return Flag(sort=sort, weight=Weight.DOUBT, path=path, line=line, text=text)
