"""Patches that look for the very inputs of the tests, or for who calls: a sign that they cheat.

It compares values that a patch newly asks for (in comparisons, cases, look-ups) with those in the
files of the failing tests. Small numbers, empty and single things are in every program and say
nothing. It can't tell a true special case that a test was written for, so it is a reason to look
for something better and to prefer that, never to throw a patch away.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from agent.fix.asking import Situation
from agent.fix.candidate import Candidate
from agent.fix.functions import parse
from agent.fix.validation.flags import Weight
from agent.fix.validation.syntax import find_flags

_LOOKS = frozenset({
    "_getframe", "currentframe", "getouterframes", "f_back", "f_locals", "tb_frame",
    "PYTEST_CURRENT_TEST",
})  # fmt: skip
"""What hardly a repair needs, and what tells a program that it is tested."""
_SHORT = 2
"""Characters up to which a text says nothing, and values up to which a number doesn't."""


def special_case(situation: Situation, candidate: Candidate) -> str:
    """What a patch looks for that only the failing tests name, in half a sentence; or empty."""
    if not situation.language.is_compared:
        return ""
    snapshot = situation.snapshot
    for flag in find_flags(snapshot, candidate.texts, situation.targets.failing):
        if flag.weight is Weight.CHEAT:
            return f"it {flag}"
    files = {name.partition("::")[0] for name in situation.targets.failing}
    named: dict[str, str] = {}
    for path in files:
        for value in _values(snapshot.text(path) or ""):
            named.setdefault(repr(value), repr(value))
            if not isinstance(value, str):  # compared by its text, blanks aside
                named.setdefault(repr(repr(value)), repr(value))
                named.setdefault(repr(str(value)), repr(value))
    for test in situation.targets.failing:
        name = test.partition("[")[0].rpartition("::")[2]
        named.setdefault(repr(name), f"{name}, the name of a test")
    for path, text in candidate.texts.items():
        new = _names(text or "") - _names(snapshot.text(path) or "")
        if looks := sorted(new & _LOOKS):
            return f"it looks at who calls it, by {looks[0]}"
        before = {repr(value) for value in _asked(snapshot.text(path) or "")}
        for value in _asked(text or ""):
            if repr(value) in named and repr(value) not in before:
                shown = named[repr(value)]
                shown = shown if len(shown) <= 80 else f"{shown[:79]}…"
                return f"it looks for a value of the failing tests: {shown}"
    return ""


def _names(text: str) -> set[str]:
    """Names, attributes and short texts."""
    tree = parse(text)
    found: set[str] = set()
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


def _asked(text: str) -> Iterator[object]:
    """Values that a program compares with, or looks up."""
    tree = parse(text)
    for node in ast.walk(tree) if tree is not None else ():
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        for part in parts:
            for one in ast.walk(part):
                for value in _value(one):
                    yield value
                    if isinstance(value, str):
                        yield from _written(value)


def _written(text: str) -> Iterator[object]:
    """The values in a text that is what `repr` makes of some: `([1, 2], 3)`."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return
    if isinstance(value, list | tuple | set):
        yield from filter(_telling, value)


def _values(text: str) -> Iterator[object]:
    """All values that a file names."""
    tree = parse(text)
    for node in ast.walk(tree) if tree is not None else ():
        yield from _value(node)


def _value(node: ast.AST) -> Iterator[object]:
    if isinstance(node, ast.Constant | ast.List | ast.Tuple | ast.Set | ast.Dict | ast.UnaryOp):
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return
        if _telling(value):
            yield value


def _telling(value: object) -> bool:
    """Whether a value is one that a program would hardly name by chance."""
    if value is None or isinstance(value, bool):
        return False
    if isinstance(value, int | float | complex):
        return abs(value) > 10 * _SHORT
    if isinstance(value, str | bytes):
        return len(value) > _SHORT
    if isinstance(value, list | tuple | set | dict):
        return len(value) > 1 or any(map(_telling, value))
    return False
