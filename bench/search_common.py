"""What the sections of the search benchmark share: options and results."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.settings import Settings


class MissingDataError(Exception):
    """A section needs a file that was not given. One line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What was asked for.

    Attributes:
        sections: by name.
        json: one JSON object in place of tables.
        models: one solution a task from each of several models.
        bank: many samples a task from one weaker model.
        verdicts: where the bank's verdicts by all tests are kept; `None` for a file in the cache.
        model: of the live section.
        tasks: HumanEval tasks of the live section.
        tokens: generated a task, in the live section.
        runs: folder of the live section's runs, which go on there; `None` for the usual one.
        strategies: of the live section; empty for all.
        sandbox: by name.
        slots: programs at a time; `None` for as many as suit the machine.
        prices: dollars per million tokens in and out, by model.
        seed: of all that is drawn by lot.
        orders: shuffled orders of a bank.
        candidates: failing programs that are edited; in other sections, programs at a time.
        edits: of each of them at the most.
        part: the bank's tasks with even numbers, with odd ones, or all.
        all_edits: go on after an edit that passes, to learn what each kind of edit is worth.
    """

    sections: tuple[str, ...]
    json: bool = False
    models: Path | None = None
    bank: Path | None = None
    verdicts: Path | None = None
    model: str = "local/smollm2-135m"
    tasks: int = 30
    tokens: int = 1000
    runs: Path | None = None
    strategies: tuple[str, ...] = ()
    sandbox: str = "auto"
    slots: int | None = None
    prices: dict[str, tuple[float, float]] = field(default_factory=dict)
    seed: int = 0
    orders: int = 200
    candidates: int = 300
    edits: int = 200
    part: str = "all"
    all_edits: bool = False

    def settings(self, **more: object) -> Settings:
        """Settings that are the same on every machine, whatever its environment says."""
        given = {"sandbox": self.sandbox, "slots": self.slots, "confirm": False, **more}
        return Settings(**given)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Section:
    """What a section found: lines for people, and the same as data."""

    lines: Sequence[str]
    data: object


def report(line: str) -> None:
    """Says on standard error how far things are."""
    print(line, file=sys.stderr, flush=True)
