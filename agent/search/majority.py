"""Majority vote: self-consistency for programs, by what they do instead of by their text.

Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models" (2023). Two
programs vote for the same thing if the visible tests saw them do the same: the same outcome of
each test, with the same value where one failed. Without a visible test nothing can be told apart,
and all that run are one group.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from agent.search.base import Proposal, SearchState, Seen, StrategyOptions, seen
from agent.search.options import OwnOptions, read_own
from tasks.model import PublicTask
from verifiers.verdict import Verdict


class MajorityOptions(OwnOptions):
    """Options of the vote.

    Attributes:
        filter: a program that passes goes before any vote, and ends the search; without it the
            largest group wins whatever the tests say, as in the paper.
    """

    filter: bool = True


class MajorityState(SearchState):
    """Votes are what was seen; `best` is decided by them."""

    filter: bool = True

    @property
    def best(self) -> Seen | None:
        """The first of the largest group; of two as large, of that with the higher reward."""
        whole = sorted((one for one in self.seen if one.whole), key=lambda one: one.index)
        if not whole:
            return None
        sizes = votes(whole)
        return max(
            whole,
            key=lambda one: (
                one.passed and self.filter,
                sizes[one.behaviour],
                one.reward,
                -one.index,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Majority:
    """Draws up to `n` samples and takes the first one of the largest group."""

    n: int = 10
    temperature: float = 0.8
    exhaustive: bool = False
    own: MajorityOptions = field(default_factory=MajorityOptions)
    name: str = "majority"

    def start(self, task: PublicTask) -> MajorityState:
        """Nothing asked, nothing seen."""
        return MajorityState(filter=self.own.filter)

    def ask(self, state: MajorityState, k: int) -> tuple[MajorityState, tuple[Proposal, ...]]:
        """The next fresh samples."""
        over = state.exhausted or self.finished(state)
        count = 0 if over else min(k, self.n - state.asked)
        proposals = tuple(
            Proposal(index=state.asked + offset, temperature=self.temperature)
            for offset in range(count)
        )
        return state.model_copy(update={"asked": state.asked + count}), proposals

    def tell(self, state: MajorityState, proposal: Proposal, verdict: Verdict) -> MajorityState:
        """Counts one more vote."""
        return state.model_copy(update={"seen": (*state.seen, seen(proposal, verdict))})

    def finished(self, state: MajorityState) -> bool:
        """When no group can overtake the largest any more, or at a pass where that decides."""
        left = self.n - len(state.seen)
        if left <= 0:
            return True
        if self.exhaustive:
            return False
        if self.own.filter:
            return any(one.passed for one in state.seen)
        first, second = [*(size for _, size in votes(state.seen).most_common(2)), 0, 0][:2]
        return first > second + left


def votes(seen: tuple[Seen, ...] | list[Seen]) -> Counter[str]:
    """How many programs there are of each behaviour."""
    return Counter(one.behaviour for one in seen if one.whole)


def build(options: StrategyOptions) -> Majority:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that the vote doesn't have.
    """
    return Majority(
        n=options.n,
        temperature=options.temperature,
        exhaustive=options.exhaustive,
        own=read_own("majority", MajorityOptions, options),
    )
