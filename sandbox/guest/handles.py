"""Objects that stay in the candidate's process, as the judge's tests see them.

What a test is told by such an object are claims. So that an object can't pass for the value that
a method should have returned, a claim must not be about a value of the judge's own: a handle never
equals a builtin value and has no order beside one. An object that the test itself has made, by
calling the candidate's class, may be asked whether it contains a value, and may compute with one:
that is its class at work. An object that a method returned (it may stand in place of a number, a
text, or a list) is searched by the judge, item by item, and what it computes from the judge's
value must be an object again, of which no number, text or truth can be had.

A handle's type is a `mirrors.Mirror`, which has the special methods that the object's class has.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from .operations import ARITHMETIC, CONVERSIONS, ORDER, PLAIN, word


class Witness(Protocol):
    """Keeps what objects say of each other."""

    discerning: bool
    """Whether an object ever said that something doesn't hold."""

    def said(self, handle: Handle, other: Handle, equal: bool) -> None:
        """One object was asked whether it equals another."""
        ...


class Asks(Protocol):
    """The conversation that a handle belongs to."""

    claims: int
    """How often an object's word was taken for whether something holds."""

    @property
    def witness(self) -> Witness:
        """Keeps what objects say of each other."""
        ...

    def ask(
        self, operation: str, target: object, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Has one operation done on the other side."""
        ...

    def refuses_to_leave(self, error: BaseException) -> bool:
        """Whether an exception ends a test, so that no `with` block may swallow it."""
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
_GENERATOR = frozenset({"send", "throw"})
"""Methods that may end with StopIteration, which elsewhere would end a loop of the test's."""

_SLOTS = ("__regreen_remote__", "__regreen_number__", "__regreen_origin__")


class Handle:
    """An object that stays in the candidate's process; see the module's docstring."""

    __slots__ = _SLOTS

    def __getattr__(self, name: str) -> Any:
        if name in _LIKE_BUILTINS and _origin(self) is not Origin.MADE:
            raise AttributeError(
                f"a {_name(self)} object was returned; what its {name} says is not believed"
            )
        if name in _GENERATOR and hasattr(type(self), "__next__"):
            return lambda *arguments: _ask(self, name, *arguments)
        return _ask(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "setattr", name, value)

    def __delattr__(self, name: str) -> None:
        _ask(self, "delattr", name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Dressed):
            other = undress(other)
        return isinstance(other, Handle) and _equal(self, other, "eq")

    def __ne__(self, other: object) -> bool:
        if isinstance(other, Dressed):
            other = undress(other)
        return not isinstance(other, Handle) or not _equal(self, other, "ne")

    def __hash__(self) -> Any:
        return exactly(int, _ask(self, "hash"))

    def __repr__(self) -> Any:
        return exactly(str, _ask(self, "repr"))

    def __str__(self) -> Any:
        return _tell(self, "str", str)

    def __format__(self, spec: str) -> Any:
        return _tell(self, "format", str, spec)

    def __dir__(self) -> Any:
        return exactly(list, _ask(self, "dir"))

    def __copy__(self) -> Any:
        return _ask(self, "copy")

    def __deepcopy__(self, _memo: object) -> Any:
        return _ask(self, "deepcopy")

    def __reduce_ex__(self, _version: object) -> Any:
        raise TypeError(
            f"a {_name(self)} object can't be pickled: it stays in the candidate's process"
        )


class Opaque(Handle):
    """An object of which only attributes are ever wanted, such as an exception."""

    __slots__ = ()


def new_handle(kind: type, remote: Asks, number: int, origin: Origin = Origin.TOLD) -> Handle:
    """A handle of a mirrored class."""
    handle: Handle = object.__new__(kind)
    for slot, value in zip(_SLOTS, (remote, number, origin), strict=True):
        object.__setattr__(handle, slot, value)
    return handle


def number(handle: Handle) -> dict[str, int]:
    """A handle as the candidate's process knows it."""
    return {"h": object.__getattribute__(handle, "__regreen_number__")}


def made(value: Any) -> Any:
    """Marks a handle as made by the test. Any other value is left as it is."""
    if isinstance(value, Handle):
        object.__setattr__(value, "__regreen_origin__", Origin.MADE)
    return value


def same(left: object, right: object) -> bool:
    """What `is` says: two handles are the same where the candidate's object is."""
    left, right = _bare(left), _bare(right)
    if isinstance(left, Handle) and isinstance(right, Handle):
        return _remote(left) is _remote(right) and number(left) == number(right)
    return left is right


def is_instance(value: object, kind: Any) -> bool:
    """What `isinstance` says, noted as the candidate's word where it is."""
    bare = _bare(value)
    held = isinstance(value, kind)
    if isinstance(bare, Handle):
        _remote(bare).claims += 1
        if not held:
            _remote(bare).witness.discerning = True
    return held


def _bare(value: object) -> object:
    return undress(value) if isinstance(value, Dressed) else value


def exactly(kind: type, value: Any) -> Any:
    """The value, if it is of this very type.

    Raises:
        TypeError: it is of another.
    """
    if type(value) is not kind:
        raise TypeError(f"a {kind.__name__} was expected, not a {type(value).__name__}")
    return value


def _remote(handle: Handle) -> Asks:
    remote: Asks = object.__getattribute__(handle, "__regreen_remote__")
    return remote


def _name(handle: Handle) -> str:
    return type(handle).__name__


def _origin(handle: Handle) -> Origin:
    origin: Origin = object.__getattribute__(handle, "__regreen_origin__")
    return origin


def _ask(handle: Handle, operation: str, *arguments: Any) -> Any:
    return _remote(handle).ask(operation, number(handle), arguments, {})


def _claim(handle: Handle, operation: str, *arguments: Any) -> bool:
    """An object's own word on whether something holds."""
    _remote(handle).claims += 1
    return bool(exactly(bool, _ask(handle, operation, *arguments)))


def _equal(self: Handle, other: Handle, operation: str) -> bool:
    equal = _claim(self, operation, other) is (operation == "eq")
    _remote(self).witness.said(self, other, equal)
    return equal


def _tell(self: Handle, operation: str, kind: type | None, *arguments: Any) -> Any:
    """What turns an object into a number, a text or a truth: none of that from derived ones."""
    if _origin(self) is Origin.DERIVED:
        raise TypeError(
            f"a {_name(self)} object was computed from the test's own value; "
            f"what its {operation} says is not believed"
        )
    if operation == "bool":
        return _claim(self, operation)
    value = _ask(self, operation, *arguments)
    return value if kind is None else exactly(kind, value)


def _computed(self: Handle, operand: Any, value: Any) -> Any:
    """The outcome of an operation, if it may be believed."""
    origin = _origin(self)
    if origin is Origin.MADE and isinstance(value, Handle) and number(value) == number(self):
        return self  # changed in place
    own = isinstance(operand, Handle) and _origin(operand) is not Origin.DERIVED
    if origin is Origin.MADE or (origin is Origin.TOLD and own):
        return value
    if not isinstance(value, Handle):
        raise TypeError(
            f"a {_name(self)} object was returned; what it computes from a value of the test's "
            "is not believed"
        )
    object.__setattr__(value, "__regreen_origin__", Origin.DERIVED)
    return value


class _HandleIterator:
    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return _ask(self._handle, "next")


def _call(self: Handle, *arguments: Any, **named: Any) -> Any:
    return _remote(self).ask("call", number(self), arguments, named)


def _len(self: Handle) -> Any:
    return exactly(int, _ask(self, "len"))


def _contains(self: Handle, item: object) -> Any:
    if _origin(self) is Origin.MADE or isinstance(item, Handle):
        return _claim(self, "contains", item)
    return any(item is found or item == found for found in self)  # type: ignore[attr-defined]


def _iter(self: Handle) -> Iterator[Any]:
    iterator = _ask(self, "iter")
    if not isinstance(iterator, Handle):
        return iter(iterator)
    return _HandleIterator(iterator)


def _next(self: Handle) -> Any:
    return _ask(self, "next")


def _leaves(operation: str) -> Callable[..., Any]:
    """The end of a `with` block. What ends a test is none of the candidate's to swallow."""

    def method(self: Handle, _kind: Any, error: BaseException | None, _trace: Any) -> Any:
        value = _ask(self, operation, error)
        if error is None or not _remote(self).refuses_to_leave(error):
            return value
        return False if operation == "exit" else _never()

    return method


async def _never() -> bool:
    return False


def _forward(operation: str) -> Callable[..., Any]:
    return lambda self, *arguments: _ask(self, operation, *arguments)


def _telling(operation: str, kind: type | None) -> Callable[..., Any]:
    return lambda self, *arguments: _tell(self, operation, kind, *arguments)


def _ordering(operation: str) -> Callable[..., Any]:
    """Order among handles only: were a handle asked whether it is more than 3, it could say yes."""

    def method(self: Handle, other: object) -> Any:
        if not isinstance(other, Handle):
            return NotImplemented
        return _claim(self, operation, other)

    return method


def _arithmetic(operation: str, *, reflected: bool = False) -> Callable[..., Any]:
    def method(self: Handle, other: Any, *more: Any) -> Any:
        remote: Any = _remote(self)
        if reflected:
            value = remote.ask(operation, remote.encode(other), (self,), {})
        else:
            value = _ask(self, operation, other, *more)
        return _computed(self, other, value)

    return method


SPECIAL: dict[str, Callable[..., Any]] = {
    "__call__": _call,
    "__len__": _len,
    "__contains__": _contains,
    "__iter__": _iter,
    "__next__": _next,
    "__exit__": _leaves("exit"),
    "__aexit__": _leaves("aexit"),
    **{f"__{name}__": _forward(name) for name in PLAIN},
    **{f"__{name}__": _ordering(name) for name in ORDER},
    **{f"__{name}__": _telling(name, kind) for name, kind in CONVERSIONS.items()},
    **{f"__{name}__": _arithmetic(word(name)) for name in ARITHMETIC},
    **{f"__r{name}__": _arithmetic(word(name), reflected=True) for name in ARITHMETIC},
    **{f"__i{name}__": _arithmetic(f"i{name}") for name in ARITHMETIC if name != "divmod"},
}
"""The special methods that a mirrored class has where the candidate's has them."""


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
