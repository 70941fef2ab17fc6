"""Objects that stay in the candidate's process, as the judge's tests see them.

What a test is told by such an object are claims. So that an object can't pass for the value that
a method should have returned, a claim must not be about a value of the judge's own: a handle never
equals a builtin value and has no order beside one. An object that the test itself has made, by
calling the candidate's class, may be asked whether it contains a value, and may compute with one:
that is its class at work. An object that a method returned (it may stand in place of a number, a
text, or a list) is searched by the judge, item by item, and what it computes from the judge's
value must be an object again, of which no number, text or truth can be had.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol


class Asks(Protocol):
    """The conversation that a handle belongs to."""

    def ask(
        self, operation: str, target: object, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Has one operation done on the other side."""
        ...


class Origin(enum.Enum):
    """Where a handle is from, and so what it may be asked."""

    MADE = "made by the test"
    TOLD = "returned by the candidate"
    DERIVED = "computed by the candidate from a value of the test's"


_LIKE_BUILTINS = frozenset(
    {"startswith", "endswith", "issubset", "issuperset", "isdisjoint"}
    | {name for kind in (str, float) for name in dir(kind) if name.startswith("is")}
)
"""Methods of builtin types that tell whether something holds, and that other classes don't have."""

_HANDLE_SLOTS = ("_remote", "_number", "_name", "_callable", "_origin")


class Handle:
    """An object that stays in the candidate's process; see the module's docstring."""

    __slots__ = _HANDLE_SLOTS

    def __init__(
        self,
        remote: Asks,
        number: int,
        name: str,
        is_callable: bool,
        origin: Origin = Origin.TOLD,
    ) -> None:
        values = (remote, number, name, is_callable, origin)
        for slot, value in zip(_HANDLE_SLOTS, values, strict=True):
            object.__setattr__(self, slot, value)

    def __getattr__(self, name: str) -> Any:
        if name in _LIKE_BUILTINS and _origin(self) is not Origin.MADE:
            raise AttributeError(
                f"a {_name(self)} object was returned; what its {name} says is not believed"
            )
        return _ask(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "setattr", name, value)

    def __delattr__(self, name: str) -> None:
        _ask(self, "delattr", name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return _remote(self).ask("call", number(self), arguments, named)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and exactly(bool, _ask(self, "eq", other))

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, Handle) or exactly(bool, _ask(self, "ne", other))

    def __hash__(self) -> Any:
        return exactly(int, _ask(self, "hash"))

    def __len__(self) -> Any:
        return exactly(int, _ask(self, "len"))

    def __contains__(self, item: object) -> Any:
        if _origin(self) is Origin.MADE or isinstance(item, Handle):
            return exactly(bool, _ask(self, "contains", item))
        return any(item is found or item == found for found in self)

    def __repr__(self) -> Any:
        return exactly(str, _ask(self, "repr"))

    def __dir__(self) -> Any:
        return exactly(list, _ask(self, "dir"))

    def __iter__(self) -> Iterator[Any]:
        iterator = _ask(self, "iter")
        if not isinstance(iterator, Handle):
            return iter(iterator)
        return _HandleIterator(iterator)

    def __next__(self) -> Any:
        return _ask(self, "next")

    def __instancecheck__(self, instance: object) -> bool:
        return is_instance(instance, _remote(self), number(self))

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        if error is None:
            return _ask(self, "exit", None, None, None)
        raised = getattr(error, "__handle__", None)
        return _ask(self, "exit", None, raised, None)


class _HandleIterator:
    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return _ask(self._handle, "next")


def number(handle: Handle) -> dict[str, int]:
    """A handle as the candidate's process knows it."""
    return {"h": object.__getattribute__(handle, "_number")}


def made(value: Any) -> Any:
    """Marks a handle as made by the test. Any other value is left as it is."""
    if isinstance(value, Handle):
        object.__setattr__(value, "_origin", Origin.MADE)
    return value


def is_instance(value: object, remote: Asks, of: object) -> bool:
    """Whether an object of the candidate's is an instance of a class of the candidate's."""
    if isinstance(value, Dressed):
        value = undress(value)
    if not isinstance(value, Handle):
        return False
    return bool(exactly(bool, remote.ask("isinstance", number(value), (Target(of),), {})))


@dataclass(frozen=True, slots=True)
class Target:
    """Something of the candidate's that is known by more than a number, as an argument."""

    encoded: object


def exactly(kind: type, value: Any) -> Any:
    """The value, if it is of this very type.

    Raises:
        TypeError: it is of another.
    """
    if type(value) is not kind:
        raise TypeError(f"a {kind.__name__} was expected, not a {type(value).__name__}")
    return value


def _remote(handle: Handle) -> Asks:
    remote: Asks = object.__getattribute__(handle, "_remote")
    return remote


def _name(handle: Handle) -> str:
    return str(object.__getattribute__(handle, "_name"))


def _origin(handle: Handle) -> Origin:
    origin: Origin = object.__getattribute__(handle, "_origin")
    return origin


def _ask(handle: Handle, operation: str, *arguments: Any) -> Any:
    return _remote(handle).ask(operation, number(handle), arguments, {})


def _forward(operation: str) -> Callable[..., Any]:
    def method(self: Handle, *arguments: Any) -> Any:
        return _ask(self, operation, *arguments)

    return method


def _telling(operation: str, kind: type | None) -> Callable[..., Any]:
    """What turns an object into a number, a text or a truth: none of that from derived ones."""

    def method(self: Handle, *arguments: Any) -> Any:
        if _origin(self) is Origin.DERIVED:
            raise TypeError(
                f"a {_name(self)} object was computed from the test's own value; "
                f"what its {operation} says is not believed"
            )
        value = _ask(self, operation, *arguments)
        return value if kind is None else exactly(kind, value)

    return method


def _ordering(operation: str) -> Callable[..., Any]:
    """Order among handles only: were a handle asked whether it is more than 3, it could say yes."""

    def method(self: Handle, other: object) -> Any:
        if not isinstance(other, Handle):
            return NotImplemented
        return exactly(bool, _ask(self, operation, other))

    return method


def _computed(self: Handle, operand: Any, value: Any) -> Any:
    """The outcome of an operation, if it may be believed."""
    origin = _origin(self)
    own = isinstance(operand, Handle) and _origin(operand) is not Origin.DERIVED
    if origin is Origin.MADE or (origin is Origin.TOLD and own):
        return value
    if not isinstance(value, Handle):
        raise TypeError(
            f"a {_name(self)} object was returned; what it computes from a value of the test's "
            "is not believed"
        )
    object.__setattr__(value, "_origin", Origin.DERIVED)
    return value


def _arithmetic(operation: str, *, reflected: bool = False) -> Callable[..., Any]:
    def method(self: Handle, other: Any, *more: Any) -> Any:
        remote: Any = _remote(self)
        if reflected:
            value = remote.ask(operation, remote.encode(other), (self,), {})
        else:
            value = _ask(self, operation, other, *more)
        return _computed(self, other, value)

    return method


for _operation in ("getitem", "setitem", "delitem", "reversed", "enter"):
    setattr(Handle, f"__{_operation}__", _forward(_operation))
for _operation in ("lt", "le", "gt", "ge"):
    setattr(Handle, f"__{_operation}__", _ordering(_operation))
for _operation, _kind in (
    ("bool", bool), ("str", str), ("format", str), ("int", int), ("float", float),
    ("complex", complex), ("index", int), ("bytes", bytes), ("abs", None), ("round", None),
    ("neg", None), ("pos", None), ("invert", None),
):  # fmt: skip
    setattr(Handle, f"__{_operation}__", _telling(_operation, _kind))
for _word in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or",
              "xor", "lshift", "rshift", "divmod"):  # fmt: skip
    _operation = f"{_word}_" if _word in ("and", "or") else _word
    setattr(Handle, f"__{_word}__", _arithmetic(_operation))
    setattr(Handle, f"__r{_word}__", _arithmetic(_operation, reflected=True))
    if _word != "divmod":
        setattr(Handle, f"__i{_word}__", _arithmetic(f"i{_word}"))


class Dressed:
    """A builtin value in a standard library's dress: a named tuple, an enum's member, a Counter.

    In the judge it is its builtin value, of that very type or a subclass that changes nothing;
    only names that the builtin type hasn't (fields, `name`, `most_common`) are further calls.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_regreen_handle" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.__dict__["_regreen_handle"], name)

    def __str__(self) -> str:
        return str(self.__dict__["_regreen_handle"])

    def __repr__(self) -> str:
        return repr(self.__dict__["_regreen_handle"])

    def __format__(self, spec: str) -> str:
        return format(self.__dict__["_regreen_handle"], spec)


class _Tuple(Dressed, tuple):  # type: ignore[type-arg]
    """A named tuple, whose fields may be called `count` or `index`."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        return Dressed.__getattr__(self, name)


class _Int(Dressed, int):
    pass


class _Float(Dressed, float):
    pass


class _Str(Dressed, str):
    pass


class _Dict(Dressed, dict):  # type: ignore[type-arg]
    pass


_DRESSES: dict[type, type] = {tuple: _Tuple, int: _Int, float: _Float, str: _Str, dict: _Dict}


def dress(value: Any, handle: Handle) -> Any:
    """The value, with the names that the candidate's object has besides.

    Raises:
        ValueError: a value of this type wears no dress.
    """
    kind = _DRESSES.get(type(value))
    if kind is None:
        raise ValueError(f"a {type(value).__name__} can't be dressed")
    dressed = kind(value)
    dressed.__dict__["_regreen_handle"] = handle
    return dressed


def undress(value: Dressed) -> Handle:
    """The handle of the candidate's own object."""
    handle: Handle = value.__dict__["_regreen_handle"]
    return handle
