"""Unified diffs. Models get line numbers and counts wrong, so hunks are found by their lines.

A number decides only where the lines stand word for word in several places, one of them just there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.fix.patches.base import Answer, PatchError, Texts
from agent.fix.patches.matching import locate, put

_OLD = re.compile(r"^--- (?P<path>\S.*?)(?:\t.*)?$")
_NEW = re.compile(r"^\+\+\+ (?P<path>\S.*?)(?:\t.*)?$")
_HUNK = re.compile(r"^@@(?: -(?P<line>\d+)(?:,\d+)? \+\d+(?:,\d+)? @@| ?\.\.\. ?@@|\s*$|.*@@)")
_NOTHING = "/dev/null"


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines of one place.

    Attributes:
        old: path before, or `/dev/null`.
        new: path after, likewise.
        line: where, from 1; 0 if no number was given.
        before: lines that are there.
        after: lines that come in their place.
    """

    old: str
    new: str
    line: int
    before: tuple[str, ...]
    after: tuple[str, ...]


class UnifiedDiff:
    """The format."""

    def read(self, answer: Answer, texts: Texts) -> int:
        """Applies all hunks in their order; the numbers are those of the file as it was."""
        moved: dict[str, int] = {}
        hunks = list(dict.fromkeys(_hunks(answer)))
        for hunk in hunks:
            _apply(hunk, texts, moved)
        return len(hunks)


def _hunks(answer: Answer) -> Iterator[Hunk]:
    lines, number, old, new = answer.lines, 0, "", ""
    while number < len(lines):
        first = _OLD.match(lines[number])
        second = _NEW.match(lines[number + 1]) if number + 1 < len(lines) else None
        if first is not None and second is not None:
            old, new = first["path"], second["path"]
            number += 2
            continue
        hunk = _HUNK.match(lines[number]) if new else None
        number += 1
        if hunk is None:
            continue
        body: list[str] = []
        while number < len(lines) and _belongs(lines, number):
            body.append(lines[number])
            number += 1
        while body and not body[-1]:
            body.pop()
        yield Hunk(old, new, int(hunk["line"] or 0), _side(body, "-"), _side(body, "+"))


def _belongs(lines: tuple[str, ...], number: int) -> bool:
    """Whether a line is still one of a hunk; a blank one may have lost its leading space."""
    line = lines[number]
    if line.startswith("--- ") and number + 1 < len(lines) and lines[number + 1].startswith("+++ "):
        return False
    return not line or line[0] in " +-\t\\"


def _side(body: list[str], mark: str) -> tuple[str, ...]:
    """The lines before (`-`) or after (`+`)."""
    kept = [line for line in body if not line.startswith("\\")]
    # a line that begins with a tab has lost the space before it
    sides = [line for line in kept if not line or line[0] in (" ", "\t", mark)]
    return tuple(line if line.startswith("\t") else line[1:] for line in sides)


def _apply(hunk: Hunk, texts: Texts, moved: dict[str, int]) -> None:
    if hunk.new == _NOTHING:
        raise PatchError(f"the diff removes {hunk.old}: correct it instead")
    if hunk.old == _NOTHING:
        path = hunk.new.removeprefix("b/")
        if path in texts.snapshot.files:
            raise PatchError(f"the diff makes {path}, which is there already: change it instead")
        texts.rewrite(path, "".join(f"{line}\n" for line in hunk.after))
        return
    path = texts.resolve(hunk.new)
    if not any(line.strip() for line in hunk.before):
        raise PatchError(f"{path}: a hunk has no line that is there: give some around the change")
    line = hunk.line - 1 + moved.get(path, 0) if hunk.line else None
    try:
        found = locate(texts.lines(path), hunk.before, line=line)
    except PatchError as error:
        raise PatchError(f"{path}: {error}") from None
    put(texts, path, found, hunk.before, hunk.after)
    moved[path] = moved.get(path, 0) + len(hunk.after) - len(hunk.before)
