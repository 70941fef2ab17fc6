"""Probes: calls with given arguments whose answers are written down, and which nothing can fail.

They are made after every test has its result, so that what a program does on them can't change
what the tests said. The answers are claims like all else that a program says: decoded into exact
builtin values or refused, and here made short: a digest that equal values share, and a preview.
"""

from __future__ import annotations

import collections
import hashlib
import math
from collections.abc import Sequence
from typing import Any

from . import remote, wire

MOST_TIMEOUTS = 3
"""Probes without an answer in time, after which no more are made."""
WALL_SECONDS = 5.0
"""Of all probes of a run together."""
_REPEATED = 3
"""Probes that are made a second time."""
_RETURNED = 6
"""Probes of one argument whose answer is given back to the function."""
_LONGEST_RETURNED = 4_000
COMPARED = 4
"""Arguments that are compared with the answer, the first."""
_LONGEST_COMPARED = 1_000
_PREVIEW = 60
_DIGITS = 12
"""To which floats are compared: two ways to add up may differ in the last bits."""
_LARGE = 1e15


def observe(candidate: remote.Remote, calls: Sequence[str]) -> list[list[Any]]:
    """What each call gives: kind, digest, preview, what became of the arguments, and two habits.

    Of the arguments, it is said whether one was changed, and what the value has in common with
    them; see `common`. Habits are looked for in the first calls that gave a value, once all have
    been made: whether it comes again if the call does, and whether the function makes of that
    value what it is. `None` where nobody looked.

    The kinds are `value`, `raised` (the preview names the exception), `foreign` (no builtin
    value), `timeout`, and `lost` (there was no answer to this one and there will be none to any).
    It leaves the account of the conversation as it was before.

    Args:
        candidate: after its tests.
        calls: texts of requests, but for their numbers, as `verifiers.literal` makes them.
    """
    if candidate.lost is not None:
        return []
    before = candidate.account()
    candidate.hurry(WALL_SECONDS)
    found: list[list[Any]] = []
    again: dict[int, bytes] = {}
    returned: dict[int, bytes] = {}
    habits: dict[tuple[bool, int], bool] = {}
    timeouts = 0
    for is_value, answer in candidate.each([call.encode() for call in calls]):
        seen = _seen(is_value, answer)
        place = len(found)
        seen += _compared(candidate, calls[place], answer) if seen[0] == "value" else (False, 0)
        found.append(seen)
        if seen[0] == "value" and len(again) < _REPEATED:
            again[place] = calls[place].encode()
        if seen[0] == "value" and len(returned) < _RETURNED:
            returned |= _given_back(place, calls[place], answer)
        timeouts += seen[0] == "timeout"
        if seen[0] == "lost" or timeouts >= MOST_TIMEOUTS or candidate.lost is not None:
            break
    else:
        habits = _habits(candidate, found, again, returned)
    candidate.restore(before)
    return [
        [*seen, habits.get((False, place)), habits.get((True, place))]
        for place, seen in enumerate(found)
    ]


def _given_back(place: int, call: str, answer: Any) -> dict[int, bytes]:
    """The same call with the answer for its argument, where it has one."""
    request = wire.load(call.encode())
    if len(request["a"]) != 1:
        return {}
    try:
        request["a"] = [_encode(answer)]
        text = wire.text(request)
    except (TypeError, ValueError, RecursionError, MemoryError):
        return {}
    return {place: text} if len(text) <= _LONGEST_RETURNED else {}


def _refuse(value: object) -> object:
    raise TypeError(type(value).__name__)


_encode = wire.Encoder(_refuse)


def _habits(
    candidate: remote.Remote,
    found: list[list[Any]],
    again: dict[int, bytes],
    returned: dict[int, bytes],
) -> dict[tuple[bool, int], bool]:
    """Whether calls give what they gave; by whether they are of the second kind, and by place."""
    asked = [(False, place) for place in again] + [(True, place) for place in returned]
    answers = candidate.each([*again.values(), *returned.values()])
    habits: dict[tuple[bool, int], bool] = {}
    for (is_returned, place), (is_value, answer) in zip(asked, answers, strict=True):
        seen = _seen(is_value, answer)
        if seen[0] in ("timeout", "lost"):
            break
        habits[is_returned, place] = seen[:2] == found[place][:2]
    return habits


def _seen(is_value: bool, answer: Any) -> list[Any]:
    if not is_value:
        return _ending(answer)
    try:
        text = canonical(answer)
    except TypeError as error:
        return ["foreign", digest(str(error)), str(error)[:_PREVIEW]]
    except (RecursionError, MemoryError, ValueError):
        return ["foreign", digest("too deep"), "too deep"]
    return ["value", digest(text), text[:_PREVIEW]]


def _ending(error: BaseException) -> list[Any]:
    if isinstance(error, remote.Lost):
        return ["timeout" if error.reason == "timeout" else "lost", digest(error.reason), ""]
    if isinstance(error, remote.NotBuiltinError):
        return ["foreign", digest(str(error)), str(error)[:_PREVIEW]]
    told = getattr(error, "__remote__", None)
    name = str(told["type"]) if told else type(error).__name__
    if isinstance(error, remote.Thrown):
        name = str(error).partition(":")[0]
    if name == "TimeUp":
        return ["timeout", digest("timeout"), ""]
    return ["raised", digest(name), name[:_PREVIEW]]


def _compared(candidate: remote.Remote, call: str, answer: Any) -> tuple[bool, int]:
    """Whether the arguments look other than those that were sent, and what is in common."""
    try:
        sent, back = candidate.arguments(call)
        changed = [canonical(one) for one in sent] != [canonical(one) for one in back]
    except Exception:
        return True, 0  # what can't be read is not what was sent
    return changed, common(sent, answer)


def common(arguments: Sequence[Any], answer: Any) -> int:
    """What a string or a list has in common with the arguments that are such, too.

    Returns:
        Three bits for each of the first arguments, the lowest for the first: as many items, no
        item that the argument hasn't as often, and both.
    """
    if not _is_compared(answer):
        return 0
    found, own = 0, _items(answer)
    for place, argument in enumerate(arguments[:COMPARED]):
        if _is_compared(argument):
            length = len(argument) == len(answer)
            part = own <= _items(argument)
            found |= (length | part << 1 | (length and part) << 2) << 3 * place
    return found


def _is_compared(value: object) -> bool:
    return type(value) in (str, list, tuple) and len(value) <= _LONGEST_COMPARED  # type: ignore[arg-type]


def _items(value: Any) -> collections.Counter[str]:
    return collections.Counter(map(canonical, value))


def digest(text: str) -> str:
    """Short, and the same for the same text in every run."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def canonical(value: Any) -> str:
    """A text that values share which are equal as tests compare them, floats to 12 digits.

    Raises:
        TypeError: it is no builtin value.
    """
    kind = type(value)
    if kind in (int, bool, float, complex):
        return _number(value)
    if kind is str or kind is bytes or value is None or value is Ellipsis:
        return repr(value)
    if kind is list:
        return f"[{', '.join(map(canonical, value))}]"
    if kind is tuple:
        return f"({', '.join(map(canonical, value))},)"
    if kind is set or kind is frozenset:
        return f"{{{', '.join(sorted(map(canonical, value)))}}}"
    if kind is dict:
        items = sorted(f"{canonical(key)}: {canonical(item)}" for key, item in value.items())
        return f"dict({', '.join(items)})"
    if kind.__module__ in ("datetime", "decimal", "fractions", "collections") or kind in (
        range,
        bytearray,
        slice,
    ):
        return repr(value)
    raise TypeError(f"{kind.__name__} is no builtin value")


def _number(value: Any) -> str:
    if type(value) is complex:
        return f"complex({_number(value.real)}, {_number(value.imag)})"
    if type(value) is float and not (math.isfinite(value) and value == int(value)):
        return f"{value:.{_DIGITS}g}"
    if type(value) is float and abs(value) > _LARGE:
        return f"{value:.{_DIGITS}g}"
    whole = int(value)
    return hex(whole) if abs(whole) > _LARGE else str(whole)
