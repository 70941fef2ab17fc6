"""A profile: all that routing goes by for one model and kind of task, as a file that people edit.

A profile is TOML or JSON. `regreen calibrate` writes one; what a file leaves out is as shipped.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.routing.chance import Weights
from agent.routing.route import Difficulty, TierPlan


class ProfileError(Exception):
    """A profile can't be read or written. One line: which file, what is wrong."""


class Point(BaseModel):
    """One point of an accuracy-cost curve.

    Attributes:
        name: what was measured: a way to deal samples out, with its budget.
        draws: a task.
        solved: share of the tasks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    draws: float
    solved: float


class Tiers(BaseModel):
    """What each tier is given; see `TierPlan`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    easy: TierPlan = TierPlan(chance=0.3)
    medium: TierPlan = TierPlan(chance=0.1)
    hard: TierPlan = TierPlan(chance=0.02)
    very_hard: TierPlan = TierPlan(samples=30)

    @model_validator(mode="after")
    def _in_order(self) -> Tiers:
        chances = [plan.chance for plan in self.all]
        if chances != sorted(chances, reverse=True) or self.very_hard.chance != 0:
            raise ValueError(
                "the chances of easy, medium, hard and very_hard must fall, and the last be 0: "
                f"they are {', '.join(f'{one:g}' for one in chances)}"
            )
        return self

    @property
    def all(self) -> tuple[TierPlan, TierPlan, TierPlan, TierPlan]:
        """From easy to very hard."""
        return self.easy, self.medium, self.hard, self.very_hard

    def of(self, chance: float) -> tuple[Difficulty, TierPlan]:
        """The tier that a chance belongs to."""
        return next(
            (tier, plan)
            for tier, plan in zip(Difficulty, self.all, strict=True)
            if chance >= plan.chance
        )


class Profile(BaseModel):
    """What routing goes by.

    Attributes:
        name: of the preset, or of the calibration.
        model: that it was fitted to; empty for what is shipped.
        suite: whose tasks it was fitted on.
        revise: whether verdicts move a task to another tier, or the prompt alone decides.
        hurried: draw at once what a tier allows, since waiting for a verdict takes time.
        free_edits: of each promising program, where the settings name none.
        pool_floor: chance of the next sample below which a shared pool gives a task up for good.
        tiers: what each tier is given.
        weights: of the chance that the next sample passes.
        curve: accuracy against cost, as it was measured when the profile was fitted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "full"
    model: str = ""
    suite: str = ""
    revise: bool = True
    hurried: bool = False
    free_edits: int = Field(default=0, ge=0)
    pool_floor: float = Field(default=0.0, ge=0, le=1)
    tiers: Tiers = Tiers()
    weights: Weights = Weights()
    curve: tuple[Point, ...] = Field(default=(), repr=False)


def read_profile(path: Path) -> Profile:
    """The profile in a file, TOML or JSON by its name.

    Raises:
        ProfileError: it can't be read, or a value is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ProfileError(f"profile {path}: {error.strerror}") from None
    except ValueError as error:  # no UTF-8, no TOML, no JSON
        raise ProfileError(f"profile {path}: can't be read: {error}") from None
    try:
        return Profile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ProfileError(f"profile {path}: {where}: {first['msg'].lower()}") from None


def write_profile(path: Path, profile: Profile) -> None:
    """Writes a profile: JSON where the file's name ends so, else TOML.

    Raises:
        ProfileError: it can't be written.
    """
    data = profile.model_dump(mode="json", exclude_none=True)
    text = json.dumps(data, indent=2) + "\n" if path.suffix == ".json" else as_toml(data)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ProfileError(f"profile {path}: {error.strerror}") from None


def as_toml(data: dict[str, Any], table: str = "") -> str:
    """Numbers, texts, truth values, tables and lists of tables as TOML."""
    lines: list[str] = []
    below: list[str] = []
    for name, value in data.items():
        full = f"{table}.{name}" if table else name
        if isinstance(value, dict):
            below.append(f"\n[{full}]\n{as_toml(value, full)}")
        elif isinstance(value, list):
            below += [f"\n[[{full}]]\n{as_toml(one, full)}" for one in value]
        else:
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}\n")
    return "".join((*lines, *below))
