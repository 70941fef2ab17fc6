"""A bank of recorded samples as votes: what each program did on its task's examples and probes."""

from __future__ import annotations

from agent.search.base import Proposal
from agent.search.votes import Vote, vote_of
from agent.verification import Sample
from bench.search_bank import Recorded, read_bank
from bench.search_common import SearchOptions
from bench.search_observed import observed
from verifiers.verdict import Verdict

Votes = dict[str, list[Vote]]
"""Each task's votes in the order of its samples."""


def read_votes(asked: SearchOptions) -> tuple[list[Recorded], Votes]:
    """The bank with its verdicts by all tests, and the votes of its programs.

    Programs are run once, by the visible tests and the probes, and what they did is kept in a file.

    Raises:
        MissingDataError: there is no bank.
    """
    bank = read_bank(asked)
    votes = observed(asked, bank, "vote", Vote, _vote)
    for found in votes.values():
        found.sort(key=lambda vote: vote.index)
    return bank, votes


def _vote(index: int, _sample: Sample, verdict: Verdict) -> Vote:
    return vote_of(Proposal(index=index), verdict)
