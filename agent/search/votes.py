"""What programs agree on: votes on the answers to probes, and which of them to believe.

Grouping by behaviour and taking the largest group: Chen et al., "CodeT: Code Generation with
Generated Tests" (2022), and Li et al., "Competition-Level Code Generation with AlphaCode" (2022).
When to stop asking for votes: Aggarwal et al., "Let's Sample Step by Step: Adaptive-Consistency for
Efficient Reasoning and Coding with LLMs" (2023).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from operator import and_

from pydantic import BaseModel, ConfigDict

from agent.search.base import Proposal, behaviour
from sandbox.jobs import COMMON_BITS
from sandbox.outcome import Outcome
from verifiers.verdict import Verdict

SHARING = 2.0
"""What a mean sharer of an answer counts, against one of the same group. Of 0, 0.3, 1, 3 and 30 the
best for 8 to 100 draws of half of the tasks of a recorded bank, by little."""


NEAR = 0.02
"""The share of answers in which groups may differ that another sample need not decide between: most
often both are right, and differ on an input that nobody had in mind. Of 0, 0.02, 0.05 and 0.1 the
one that stops soonest, for 2 to 8 orders of a recorded bank's samples, without a worse choice."""


class Vote(BaseModel):
    """What one program said.

    Attributes:
        index: of its proposal.
        passed: whether it passed every visible test; where there is none, whether it gave a value
            to any probe.
        reward: its partial pass rate.
        answers: to the probes, as far as it got; equal ones are the same answer.
        raised: share of the answers that are no value: exceptions, timeouts, objects.
        changed: whether it changed an argument in place.
        common: what all its values have in common with the arguments, as bits; see
            `sandbox.jobs.Observation`.
        steady: whether it gave the same answers when asked once more, as far as it was.
        idempotent: whether it makes of each of its answers what that is; `None` if nobody asked.
        did: what tests and probes saw, as one digest.
        size: of its code, in nodes of its syntax tree; 0 where nobody has counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    passed: bool
    reward: float = 0.0
    answers: tuple[str, ...] = ()
    raised: float = 0.0
    changed: bool = False
    common: int = 0
    steady: bool = True
    idempotent: bool | None = None
    did: str = ""
    size: int = 0


def vote_of(proposal: Proposal, verdict: Verdict) -> Vote:
    """The vote of a program with this verdict."""
    probes = verdict.probes
    values = sum(probe.kind == "value" for probe in probes)
    returned = [probe.idempotent for probe in probes if probe.idempotent is not None]
    untested = not verdict.tests and verdict.outcome is Outcome.FAILED
    return Vote(
        index=proposal.index,
        passed=verdict.passed or (untested and values > 0),
        reward=verdict.reward,
        answers=tuple(probe.answer for probe in probes),
        raised=1 - values / len(probes) if probes else 0.0,
        changed=any(probe.changed for probe in probes),
        common=reduce(and_, (probe.common for probe in probes if probe.kind == "value"), -1)
        if values
        else 0,
        steady=all(probe.steady is not False for probe in probes),
        idempotent=all(returned) if returned else None,
        did=behaviour(verdict),
        size=verdict.size,
    )


def _has_in_common(bit: int, vote: Vote) -> bool:
    return bool(vote.common >> bit & 1)


@dataclass(frozen=True, slots=True)
class Group:
    """Votes that gave the same answers to all probes.

    Attributes:
        members: in the order of their proposals.
        sharing: how many of all votes that count share its answer to a probe, on the mean.
    """

    members: tuple[Vote, ...]
    sharing: float

    @property
    def size(self) -> int:
        """How many votes."""
        return len(self.members)


_HABITS: tuple[Callable[[Vote], bool | None], ...] = (
    lambda vote: vote.steady,
    lambda vote: not vote.changed,
    lambda vote: vote.idempotent,
    lambda vote: vote.raised == 0,
    *(partial(_has_in_common, bit) for bit in range(COMMON_BITS)),
)
"""What may be expected of a function where others do so: to give the same answer to the same
question, to leave its arguments alone, to leave alone what it has made itself, to answer at all, to
give as many items as it got, none but those that it got, or just those, in whatever order."""
_HAVING = 0.5
"""The share of groups that have a habit from which on it is expected of the others. What holds for
all answers of half of the groups is hardly there by chance: they differ, so they speak for
themselves."""
BROKEN = 1.0
"""Votes that a group loses for each habit that is expected and that it hasn't."""

Worth = Callable[[Sequence[Vote], Sequence[Group]], Sequence[float]]
"""What each group is worth, given all votes and the groups of those that count."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the votes stand.

    Attributes:
        chosen: the vote to believe.
        votes: that counted: of programs that pass, or of the best of those that don't.
        lead: how many of them are of the chosen one's group, which gave the same answers to all.
        second: how many are of the next largest group.
        camp: how many are of the chosen one's group or of one that is near it.
        rival: how many are of the largest group that isn't.
        agreement: the mean share of votes that gave the chosen one's answer to a probe.
        worth: of the chosen one's group.
    """

    chosen: Vote
    votes: int
    lead: int
    second: int
    camp: int
    rival: int
    agreement: float
    worth: float


def by_size(_votes: Sequence[Vote], groups: Sequence[Group]) -> list[float]:
    """The size of a group, and the mean number of votes that share its answer to a probe.

    So two groups that differ on an odd input only help each other against a third. Less what
    speaks against it: crashes, and habits that it breaks.
    """
    return [
        group.size + SHARING * group.sharing - group.members[0].raised - BROKEN * count
        for group, count in zip(groups, broken(groups), strict=True)
    ]


def broken(groups: Sequence[Group]) -> list[int]:
    """How many habits of the other groups each breaks."""
    counts = [0] * len(groups)
    for habit in _HABITS:
        told = [habit(group.members[0]) for group in groups]
        having = told.count(True)
        if having and having >= _HAVING * (len(told) - told.count(None)):
            counts = [count + (one is False) for count, one in zip(counts, told, strict=True)]
    return counts


def standing(votes: Sequence[Vote], worth: Worth = by_size) -> Standing | None:
    """Which vote to believe, and how far the others stand behind it; `None` if there is none.

    Programs that pass go before all others; failing them, those with the highest reward. Among
    them the group that is worth most is believed.

    Args:
        votes: all that were counted.
        worth: of groups.
    """
    groups = grouped(entitled(votes))
    if not groups:
        return None
    worths = worth(votes, groups)
    best = max(range(len(groups)), key=lambda place: (worths[place], -place))
    others = [group.size for place, group in enumerate(groups) if place != best]
    counted = sum(group.size for group in groups)
    far = [group.size for group in groups if not _are_near(group, groups[best])]
    return Standing(
        chosen=groups[best].members[0],
        votes=counted,
        lead=groups[best].size,
        second=max(others, default=0),
        camp=counted - sum(far),
        rival=max(far, default=0),
        agreement=groups[best].sharing / counted,
        worth=worths[best],
    )


def _are_near(one: Group, other: Group) -> bool:
    """Whether their answers are the same, or differ on hardly any probe."""
    if one is other:
        return True
    answers, others = one.members[0].answers, other.members[0].answers
    different = sum(a != b for a, b in zip(answers, others, strict=False))
    different += abs(len(answers) - len(others))
    return bool(answers) and different <= NEAR * max(len(answers), len(others))


def grouped(counted: Sequence[Vote]) -> list[Group]:
    """Votes by what they did, in the order of the first of each group."""
    found: dict[object, list[Vote]] = {}
    for vote in counted:
        found.setdefault(vote.answers or vote.did, []).append(vote)
    members = list(found.values())
    return [
        Group(tuple(own), sharing)
        for own, sharing in zip(members, _sharing(members) if members else (), strict=True)
    ]


def entitled(votes: Sequence[Vote]) -> list[Vote]:
    """The votes that count: of those that pass; if none does, of those that come closest."""
    passing = [vote for vote in votes if vote.passed]
    if passing:
        return passing
    most = max((vote.reward for vote in votes), default=0.0)
    closest = [vote for vote in votes if vote.reward == most]
    return [vote for vote in closest if vote.answers] or closest


def _sharing(groups: Sequence[Sequence[Vote]]) -> list[float]:
    """For each group, how many votes share its answer to a probe, on the mean over the probes."""
    probes = max(len(group[0].answers) for group in groups)
    counts: list[Counter[str]] = [Counter() for _ in range(probes)]
    for group in groups:
        for count, answer in zip(counts, group[0].answers, strict=False):
            count[answer] += len(group)
    return [
        sum(count[answer] for count, answer in zip(counts, group[0].answers, strict=False))
        / max(probes, 1)
        for group in groups
    ]


@lru_cache(maxsize=4096)
def stays_ahead(lead: int, second: int) -> float:
    """The probability that the leading answer is also the likelier one, given counts of two.

    The Beta criterion of adaptive consistency (Aggarwal et al., 2023, section 3): with a uniform
    prior, `P(p > 1/2)` under `Beta(lead + 1, second + 1)`, here as the binomial tail that it is.
    """
    flips = lead + second + 1
    return float(sum(math.comb(flips, heads) for heads in range(lead + 1)) / 2**flips)
