"""What came of each fault, and what all of them say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from statistics import median
from typing import Any

from pydantic import BaseModel, ConfigDict

from agent.statistics import wilson_interval

_NEAR = 3
"""How far up the faulty function should be among the suspects."""


class Worth(StrEnum):
    """What a patch is worth, against the project as it was before the fault.

    PROGRAM: it is the same program again, comments and layout aside.
    BEHAVIOUR: another one that does the same on all calls of the tests and all generated inputs.
    DIFFERS: it does something else on one of these.
    ELSEWHERE: it changes another function, and the fault is still there.
    UNCLEAR: they can't be compared.
    """

    PROGRAM = "program"
    BEHAVIOUR = "behaviour"
    DIFFERS = "differs"
    ELSEWHERE = "elsewhere"
    UNCLEAR = "unclear"


class Plant(BaseModel):
    """An over-fit made on purpose.

    Attributes:
        passes: whether it passes the whole suite; others are none of the benchmark's.
        wrong: whether it was seen to differ from the project as it was.
        confidence: what is said of it.
        note: why there is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    passes: bool = False
    wrong: bool = False
    confidence: str = ""
    note: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is a wrong patch that the suite takes."""
        return self.passes and self.wrong


class Row(BaseModel):
    """One fault.

    Attributes:
        id: of the fault.
        project: it is in.
        origin: what made it.
        kind: of the fault.
        settings: of the run, in a line; rows of other settings are not mixed.
        failing: tests that fail by it.
        fixed: whether a patch was found and proven.
        tried: candidates judged.
        seconds: wall time.
        edit: kind and place of the patch.
        rank: of the faulty function among the suspects, from 1; 0 if it is none.
        line_rank: of the faulty line among the lines in the order in which they were tried; 0 if
            it was not.
        worth: of the patch.
        calls: of the tests, and generated ones, that tell so.
        confidence: what is said of the patch.
        why: what speaks for and against it.
        others: further patches that pass the suite.
        note: why there is none, or how it differs.
        plant: the over-fit of this fault; `None` if none was asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    project: str
    origin: str
    kind: str
    settings: str = ""
    failing: int = 0
    fixed: bool = False
    tried: int = 0
    seconds: float = 0.0
    edit: str = ""
    rank: int = 0
    line_rank: int = 0
    worth: Worth | None = None
    calls: tuple[int, int] = (0, 0)
    confidence: str = ""
    why: tuple[str, ...] = ()
    others: int = 0
    note: str = ""
    plant: Plant | None = None

    @property
    def right(self) -> bool:
        """Whether the patch is the project's own behaviour again."""
        return self.worth in (Worth.PROGRAM, Worth.BEHAVIOUR)


class Share(BaseModel):
    """So many of so many, with Wilson's 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: int
    all: int
    interval: tuple[float, float]

    def text(self) -> str:
        """As it stands in a table."""
        if not self.all:
            return "none"
        low, high = self.interval
        return f"{self.of} of {self.all} = {self.of / self.all:.0%} [{low:.0%}, {high:.0%}]"


def share(rows: Iterable[Any], test: Callable[[Any], bool]) -> Share:
    """How many of the rows a test holds for."""
    answers = [test(row) for row in rows]
    right = sum(answers)
    return Share(of=right, all=len(answers), interval=wilson_interval(right, len(answers)))


class Summary(BaseModel):
    """All rows together.

    Attributes:
        left_out: faults by which no test fails, and which count nowhere.
        fixed: faults with a proven patch.
        right: of these, patches that are the project's own behaviour again.
        injected: faults of the mutators that were fixed.
        by_hand: the other ones.
        kinds: fixed, by the kind of the fault.
        projects: fixed, by project.
        near: the faulty function is among the first three suspects.
        first: it is the first.
        line_near: the faulty line is among the first three lines tried.
        precision: of all that is said of patches with that confidence, found ones and planted
            over-fits together, how much is right.
        found_precision: the same without the planted ones.
        planted: over-fits that the suite takes, by what is said of them.
        seconds: median wall time of a fault.
        tried: median candidates up to a patch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    left_out: int
    fixed: Share
    right: Share
    injected: Share
    by_hand: Share
    kinds: dict[str, Share]
    projects: dict[str, Share]
    near: Share
    first: Share
    line_near: Share
    precision: dict[str, Share]
    found_precision: dict[str, Share]
    planted: dict[str, Share]
    seconds: float
    tried: float


def summary(found: Sequence[Row]) -> Summary:
    """What all rows say together; they are judged by what they hold, nothing is run."""
    rows = [row for row in found if row.failing]
    fixed = [row for row in rows if row.fixed]
    plants = [row.plant for row in rows if row.plant is not None and row.plant.counts]
    levels = sorted(
        {row.confidence for row in fixed} | {one.confidence for one in plants}, reverse=True
    )
    said = [(row.confidence, row.right) for row in fixed]
    known = [(row.confidence, row.right) for row in fixed if row.worth is not Worth.UNCLEAR]
    all_said = known + [(one.confidence, False) for one in plants]
    return Summary(
        left_out=len(found) - len(rows),
        fixed=share(rows, lambda row: row.fixed),
        right=share(said, lambda one: one[1]),
        injected=share([r for r in rows if r.origin != "hand"], lambda row: row.fixed),
        by_hand=share([r for r in rows if r.origin == "hand"], lambda row: row.fixed),
        kinds={
            kind: share([r for r in rows if r.kind == kind], lambda row: row.fixed)
            for kind in sorted({row.kind for row in rows})
        },
        projects={
            name: share([r for r in rows if r.project == name], lambda row: row.fixed)
            for name in sorted({row.project for row in rows})
        },
        near=share(rows, lambda row: 0 < row.rank <= _NEAR),
        first=share(rows, lambda row: row.rank == 1),
        line_near=share(rows, lambda row: 0 < row.line_rank <= _NEAR),
        precision={
            level: share([one for one in all_said if one[0] == level], lambda one: one[1])
            for level in levels
        },
        found_precision={
            level: share([one for one in known if one[0] == level], lambda one: one[1])
            for level in levels
        },
        planted={
            level: share([one.confidence == level for one in plants], bool) for level in levels
        },
        seconds=median(row.seconds for row in rows) if rows else 0.0,
        tried=median(row.tried for row in fixed) if fixed else 0.0,
    )


HEAD = (
    f"{'fault':28}{'kind':14}{'fixed':>6}{'tried':>6}{'seconds':>8}{'rank':>5}{'line':>5}"
    f"{'others':>7}  patch"
)


def line(row: Row) -> str:
    """One fault in the table."""
    said = f"{row.edit}: {row.worth}, {row.confidence}" if row.fixed else row.note
    return (
        f"{row.id:28}{row.kind:14}{'yes' if row.fixed else '-':>6}{row.tried:>6}"
        f"{row.seconds:>8.1f}{row.rank or '-':>5}{row.line_rank or '-':>5}"
        f"{row.others if row.fixed else '':>7}  {said}"
    )


def text(found: Summary) -> str:
    """The summary for people."""
    parts = [
        f"left out, since no test fails: {found.left_out}",
        f"fixed: {found.fixed.text()}",
        f"  injected by mutators: {found.injected.text()}",
        f"  made by hand: {found.by_hand.text()}",
        f"right, of the fixed: {found.right.text()}",
        f"faulty function among the first {_NEAR} suspects: {found.near.text()}",
        f"faulty function first: {found.first.text()}",
        f"faulty line among the first {_NEAR} tried: {found.line_near.text()}",
        f"median: {found.seconds:.1f} s a fault, {found.tried:.0f} candidates up to a patch",
        "fixed by kind of fault:",
        *(f"  {name:16}{one.text()}" for name, one in found.kinds.items()),
        "fixed by project:",
        *(f"  {name:16}{one.text()}" for name, one in found.projects.items()),
        "right, by what is said of a patch; planted over-fits count as wrong ones:",
        *(f"  {name:16}{one.text()}" for name, one in found.precision.items()),
        "the same without planted over-fits:",
        *(f"  {name:16}{one.text()}" for name, one in found.found_precision.items()),
        "planted over-fits that the suite takes, by what is said of them:",
        *(f"  {name:16}{one.text()}" for name, one in found.planted.items()),
    ]
    return "\n".join(parts)
