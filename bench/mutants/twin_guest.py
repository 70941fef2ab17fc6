"""Runs in the sandbox, beside a suite: two versions of a function on the same inputs, compared.

Standard library only. What differs is told by the last test, which always fails: its message is
the result, as JSON. The inputs are those of the tests, and small changes of them.
"""

from __future__ import annotations

import ast
import copy
import functools
import itertools
import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

MARK = "REGREEN-TWINS "
_CALLS = 150
"""Calls that are compared; later ones go through as they are."""
_CHANGED = 25
"""Calls whose inputs are changed as well."""
_CHANGES = 40
_ITEMS = 200
"""Items of an iterator that are looked at."""
_SECONDS = 0.5
_ALL_SECONDS = 8.0
"""Time for changed inputs."""
_DEEP = 5
_LONGEST = 600
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

found: dict[str, Any] = {
    "compared": 0,
    "generated": 0,
    "skipped": 0,
    "differ": [],
    "differ_generated": [],
}
_busy = threading.local()
_spent = [0.0]


_Did = tuple[str, str, str | None]
"""What a call gave, what became of its arguments, and the result as a literal."""


class _TooLongError(Exception):
    pass


def twin(original: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator: the function as it is, compared with another version whenever it is called."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def both(*args: Any, **kwargs: Any) -> Any:
            if getattr(_busy, "now", False) or found["compared"] + found["skipped"] >= _CALLS:
                return function(*args, **kwargs)
            _busy.now = True
            try:
                passed = _look(original, function, args, kwargs)
            finally:
                _busy.now = False
            return function(*passed, **kwargs)

        return both

    return decorate


def _look(
    original: Callable[..., Any],
    function: Callable[..., Any],
    given: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> list[Any]:
    """Compares on copies; gives what the real call should be made with."""
    args = list(given)
    split: list[list[tuple[int, Any]]] = [[], [], [], []]
    for place, value in enumerate(args):
        if _is_iterator(value):
            args[place], *copies = itertools.tee(value, 5)
            for number, one in enumerate(copies):
                split[number].append((place, one))
    fixed = [value if not _is_iterator(value) else None for value in args]

    def inputs(number: int) -> tuple[list[Any], dict[str, Any]]:
        new, names = copy.deepcopy((fixed, kwargs))
        for place, value in split[number]:
            new[place] = value
        return new, names

    try:
        sets = [inputs(number) for number in range(4)]
    except Exception:
        found["skipped"] += 1
        return args
    shown = _literal(sets[3][0], sets[3][1])
    first, again, other = _run(original, *sets[0]), _run(original, *sets[1]), None
    if first == again:
        other = _run(function, *sets[2])
    if other is None or "?" in first[0]:
        found["skipped"] += 1
        return args
    found["compared"] += 1
    if first != other:
        _note("differ", shown, first, other)
    if found["compared"] <= _CHANGED and not any(split):
        for new in itertools.islice(_changes(fixed), _CHANGES):
            began = time.perf_counter()
            if _spent[0] < _ALL_SECONDS:
                _compare_changed(original, function, new, kwargs)
            _spent[0] += time.perf_counter() - began
    return args


def _compare_changed(
    original: Callable[..., Any],
    function: Callable[..., Any],
    args: list[Any],
    kwargs: dict[str, Any],
) -> None:
    try:
        sets = [copy.deepcopy((args, kwargs)) for _ in range(3)]
    except Exception:
        return
    first, again = _run(original, *sets[0]), _run(original, *sets[1])
    if first != again or "?" in first[0] or "_TooLongError" in first[0]:
        return
    found["generated"] += 1
    other = _run(function, *sets[2])
    if first != other:
        _note("differ_generated", repr(args)[:80], first, other)


def _note(where: str, shown: Any, first: _Did, other: _Did) -> None:
    if any(one[0] == shown for one in found[where]):
        return
    if len(found[where]) < (6 if where == "differ" else 3):
        found[where].append([shown, first[0][:200], other[0][:80], first[2]])
    else:
        found[where][-1][0] = None


def _run(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> _Did:
    """What a call did: result or exception, and what became of its arguments."""
    literal = None
    old: Any = None
    main = threading.current_thread() is threading.main_thread()
    if main:
        old = signal.signal(signal.SIGALRM, _alarm)
        signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        value = function(*args, **kwargs)
        if _is_iterator(value):
            value = list(itertools.islice(value, _ITEMS))
        else:
            literal = _plain(value)
        said = "returned " + _form(value, 0)
    except Exception as error:
        said = f"raised {type(error).__name__}: {_ADDRESS.sub('', str(error))}"
    finally:
        if main:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
    return said, _form([args, kwargs], 0), literal


def _alarm(_number: int, _frame: Any) -> NoReturn:
    raise _TooLongError


def _is_iterator(value: Any) -> bool:
    return hasattr(value, "__next__") and hasattr(value, "__iter__") and not hasattr(value, "read")


def _form(value: Any, depth: int) -> str:
    """A text by which values are compared; `?` where one can't be looked into."""
    if depth > _DEEP:
        return "..."
    kind: Any = type(value)
    if value is None or kind in (bool, int, float, complex, str, bytes):
        return repr(value)
    if kind in (list, tuple):
        return f"{kind.__name__}[{', '.join(_form(one, depth + 1) for one in value)}]"
    if kind in (set, frozenset):
        return f"{kind.__name__}[{', '.join(sorted(_form(one, depth + 1) for one in value))}]"
    if isinstance(value, dict):
        pairs = [f"{_form(k, depth + 1)}: {_form(v, depth + 1)}" for k, v in value.items()]
        return f"{kind.__name__}[{', '.join(pairs)}]"
    if isinstance(value, type):
        return f"type {value.__qualname__}"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"function {value.__qualname__}"
    if _is_iterator(value):
        return f"{kind.__name__} iterator"
    state = getattr(value, "__dict__", None)
    shown = _ADDRESS.sub("", repr(value)[:2000])
    slots = "" if state is None else _form(dict(state), depth + 1)
    return f"{kind.__qualname__} {shown} {slots}"


def _plain(value: Any) -> str | None:
    """A literal that stands for a value; `None` where there is none."""
    try:
        shown = repr(value)
        same = ast.literal_eval(shown) == value
    except Exception:
        return None
    return shown if same and len(shown) <= _LONGEST else None


def _literal(args: list[Any], kwargs: dict[str, Any]) -> list[Any] | None:
    shown = _plain((tuple(args[1:] if args and _plain(args[0]) is None else args), dict(kwargs)))
    skipped = bool(args) and _plain(args[0]) is None
    return None if shown is None else [skipped, shown]


def _changes(args: list[Any]) -> Iterator[list[Any]]:
    """Arguments with one of them changed a little, each in turn."""
    streams = [
        ([*args[:place], new, *args[place + 1 :]] for new in _changed(value, 0))
        for place, value in enumerate(args)
    ]
    while streams:
        for stream in list(streams):
            new = next(stream, None)
            if new is None:
                streams.remove(stream)
            else:
                yield new


def _changed(value: Any, depth: int) -> Iterator[Any]:
    kind: Any = type(value)
    if kind is bool:
        yield not value
    elif kind is int:
        yield from (value + 1, value - 1, 0, -value, value * 2 + 1, 1)
    elif kind is float:
        yield from (value + 1, value / 2, 0.0, -value)
    elif kind in (str, bytes):
        yield from (value[:0], value[1:], value[:-1], value + value, value.upper(), value.lower())
        yield from (value[::-1], value[:1], value.swapcase(), value + value[:1])
    elif kind in (list, tuple):
        yield from (value[:0], value[1:], value[:-1], value + value, value[::-1], value[:1])
        for place, one in enumerate(value[:3] if depth < 2 else ()):
            for new in itertools.islice(_changed(one, depth + 1), 3):
                yield kind([*value[:place], new, *value[place + 1 :]])
    elif kind is dict:
        yield {}
        for key in list(value)[:3]:
            yield {name: one for name, one in value.items() if name != key}
            for new in itertools.islice(_changed(value[key], depth + 1), 2):
                yield {**value, key: new}
    elif kind is set:
        yield set()
        for one in sorted(value, key=repr)[:2]:
            yield value - {one}
    elif value is None:
        yield from (0, "")


def tell() -> NoReturn:
    """Fails with all that was found."""
    raise AssertionError(MARK + json.dumps(found)[:2600])
