"""Notes the calls that tests make of some functions: arguments, and how each ended.

Runs with the old code only. `watch` stands at the end of the files that are watched; `told` is what
a test that runs last hands out.
"""

from __future__ import annotations

import functools
import json
import os
import random
import threading
import types
from typing import Any

from .alarm import TimeUp, clear_alarm, set_alarm
from .values import Encoder, StrangeError

MOST_CALLS = 120
"""Distinct calls that are kept of a function, of the passing tests and of the failing ones each."""
MOST_TEXT = 4000
"""Characters of the arguments of one call."""
HANGING_SECONDS = 2.0
"""After which a call is broken off in a test that is known to hang."""
FAILING: frozenset[str] = frozenset()
HANGING: frozenset[str] = frozenset()

_calls: list[dict[str, Any]] = []
_known: dict[tuple[str, str, bool], int] = {}
_counts: dict[tuple[str, bool], int] = {}
_strange: dict[str, int] = {}
_inside: set[str] = set()


def watch(namespace: dict[str, Any], names: list[str]) -> None:
    """Puts a watching function in the place of each.

    Args:
        namespace: of the module.
        names: qualified, as `function` or `Class.method`.
    """
    module = namespace["__name__"]
    for name in names:
        *owners, own = name.split(".")
        holder: Any = None
        for owner in owners:
            holder = namespace.get(owner) if holder is None else vars(holder).get(owner)
        if owners and not isinstance(holder, type):
            continue
        found = (namespace if holder is None else vars(holder)).get(own)
        plain = found.__func__ if isinstance(found, staticmethod | classmethod) else found
        if not isinstance(plain, types.FunctionType):
            continue  # a property, or what a decorator has made
        watched: Any = _watched(plain, module, name)
        if isinstance(found, staticmethod | classmethod):
            watched = type(found)(watched)
        if holder is None:
            namespace[own] = watched
        else:
            setattr(holder, own, watched)


def _watched(function: Any, module: str, name: str) -> Any:
    label = f"{module}:{name}"

    @functools.wraps(function)
    def watched(*arguments: Any, **named: Any) -> Any:
        if label in _inside or threading.current_thread() is not threading.main_thread():
            return function(*arguments, **named)  # of what calls itself, the outermost call
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        note = _begin(label, test, arguments, named)
        _inside.add(label)
        outermost = len(_inside) == 1 and test in HANGING
        try:
            if outermost:
                set_alarm(HANGING_SECONDS, 3 * HANGING_SECONDS)
            result = function(*arguments, **named)
        except BaseException as error:
            _end(note, ["hang" if isinstance(error, TimeUp) else "raised", type(error).__name__])
            raise
        else:
            _end(note, ["value", ""])
            return result
        finally:
            if outermost:
                clear_alarm()
            _inside.discard(label)

    return watched


def _begin(label: str, test: str, arguments: Any, named: Any) -> dict[str, Any] | None:
    fails = test in FAILING
    try:
        pair = Encoder(exact=True).encode([list(arguments), dict(named)])
        text = json.dumps(pair)
    except (StrangeError, RecursionError, MemoryError):
        _strange[label] = _strange.get(label, 0) + 1
        return None
    except Exception:
        # an attribute of theirs that raises
        _strange[label] = _strange.get(label, 0) + 1
        return None
    key = (label, text, fails)
    if key in _known or len(text) > MOST_TEXT:
        return None
    _known[key] = len(_calls)
    _counts[label, fails] = _counts.get((label, fails), 0) + 1
    if _counts[label, fails] > MOST_CALLS:
        # a fair sample of all calls
        place = random.Random(_counts[label, fails]).randrange(_counts[label, fails])
        if place >= MOST_CALLS:
            return None
        same = [one for one in _calls if one["function"] == label and one["fails"] == fails]
        _calls.remove(same[place])
    note = {"function": label, "test": test, "fails": fails, "given": pair, "end": ["none", ""]}
    _calls.append(note)
    return note


def _end(note: dict[str, Any] | None, end: list[str]) -> None:
    if note is not None:
        note["end"] = end


def told() -> dict[str, Any]:
    """All that was noted."""
    return {"calls": _calls, "strange": _strange}
