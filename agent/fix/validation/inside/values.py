"""Values as JSON and back: builtin ones, and plain objects of the repository's own classes.

`encode` is for inputs, which `decode` makes anew. With `exact=False` it is for comparing results:
order in dictionaries does not count, and floats do to 12 digits.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import sys
import types
from typing import Any

_NODES = 3000
_DEPTH = 60
_DIGITS = 12
_LARGE = 1 << 53
_TEXTS = (decimal.Decimal, fractions.Fraction, pathlib.PurePosixPath, pathlib.PosixPath)
_TIMES = (datetime.date, datetime.datetime, datetime.time)
_SORTS: dict[str, Any] = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (collections.Counter, collections.OrderedDict, collections.deque, *_TEXTS, *_TIMES)
}


class StrangeError(TypeError):
    """A value that can't be written down."""


class Encoder:
    """Writes values down; what it has met once, it refers to.

    Args:
        exact: whether the values are to be made anew from it.
    """

    def __init__(self, *, exact: bool) -> None:
        self._exact = exact
        self._met: dict[int, int] = {}
        self._kept: list[Any] = []
        self._nodes = 0

    def encode(self, value: Any, depth: int = 0) -> Any:
        """A value as JSON can have it.

        Raises:
            StrangeError: it can't be written down, or is too large.
        """
        self._nodes += 1
        if self._nodes > _NODES or depth > _DEPTH:
            raise StrangeError("too large")
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            return value if abs(value) < _LARGE else ["i", hex(value)]
        if kind is float:
            return self._float(value)
        if kind in (list, tuple):
            return ["l" if kind is list else "t", self._all(value, depth)]
        if kind in (set, frozenset):
            return ["s" if kind is set else "z", sorted(self._plain(value, depth), key=json.dumps)]
        if kind is dict:
            return ["d", self._items(value, depth)]
        return self._other(value, kind, depth)

    def _float(self, value: float) -> Any:
        if not math.isfinite(value):
            return ["f", repr(value)]
        return value if self._exact else float(f"{value:.{_DIGITS}g}")

    def _all(self, values: Any, depth: int) -> list[Any]:
        return [self.encode(one, depth + 1) for one in values]

    def _plain(self, values: Any, depth: int) -> list[Any]:
        """Items of a set: their order hangs on addresses, so none may be referred to."""
        before = len(self._kept)
        found = self._all(values, depth)
        if len(self._kept) > before:
            raise StrangeError("objects in a set")
        return found

    def _items(self, value: Any, depth: int) -> list[Any]:
        found = [
            [self.encode(key, depth + 1), self.encode(item, depth + 1)]
            for key, item in value.items()
        ]
        return found if self._exact else sorted(found, key=json.dumps)

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        if kind is bytes:
            return ["b", value.hex()]
        if kind is complex:
            return ["c", self._float(value.real), self._float(value.imag)]
        if kind in _TEXTS:
            return ["k", f"{kind.__module__}.{kind.__qualname__}", str(value)]
        if kind in _TIMES and getattr(value, "tzinfo", None) is None:
            return ["k", f"{kind.__module__}.{kind.__qualname__}", value.isoformat()]
        if kind is datetime.timedelta:
            return ["p", value.days, value.seconds, value.microseconds]
        if kind in (collections.Counter, collections.OrderedDict):
            return ["k", f"collections.{kind.__name__}", self._items(value, depth)]
        if kind is collections.defaultdict and not self._exact:
            return ["d", self._items(value, depth)]
        if kind is collections.deque:
            return ["k", "collections.deque", self._all(value, depth)]
        if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
            return ["m", *_place(value)]
        if isinstance(value, enum.Enum):
            return ["e", *_place(kind), value.name]
        if isinstance(value, tuple) and hasattr(kind, "_make"):
            return ["T", *_place(kind), self._all(value, depth)]
        return self._object(value, kind, depth)

    def _object(self, value: Any, kind: type, depth: int) -> Any:
        if id(value) in self._met:
            return ["r", self._met[id(value)]]
        if not _is_plain(kind):
            raise StrangeError(kind.__name__)
        self._met[id(value)] = len(self._kept)
        self._kept.append(value)
        state = dict(getattr(value, "__dict__", {}))
        for name in _slots(kind):
            if hasattr(value, name):
                state[name] = getattr(value, name)
        return ["o", *_place(kind), [[name, self.encode(state[name], depth + 1)] for name in state]]


def decode(data: Any, met: list[Any] | None = None) -> Any:
    """A new value of what `encode` wrote.

    Raises:
        StrangeError: it is not to be had.
    """
    met = [] if met is None else met
    if not isinstance(data, list):
        return data
    sort, *rest = data
    if sort in ("l", "t", "s", "z"):
        make = {"l": list, "t": tuple, "s": set, "z": frozenset}[sort]
        return make([decode(one, met) for one in rest[0]])
    if sort == "d":
        return {decode(key, met): decode(item, met) for key, item in rest[0]}
    if sort == "i":
        return int(rest[0], 16)
    if sort == "f":
        return float(rest[0])
    if sort == "b":
        return bytes.fromhex(rest[0])
    if sort == "c":
        return complex(decode(rest[0]), decode(rest[1]))
    if sort == "p":
        return datetime.timedelta(*rest)
    if sort == "k":
        return _sort_of(rest[0], rest[1], met)
    if sort == "r":
        return met[rest[0]]
    if sort == "m":
        return _find(*rest)
    if sort == "e":
        return _find(*rest[:2])[rest[2]]
    if sort == "T":
        return _find(*rest[:2])._make(decode(one, met) for one in rest[2])
    if sort == "o":
        return _anew(_find(*rest[:2]), rest[2], met)
    raise StrangeError(str(sort))


def _anew(kind: Any, state: list[Any], met: list[Any]) -> Any:
    value = object.__new__(kind)
    met.append(value)
    for name, part in state:
        object.__setattr__(value, name, decode(part, met))
    return value


def _sort_of(name: str, given: Any, met: list[Any]) -> Any:
    kind = _SORTS[name]
    if kind is collections.deque:
        return kind([decode(one, met) for one in given])
    if name.startswith("collections."):
        return kind({decode(key, met): decode(item, met) for key, item in given})
    return kind.fromisoformat(given) if kind in _TIMES else kind(given)


def _is_plain(kind: type) -> bool:
    """Whether an object is nothing but its attributes, as classes written in Python mostly are."""
    own = [one for one in kind.__mro__ if one is not object]
    return (
        _makes_plainly(kind)
        and not issubclass(kind, BaseException)
        and all(one.__flags__ & (1 << 9) for one in own)  # made by a class statement
        and kind.__setattr__ is object.__setattr__
    ) or (hasattr(kind, "__dataclass_fields__") and _makes_plainly(kind))


def _makes_plainly(kind: Any) -> bool:
    plain: Any = object
    return kind.__new__ is plain.__new__


def _slots(kind: type) -> list[str]:
    found: list[str] = []
    for one in kind.__mro__:
        names = one.__dict__.get("__slots__", ())
        found += [names] if isinstance(names, str) else names
    return [name for name in found if name not in ("__dict__", "__weakref__")]


def _place(value: Any) -> tuple[str, str]:
    """Module and qualified name under which something is found again."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    try:
        if module and _find(module, name) is value:
            return module, name
    except (AttributeError, KeyError, StrangeError):
        pass
    raise StrangeError(name or type(value).__name__)


def _find(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    if found is None:
        __import__(module)
        found = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part)
    return found
