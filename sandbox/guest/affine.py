"""Values of a loop's variables in all its passes at once.

What is the same in every pass is itself. A number that grows by the same amount from each pass to
the next is an `Affine`. What can't be followed is `Unknown`. A question whose answer isn't the same
in every pass has none: `Unsettled`.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

CONSTANTS = (bool, int, float, str, bytes, range, type(None))
_INFINITE = (float("inf"), float("-inf"))
_MOST_BITS = 4_096
_MOST_ITEMS = 4_000
_MOST_POWER = 64


class Unsettled(Exception):
    """It can't be told, or not for every pass alike."""


@dataclass(frozen=True, slots=True)
class Affine:
    """The integer `base + slope * k` in the k-th pass from here, for k = 0, 1, 2, ..."""

    base: int
    slope: int


class Items:
    """A list; two names of one have the same object."""

    __slots__ = ("values",)

    def __init__(self, values: list[Any]) -> None:
        self.values = values


@dataclass(frozen=True, slots=True)
class Frozen:
    """A dictionary or a set of constants, which nothing may change."""

    value: Any


class Unknown:
    """A value that can't be followed.

    Args:
        kind: `int`, `float`, or `list` for one that nothing is done with but add to it.
    """

    __slots__ = ("kind",)

    def __init__(self, kind: str = "") -> None:
        self.kind = kind


def affine(base: int, slope: int) -> int | Affine:
    """The simplest form of it."""
    return Affine(base, slope) if slope else base


def kind(value: Any) -> str:
    """`int`, `float` or `list` where it is one in every pass."""
    if type(value) is Unknown:
        return value.kind
    names = {int: "int", Affine: "int", float: "float", Items: "list"}
    return names.get(type(value), "")


def _line(value: Any) -> tuple[Any, int]:
    """Base and slope of what can be compared with an `Affine`."""
    if type(value) is Affine:
        return value.base, value.slope
    if type(value) in (int, bool):
        return int(value), 0
    if type(value) is float and value == value:
        return value if value in _INFINITE else Fraction(value), 0
    raise Unsettled


# --------------------------------------------------------------------------------- to and fro


class Follower:
    """Makes Python values into these, constant. What is one list stays one."""

    def __init__(self) -> None:
        self._met: dict[int, Any] = {}
        self._left = _MOST_ITEMS

    def follow(self, value: Any) -> Any:
        """A value as one of these.

        Raises:
            Unsettled: it is too much.
        """
        if type(value) in CONSTANTS:
            return value if _is_small(value) else Unknown("int" if type(value) is int else "")
        if type(value) is types.FunctionType:
            return value
        if type(value) is list:
            if id(value) not in self._met:
                self._met[id(value)] = self._list(value)
            return self._met[id(value)]
        if type(value) is tuple:
            return tuple(map(self.follow, self._counted(value)))
        if type(value) in (dict, set, frozenset):
            parts = [*value, *value.values()] if type(value) is dict else value
            return Frozen(value) if all(map(_is_constant, self._counted(parts))) else Unknown()
        return Unknown()

    def _list(self, value: list[Any]) -> Items | Unknown:
        if len(value) > self._left:
            return Unknown("list")
        found = self._met[id(value)] = Items([])
        found.values += map(self.follow, self._counted(value))
        return found

    def _counted(self, values: Any) -> Any:
        self._left -= len(values)
        if self._left < 0:
            raise Unsettled
        return values


def _is_constant(value: Any) -> bool:
    if type(value) is tuple:
        return all(map(_is_constant, value))
    return type(value) in CONSTANTS and _is_small(value)


def _is_small(value: Any) -> bool:
    if isinstance(value, int):
        return value.bit_length() <= _MOST_BITS
    if isinstance(value, float):  # a NaN is in a list by what it is, not by its value
        return value == value
    return not isinstance(value, str | bytes) or len(value) <= _MOST_ITEMS


def plain(value: Any) -> Any:
    """The Python value of what is the same in every pass.

    Raises:
        Unsettled: it isn't.
    """
    if type(value) is Items:
        return [plain(item) for item in value.values]
    if type(value) is tuple:
        return tuple(map(plain, value))
    if type(value) is Frozen:
        return value.value
    if type(value) in CONSTANTS:
        return value
    raise Unsettled


def copy(value: Any, met: dict[int, Any]) -> Any:
    """Another of the same, with its own lists."""
    if type(value) is Items:
        if id(value) not in met:
            met[id(value)] = Items([])
            met[id(value)].values += [copy(item, met) for item in value.values]
        return met[id(value)]
    if type(value) is tuple:
        return tuple(copy(item, met) for item in value)
    if type(value) is Unknown:
        return met.setdefault(id(value), Unknown(value.kind))
    return value


class Pairing:
    """Compares two states, in which each list has its counterpart."""

    def __init__(self) -> None:
        self._there: dict[int, Any] = {}
        self._back: dict[int, Any] = {}
        self._lifted: dict[int, Any] = {}

    def _pair(self, one: Any, other: Any) -> bool:
        first = self._there.setdefault(id(one), other)
        return first is other and self._back.setdefault(id(other), one) is one

    def lift(self, one: Any, other: Any) -> Any:
        """What a value is in all passes that is `one` in the first and `other` in the next."""
        if type(one) is type(other) is int:
            return affine(one, other - one)
        if type(one) is type(other) is Items:
            return self._lift_list(one, other)
        if type(one) is type(other) is tuple and len(one) == len(other):
            return tuple(map(self.lift, one, other))
        if same(one, other):
            return one
        found = kind(one) if kind(one) == kind(other) else ""
        if found == "list":
            lifted = self._lifted.setdefault(id(one), Unknown("list"))
            return lifted if self._pair(one, other) else Unknown()
        return Unknown(found)

    def _lift_list(self, one: Items, other: Items) -> Any:
        if not self._pair(one, other):
            return Unknown()
        if id(one) not in self._lifted:
            if len(one.values) != len(other.values):
                self._lifted[id(one)] = Unknown("list")
            else:
                found = self._lifted[id(one)] = Items([])
                found.values += map(self.lift, one.values, other.values)
        return self._lifted[id(one)]

    def follows(self, before: Any, after: Any) -> bool:
        """Whether `after` is what `before` is one pass later."""
        if type(before) is Affine:
            return bool(after == Affine(before.base + before.slope, before.slope))
        if type(before) is Items:
            if type(after) is not Items or not self._pair(before, after):
                return False
            if id(before) in self._lifted:
                return True
            self._lifted[id(before)] = before
            return len(before.values) == len(after.values) and all(
                map(self.follows, before.values, after.values)
            )
        if type(before) is tuple:
            return (
                type(after) is tuple
                and len(before) == len(after)
                and all(map(self.follows, before, after))
            )
        if type(before) is Unknown:
            if before.kind == "list":
                return (
                    type(after) is Unknown and kind(after) == "list" and self._pair(before, after)
                )
            return before.kind in ("", kind(after))
        return same(before, after)


def same(one: Any, other: Any) -> bool:
    """Whether nothing can tell two constants apart."""
    if type(one) is Frozen and type(other) is Frozen:
        return one.value is other.value
    if type(one) is not type(other) or type(one) in (Items, Unknown):
        return False
    if type(one) not in CONSTANTS:
        return one is other
    return bool(one == other) and (type(one) is not float or repr(one) == repr(other))


# --------------------------------------------------------------------------------- questions


def is_true(value: Any) -> bool:
    """Whether a value is true, in every pass.

    Raises:
        Unsettled: not in every pass alike, or unknown.
    """
    if type(value) is Affine:
        return not equals(value, 0)
    if type(value) is Items:
        return bool(value.values)
    if type(value) is tuple:
        return bool(value)
    return bool(plain(value))


def _is_always(sign: Callable[[Any, Any], Any], base: Any, slope: Any) -> bool:
    """Whether `base + slope * k` is less than 0, or at most 0, for every k; or for none."""
    is_so = bool(sign(base, 0))
    if base not in _INFINITE and (slope > 0 if is_so else slope < 0):
        raise Unsettled
    return is_so


def is_less(one: Any, other: Any) -> bool:
    """Whether one is less than the other, in every pass.

    Raises:
        Unsettled: not in every pass alike, or unknown.
    """
    return _compare(operator.lt, one, other)


def is_at_most(one: Any, other: Any) -> bool:
    """Whether one is less than or equal to the other, in every pass.

    Raises:
        Unsettled: not in every pass alike, or unknown.
    """
    return _compare(operator.le, one, other)


def _compare(sign: Callable[[Any, Any], Any], one: Any, other: Any) -> bool:
    if type(one) is not Affine and type(other) is not Affine:
        return bool(sign(plain(one), plain(other)))
    (base, slope), (other_base, other_slope) = _line(one), _line(other)
    return _is_always(sign, base - other_base, slope - other_slope)


def equals(one: Any, other: Any) -> bool:
    """Whether two are equal in every pass, or in none.

    Raises:
        Unsettled: not in every pass alike, or unknown.
    """
    if type(one) is not Affine and type(other) is not Affine:
        return bool(plain(one) == plain(other))
    if type(one if type(other) is Affine else other) not in (Affine, int, bool, float):
        if Unknown in (type(one), type(other)):
            raise Unsettled
        return False
    (base, slope), (other_base, other_slope) = _line(one), _line(other)
    base, slope = base - other_base, slope - other_slope
    if not slope:
        return bool(base == 0)
    if base in _INFINITE:
        return False
    when = -Fraction(base) / slope
    if when.denominator == 1 and when >= 0:
        raise Unsettled
    return False


def is_in(value: Any, among: Any) -> bool:
    """Whether a value is in a container, in every pass or in none.

    Raises:
        Unsettled: not in every pass alike, or unknown.
    """
    items = among.values if type(among) is Items else among
    if type(items) in (list, tuple):
        return any(equals(value, item) for item in items)
    if type(value) is Affine and type(items) is range:
        if items.step != 1:
            raise Unsettled
        return not is_less(value, items.start) and is_less(value, items.stop)
    if type(items) is range and type(value) is not int:
        raise Unsettled  # it may be gone through item by item
    return bool(plain(value) in plain(items))


# --------------------------------------------------------------------------------- arithmetic

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
    "BitAnd": operator.and_,
    "BitOr": operator.or_,
    "BitXor": operator.xor,
    "RShift": operator.rshift,
}


def combine(name: str, one: Any, other: Any) -> Any:
    """What an operator makes of two values.

    Args:
        name: of its class in `ast`.
        one: on its left.
        other: on its right.

    Raises:
        Unsettled: it can't be told.
    """
    if Unknown in (type(one), type(other)):
        return _combine_unknown(name, one, other)
    if Affine in (type(one), type(other)):
        return _combine_lines(name, one, other)
    if type(one) in (Items, tuple) or type(other) in (Items, tuple):
        return _combine_sequences(name, one, other)
    return _small(_combine_constants(name, plain(one), plain(other)))


def _combine_unknown(name: str, one: Any, other: Any) -> Unknown:
    """Of a number that can't be followed, and one more.

    Integers grow by no more than a few bits, or the end of memory would come; and unknown ones are
    not mixed with fractions, which have a largest one.
    """
    unknown = [value.kind for value in (one, other) if type(value) is Unknown]
    kinds = {kind(one), kind(other)}
    adds = name in ("Add", "Sub")
    if kinds == {"int"} and (adds or (name == "Mult" and len(unknown) == 1)):
        return Unknown("int")
    if adds and kinds <= {"int", "float"} and "int" not in unknown:
        return Unknown("float")
    raise Unsettled


def _combine_lines(name: str, one: Any, other: Any) -> Any:
    if name not in ("Add", "Sub", "Mult", "Div", "FloorDiv", "Mod"):
        raise Unsettled
    (base, slope), (other_base, other_slope) = _line(one), _line(other)
    if name in ("Div", "FloorDiv", "Mod") and (other_slope or not other_base):
        raise Unsettled
    if name == "Div" or float in (type(one), type(other)):
        return Unknown("float")  # it is rounded
    if name == "Add":
        return affine(base + other_base, slope + other_slope)
    if name == "Sub":
        return affine(base - other_base, slope - other_slope)
    if name == "Mult" and not (slope and other_slope):
        return affine(base * other_base, slope * other_base + base * other_slope)
    if name == "Mod" and slope % other_base == 0:
        return base % other_base
    if name == "FloorDiv" and slope % other_base == 0:
        return affine(base // other_base, slope // other_base)
    return Unknown("int")


def _combine_sequences(name: str, one: Any, other: Any) -> Any:
    """Of lists or tuples."""
    if type(one) is int:
        one, other = other, one
    values = one.values if type(one) is Items else one
    if name == "Add" and type(one) is type(other):
        found = values + (other.values if type(other) is Items else other)
    elif name == "Mult" and type(other) is int and other * len(values) <= _MOST_ITEMS:
        found = values * other
    else:
        raise Unsettled
    return _small(Items(found) if type(one) is Items else found)


def _combine_constants(name: str, one: Any, other: Any) -> Any:
    numbers = type(one) in (bool, int, float) and type(other) in (bool, int, float)
    if name == "Pow" and numbers and 0 <= other <= _MOST_POWER:
        return one**other
    if name not in _OPERATORS or not (numbers or name in ("Add", "Mult")):
        raise Unsettled
    if name == "Mult" and not numbers:
        times, what = (one, other) if type(one) is int else (other, one)
        if type(times) is not int or times * len(what) > _MOST_ITEMS:
            raise Unsettled
    return _OPERATORS[name](one, other)


def _small(value: Any) -> Any:
    """The same value.

    Raises:
        Unsettled: it takes too much memory to go on with.
    """
    long = type(value) is Items and len(value.values) > _MOST_ITEMS
    long |= type(value) is tuple and len(value) > _MOST_ITEMS
    if long or not _is_small(value) or type(value) is complex:
        raise Unsettled
    return value


def negative(value: Any) -> Any:
    """The number with the other sign."""
    return combine("Sub", 0, value) if type(value) is Affine else -plain(value)


def total(values: Iterable[Any], start: Any = 0) -> Any:
    """What `sum` gives."""
    values = list(values)
    if all(type(value) in (bool, int, float) for value in values):
        return _small(sum(values, start))  # since Python 3.12, more exact than one after the other
    for value in values:
        if kind(value) not in ("int", "float") and type(value) is not bool:
            raise Unsettled
        start = combine("Add", start, value)
    return start


def bound(value: Any, length: int) -> Any:
    """A bound of a slice of so many items, as a constant.

    Raises:
        Unsettled: it isn't the same in every pass.
    """
    if type(value) is not Affine:
        return plain(value)
    if not is_less(value, length):
        return length
    if is_at_most(value, -length):
        return -length if length else 0
    raise Unsettled
