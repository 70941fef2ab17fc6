"""What speaks against a patch by its syntax alone: each sort of it, and how much it weighs."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Weight(StrEnum):
    """How much a flag weighs.

    CHEAT: no honest repair does this; such a patch is chosen only where there is no other.
    DOUBT: an honest repair may do this, but most that do are none; never `validated`.
    NOTE: worth a look.
    """

    CHEAT = "cheat"
    DOUBT = "doubt"
    NOTE = "note"


class Sort(StrEnum):
    """What a flag is about; closed set."""

    GUARD_REMOVED = "guard-removed"
    FEATURE_REMOVED = "feature-removed"
    EXCEPTION_SWALLOWED = "exception-swallowed"
    CONSTANT_CONDITION = "constant-condition"
    SPECIAL_CASE = "special-case"
    TEST_DETECTED = "test-detected"
    EXIT = "exit"
    MONKEYPATCH = "monkeypatch"
    SLEEP = "sleep"
    READS_FILES = "reads-files"
    EQUALITY = "equality"
    DYNAMIC = "dynamic"
    CHANCE = "chance"


class Flag(BaseModel):
    """One thing that speaks against a patch.

    Attributes:
        sort: what it is about.
        weight: how much it weighs.
        path: of the file.
        line: where: in the new file if something was added, else in the old one.
        text: what was seen, in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sort: Sort
    weight: Weight
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.text} ({self.path}:{self.line})"
