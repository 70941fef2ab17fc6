"""What a check is and what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, computed_field

if TYPE_CHECKING:
    from .bench import Bench

GROUPS: dict[str, str] = {
    "right": "right programs pass",
    "wrong": "wrong programs fail, with the outcome that fits",
    "cheats": "programs that cheat don't pass",
    "walls": "nothing outside can be seen, reached or changed",
    "cleanup": "what a program takes or leaves is taken from it",
    "promises": "the sandbox does what its interface says",
}
"""The groups of checks, in the order in which they are reported, and what each is about."""


class Unmet(Exception):
    """What came back is not what has to; the text says what did."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that a backend has to hold.

    Attributes:
        name: short, and like no other.
        group: one of `GROUPS`.
        proves: what is known of a backend that holds it, a sentence.
        act: runs the jobs and looks at what comes back; returns what is worth telling of a
            backend that holds, or nothing.
        alone: whether it needs all slots for itself.

    `act` raises `Unmet` where the backend fails; any other exception counts as failed, too.
    """

    name: str
    group: str
    proves: str
    act: Callable[[Bench], Awaitable[str]]
    alone: bool = False


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckResult(_Frozen):
    """What came of one check.

    Attributes:
        name: of the check.
        group: of the check.
        proves: what holds if it is `ok`.
        ok: whether the backend holds it.
        detail: what came back instead, or something worth telling.
        seconds: that it took.
    """

    name: str
    group: str
    proves: str
    ok: bool
    detail: str = ""
    seconds: float = 0.0


class ConformanceReport(_Frozen):
    """What a backend holds.

    Attributes:
        level: the isolation level that it says it has.
        reduced: whether it says that this is less than full isolation.
        identity: as the backend gives it.
        slots: jobs at a time.
        results: one for each check, in the order of the groups.
        seconds: that all of it took, opening and closing included.
    """

    level: str
    reduced: bool
    identity: str
    slots: int
    results: tuple[CheckResult, ...]
    seconds: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ok(self) -> bool:
        """Whether every check holds; not of a report without any."""
        return bool(self.results) and not self.failed

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that don't hold."""
        return tuple(result for result in self.results if not result.ok)

    def summary(self) -> str:
        """A line on the whole, and one for each check that doesn't hold."""
        held = len(self.results) - len(self.failed)
        lines = [f"{self.level}: {held} of {len(self.results)} checks hold ({self.seconds:.1f} s)"]
        lines += [f"{one.group}: {one.name}: {one.detail}" for one in self.failed]
        return "\n".join(lines)
