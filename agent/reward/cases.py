"""What a reward is learned from: groups of programs, and the share that passes what was held out.

Some of a task's visible tests are held out. The programs that pass the others are grouped as in a
search that sees only those, and a group's label is the share of its programs that pass the tests
held out as well: a Monte Carlo value, in which no test has a part that the search could not see.
Labels by completions in place of people: Wang et al., "Math-Shepherd: Verify and Reinforce LLMs
Step-by-step without Human Annotations" (2024).
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from agent.reward.signs import GroupSigns, signs_of
from agent.search.base import Proposal, without_addresses
from agent.search.votes import Vote, grouped, vote_of
from sandbox.outcome import Outcome
from verifiers.verdict import Verdict

_DRAWS = (5, 10, 20, 35, 50, 75, 100)
"""After how many samples a search is looked at, and at its end."""
_ORDERS = 2
"""Shuffled orders of a task's samples, beside their own."""
_CHOICES = 6
"""Ways to hold tests out, at the most, for one task."""


class TestSeen(BaseModel):
    """What one visible test saw of a program.

    Attributes:
        name: of the test.
        passed: whether it passed.
        told: a digest of what was got.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    passed: bool
    told: str = ""


class Sighting(BaseModel):
    """One program of a search, as its visible verdict shows it.

    Attributes:
        vote: what it said to the probes; what the tests saw is in `tests`.
        tests: in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vote: Vote
    tests: tuple[TestSeen, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One group of programs in one state of a search.

    Attributes:
        task: of the search.
        signs: for the group.
        right: share of its programs that pass the tests held out, too.
        weight: the cases of a task weigh 1 in all.
        size: programs in the group.
    """

    task: str
    signs: GroupSigns
    right: float
    weight: float
    size: int


def sighting(index: int, verdict: Verdict) -> Sighting:
    """What is remembered of a program with this verdict by visible tests."""
    seen = tuple(
        TestSeen(
            name=test.name,
            passed=test.outcome is Outcome.PASSED,
            told=_digest(without_addresses(test.detail.split("\n", 1)[0])),
        )
        for test in verdict.counted
    )
    return Sighting(vote=vote_of(Proposal(index=index), verdict), tests=seen)


def cases(task: str, sightings: Sequence[Sighting], *, seed: int = 0) -> list[Case]:
    """The cases of one task; none if it has fewer than two visible tests.

    Args:
        task: its name.
        sightings: its programs in the order in which they were drawn.
        seed: of the orders and of which tests are held out.
    """
    names = names_of(sightings)
    draw = random.Random(f"{seed}/{task}")
    own = list(range(len(sightings)))
    orders = [own, *(draw.sample(own, len(own)) for _ in range(_ORDERS))]
    found: list[Case] = []
    for shown in _choices(names, draw):
        held = set(names) - shown
        votes = [_vote(one, shown, place) for place, one in enumerate(sightings)]
        rights = [_passes(one, held) for one in sightings]
        for order in orders:
            for count in sorted({*(n for n in _DRAWS if n < len(order)), len(order)}):
                found += _after(task, [votes[place] for place in order[:count]], rights)
    total = sum(one.weight for one in found)
    return [Case(one.task, one.signs, one.right, one.weight / total, one.size) for one in found]


def names_of(sightings: Sequence[Sighting]) -> tuple[str, ...]:
    """The names of a task's tests: as most of its programs were asked them."""
    asked = Counter(tuple(dict.fromkeys(test.name for test in one.tests)) for one in sightings)
    return max(asked, key=lambda names: (len(names), asked[names]), default=())


def _choices(names: Sequence[str], draw: random.Random) -> list[frozenset[str]]:
    """Which tests are shown: never all of them, and one at least."""
    sets = [
        frozenset(shown)
        for count in range(1, len(names))
        for shown in itertools.islice(itertools.combinations(names, count), 200)
    ]
    draw.shuffle(sets)
    return sorted(sets[:_CHOICES], key=sorted)


def _vote(one: Sighting, shown: frozenset[str], place: int) -> Vote:
    """The vote of a program in a search that sees these tests only."""
    seen = [test for test in one.tests if test.name in shown]
    passed = _passes(one, shown)
    reward = sum(test.passed for test in seen) / len(shown)
    did = _digest(repr([(test.name, test.passed, test.told) for test in seen]), *one.vote.answers)
    return one.vote.model_copy(
        update={"index": place, "passed": passed, "reward": reward, "did": did}
    )


def _passes(one: Sighting, wanted: frozenset[str] | set[str]) -> bool:
    return wanted <= {test.name for test in one.tests if test.passed}


def _after(task: str, votes: Sequence[Vote], rights: Sequence[bool]) -> list[Case]:
    """The groups of those that pass, after so many draws."""
    passing = [vote for vote in votes if vote.passed]
    if not passing:
        return []
    groups = grouped(passing)
    return [
        Case(
            task=task,
            signs=signs,
            right=sum(rights[vote.index] for vote in group.members) / group.size,
            weight=group.size / len(passing),
            size=group.size,
        )
        for group, signs in zip(groups, signs_of(votes, groups), strict=True)
    ]


def _digest(*texts: str) -> str:
    whole = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(whole).hexdigest()[:16]
