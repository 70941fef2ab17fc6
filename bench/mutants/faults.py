"""A fault as a record: what stands where instead of what, so that a run repeats exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from agent.fix.functions import Functions
from verifiers.repository import Snapshot

FOLDER = Path(__file__).parent
CHOSEN = "chosen.jsonl"
FILES = (CHOSEN, "by_hand.jsonl")
"""The faults that tools made, and those that people made."""


class Fault(BaseModel):
    """One fault in one place of one project.

    Attributes:
        id: unlike any other's.
        project: by name.
        origin: which tool made it, or `hand`.
        kind: what sort of fault it is.
        operator: of the tool, that made it; empty for those made by hand.
        path: of the file.
        line: where the removed text begins, from 1.
        column: likewise, in characters from 0.
        removed: the text that is right.
        inserted: the text that stands there instead.
        digest: the first 16 digits of the SHA-256 of the faulty file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    project: str
    origin: str
    kind: str
    operator: str = ""
    path: str
    line: int
    column: int
    removed: str
    inserted: str
    digest: str

    @property
    def lines(self) -> tuple[int, ...]:
        """The lines that it changes, in the faulty file; of what is missing, those around it."""
        last = self.line + self.inserted.rstrip("\n").count("\n")
        missing = self.removed.count("\n") > self.inserted.count("\n")
        return tuple(range(self.line - missing, last + 1))

    def into(self, snapshot: Snapshot) -> Snapshot:
        """The project with the fault in it.

        Raises:
            ValueError: the text that it removes does not stand there.
        """
        text = snapshot.text(self.path)
        if text is None:
            raise ValueError(f"{self.id}: there is no {self.path}")
        at = _offset(text, self.line, self.column)
        if not text.startswith(self.removed, at):
            raise ValueError(f"{self.id}: {self.path}:{self.line} has another text")
        changed = text[:at] + self.inserted + text[at + len(self.removed) :]
        if digest(changed) != self.digest:
            raise ValueError(f"{self.id}: the faulty file is not the one that was recorded")
        return snapshot.changed({self.path: changed})

    def function(self, faulty: Snapshot) -> str:
        """The qualified name of the innermost function around it; empty for a module's own code."""
        at = Functions(faulty, [self.path]).at(self.path, self.line)
        return at.name if at is not None else ""


def make_fault(
    *, name: str, project: str, origin: str, kind: str, operator: str, path: str, old: str, new: str
) -> Fault:
    """The record of what differs between a file and the same with a fault.

    Raises:
        ValueError: nothing differs.
    """
    if old == new:
        raise ValueError(f"{name}: the two texts are the same")
    shortest = min(len(old), len(new))
    begin = next((at for at in range(shortest) if old[at] != new[at]), shortest)
    end = 0
    while end < shortest - begin and old[-1 - end] == new[-1 - end]:
        end += 1
    begin, left, right = _whole_words(old, new, begin, end)
    return Fault(
        id=name,
        project=project,
        origin=origin,
        kind=kind,
        operator=operator,
        path=path,
        line=old.count("\n", 0, begin) + 1,
        column=begin - (old.rfind("\n", 0, begin) + 1),
        removed=left,
        inserted=right,
        digest=digest(new),
    )


def read_faults(*files: Path) -> list[Fault]:
    """The faults of some files, in order; a file that is not there has none.

    Raises:
        ValueError: two have the same id.
    """
    found = [
        Fault.model_validate_json(line)
        for file in files
        if file.is_file()
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    if len({one.id for one in found}) < len(found):
        raise ValueError("two faults have the same id")
    return found


def write_faults(file: Path, faults: Iterable[Fault]) -> None:
    """A line a fault."""
    file.write_text("".join(f"{one.model_dump_json()}\n" for one in faults), encoding="utf-8")


def digest(text: str) -> str:
    """What a file's text is recognised by."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _whole_words(old: str, new: str, begin: int, end: int) -> tuple[int, str, str]:
    """Widens a difference to whole words, so that the record can be read."""
    while begin and (old[begin - 1].isalnum() or old[begin - 1] == "_"):
        begin -= 1
    while end and (old[-end].isalnum() or old[-end] == "_"):
        end -= 1
    return begin, old[begin : len(old) - end], new[begin : len(new) - end]


def _offset(text: str, line: int, column: int) -> int:
    at = 0
    for _ in range(line - 1):
        at = text.index("\n", at) + 1
    return at + column
