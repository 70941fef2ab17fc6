"""Whether a repair may be tried: for whom, how often a branch, and for how much money a month."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from agent.github.marker import Attempt
from agent.github.repository import Repository


class Limits(BaseModel):
    """What is allowed, in a calendar month of UTC.

    Attributes:
        attempts: repairs of one branch.
        month_cost: dollars of the whole repository.
        run_cost: dollars of one repair: one that breaks off counts with all of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(default=5, ge=0)
    month_cost: float = Field(default=20.0, ge=0)
    run_cost: float = Field(default=2.0, gt=0)


class Decision(BaseModel):
    """Whether to go on.

    Attributes:
        allowed: the answer.
        reason: in a line.
        attempts: of the branch, so far.
        spent: dollars, so far.
        allowance: dollars that the next repair may cost.
        branch: whose tests are to be mended.
        commit: its head, if a pull request was asked about; else empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    allowed: bool
    reason: str
    attempts: int = 0
    spent: float = 0.0
    allowance: float = 0.0
    branch: str = ""
    commit: str = ""


def decide(attempts: Sequence[Attempt], *, branch: str, limits: Limits) -> Decision:
    """What the limits say.

    Args:
        attempts: of this month.
        branch: that is to be repaired.
        limits: what is allowed.
    """
    tried = sum(one.branch == branch for one in attempts)
    spent = sum(one.cost for one in attempts)
    remaining = max(0.0, limits.month_cost - spent)
    if tried >= limits.attempts:
        reason = f"{tried} repairs of this branch were tried this month; {limits.attempts} may be"
    elif remaining <= 0:
        reason = f"${spent:.2f} were spent this month; ${limits.month_cost:.2f} may be"
    else:
        reason = ""
    return Decision(
        allowed=not reason,
        reason=reason or f"attempt {tried + 1} of {limits.attempts} this month",
        attempts=tried,
        spent=spent,
        allowance=min(limits.run_cost, remaining),
        branch=branch,
    )


def check(
    repository: Repository,
    *,
    branch: str,
    pull_request: int | None,
    actor: str,
    limits: Limits,
    now: datetime,
) -> Decision:
    """Looks up all that a decision needs.

    Args:
        repository: where.
        branch: that is to be repaired; of a pull request, its own.
        pull_request: that somebody asked to mend: not if its branch is a fork's, whose code would
            run where there are secrets.
        actor: who asked; empty if an event did. Somebody who may not push may not ask.
        limits: what is allowed.
        now: the time.

    Raises:
        GitHubError: it can't be looked up.
    """
    commit = ""
    if pull_request is not None:
        found = repository.pull_request(pull_request)
        home = found.head.repo.full_name if found.head.repo else ""
        if home.lower() != repository.name.lower():
            return Decision(allowed=False, reason="its branch is in a fork: no secrets for it")
        if found.state != "open":
            return Decision(allowed=False, reason="the pull request is closed")
        branch, commit = found.head.ref, found.head.sha
    if branch.startswith("regreen/"):
        return Decision(allowed=False, reason="the branch is one of Regreen's own", branch=branch)
    if actor and not repository.may_push(actor):
        return Decision(allowed=False, reason="who asks may not push to the repository")
    decision = decide(repository.attempts(now), branch=branch, limits=limits)
    return decision.model_copy(update={"commit": commit})
