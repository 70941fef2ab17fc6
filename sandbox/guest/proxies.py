"""What tests hold in place of the candidate's functions, iterators and module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Asks(Protocol):
    """The conversation."""

    def ask(
        self, operation: str, target: object, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Has one operation done on the other side."""
        ...


class _RemoteIterator:
    """Items of a candidate's iterator, each a builtin value, fetched as they are asked for."""

    def __init__(self, remote: Asks, number: int) -> None:
        self._remote = remote
        self._number = number

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._remote.ask("next", {"h": self._number}, (), {})


class _RemoteGenerator(_RemoteIterator):
    """A generator of the candidate's, which also takes values and exceptions."""

    def send(self, value: Any) -> Any:
        return self._remote.ask("send", {"h": self._number}, (value,), {})

    def throw(self, *error: Any) -> Any:
        return self._remote.ask("throw", {"h": self._number}, error, {})

    def close(self) -> None:
        self._remote.ask("close", {"h": self._number}, (), {})


class _RemoteAsyncIterator:
    """An asynchronous iterator of the candidate's."""

    def __init__(self, remote: Asks, number: int) -> None:
        self._remote = remote
        self._number = number

    def __aiter__(self) -> _RemoteAsyncIterator:
        return self

    def __anext__(self) -> Any:
        return self._remote.ask("anext", {"h": self._number}, (), {})


ITERATORS: dict[str, Any] = {
    "iterator": _RemoteIterator,
    "generator": _RemoteGenerator,
    "async": _RemoteAsyncIterator,
}
"""Proxies by the kind of iterator that the candidate says it has."""


class RemoteFunction:
    """The candidate's entry point: calling it calls the candidate."""

    def __init__(self, remote: Asks, name: str) -> None:
        self._remote = remote
        self.target = {"g": name}
        self.__name__ = self.__qualname__ = name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._remote.ask("call", self.target, arguments, named)

    def __repr__(self) -> Any:
        return f"<candidate {self.__name__}>"


class RemoteModule:
    """The candidate's module: what tests use of it besides the names they share with the prompt."""

    def __init__(self, remote: Asks, *, values: bool) -> None:
        self._remote = remote
        self._values = values

    def get(self, name: str) -> Any:
        """A class, a function, or where `values` says so a value, of that name.

        Raises:
            AttributeError: the module has none.
        """
        found = self._remote.ask("name", None, (name,), {})
        if found is None:
            return RemoteFunction(self._remote, name)
        kind, value = found
        if kind != "value" or self._values:
            return value
        raise AttributeError(f"{name!r} is neither a function nor an exception")
