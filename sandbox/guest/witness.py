"""What objects say of each other, and what comes of asking them more once the tests are done.

Whether two objects of the candidate's are equal is for their class to say; nothing else can know.
A class that says so of everything is found out by asking it of things that differ: a text, the
other objects of the same class that the tests have made, and new ones made with other arguments.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache
from types import TracebackType
from typing import Any, Protocol

from .handles import Handle, number

_KEPT = 200
_PAIRS = 20
_OTHERS = 8
_SENTINEL = "a text that no object equals: 7d1c0f"


class Asks(Protocol):
    """The conversation."""

    claims: int

    def ask(
        self, operation: str, target: object, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Has one operation done on the other side."""
        ...


class Witness:
    """Keeps what was said in one conversation."""

    def __init__(self, remote: Asks) -> None:
        self._remote = remote
        self._made: dict[int, tuple[Handle, type, tuple[Any, ...], dict[str, Any]]] = {}
        self._equal: list[tuple[Handle, Handle]] = []
        self._unequal: set[int] = set()
        self.discerning = False
        """Whether an object ever said that something doesn't hold."""

    def made(
        self, handle: Handle, kind: type, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        """The test has made an object, by these arguments."""
        if len(self._made) < _KEPT:
            self._made.setdefault(_number(handle), (handle, kind, arguments, named))

    def said(self, handle: Handle, other: Handle, equal: bool) -> None:
        """One object was asked whether it equals another."""
        if not equal:
            self.discerning = True
            self._unequal |= {_number(handle), _number(other)}
        elif _number(handle) != _number(other) and len(self._equal) < _KEPT:
            self._equal.append((handle, other))

    @property
    def was_believed(self) -> bool:
        """Whether two objects were said to be equal."""
        return bool(self._equal)

    def examine(self) -> str:
        """Asks those who said they were equal about things that they can't equal.

        Returns:
            Why an object's word is not believed, or nothing.
        """
        for one, other in self._equal[:_PAIRS]:
            for handle in (one, other):
                if self._says_equal(handle, _SENTINEL):
                    return f"a {type(handle).__name__} says that it equals a text"
            if {_number(one), _number(other)} & self._unequal:
                continue
            answers = [self._says_equal(one, thing) for thing in self._different(one, other)]
            if answers and all(answers):
                return (
                    f"a {type(one).__name__} says that it equals another, and so it says of "
                    f"everything else: {len(answers)} other objects"
                )
            self.discerning |= bool(answers)
        return ""

    def _says_equal(self, handle: Handle, thing: object) -> bool:
        try:
            return self._remote.ask("eq", number(handle), (thing,), {}) is True
        except Exception:
            return False

    def _different(self, one: Handle, other: Handle) -> Iterator[Handle]:
        """Objects of the same class, of which at least one differs."""
        pair = {_number(one), _number(other)}
        said = {_number(handle) for equal in self._equal for handle in equal}
        kept = [made for told, made in self._made.items() if told not in pair | said]
        yield from (made[0] for made in kept[:_OTHERS] if type(made[0]) is type(one))
        for told in pair & self._made.keys():
            _, kind, arguments, named = self._made[told]
            for changed, renamed in _other_arguments(arguments, named):
                try:
                    yield kind(*changed, **renamed)
                except Exception:
                    continue


def _number(handle: Handle) -> int:
    return number(handle)["h"]


def _other_arguments(
    arguments: tuple[Any, ...], named: dict[str, Any]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments with one of them changed."""
    for place, value in enumerate(arguments[:_OTHERS]):
        for changed in _changed(value):
            yield (*arguments[:place], changed, *arguments[place + 1 :]), named
    for name, value in list(named.items())[:_OTHERS]:
        for changed in _changed(value):
            yield arguments, {**named, name: changed}


def _changed(value: Any) -> list[Any]:
    kind = type(value)
    if kind in (int, float, complex):
        return [value + 1]
    if kind is bool:
        return [not value]
    if kind is str:
        return [value + "x"]
    if kind in (list, tuple) and value:
        return [kind([*value, value[-1]]), kind([*value[:-1], *_changed(value[-1])])]
    return []


def ends_a_test(error: BaseException) -> bool:
    """Whether an exception is a test's own verdict, which no program may swallow.

    That is a failed assertion, a test runner's own signal, and whatever else came out of an
    assertion: that a value couldn't be compared at all is as good as an answer.
    """
    if not isinstance(error, Exception):
        return True
    if isinstance(error, AssertionError):
        return "__remote__" not in error.__dict__
    return _from_assertion(error.__traceback__)


def _from_assertion(trace: TracebackType | None) -> bool:
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_name.startswith("assert"):
            return True
        source = "".join(linecache.getlines(code.co_filename))
        own = source and "<regreen>" not in code.co_filename
        if own and any(first <= trace.tb_lineno <= last for first, last in _assertions(source)):
            return True
        trace = trace.tb_next
    return False


@lru_cache(maxsize=8)
def _assertions(source: str) -> tuple[tuple[int, int], ...]:
    """First and last lines of the `assert` statements."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    return tuple(
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    )
