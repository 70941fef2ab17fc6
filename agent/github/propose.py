"""One draft pull request for each failure: made once, brought up to date, then left to people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent.fix.outputs import files, markdown
from agent.fix.outputs.base import Story
from agent.fix.outputs.safe import code, inert, line, prose
from agent.fix.report import FixStatus
from agent.github.marker import Attempt, write_marker
from agent.github.push import Checkout
from agent.github.repository import PullRequest, Repository
from agent.github.signature import branch_name, signature

_PATCHED = (FixStatus.FIXED, FixStatus.PARTLY_FIXED)
_BODY_CHARS = 65_536
"""GitHub takes no more."""
_FOOTER = (
    "---\n\nRegreen made this pull request and keeps it up to date while nobody else commits to"
    " its branch. Closed without a merge, it is not made again for the same tests. Read the patch"
    " before you merge it: a test suite is no proof of what was meant."
)

State = Literal["none", "opened", "updated", "unchanged", "declined", "taken", "elsewhere"]


class Proposal(BaseModel):
    """What became of a repair.

    Attributes:
        state: `none`: there is no patch. `opened`, `updated`, `unchanged`: the pull request.
            `declined`: somebody closed it. `taken`: somebody else commits to its branch.
            `elsewhere`: there is one into another branch.
        reason: in a line.
        signature: of the failure.
        number: of the pull request; 0 if there is none.
        url: likewise; empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State
    reason: str
    signature: str = ""
    number: int = 0
    url: str = ""


class Job(BaseModel):
    """For what a repair was made, and how it is to be proposed.

    Attributes:
        branch: whose tests failed, and into which the pull request goes.
        commit: at which they did.
        directory: of the repository's folder in the checkout; empty for its top.
        labels: that the pull request gets.
        draft: whether it is one.
        allowance: dollars that the repair might have cost; counted if it left no result.
        comment_on: number of the pull request where somebody asked for it and is told; 0 for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    branch: str
    commit: str
    directory: str = ""
    labels: tuple[str, ...] = ("regreen",)
    draft: bool = True
    allowance: float = 0.0
    comment_on: int = 0


def propose(
    repository: Repository, checkout: Checkout, story: Story | None, job: Job, *, now: datetime
) -> Proposal:
    """Notes the attempt, proposes its patch if there is one, and tells who asked for it.

    Args:
        repository: where.
        checkout: a clone with the commit.
        story: of the repair; `None` if it left none.
        job: for what it was made.
        now: the time.

    Raises:
        GitHubError: it can't be done. What was noted stays noted.
    """
    attempt = _attempt(repository.name, story, job, now)
    repository.note(attempt, _told(attempt))
    found = _propose(repository, checkout, story, job, attempt)
    if job.comment_on:
        where = f" {found.url}" if found.url else ""
        repository.comment(job.comment_on, f"Regreen: {found.state}: {prose(found.reason)}{where}")
    return found


def _propose(
    repository: Repository, checkout: Checkout, story: Story | None, job: Job, attempt: Attempt
) -> Proposal:
    if story is None or story.report.status not in _PATCHED or not story.report.diff:
        reason = line(story.report.reason) if story else "the repair left no result"
        return Proposal(state="none", reason=reason, signature=attempt.signature)
    branch = branch_name(attempt.signature)
    known = repository.pull_requests(branch)
    newest = known[0] if known else None
    if newest is not None:
        settled = _settled(newest, job)
        if settled is not None:
            return _proposal(*settled, attempt.signature, newest)
    pushed = checkout.push(
        files.patch(story),
        base=job.commit,
        branch=branch,
        message=files.commit_message(story).decode(),
        directory=job.directory,
    )
    current = newest if newest is not None and newest.state == "open" else None
    if pushed.state == "foreign":
        return _proposal("taken", "somebody commits to its branch", attempt.signature, current)
    title, body = _title(story), _body(story, attempt)
    if current is None:
        made = repository.open_pull_request(
            title=title, body=body, branch=branch, base=job.branch, draft=job.draft
        )
        repository.label(made.number, job.labels)
        return _proposal("opened", line(story.report.reason), attempt.signature, made)
    if pushed.state == "same":
        return _proposal("unchanged", "it holds this patch", attempt.signature, current)
    repository.change_pull_request(current.number, title=title, body=body)
    return _proposal("updated", line(story.report.reason), attempt.signature, current)


def _attempt(name: str, story: Story | None, job: Job, now: datetime) -> Attempt:
    if story is None:
        return Attempt(at=now, branch=job.branch, status="lost", cost=job.allowance)
    report = story.report
    tests = report.fixed or report.still_failing
    return Attempt(
        at=now,
        branch=job.branch,
        signature=signature(name, tests) if tests else "",
        status=report.status.value,
        cost=_cost(report.cost, job.allowance),
    )


def _cost(said: float | None, allowance: float) -> float:
    """What the repair says that it cost; all that it might have, if it doesn't or that can't be."""
    return allowance if said is None or not math.isfinite(said) or said < 0 else said


def _told(attempt: Attempt) -> str:
    return f"{code(attempt.branch)}: {attempt.status}, ${attempt.cost:.4f}"


def _settled(newest: PullRequest, job: Job) -> tuple[State, str] | None:
    """Why nothing is to be pushed, if people have decided already."""
    if newest.state != "open":
        closed = newest.merged_at is None
        return ("declined", "it was closed without a merge") if closed else None
    if newest.base.ref != job.branch:
        return "elsewhere", f"there is one into {line(newest.base.ref, 100)}"
    return None


def _proposal(state: State, reason: str, signature: str, one: PullRequest | None) -> Proposal:
    return Proposal(
        state=state,
        reason=reason,
        signature=signature,
        number=one.number if one else 0,
        url=one.html_url if one else "",
    )


def _title(story: Story) -> str:
    first = story.report.message.partition("\n")[0]
    return inert(line(first, 120)) or "Make failing tests pass"


def _body(story: Story, attempt: Attempt) -> str:
    """The note, the report made anew from its parts, and what people may expect."""
    report = markdown.render(story).decode()
    body = f"{write_marker(attempt)}\n{report}\n{_FOOTER}\n"
    assert len(body) <= _BODY_CHARS, "the report leaves no room for the rest"
    return body


def labels_of(words: Sequence[str]) -> tuple[str, ...]:
    """Labels as words: none twice, none empty."""
    return tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
