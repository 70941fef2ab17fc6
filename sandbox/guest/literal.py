"""Judges tests that are data: calls with literal arguments, and what their results must be.

No code of the tests is executed, so this goes on in the process that waits in a slot, and no judge
is forked. What the program replies is decoded and compared as everywhere. The script is made by
`verifiers.literal`; its docstring says what it looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import asserts, probes, remote, wire
from .judge import Report, Result, close, explain

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "abs": abs,
    "len": len,
    "list": list,
    "round": round,
    "set": set,
    "sorted": sorted,
    "str": str,
    "tuple": tuple,
}
"""What may be done to a result before it is compared."""


def judge(order: dict[str, Any], sock: Any) -> dict[str, Any]:
    """Makes every call of the script against the program behind `sock`.

    Args:
        order: `script`, `wall_seconds`, `reply_bytes`, `probes` and `probe_failures`.
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
    script = order["script"]
    calls = [call.encode() for call in script["calls"]]
    sent = candidate.send_ahead(calls)
    try:
        candidate.ready()
    except BaseException as error:
        outcome, detail = explain(error)
        report.results.append(Result("import", outcome, detail, 0, 0, False))
        return close(report, candidate)
    checker = _Checker(list(candidate.each(calls, sent)))
    for number, line, text, message, expression in script["checks"]:
        outcome, detail = checker.check(message, expression)
        counts = checker.asked(expression)
        report.results.append(Result(text, outcome, detail, line, number, counts))
    if order.get("probes") and (report.sound or order["probe_failures"]):
        report.probes = probes.observe(candidate, order["probes"])
    return close(report, candidate)


class _Checker:
    """Evaluates expressions of a script.

    Args:
        answers: for each call, whether it gave a value, and that or what it raised.
    """

    def __init__(self, answers: list[tuple[bool, Any]]) -> None:
        self._answers = answers
        self._decode = wire.Decoder()
        self._sides: tuple[str, Any, Any] | None = None

    def check(self, message: str, expression: Any) -> tuple[str, str]:
        """What becomes of one assertion, in the same words as of one that is executed."""
        self._sides = None
        try:
            if self._outermost(expression):
                return "passed", ""
            raise AssertionError(message)
        except BaseException as error:
            outcome, detail = explain(error)
            if outcome == "failed" and self._sides and isinstance(error, AssertionError):
                detail = asserts.sides_text(*self._sides)
            return outcome, detail

    def asked(self, expression: Any) -> bool:
        """Whether an expression has a call in it."""
        if expression[0] == "v":
            return False
        return expression[0] == "call" or any(
            self.asked(part) for part in expression[1:] if type(part) is list
        )

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
            is_value, answer = self._answers[expression[1]]
            if is_value:
                return answer
            raise answer
        if kind == "cmp":
            return asserts.compare(expression[1], *map(self._value, expression[2:]))
        if kind == "sub":
            left, right = map(self._value, expression[1:])
            return left - right
        if kind == "apply":
            return FUNCTIONS[expression[1]](self._value(expression[2]))
        inner = self._value(expression[1])
        return not inner if kind == "not" else -inner
