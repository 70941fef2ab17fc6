"""How far an answer is to be believed, and whether another sample is worth having.

Both are read off what a search saw, with numbers that `bench/search.py --sections agreement` fitted
on recorded samples and that are shipped as data (`belief.json`). No test that is hidden from a
search is read here, nor anything that was learnt from one in the same run.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict

from agent.search.votes import Standing, Vote, stays_ahead

_WORD = re.compile(r"[A-Za-z]{2,}")
_USUAL_WORDS = 50
"""Of a function's stub: the median of HumanEval's."""
_USUAL_VARIETY = 0.5
"""Kinds of failure to a failure, likewise."""
_LEAST_PATIENCE = 0.2


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


class Patience(BaseModel):
    """When to stop drawing.

    Attributes:
        price: of a sample, as a chance to settle the answer.
        most: samples after which what passes is believed as it is.
        tries: samples without one that passes after which a usual task is given up.
        variety: how much longer where the failures are of many kinds.
        brevity: how much longer where the prompt is short.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    price: float
    most: float
    tries: float
    variety: float
    brevity: float

    def goes_on(self, course: Course, factor: float = 1.0) -> bool:
        """Whether the next sample is worth having.

        Where something passes: the chance that the next one does, times the chance that the answer
        is not settled yet, against the price. Where nothing does, only how many were tried; partial
        pass rates don't tell whether anything ever will, the variety of failures does a little.

        Args:
            course: what was drawn.
            factor: by how much more patient it is to be.
        """
        if course.passing:
            chance = course.passing / (course.draws + 2)
            worth = chance * (1 - stays_ahead(course.lead, course.second))
            return worth * factor >= self.price and course.draws < self.most * factor
        share = course.failures / max(course.draws, 1) - _USUAL_VARIETY
        length = math.log(_USUAL_WORDS / max(course.words, 1))
        longer = 1 + self.variety * share + self.brevity * length
        return course.draws < self.tries * factor * max(longer, _LEAST_PATIENCE)


class Course(BaseModel):
    """What a search has drawn, in numbers.

    Attributes:
        draws: samples.
        passing: of them, those that pass.
        failures: kinds of behaviour among the others.
        lead: votes of the group that leads and of those near it, and `second` of the next.
        words: of the prompt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    draws: int
    passing: int
    failures: int
    lead: int
    second: int
    words: int


def course_of(votes: Sequence[Vote], stands: Standing | None, words: int) -> Course:
    """The numbers of some votes."""
    return Course(
        draws=len(votes),
        passing=sum(vote.passed for vote in votes),
        failures=len({vote.did for vote in votes if not vote.passed}),
        lead=stands.camp if stands else 0,
        second=stands.rival if stands else 0,
        words=words,
    )


def words_of(prompt: str) -> int:
    """How many words the last function of a prompt has, code and prose."""
    return len(_WORD.findall(prompt[max(prompt.rfind("def "), 0) :]))


class Belief(BaseModel):
    """What was learnt on recorded samples.

    Attributes:
        passing: how likely a program is right that passes the visible tests.
        failing: how likely one is that doesn't.
        patience: when to stop.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    passing: Logistic
    failing: Logistic
    patience: Patience

    def right(self, signs: Signs) -> float:
        """The probability that the answer is right by tests that nobody has seen."""
        return (self.passing if signs.passes else self.failing).probability(signs)


@cache
def usual_belief() -> Belief:
    """The one that is shipped."""
    text = (resources.files("agent.search") / "belief.json").read_text(encoding="utf-8")
    return Belief.model_validate(json.loads(text))
