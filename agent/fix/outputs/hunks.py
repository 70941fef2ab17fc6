"""Reads a unified diff of ours as replacements of lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_NOWHERE = "/dev/null"


@dataclass(frozen=True, slots=True)
class Replacement:
    """Lines of one file that others take the place of.

    Attributes:
        path: of the file.
        first: number of the first line that goes, from 1; where none does, the line that the new
            ones stand before.
        removed: how many go.
        inserted: the new lines with their ends.
    """

    path: str
    first: int
    removed: int
    inserted: tuple[str, ...]


def replacements(diff: str) -> tuple[Replacement, ...]:
    """All replacements of a diff, in its order."""
    lines = diff.split("\n")
    found: list[Replacement] = []
    old = path = ""
    place = 0
    while place < len(lines):
        line = lines[place]
        place += 1
        if line.startswith("--- "):
            old = _name(line)
        elif line.startswith("+++ "):
            path = _name(line)
            path = old if path == _NOWHERE else path
        elif hunk := _HUNK.match(line):
            first, before, after = (1 if one is None else int(one) for one in hunk.groups())
            length = _length(lines, place, before, after)
            found += _of_hunk(path, first + (before == 0), lines[place : place + length])
            place += length
    return tuple(found)


def _name(line: str) -> str:
    name = line[4:].partition("\t")[0]
    return name if name == _NOWHERE else name.partition("/")[2]


def _length(lines: list[str], place: int, before: int, after: int) -> int:
    """How many lines a hunk has: a line of code may look like a header, so they are counted."""
    began = place
    while place < len(lines) and (before > 0 or after > 0 or lines[place].startswith("\\")):
        mark = lines[place][:1]
        before -= mark in ("-", " ", "")
        after -= mark in ("+", " ", "")
        place += 1
    return place - began


def _of_hunk(path: str, number: int, lines: list[str]) -> Iterator[Replacement]:
    """The runs of removed and added lines in a hunk that begins at a line of the old file."""
    removed, inserted, last = 0, list[str](), ""
    for line in [*lines, " "]:
        mark = line[:1]
        if mark == "\\":  # the line before has no end
            if last == "+":
                inserted[-1] = inserted[-1].removesuffix("\n")
            continue
        if mark == "-":
            removed, number = removed + 1, number + 1
        elif mark == "+":
            inserted.append(f"{line[1:]}\n")
        else:
            if removed or inserted:
                yield Replacement(path, number - removed, removed, tuple(inserted))
            removed, inserted, number = 0, [], number + 1
        last = mark
