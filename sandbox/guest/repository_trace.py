"""Which lines of the sources each test executes, seen by a trace function in the suite's process.

Its text is part of the one program that `repository_process` is. It is at work in runs that are
made for this and that judge nothing, since it slows everything down, tests can tell that
it is there, and the code under test could feed it whatever it likes: a hint where to look for a
fault, and no more. The guard knows its trace function as this program's own.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

_TOLD_LIMIT = 6 << 20
"""Characters that are told of a run, so that no suite's records grow over their limit by it."""
_OPTIMIZED = 1
"""The flag of a function's code; what runs once at an import has none."""

Tracer = tuple[Callable[[], None], Callable[[], None], Callable[[], Iterator[tuple[str, str, str]]]]


def tracer(tree: str, paths: list[str]) -> Tracer:
    """Functions that begin to watch, end it, and tell what was seen since they last told.

    What is told is a path, the first lines of the functions that were entered in that file, and the
    lines that were executed, as `3-5,9`.

    Args:
        tree: folder of the repository.
        paths: of it, the files to watch.
    """
    seen: dict[str, tuple[set[int], set[int]]] = {path: (set(), set()) for path in paths}
    watched: dict[str, tuple[Callable[[int], None], Any]] = {}
    left = [_TOLD_LIMIT]

    def follower(add: Callable[[int], None]) -> Any:
        def follow(frame: Any, event: str, _argument: Any) -> Any:
            if event == "line":
                add(frame.f_lineno)
            return follow

        return follow

    for path, (entered, lines) in seen.items():
        watched[f"{tree}/{path}"] = entered.add, follower(lines.add)

    def enter(frame: Any, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        found = watched.get(code.co_filename)
        if found is None or not code.co_flags & _OPTIMIZED:
            return None
        found[0](code.co_firstlineno)
        return found[1]

    def begin() -> None:
        threading.settrace(enter)
        sys.settrace(enter)

    def end() -> None:
        sys.settrace(None)
        threading.settrace(None)

    def told() -> Iterator[tuple[str, str, str]]:
        for path, (entered, lines) in seen.items():
            if entered:
                words = path, spans(entered), spans(lines)
                left[0] -= sum(map(len, words))
                if left[0] > 0:
                    yield words
                entered.clear()
                lines.clear()

    return begin, end, told


def spans(numbers: set[int]) -> str:
    """Numbers as ranges, such as `3-5,9`."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in found)
