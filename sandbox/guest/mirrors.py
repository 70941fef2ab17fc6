"""Classes of the candidate's as the judge's tests see them: real types, made from a description.

A mirrored class is called, asked for attributes and iterated on the other side. Which special
methods, bases and fields it has are the candidate's claims; an object gains nothing by them, since
each of its methods is asked, and believed, by the rules of `handles`.
"""

from __future__ import annotations

import builtins
import collections.abc
import contextlib
import dataclasses
import numbers
from abc import ABC, ABCMeta
from collections.abc import Iterator
from typing import Any

from . import wire
from .handles import SPECIAL, Asks, Dressed, Handle, exactly, made, undress

_CLASSES = 2000
_DEPTH = 40
_ABSTRACT: dict[str, type] = {
    **{name: getattr(collections.abc, name) for name in collections.abc.__all__},
    **{name: getattr(numbers, name) for name in numbers.__all__},
    "AbstractContextManager": contextlib.AbstractContextManager,
    "AbstractAsyncContextManager": contextlib.AbstractAsyncContextManager,
    "ABC": ABC,
}
_MAKING: list[bool] = []
"""Not empty while a mirror is made, which is the only time that a class may be made of one."""


def _source(kind: type) -> tuple[Asks, dict[str, int]]:
    """The conversation that a mirrored class belongs to, and how the candidate's process knows it.

    Looked up in the class itself: what it inherits is another class's.
    """
    remote, number = type.__getattribute__(kind, "__dict__")["__regreen_source__"]
    return remote, {"h": number}


def _ask(kind: type, operation: str, *arguments: Any) -> Any:
    remote, target = _source(kind)
    return remote.ask(operation, target, arguments, {})


class _Asking(type):
    """What mirrored classes and mirrored exception classes have in common."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **named: Any
    ) -> _Asking:
        if not _MAKING:
            raise TypeError(
                f"class {name} can't be made from the candidate's class, which stays in another "
                "process"
            )
        return super().__new__(mcs, name, bases, namespace)

    def __getattr__(cls, name: str) -> Any:
        return _ask(cls, "getattr", name)

    def __setattr__(cls, name: str, value: Any) -> None:
        if name.startswith("__"):  # what abc notes down of a class it looks at
            type.__setattr__(cls, name, value)
        else:
            _ask(cls, "setattr", name, value)

    def __delattr__(cls, name: str) -> None:
        _ask(cls, "delattr", name)

    def __subclasscheck__(cls, other: type) -> bool:
        if other is cls:
            return True
        if not isinstance(other, _Asking):
            return False
        remote, _ = _source(cls)
        remote.claims += 1
        return bool(exactly(bool, _ask(other, "issubclass", cls)))


class Mirror(_Asking):
    """The type of the classes that stand in for the candidate's."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        remote, target = _source(cls)
        value = made(remote.ask("call", target, arguments, named))
        if isinstance(value, Handle):
            remote.witness.made(value, cls, arguments, named)  # type: ignore[attr-defined]
        return value

    def __instancecheck__(cls, instance: object) -> bool:
        if isinstance(instance, Dressed):
            instance = undress(instance)
        remote, _ = _source(cls)
        remote.claims += 1
        if type(instance) is cls:
            return True
        if not isinstance(type(instance), Mirror):
            return False
        number = {"h": object.__getattribute__(instance, "__regreen_number__")}
        return bool(exactly(bool, remote.ask("isinstance", number, (cls,), {})))

    def __getitem__(cls, key: Any) -> Any:
        return _ask(cls, "getitem", key)

    def __iter__(cls) -> Iterator[Any]:
        return iter(_ask(cls, "iter"))

    def __reversed__(cls) -> Iterator[Any]:
        return iter(_ask(cls, "reversed"))

    def __len__(cls) -> int:
        return int(exactly(int, _ask(cls, "len")))

    def __contains__(cls, item: Any) -> bool:
        if not isinstance(item, (Handle, Dressed)):
            return any(item == found for found in cls)
        return bool(exactly(bool, _ask(cls, "contains", item)))

    def __bool__(cls) -> bool:
        return True

    def __dir__(cls) -> list[str]:
        return list(exactly(list, _ask(cls, "dir")))


class MirrorException(_Asking):
    """The type of exception classes that stand in for the candidate's; tests catch by them."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        remote, target = _source(cls)
        return remote.ask("call", target, arguments, named)


class Mirrored(Exception):
    """Above every mirrored exception class: what it says and has is what the candidate told."""

    def __str__(self) -> str:
        return str(self.__dict__.get("__text__", ""))

    def __getattr__(self, name: str) -> Any:
        handle = self.__dict__.get("__handle__")
        if handle is None or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__} object has no attribute {name!r}")
        return getattr(handle, name)


class _Name:
    """A name that the candidate's class has, so that protocols find it without asking."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return _ask(owner, "getattr", self._name)
        return Handle.__getattr__(instance, self._name)


class Mirrors:
    """The mirrored classes of one conversation.

    Args:
        remote: the conversation.
        known: exception classes of the tests' own by name, which go before the candidate's.
        exceptions_only: take no other class, as for a task whose entry point is a function.
    """

    def __init__(
        self, remote: Asks, known: dict[str, type[BaseException]], *, exceptions_only: bool
    ) -> None:
        self._remote = remote
        self._known = known
        self._exceptions_only = exceptions_only
        self._classes: dict[int, type] = {}
        self._open: list[int] = []

    def get(self, number: Any) -> type | None:
        """The class of that number, if it has been mirrored."""
        return self._classes.get(number) if type(number) is int else None

    def mirror(self, number: Any) -> Any:
        """The mirrored class of that number.

        Raises:
            WireError: the candidate's account of it makes no sense.
        """
        if type(number) is not int:
            raise wire.WireError("a class is malformed")
        found = self._classes.get(number)
        if found is not None:
            return found
        if number in self._open or len(self._open) > _DEPTH or len(self._classes) > _CLASSES:
            raise wire.WireError("classes without end")
        self._open.append(number)
        try:
            told = self._remote.ask("describe", {"h": number}, (), {})
            kind = self._make(number, told)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise wire.WireError(f"a class is malformed: {type(error).__name__}") from None
        finally:
            self._open.pop()
        self._classes[number] = kind
        return kind

    def _make(self, number: int, told: dict[str, Any]) -> type:
        name = exactly(str, told["name"])[:200]
        namespace: dict[str, Any] = {
            "__regreen_source__": (self._remote, number),
            "__module__": exactly(str, told["module"]),
            "__qualname__": exactly(str, told["qualname"])[:200],
            "__doc__": told["doc"],
        }
        if exactly(bool, told["exception"]):
            return self._exception(name, told["bases"], namespace)
        if self._exceptions_only:
            raise wire.WireError("a class that is no exception")
        for attribute in told["names"]:
            if type(attribute) is str and not attribute.startswith("__"):
                namespace[attribute] = _Name(attribute)
        specials = [exactly(str, special) for special in told["special"]]
        namespace |= {special: SPECIAL[special] for special in specials if special in SPECIAL}
        if "__hash__" not in specials:
            namespace["__hash__"] = None
        if told["fields"] is not None:
            namespace["__dataclass_fields__"] = _fields(told["fields"])
        namespace["__slots__"] = ()
        bases = tuple(self.mirror(base) for _, base in told["bases"] if type(base) is int and base)
        kind = _new(Mirror, name, (*bases, Handle), namespace)
        for abstract in told["abstract"]:
            if isinstance(found := _ABSTRACT.get(abstract), ABCMeta):
                with contextlib.suppress(TypeError, RuntimeError):
                    found.register(kind)
        return kind

    def _exception(self, name: str, told: list[Any], namespace: dict[str, Any]) -> type:
        bases: list[type] = []
        for other, base in told:
            found = self._known.get(other) or getattr(builtins, exactly(str, other), None)
            if not (isinstance(found, type) and issubclass(found, Exception)):
                found = self.mirror(base)
            bases.append(found)
        if not any(issubclass(base, Mirrored) for base in bases):
            bases.insert(0, Mirrored)
        return _new(MirrorException, name, tuple(bases), namespace)


def _new(
    kind: type[_Asking], name: str, bases: tuple[type, ...], namespace: dict[str, Any]
) -> type:
    _MAKING.append(True)
    try:
        try:
            return kind.__new__(kind, name, bases, namespace)
        except TypeError:  # no order of bases, as told, is one
            return kind.__new__(kind, name, bases[-1:], namespace)
    finally:
        _MAKING.pop()


def _fields(told: list[Any]) -> dict[str, Any]:
    """A dataclass's fields, as `dataclasses` keeps them."""
    fields: dict[str, Any] = {}
    for name, initial, shown, compared, named_only in told:
        made: Any = dataclasses.field(
            init=exactly(bool, initial), repr=exactly(bool, shown), compare=bool(compared)
        )
        made.name, made.kw_only, made.type = exactly(str, name), bool(named_only), "object"
        made._field_type = dataclasses._FIELD  # type: ignore[attr-defined]
        fields[name] = made
    return fields
