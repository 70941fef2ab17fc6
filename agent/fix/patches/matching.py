"""Finds the lines that a patch means: word for word first, then where only blanks differ.

What is found has to be the only place. Indentation may differ if one rule explains all of it: each
indentation in the answer stands for one in the file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agent.fix.patches.base import PatchError, Texts

_NUMBERED = re.compile(r"^\s*\d+\s?[|│] ?")
_SHOWN = 4
_TAB_SPACES = 4


@dataclass(frozen=True, slots=True)
class Match:
    """Where lines stand in a file.

    Attributes:
        start: the first, from 0.
        stop: the first behind them.
        indents: what the answer's indentation stands for.
    """

    start: int
    stop: int
    indents: Indents


class Indents:
    """What indentation in an answer stands for in a file.

    Args:
        pairs: in the answer and in the file, of lines that are the same otherwise.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self._known = dict(pairs)
        self.consistent = all(self._known[ours] == theirs for ours, theirs in pairs)

    def apply(self, lines: Sequence[str]) -> list[str]:
        """Lines of an answer as the file would have them.

        Raises:
            PatchError: an indentation that no known one explains.
        """
        return [self._line(line) if line.strip() else line.strip() for line in lines]

    def _line(self, line: str) -> str:
        if all(ours == theirs for ours, theirs in self._known.items()):
            return line
        ours = indent_of(line)
        theirs = self._known.get(ours)
        theirs = self._shifted(ours) if theirs is None else theirs
        theirs = self._deeper(ours) if theirs is None else theirs
        if theirs is None:
            raise PatchError(
                f"the indentation of {line.strip()!r} fits none in the file: copy it exactly"
            )
        return theirs + line[len(ours) :]

    def _shifted(self, ours: str) -> str | None:
        """All indentation has the same more, or the same less."""
        first = min(self._known, key=len)
        theirs = self._known[first]
        if theirs.endswith(first):
            more = theirs[: len(theirs) - len(first)]
            return more + ours if all(b == more + a for a, b in self._known.items()) else None
        if first.endswith(theirs):
            less = first[: len(first) - len(theirs)]
            fits = ours.startswith(less) and all(a == less + b for a, b in self._known.items())
            return ours[len(less) :] if fits else None
        return None

    def _deeper(self, ours: str) -> str | None:
        """A known indentation and some levels more, in tabs or in spaces as the file has them."""
        around = [one for one in self._known if ours.startswith(one)]
        if not around:
            return None
        nearest = max(around, key=len)
        rest, theirs = ours[len(nearest) :], self._known[nearest]
        style = "".join(self._known.values())
        if set(rest) == {" "} and style and set(style) == {"\t"}:
            unit = self._unit()
            return theirs + "\t" * (len(rest) // unit) if len(rest) % unit == 0 else None
        if set(rest) == {"\t"} and style and set(style) == {" "}:
            return theirs + " " * (_TAB_SPACES * len(rest))
        return theirs + rest if not style or set(rest) == set(style) else None

    def _unit(self) -> int:
        """Spaces in the answer that stand for a tab in the file."""
        known = sorted(self._known.items(), key=lambda pair: len(pair[1]))
        for (less, shallow), (more, deep) in pairwise(known):
            levels = len(deep) - len(shallow)
            if levels and len(more) > len(less) and (len(more) - len(less)) % levels == 0:
                return (len(more) - len(less)) // levels
        return _TAB_SPACES


def indent_of(line: str) -> str:
    """The blanks that a line begins with."""
    return line[: len(line) - len(line.lstrip())]


def without_numbers(lines: Sequence[str]) -> list[str]:
    """Lines without the numbers that a prompt showed before them, if all have one."""
    filled = [line for line in lines if line.strip()]
    if not filled or not all(_NUMBERED.match(line) for line in filled):
        return list(lines)
    return [_NUMBERED.sub("", line) for line in lines]


def locate(lines: Sequence[str], wanted: Sequence[str], *, line: int | None = None) -> Match:
    """The only place where lines stand in a file.

    Args:
        lines: of the file.
        wanted: what to look for; at least one that is not blank.
        line: a number, from 0, that decides where the lines stand word for word several times.

    Raises:
        PatchError: they are nowhere, or in several places.
    """
    if not any(one.strip() for one in wanted):
        raise PatchError("there is nothing but blanks to look for: give the lines to replace")
    for same in (_same, _same_to_the_right, _same_inside):
        found = [
            (start, indents)
            for start in range(len(lines) - len(wanted) + 1)
            if (indents := _match(lines, wanted, start, same)) is not None
        ]
        if same is _same and len(found) > 1 and line in [start for start, _ in found]:
            found = [one for one in found if one[0] == line]
        if len(found) == 1:
            start, indents = found[0]
            return Match(start, start + len(wanted), indents)
        if found:
            places = ", ".join(str(start + 1) for start, _ in found[:_SHOWN])
            raise PatchError(
                f"{_first(wanted)!r} and what follows is there {len(found)} times (lines {places}):"
                " give more lines around it"
            )
    raise PatchError(_missing(lines, wanted))


def put(texts: Texts, path: str, found: Match, before: Sequence[str], after: Sequence[str]) -> None:
    """Puts lines where others were found; those that both have stay as the file has them.

    Raises:
        PatchError: an indentation that can't be told.
    """
    made = found.indents.apply(after)
    changes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    for kind, start, stop, first, last in reversed(changes):
        if kind != "equal":
            texts.replace(path, found.start + start, found.start + stop, made[first:last])


def _match(
    lines: Sequence[str], wanted: Sequence[str], start: int, same: Callable[[str, str], bool]
) -> Indents | None:
    pairs = []
    for offset, one in enumerate(wanted):
        here = lines[start + offset]
        if not same(one, here):
            return None
        if one.strip():
            pairs.append((indent_of(one), indent_of(here)))
    found = Indents(pairs)
    return found if found.consistent else None


def _same(one: str, other: str) -> bool:
    return one == other


def _same_to_the_right(one: str, other: str) -> bool:
    return one.rstrip() == other.rstrip()


def _same_inside(one: str, other: str) -> bool:
    return one.strip() == other.strip()


def _first(wanted: Sequence[str]) -> str:
    return next((line.strip() for line in wanted if line.strip()), "")


def _missing(lines: Sequence[str], wanted: Sequence[str]) -> str:
    """Which of the lines is the first that is nowhere in the file."""
    there = {line.strip() for line in lines}
    for line in wanted:
        if line.strip() and line.strip() not in there:
            return f"the line {line.strip()!r} is not in the file: copy the lines exactly"
    return f"{_first(wanted)!r} and what follows do not stand together: copy the lines exactly"
