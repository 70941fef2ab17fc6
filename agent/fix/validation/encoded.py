"""Values as `inside.values` writes them down, read without making anything but builtin ones."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LONGEST = 6000
"""Characters of one call's arguments."""
_LONGEST_NUMBER = 1000


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that is not made here: its text, as JSON."""

    text: str

    def __repr__(self) -> str:
        data = json.loads(self.text)
        return f"<{data[2]}>" if data[0] in ("o", "T", "e", "m") else f"<{data[-1]}>"


Arguments = tuple[list[Any], dict[str, Any]]


def is_given(data: Any) -> bool:
    """Whether something is a pair of arguments as `inside.values` writes it, and not too large."""
    try:
        if len(json.dumps(data)) > _LONGEST:
            return False
        arguments, named = pair_of(data)
        return all(type(key) is str for key in named) and bool(repr((arguments, named)))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return False


def given_of(arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Arguments by place and by name, encoded."""
    return ["l", [["l", [to_data(one) for one in arguments]],
                  ["d", [[key, to_data(value)] for key, value in named.items()]]]]  # fmt: skip


def pair_of(given: Any) -> Arguments:
    """Arguments by place and by name.

    Raises:
        ValueError: it is no such pair.
    """
    value = to_value(given)
    if isinstance(value, list) and len(value) == 2:
        arguments, named = value
        if isinstance(arguments, list) and isinstance(named, dict):
            return arguments, named
    raise ValueError("no pair of a list and a dictionary")


def to_value(data: Any) -> Any:
    """What an encoded value is; `Opaque` where it is no builtin one."""
    if not isinstance(data, list):
        return data
    sort = data[0]
    with contextlib.suppress(TypeError, ValueError, IndexError):
        if sort in ("l", "t", "s", "z"):
            make = {"l": list, "t": tuple, "s": set, "z": frozenset}[sort]
            return make([to_value(one) for one in data[1]])
        if sort == "d":
            return {to_value(key): to_value(item) for key, item in data[1]}
        if sort == "i" and len(data[1]) <= _LONGEST_NUMBER:
            return int(data[1], 16)
        if sort == "f":
            return float(data[1])
        if sort == "b":
            return bytes.fromhex(data[1])
        if sort == "c":
            return complex(to_value(data[1]), to_value(data[2]))
    return Opaque(json.dumps(data))


def to_data(value: Any) -> Any:
    """A builtin value, encoded; what is opaque comes out as it went in."""
    if isinstance(value, Opaque):
        return json.loads(value.text)
    kind = type(value)
    if kind in (list, tuple):
        return ["l" if kind is list else "t", [to_data(one) for one in value]]
    if kind in (set, frozenset):
        return ["s" if kind is set else "z", sorted(map(to_data, value), key=json.dumps)]
    if kind is dict:
        return ["d", [[to_data(key), to_data(item)] for key, item in value.items()]]
    if kind is int and abs(value) >= 1 << 53:
        return ["i", hex(value)]
    if kind is float and (value != value or value in (float("inf"), float("-inf"))):
        return ["f", repr(value)]
    if kind is bytes:
        return ["b", value.hex()]
    if kind is complex:
        return ["c", to_data(value.real), to_data(value.imag)]
    return value
