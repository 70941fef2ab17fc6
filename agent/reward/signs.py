"""What a learned reward looks at in a group of programs that do the same: visible things only.

Verdicts by visible tests, what the programs answered to probes, how the group stands among the
others, and how long its code is. How long a program ran is left out: that differs from run to run,
and the same samples have to end in the same choice. So is how many tests there are: fewer are shown
where a model learns than where it is used.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from statistics import median

from agent.reward.model import RewardModel
from agent.search.votes import Group, Vote, Worth, by_size, stays_ahead


@dataclass(frozen=True, slots=True)
class GroupSigns:
    """What speaks for a group and against it.

    Attributes:
        size: programs in it, as a logarithm.
        share: of the programs that count, which are in it; drawn towards a half where few are.
        ahead: the probability that it stays ahead of the largest of the others.
        agreement: the mean share of the programs that count which answer a probe as it does.
        consensus: the same among all programs, those that fail a test included.
        passing: programs that count, as the logarithm of one more.
        rate: the share of all programs that they are.
        groups: the share of them that begin a group of their own.
        failures: kinds of failure to a failure.
        raised: share of its answers that are no value.
        varied: different answers to an answer; a function that says always the same has few.
        changed: whether it changes its arguments.
        length: of its code against that of the programs that count, as the logarithm of the ratio.
        bulk: its code's length, as the logarithm of one more.
    """

    size: float
    share: float
    ahead: float
    agreement: float
    consensus: float
    passing: float
    rate: float
    groups: float
    failures: float
    raised: float
    varied: float
    changed: float
    length: float
    bulk: float

    @property
    def values(self) -> tuple[float, ...]:
        """In the order of `SIGNS`."""
        return astuple(self)


SIGNS = tuple(field.name for field in fields(GroupSigns))


def signs_of(votes: Sequence[Vote], groups: Sequence[Group]) -> list[GroupSigns]:
    """The signs of each group.

    Args:
        votes: all.
        groups: of those that count.
    """
    counted = sum(group.size for group in groups)
    failed = [vote for vote in votes if not vote.passed]
    kinds = len({vote.did for vote in failed})
    usual = _typical([vote for group in groups for vote in group.members])
    answered = _answers(votes)
    found = []
    for group in groups:
        first, own = group.members[0], _typical(group.members)
        second = max((other.size for other in groups if other is not group), default=0)
        said = first.answers
        shared = sum(count[answer] for count, answer in zip(answered, said, strict=False))
        found.append(
            GroupSigns(
                size=math.log(group.size),
                share=(group.size + 0.5) / (counted + 1),
                ahead=stays_ahead(group.size, second),
                agreement=group.sharing / counted,
                consensus=shared / (max(1, len(answered)) * len(votes)),
                passing=math.log1p(counted),
                rate=counted / len(votes),
                groups=len(groups) / counted,
                failures=kinds / len(failed) if failed else 0.5,
                raised=first.raised,
                varied=len(set(said)) / max(1, len(said)),
                changed=float(first.changed),
                length=math.log(own / usual) if own and usual else 0.0,
                bulk=math.log1p(own),
            )
        )
    return found


def learned(model: RewardModel) -> Worth:
    """What groups are worth by a learned model; those that fail a test, by their size as ever."""

    def worth(votes: Sequence[Vote], groups: Sequence[Group]) -> list[float]:
        if not groups[0].members[0].passed:
            return by_size(votes, groups)
        return [model.value(signs.values) for signs in signs_of(votes, groups)]

    return worth


def _typical(votes: Sequence[Vote]) -> float:
    return float(median([vote.size for vote in votes if vote.size] or [0]))


def _answers(votes: Sequence[Vote]) -> list[Counter[str]]:
    """For each probe, how many programs gave each answer."""
    counts: list[Counter[str]] = [Counter() for _ in range(max(len(v.answers) for v in votes))]
    for vote in votes:
        for count, answer in zip(counts, vote.answers, strict=False):
            count[answer] += 1
    return counts
