"""How far an answer is to be believed, and whether another sample is worth having.

Both are read off what a search saw, with numbers that `bench/search.py --sections agreement` fitted
on recorded samples and that are shipped as data (`belief.json`). No test that is hidden from a
search is read here, nor anything that was learnt from one in the same run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict

from agent.search.votes import Standing, Vote, stays_ahead


class Signs(BaseModel):
    """What speaks for an answer and against it, each about between 0 and 1.

    Attributes:
        passes: whether it passes the visible tests.
        passing: programs that do, as the logarithm of one more.
        lead: the share of the votes that are of its group, drawn towards a half where few are.
        ahead: the probability that it stays ahead of the next largest group.
        agreement: the mean share of votes that gave its answers.
        rate: the share of all samples that pass.
        examples: visible tests, as the logarithm of one more.
        raised: share of its answers that are no value.
        reward: partial pass rate, of one that doesn't pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    passes: float
    passing: float
    lead: float
    ahead: float
    agreement: float
    rate: float
    examples: float
    raised: float
    reward: float


def signs(votes: Sequence[Vote], stands: Standing, examples: int) -> Signs:
    """The signs for the vote that is believed.

    Args:
        votes: all that were counted.
        stands: how they stand.
        examples: visible tests of the task.
    """
    passing = sum(vote.passed for vote in votes)
    return Signs(
        passes=float(stands.chosen.passed),
        passing=math.log1p(passing),
        lead=(stands.lead + 0.5) / (stands.votes + 1),
        ahead=stays_ahead(stands.lead, stands.second),
        agreement=stands.agreement,
        rate=passing / len(votes),
        examples=math.log1p(examples),
        raised=stands.chosen.raised,
        reward=stands.chosen.reward,
    )


class Logistic(BaseModel):
    """A small logistic model.

    Attributes:
        bias: the logit where all signs are 0.
        weights: of signs by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bias: float
    weights: Mapping[str, float]

    def probability(self, signs: Signs) -> float:
        """The probability that what the signs speak for is right."""
        logit = self.bias + sum(
            weight * float(getattr(signs, name)) for name, weight in self.weights.items()
        )
        return 1 / (1 + math.exp(-logit))


class Belief(BaseModel):
    """What was learnt on recorded samples.

    Attributes:
        passing: how likely a program is right that passes the visible tests.
        failing: how likely one is that doesn't.
        first: samples that pass, by which one begins before any was drawn; the more kinds of
            failure are seen, the larger it is, by `variety` for each doubling.
        variety: see `first`.
        price: of a sample, as a chance to settle the answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    passing: Logistic
    failing: Logistic
    first: float
    variety: float
    price: float

    def right(self, signs: Signs) -> float:
        """The probability that the answer is right by tests that nobody has seen."""
        return (self.passing if signs.passes else self.failing).probability(signs)

    def worth(self, votes: Sequence[Vote], stands: Standing | None) -> float:
        """What the next sample is worth, in prices of one: below 1 it isn't worth having.

        The chance that it passes, times the chance that the answer is not settled yet. Partial
        pass rates don't tell whether anything will ever pass; the variety of failures does.
        """
        failures = len({vote.did for vote in votes if not vote.passed})
        passing = sum(vote.passed for vote in votes)
        first = self.first * (1 + self.variety * math.log2(1 + failures))
        chance = (passing + first) / (len(votes) + 2 * first)
        open_yet = 1.0
        if passing and stands is not None:
            open_yet = 1 - stays_ahead(stands.lead, stands.second)
        return chance * open_yet / self.price


@cache
def usual_belief() -> Belief:
    """The one that is shipped."""
    text = (resources.files("agent.search") / "belief.json").read_text(encoding="utf-8")
    return Belief.model_validate(json.loads(text))
