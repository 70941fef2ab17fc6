"""The words of routing: how difficult a task is, what it is given for that, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Difficulty(StrEnum):
    """How difficult a task is for the model at hand."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"
    VERY_HARD = "very-hard"


Way = Literal["greedy", "best-of-n", "thompson"]
"""How a tier searches: one cool sample, fresh samples, or fresh samples and repairs."""


class TierPlan(BaseModel):
    """What the tasks of one tier are given.

    Attributes:
        chance: that the next fresh sample passes, from which on a task belongs to this tier rather
            than to a harder one.
        strategy: how it searches.
        samples: in all that a task may have drawn by the time that it stands in this tier; unset:
            as many as `n` allows. A task that fails wanders into harder tiers, and is given up when
            it has drawn what its tier allows.
        thinking_tokens: tokens a sample that may be thought besides; unset: as the settings say.
        model: of a cascade, by its place from 0, that the tasks of this tier begin with; those
            before it are asked last.
        seconds: wall time a task; unset: no limit of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chance: float = Field(default=0.0, ge=0, le=1)
    strategy: Way = "thompson"
    samples: int | None = Field(default=None, ge=1)
    thinking_tokens: int | None = Field(default=None, ge=1)
    model: int = Field(default=0, ge=0)
    seconds: float | None = Field(default=None, gt=0)


class Route(BaseModel):
    """Where a task stands.

    Attributes:
        tier: it belongs to.
        chance: that its next fresh sample passes, as it is believed.
        samples: it may have drawn in all, as long as it stays in this tier.
        strategy: how it is searched for there.
        reason: why, in a line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tier: Difficulty
    chance: float
    samples: int
    strategy: Way
    reason: str
