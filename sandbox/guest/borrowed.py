"""Functions, objects and exceptions of the test's, as the candidate's process sees them.

What the candidate does with one travels back to the judge, which decides what may be done
(`lent.Lent`); nothing of it is in this process but a number and the names of special methods.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any

from .operations import ARITHMETIC, CONVERSIONS, ORDER, word

Back = Callable[[int, str, tuple[Any, ...], dict[str, Any]], Any]
"""Sends an operation on a number back to the judge, and gives its outcome."""


class Borrowed:
    """An object of the test's; each class of them is made with the special methods it has."""

    __slots__ = ("__regreen_back__", "__regreen_number__")

    def __getattr__(self, name: str) -> Any:
        return _do(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _do(self, "setattr", name, value)

    def __eq__(self, other: object) -> Any:
        return self is other or _do(self, "eq", other)

    def __hash__(self) -> Any:
        return _do(self, "hash")

    def __repr__(self) -> Any:
        return _do(self, "repr")

    def __str__(self) -> Any:
        return _do(self, "str")


def _do(self: Borrowed, operation: str, *arguments: Any) -> Any:
    back: Back = object.__getattribute__(self, "__regreen_back__")
    return back(object.__getattribute__(self, "__regreen_number__"), operation, arguments, {})


def _forward(operation: str) -> Callable[..., Any]:
    return lambda self, *arguments: _do(self, operation, *arguments)


def _call(self: Borrowed, *arguments: Any, **named: Any) -> Any:
    back: Back = object.__getattribute__(self, "__regreen_back__")
    return back(object.__getattribute__(self, "__regreen_number__"), "call", arguments, named)


_SPECIAL: dict[str, Callable[..., Any]] = {
    **{
        f"__{name}__": _forward(word(name))
        for name in (*ARITHMETIC, *ORDER, *CONVERSIONS, "len", "contains", "iter", "next",
                     "getitem", "setitem", "delitem", "enter", "reversed", "aiter", "anext",
                     "aenter")
    },
    **{f"__i{name}__": _forward(f"i{name}") for name in ARITHMETIC if name != "divmod"},
    **{f"__r{name}__": _forward(f"r{name}") for name in ARITHMETIC},
    "__call__": _call,
    "__exit__": lambda self, _kind, error, _trace: _do(self, "exit", error),
    "__aexit__": lambda self, _kind, error, _trace: _do(self, "aexit", error),
}  # fmt: skip


def borrow(back: Back, number: int, name: str, special: list[str]) -> Borrowed:
    """An object that stands for one of the test's."""
    methods = {method: _SPECIAL[method] for method in special if method in _SPECIAL}
    kind = type(name, (Borrowed,), {"__slots__": (), **methods})
    made: Borrowed = object.__new__(kind)
    object.__setattr__(made, "__regreen_back__", back)
    object.__setattr__(made, "__regreen_number__", number)
    return made


def number_of(value: object) -> int:
    """The number by which the judge knows an object of its own, or 0."""
    if isinstance(value, Borrowed):
        return int(object.__getattribute__(value, "__regreen_number__"))
    return 0


class Errors:
    """Exceptions of the test's own in the candidate's process, and their classes."""

    def __init__(self) -> None:
        self._classes: dict[int, type[BaseException]] = {}
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []

    def kind(self, classes: list[list[Any]]) -> type[BaseException]:
        """A class like the test's, below the nearest builtin one."""
        for place, (name, number) in enumerate(classes):
            if not number:
                found: type[BaseException] = getattr(builtins, name)
                return found
            if number not in self._classes:
                base = self.kind(classes[place + 1 :])
                self._classes[number] = type(name, (base,), {})
                self._numbers[id(self._classes[number])] = number
            return self._classes[number]
        return Exception

    def make(self, body: list[Any], arguments: list[Any]) -> BaseException:
        """An exception like the test's own."""
        number, classes, _ = body
        kind = self.kind(classes)
        try:
            error = kind.__new__(kind, *arguments)
            BaseException.__init__(error, *arguments)
        except TypeError:
            error = kind(*arguments)
        self._kept.append(error)
        self._numbers[id(error)] = number
        return error

    def number(self, value: object) -> int:
        """The number by which the judge knows an exception or a class of its own, or 0."""
        return self._numbers.get(id(value), 0)


def iterate(advance: Callable[[], Any]) -> Iterator[Any]:
    """An iterator of the test's."""
    while True:
        try:
            item = advance()
        except StopIteration:
            return
        yield item
