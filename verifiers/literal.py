"""Tests that say nothing but what a call with literal arguments gives: data, and not code.

Most examples and most tests of benchmarks are of this form: `assert f([1, 2]) == 3`, one after the
other. There is nothing in them to execute, so no process has to be made for them: the one that
waits in the slot makes the calls and compares. What it gets is made here, from the syntax tree.

A script is JSON: `{"calls": [text, ...], "checks": [...]}`. A call is the text of a request as
`sandbox.guest.wire` sends it, but for its number. A check is `[file, line, text, message,
expression]`. An expression is a list: `["v", value]`, with the value as `wire` encodes it,
`["call", number in the list]`, `["cmp", sign, left, right]`, `["not", x]`, `["neg", x]`, `["sub",
left, right]`, and `["apply", name, x]` for a function of `sandbox.guest.literal.FUNCTIONS`.
"""

from __future__ import annotations

import ast
import json
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sandbox.guest import wire
from sandbox.guest.asserts import COMPARISON_SIGNS, assertion_text
from sandbox.guest.literal import FUNCTIONS
from tasks.model import AssertTests, ProbeTests, PublicTask, Tests

PROBE_SECONDS = 0.2
"""Cpu time of one probe. Right programs of HumanEval take less than 0.01 s on small inputs."""
PROBE_BYTES = 1 << 16
"""Of the reply to one probe."""
_LARGE = 1_000_000
_LARGEST_POWER = 16
_OF_MESSAGES = frozenset({"str", "repr", "format"})
_FOLDED: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


class _NotLiteral(Exception):
    """Something else than calls and literals."""


def literal_script(task: PublicTask, tests: Sequence[Tests]) -> str:
    """The script of tests that are nothing but literal; empty if they are more.

    Args:
        task: names the entry point and the module.
        tests: all that a verdict rests on.
    """
    if task.entry_kind != "function" or task.language != "python" or not task.entry_point:
        return ""
    files: list[tuple[str, str | None]] = []
    for test in tests:
        if not isinstance(test, AssertTests):
            return ""
        files.append((test.source, test.function))
    return script_of(tuple(files), task.entry_point, task.module) if files else ""


@lru_cache(maxsize=512)
def script_of(files: tuple[tuple[str, str | None], ...], entry_point: str, module: str) -> str:
    """The script of files of tests, each with the name of its check function; empty if none."""
    checks: list[list[Any]] = []
    calls: list[str] = []
    try:
        for number, (source, function) in enumerate(files):
            tree = ast.parse(source)
            reader = _Reader(source, number, entry_point, calls)
            body = _statements(tree, function, module, reader)
            for statement in body:
                checks += reader.check(statement)
    except (_NotLiteral, SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return json.dumps({"calls": calls, "checks": checks})


@lru_cache(maxsize=512)
def probe_requests(probes: ProbeTests, entry_point: str) -> tuple[str, ...]:
    """The requests of probes, as `Job.probes` wants them; those that are no literal call are left.

    Their numbers are those of the calls that are left, so whoever makes probes makes literal ones.
    """
    found: list[str] = []
    for call in probes.calls:
        try:
            node = ast.parse(call, mode="eval").body
            if not isinstance(node, ast.Call) or node.keywords:
                continue
            if not isinstance(node.func, ast.Name) or node.func.id != entry_point:
                continue
            request = {
                "o": "call",
                "t": {"g": entry_point},
                "a": [_encode(_literal(part)) for part in node.args],
                "k": {},
                "m": True,
                "p": [PROBE_SECONDS, PROBE_BYTES],
            }
        except (_NotLiteral, SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            continue
        found.append(wire.text(request).decode())
    return tuple(found)


def _statements(
    tree: ast.Module, function: str | None, module: str, reader: _Reader
) -> list[ast.stmt]:
    """The statements that check something: of the check function, or of the file.

    Raises:
        _NotLiteral: there are others that do something.
    """
    rest = [node for node in tree.body if not _is_idle(node, module, reader.name)]
    if function is None:
        return rest
    if len(rest) != 1 or not isinstance(check := rest[0], ast.FunctionDef):
        raise _NotLiteral
    parameters = check.args
    plain = len(parameters.args) == 1 and not (
        parameters.posonlyargs or parameters.kwonlyargs or parameters.vararg or parameters.kwarg
    )
    if check.name != function or check.decorator_list or not plain or parameters.defaults:
        raise _NotLiteral
    reader.name = parameters.args[0].arg
    return [node for node in check.body if not _is_idle(node, "", "")]


def _is_idle(node: ast.stmt, module: str, entry_point: str) -> bool:
    """Whether a statement does nothing that a check could notice."""
    if isinstance(node, ast.Pass):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.ImportFrom):
        names = [(alias.name, alias.asname) for alias in node.names]
        return bool(module) and node.module == module and names == [(entry_point, None)]
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        is_note = isinstance(target, ast.Name) and target.id == "METADATA" and entry_point != ""
        return is_note and len(node.targets) == 1 and _is_literal(node.value)
    return False


class _Reader:
    """Reads assertions on calls of one name."""

    def __init__(self, source: str, number: int, entry_point: str, calls: list[str]) -> None:
        self._lines = source.split("\n")
        self._number = number
        self._entry_point = entry_point
        self._calls = calls
        self.name = entry_point

    def check(self, statement: ast.stmt) -> list[list[Any]]:
        """One check.

        Raises:
            _NotLiteral: it is something else.
        """
        if not isinstance(statement, ast.Assert):
            raise _NotLiteral
        message = self._message(statement)
        text = assertion_text(self._lines, statement.test)
        expression = self._expression(statement.test)
        return [[self._number, statement.lineno, text, message, expression]]

    def _message(self, statement: ast.Assert) -> str:
        """What is said where the assertion fails, unless both sides of a comparison are shown."""
        if statement.msg is None:
            return ""
        if not isinstance(statement.test, ast.Compare):
            value = _literal(statement.msg)
            if not isinstance(value, str):
                raise _NotLiteral
            return value
        for node in ast.walk(statement.msg):
            named = isinstance(node, ast.Name) and node.id not in {*_OF_MESSAGES, self.name}
            if named or isinstance(node, (ast.Attribute, ast.Lambda, ast.NamedExpr)):
                raise _NotLiteral
        return ""

    def _expression(self, node: ast.expr) -> list[Any]:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == self.name:
                return self._call(node)
            if node.func.id in FUNCTIONS and len(node.args) == 1 and not node.keywords:
                return ["apply", node.func.id, self._expression(node.args[0])]
            raise _NotLiteral
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ["not", self._expression(node.operand)]
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            sign = COMPARISON_SIGNS[type(node.ops[0])]
            if sign in ("is", "is not") and not _is_single(node.comparators[0]):
                raise _NotLiteral
            sides = (node.left, node.comparators[0])
            return ["cmp", sign, *(self._expression(side) for side in sides)]
        try:
            return ["v", _encode(_literal(node))]
        except _NotLiteral:
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
                return ["sub", self._expression(node.left), self._expression(node.right)]
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
                return ["neg", self._expression(node.operand)]
            raise

    def _call(self, node: ast.Call) -> list[Any]:
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise _NotLiteral
            named[keyword.arg] = _encode(_literal(keyword.value))
        request = {
            "o": "call",
            "t": {"g": self._entry_point},
            "a": [_encode(_literal(part)) for part in node.args],
            "k": named,
            "m": False,
        }
        self._calls.append(wire.text(request).decode())
        return ["call", len(self._calls) - 1]


def _is_literal(node: ast.expr) -> bool:
    try:
        _literal(node)
    except _NotLiteral:
        return False
    return True


def _is_single(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (None, True, False, ...)


def _literal(node: ast.expr) -> Any:
    """The value of a literal, or of a sum and the like of small ones.

    Raises:
        _NotLiteral: it is none.
    """
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        if any(isinstance(part, ast.Starred) for part in node.elts):
            raise _NotLiteral
        parts = [_literal(part) for part in node.elts]
        kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
        return kind(parts)
    if isinstance(node, ast.Dict):
        if any(key is None for key in node.keys):
            raise _NotLiteral
        keys = [_literal(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_literal, node.values), strict=True))
    if isinstance(node, ast.BinOp):
        return _folded(node)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        raise _NotLiteral from None


def _folded(node: ast.BinOp) -> Any:
    left, right = _literal(node.left), _literal(node.right)
    fold = _FOLDED.get(type(node.op))
    if isinstance(node.op, ast.Pow) and type(right) is int and 0 <= right <= _LARGEST_POWER:
        fold = operator.pow
    both_text = isinstance(left, str) and isinstance(right, str) and type(node.op) is ast.Add
    small = all(type(side) in (int, float) and abs(side) < _LARGE for side in (left, right))
    if fold is None or not (both_text or small):
        try:  # a complex number is written as a sum
            return ast.literal_eval(node)
        except (ValueError, TypeError):
            raise _NotLiteral from None
    try:
        return fold(left, right)
    except (ArithmeticError, ValueError):
        raise _NotLiteral from None


def _refuse(value: object) -> object:
    raise _NotLiteral


_encode = wire.Encoder(_refuse)
