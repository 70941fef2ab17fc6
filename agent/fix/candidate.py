"""One patch that is tried: whole texts of files, and where it came from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from verifiers.repository import Snapshot
from verifiers.syntax import canonical

Identity = tuple[tuple[str, str], ...]


class Origin(StrEnum):
    """Where a patch came from.

    EDIT: a free edit, for which no model was asked.
    MODEL: a model's answer.
    """

    EDIT = "edit"
    MODEL = "model"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(_Frozen):
    """Where a patch changes something.

    Attributes:
        path: of the file.
        name: of the function, qualified; empty outside of functions.
        line: where the change begins, in the file as it was.
    """

    path: str
    name: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


class Candidate(_Frozen):
    """A patch over one or more files.

    Attributes:
        texts: whole new texts of files by their paths, line ends and byte order marks included;
            `None` where a file goes.
        places: what it changes; the first is the one to name where there is room for one only.
        origin: where it came from.
        kind: which sort of edit it is, or in which format a model wrote it.
    """

    texts: Mapping[str, str | None]
    places: tuple[Place, ...]
    origin: Origin = Origin.EDIT
    kind: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """The paths that it changes, sorted."""
        return tuple(sorted(self.texts))

    @property
    def place(self) -> Place:
        """The one to name where there is room for one only."""
        return self.places[0] if self.places else Place(path=self.files[0])

    @property
    def where(self) -> str:
        """All places in a line."""
        return ", ".join(map(str, self.places or (self.place,)))

    def __str__(self) -> str:
        return f"{self.where} ({self.kind})" if self.kind else self.where

    @property
    def identity(self) -> Identity:
        """What two patches share that are the same program: syntax trees, or texts of no Python."""
        return tuple((path, _identity(self.texts[path])) for path in self.files)

    def diff(self, snapshot: Snapshot) -> str:
        """As one diff that `git apply` takes."""
        return "".join(unified_diff(snapshot, path, self.texts[path]) for path in self.files)

    def size(self, snapshot: Snapshot) -> int:
        """Lines that it takes away and adds; a changed line counts twice."""
        return sum(
            line.startswith(("+", "-")) and not line.startswith(("+++ ", "--- "))
            for line in self.diff(snapshot).split("\n")
        )


def unified_diff(snapshot: Snapshot, path: str, text: str | None) -> str:
    """A diff of one file that `git apply` takes; line ends are part of the lines.

    Args:
        snapshot: the repository as it was.
        path: of the file; there need not be one yet.
        text: its whole new text, or `None` where it goes.
    """
    old = snapshot.text(path)
    before, after = (_lines(one or "") for one in (old, text))
    source = "/dev/null" if old is None else f"a/{path}"
    target = "/dev/null" if text is None else f"b/{path}"
    lines = list(difflib.unified_diff(before, after, source, target))
    head = []
    if lines and old is None:
        head = [f"diff --git a/{path} b/{path}\n", "new file mode 100644\n"]
    elif text is None:
        file = snapshot.files.get(path)
        mode = "100755" if file is not None and file.executable else "100644"
        head = [f"diff --git a/{path} b/{path}\n", f"deleted file mode {mode}\n"]
    marked = [
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    ]
    return "".join([*head, *marked])


def _lines(text: str) -> list[str]:
    """Lines with their ends; only line feeds end one, as git has it."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _identity(text: str | None) -> str:
    if text is None:
        return ""
    return canonical(text) or text
