"""What every format of patches shares: an answer, the texts that it changes, why it can't.

PatchError   an answer can't be applied; the message is for the model that wrote it
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from verifiers.repository import Snapshot

LONGEST = 400_000
"""Characters of an answer that are read."""
_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^\s*(?P<mark>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
_PATH = re.compile(r"[\w.\-+@/]*[\w\-]\.\w{1,6}$")
_LABEL = re.compile(r"^(?:file(?:name)?|path|in|edit|update|modify)\b\s*:?\s*", re.IGNORECASE)


class PatchError(Exception):
    """An answer can't be applied. One line that says to a model what to do instead."""


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced block of an answer.

    Attributes:
        lines: of it, without the fences.
        path: of the file that it is said to be of, or empty.
        closed: whether its end is there.
    """

    lines: tuple[str, ...]
    path: str = ""
    closed: bool = True

    @property
    def text(self) -> str:
        """The lines with an end to each."""
        return "".join(f"{line}\n" for line in self.lines)


@dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes:
        text: all of it.
        cut: whether it ended because of its length.
    """

    text: str
    cut: bool = False

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Its lines without their ends and without what was only thought aloud."""
        text = _THOUGHT.sub("", self.text[:LONGEST]).replace("\r\n", "\n")
        return tuple(text.split("\n"))

    @cached_property
    def fences(self) -> tuple[Fence, ...]:
        """Its fenced blocks."""
        found: list[Fence] = []
        mark, path, body = "", "", list[str]()
        for number, line in enumerate(self.lines):
            fence = _FENCE.match(line)
            if not mark and fence is not None:
                mark, body = fence["mark"], []
                path = path_in(fence["info"]) or path_before(self.lines, number)
            elif mark and fence is not None and _ends(fence, mark):
                found.append(Fence(tuple(body), path))
                mark = ""
            elif mark:
                body.append(line)
        if mark:
            found.append(Fence(tuple(body), path, closed=False))
        return tuple(found)


def _ends(fence: re.Match[str], mark: str) -> bool:
    return not fence["info"].strip() and fence["mark"].startswith(mark)


def path_before(lines: Sequence[str], number: int) -> str:
    """The path that the nearest line with words before a line is, as far as two lines up."""
    for line in reversed(lines[max(0, number - 2) : number]):
        if line.strip():
            return path_in(line)
    return ""


def path_in(line: str) -> str:
    """The path that a heading consists of, or empty: `### File: a/b.py`, `**a/b.py**:`."""
    text = _LABEL.sub("", line.strip().lstrip("#").strip(" *`\"'"))
    words = text.strip(" *`\"':").split()
    last = words[-1].strip("*`\"':") if words else ""
    # `python cart.py` begins a fence; anything longer is a sentence that happens to end so
    return last if len(words) <= 2 and _PATH.fullmatch(last) else ""


class Texts:
    """The files of a repository while a patch is applied to them.

    All that a patch does not touch stays as it was, byte for byte: line ends, a byte order mark,
    a missing end of the last line.

    Args:
        snapshot: the repository.
        sources: files that may be changed; where a name fits several, one of them is meant.
    """

    def __init__(self, snapshot: Snapshot, sources: Iterable[str]) -> None:
        self.snapshot = snapshot
        self.sources = tuple(sources)
        self._now: dict[str, list[str]] = {}

    def resolve(self, name: str) -> str:
        """The path that a model means: as it stands, or the only source that ends so.

        Raises:
            PatchError: none, or several.
        """
        plain = name.strip().removeprefix("./").lstrip("/")
        spellings = dict.fromkeys((plain, plain.removeprefix("a/"), plain.removeprefix("b/")))
        for path in spellings:
            if path in self.snapshot.files or path in self._now:
                return path
        ends = [one for one in self.sources if any(one.endswith(f"/{end}") for end in spellings)]
        ends = ends or [one for one in self.sources if plain.endswith(f"/{one}")]
        if len(ends) == 1:
            return ends[0]
        if ends:
            raise PatchError(f"{name} may be {' or '.join(ends[:3])}: give the whole path")
        raise PatchError(f"there is no file {name}: the paths are those shown")

    def lines(self, path: str) -> tuple[str, ...]:
        """A file's lines as they are now, without their ends and byte order mark.

        Raises:
            PatchError: it is no text in UTF-8.
        """
        return tuple(_bare(line) for line in self._raw(path))

    def text(self, path: str) -> str:
        """The same in one, with a line feed behind each."""
        return "".join(f"{line}\n" for line in self.lines(path))

    def replace(self, path: str, start: int, stop: int, new: Sequence[str]) -> None:
        """Puts lines in the place of others.

        Args:
            path: of the file.
            start: the first line that goes, from 0.
            stop: the first line behind them that stays.
            new: without ends; they get that of the lines around them.
        """
        raw = self._raw(path)
        end = _end(raw[start:stop]) or _end(raw[max(0, start - 1) : start]) or _end(raw) or "\n"
        mark = "\ufeff" if start == 0 and raw and raw[0].startswith("\ufeff") else ""
        made = [f"{line}{end}" for line in new]
        if stop >= len(raw) and raw and not _end(raw[-1:]):  # the file has no end of a last line
            if made:
                made[-1] = _bare(made[-1])
            elif start:
                raw[start - 1] = raw[start - 1].rstrip("\r\n")
            if start >= len(raw) and made:
                raw[-1] += _end(raw) or "\n"
        if mark and made:
            made[0] = mark + made[0]
        raw[start:stop] = made

    def rewrite(self, path: str, text: str) -> None:
        """Gives a file a whole new text; lines that stay keep their ends. It need not exist."""
        new = text.split("\n")
        if new[-1] == "":
            new.pop()
        if path not in self.snapshot.files and path not in self._now:
            self._now[path] = [f"{line}\n" for line in new]
            return
        self.splice(path, 0, len(self.lines(path)), new)

    def splice(self, path: str, start: int, stop: int, new: Sequence[str]) -> None:
        """As `replace`, but lines that are in both stay as the file has them."""
        old = self.lines(path)[start:stop]
        changes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        for kind, begin, end, first, last in reversed(changes):
            if kind != "equal":
                self.replace(path, start + begin, start + end, new[first:last])

    def patch(self) -> dict[str, str]:
        """The whole new texts of all files that differ from the repository's."""
        made = {path: "".join(lines) for path, lines in self._now.items()}
        return {path: text for path, text in made.items() if text != self._before(path)}

    def _before(self, path: str) -> str | None:
        found = self.snapshot.files.get(path)
        return None if found is None else found.content.decode("utf-8", "surrogateescape")

    def _raw(self, path: str) -> list[str]:
        if path not in self._now:
            file = self.snapshot.files.get(path)
            if file is None or file.link:
                raise PatchError(f"there is no file {path}: the paths are those shown")
            try:
                text = file.content.decode("utf-8")
            except UnicodeDecodeError:
                raise PatchError(f"{path} is no text in UTF-8: leave it as it is") from None
            parts = text.split("\n")
            self._now[path] = [f"{one}\n" for one in parts[:-1]] + (
                [parts[-1]] if parts[-1] else []
            )
        return self._now[path]


class Format(Protocol):
    """One way to write a patch."""

    def read(self, answer: Answer, texts: Texts) -> int:
        """Applies what an answer has of this format.

        Returns:
            How many changes were applied; 0 where the answer has none of this format.

        Raises:
            PatchError: there are some, and one of them can't be applied.
        """
        ...


def _bare(line: str) -> str:
    return line.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")


def _end(lines: Sequence[str]) -> str:
    """The end of the first line that has one."""
    for line in lines:
        if line.endswith("\n"):
            return "\r\n" if line.endswith("\r\n") else "\n"
    return ""
