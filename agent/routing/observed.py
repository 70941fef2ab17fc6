"""What a router and a pool may see of a draw, and what they make of several.

It is a verdict by the tests that the search itself sees, in a few words. Nothing of a hidden test
can be in it. This module knows no strategy, so that strategies may use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pydantic import BaseModel, ConfigDict


class Observed(Protocol):
    """What has to be known of a draw; `agent.search.base.Seen` is one."""

    @property
    def passed(self) -> bool:
        """Whether it passed every test."""
        ...

    @property
    def reward(self) -> float:
        """Weighted partial pass rate."""
        ...

    @property
    def runs(self) -> bool:
        """Whether it at least got as far as being asked something."""
        ...

    @property
    def behaviour(self) -> str:
        """Digest of what the tests saw."""
        ...


class Draw(BaseModel):
    """One sample as it was judged by the tests that the search may see.

    Attributes:
        passed: every test.
        reward: weighted partial pass rate.
        runs: whether it got as far as being asked something.
        behaviour: digest of what the tests saw; see `agent.search.base.behaviour`.
        thinking: tokens that were thought for it.
        mended: whether it passed through a free edit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    passed: bool
    reward: float = 0.0
    runs: bool = True
    behaviour: str = ""
    thinking: int = 0
    mended: bool = False


class Failures(BaseModel):
    """What the failures on a task that isn't solved yet come to.

    Attributes:
        count: samples that failed.
        behaviours: distinct behaviours among those of them that ran.
        best: highest reward among them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = 0
    behaviours: int = 0
    best: float = 0.0


def failures(draws: Iterable[Observed]) -> Failures:
    """What the failed ones of some draws come to."""
    failed = [one for one in draws if not one.passed]
    return Failures(
        count=len(failed),
        behaviours=len({one.behaviour for one in failed if one.runs}),
        best=max((one.reward for one in failed), default=0.0),
    )


def draw_of(seen: Observed, *, thinking: int = 0) -> Draw:
    """What a search remembers of a sample, as a draw."""
    return Draw(
        passed=seen.passed,
        reward=seen.reward,
        runs=seen.runs,
        behaviour=seen.behaviour,
        thinking=thinking,
    )
