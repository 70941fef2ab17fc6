"""Judges tests that are data: calls with literal arguments, and what their results must be.

No code of the tests is executed, so this goes on in the process that waits in a slot, and no judge
is forked. What the program replies is decoded and compared as everywhere. The script is made by
`verifiers.literal`; its docstring says what it looks like.
"""

from __future__ import annotations

from typing import Any

from . import asserts, remote, wire
from .judge import Report, Result, close, explain
from .proxies import RemoteFunction


def judge(order: dict[str, Any], sock: Any) -> dict[str, Any]:
    """Makes every call of the script against the program behind `sock`.

    Args:
        order: `script`, `wall_seconds` and `reply_bytes`.
        sock: connected to the program's process.
    """
    report = Report()
    candidate = remote.Remote(
        sock,
        wall_seconds=order["wall_seconds"],
        reply_bytes=order["reply_bytes"],
        handles=False,
        mutates=False,
    )
    try:
        candidate.ready()
    except BaseException as error:
        outcome, detail = explain(error)
        report.results.append(Result("import", outcome, detail, 0, 0, False))
        return close(report, candidate)
    checker = _Checker(candidate, order["script"]["name"])
    for number, line, text, message, expression in order["script"]["checks"]:
        report.results.append(checker.check(number, line, text, message, expression))
    return close(report, candidate)


class _Checker:
    """Evaluates expressions of a script."""

    def __init__(self, candidate: remote.Remote, name: str) -> None:
        self._candidate = candidate
        self._function = RemoteFunction(candidate, name)
        self._decode = wire.Decoder()
        self._sides: tuple[str, Any, Any] | None = None

    def check(self, number: int, line: int, text: str, message: str, expression: Any) -> Result:
        """What becomes of one assertion, in the same words as of one that is executed."""
        before, self._sides = self._candidate.calls, None
        outcome, detail = "passed", ""
        try:
            if not self._outermost(expression):
                raise AssertionError(message)
        except BaseException as error:
            outcome, detail = explain(error)
            if outcome == "failed" and self._sides and isinstance(error, AssertionError):
                detail = asserts.sides_text(*self._sides)
        consulted = self._candidate.calls > before or _has_call(expression)
        return Result(text, outcome, detail, line, number, consulted)

    def _outermost(self, expression: Any) -> Any:
        if expression[0] != "cmp":
            return self._value(expression)
        _, sign, left, right = expression
        sides = self._value(left), self._value(right)
        self._sides = (sign, *sides)
        return asserts.compare(sign, *sides)

    def _value(self, expression: Any) -> Any:
        kind = expression[0]
        if kind == "v":
            return self._decode(expression[1])
        if kind == "call":
            arguments = [self._decode(part) for part in expression[1]]
            named = {key: self._decode(part) for key, part in expression[2].items()}
            return self._function(*arguments, **named)
        if kind == "cmp":
            return asserts.compare(
                expression[1], self._value(expression[2]), self._value(expression[3])
            )
        if kind == "sub":
            return self._value(expression[1]) - self._value(expression[2])
        inner = self._value(expression[1])
        if kind == "not":
            return not inner
        return abs(inner) if kind == "abs" else -inner


def _has_call(expression: Any) -> bool:
    return expression[0] == "call" or any(
        _has_call(part) for part in expression[1:] if expression[0] != "v" and type(part) is list
    )
