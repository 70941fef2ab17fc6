"""A bank of recorded samples as a search with agreement sees them, each program run once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.reward.cases import Sighting, sighting
from agent.reward.code import code_size
from agent.search.votes import Vote
from agent.verification import Sample
from bench.search_bank import Recorded, read_bank
from bench.search_common import SearchOptions
from bench.search_observed import observed
from verifiers.inputs import example_arguments
from verifiers.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Searched:
    """A recorded task.

    Attributes:
        name: of the task.
        tests: visible ones, as far as one can count them.
        votes: of its programs.
        right: whether each passes the official tests.
        sightings: of its programs.
    """

    name: str
    tests: int
    votes: tuple[Vote, ...]
    right: tuple[bool, ...]
    sightings: tuple[Sighting, ...]


def read_sightings(asked: SearchOptions) -> list[Searched]:
    """The bank's programs as a search with agreement sees them, each run once.

    Raises:
        MissingDataError: there is no bank.
    """
    bank = read_bank(asked)
    seen = observed(asked, bank, "sighting", Sighting, _sighting)
    return [_searched(one, seen[one.task.id]) for one in bank]


def _searched(recorded: Recorded, seen: Sequence[Sighting]) -> Searched:
    ordered = tuple(sorted(seen, key=lambda one: one.vote.index))
    return Searched(
        name=recorded.task.id,
        tests=len(example_arguments(recorded.task.public())),
        votes=tuple(one.vote for one in ordered),
        right=recorded.right,
        sightings=ordered,
    )


def _sighting(index: int, sample: Sample, verdict: Verdict) -> Sighting:
    return sighting(index, verdict.model_copy(update={"size": code_size(sample.program)}))
