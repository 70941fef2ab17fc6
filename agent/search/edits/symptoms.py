"""What a verdict says of where and how a program goes wrong, to try likely edits first.

Only verdicts by visible tests come here. What a candidate printed into them is data: it is parsed
as a literal at the most, and bounded.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass

from sandbox.outcome import Outcome
from verifiers.verdict import Verdict

_PAIR = re.compile(r"got (?P<got>.*), expected (?P<expected>.*)", re.DOTALL)
_LINE = re.compile(r"\bline (\d+)\b")
_LONGEST = 400
_TESTS = 8


@dataclass(frozen=True, slots=True)
class Symptoms:
    """What failing tests have in common.

    Attributes:
        lines: of the program, that a traceback names.
        signs: words for how got and expected differ, such as `near` or `order`.
    """

    lines: frozenset[int] = frozenset()
    signs: frozenset[str] = frozenset()


NOTHING_KNOWN = Symptoms()


def symptoms(verdict: Verdict | None) -> Symptoms:
    """Reads them from a verdict."""
    if verdict is None:
        return NOTHING_KNOWN
    lines: set[int] = set()
    signs: set[str] = set()
    failed = [test for test in verdict.tests if test.outcome is not Outcome.PASSED]
    for test in failed[:_TESTS]:
        head, *rest = test.detail[: 4 * _LONGEST].split("\n")
        lines.update(int(number) for line in rest for number in _LINE.findall(line)[:2])
        pair = _PAIR.fullmatch(head)
        if pair is not None and len(head) <= 2 * _LONGEST:
            signs |= differ(pair["got"], pair["expected"])
        elif head:
            signs.add("raises")
    if verdict.outcome is Outcome.TIMEOUT:
        signs.add("endless")
    return Symptoms(frozenset(lines), frozenset(signs))


def differ(got_text: str, expected_text: str) -> set[str]:
    """Words for how two literals differ; `unknown` where one of them is no literal."""
    known, got = _literal(got_text)
    known_too, expected = _literal(expected_text)
    if not (known and known_too):
        return {"unknown"}
    if got is None:
        return {"none"}
    if isinstance(expected, bool) or isinstance(got, bool):
        return {"truth" if isinstance(got, bool) and isinstance(expected, bool) else "type"}
    if isinstance(got, int | float) and isinstance(expected, int | float):
        return _numbers(got, expected)
    if type(got) is not type(expected):
        return {"type"}
    if isinstance(got, str) and isinstance(expected, str):
        return {"case"} if got.lower() == expected.lower() else _sizes(got, expected)
    if isinstance(got, list | tuple) and isinstance(expected, list | tuple):
        if sorted(map(repr, got)) == sorted(map(repr, expected)):
            return {"order"}
        return _sizes(got, expected)
    return {"other"}


def _numbers(got: float, expected: float) -> set[str]:
    if abs(got - expected) == 1:
        return {"near"}
    if got == -expected:
        return {"sign"}
    if int(got) == int(expected) if abs(got) < 1e15 and abs(expected) < 1e15 else False:
        return {"type"}
    return {"number"}


def _sizes(
    got: str | list[object] | tuple[object, ...], expected: str | list[object] | tuple[object, ...]
) -> set[str]:
    if len(got) != len(expected):
        return {"longer" if len(got) > len(expected) else "shorter"}
    return {"elements"}


def _literal(text: str) -> tuple[bool, object]:
    try:
        with warnings.catch_warnings(action="ignore"):
            return True, ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False, None
