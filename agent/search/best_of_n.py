"""Best-of-N: independent samples, until one is verified or all N are drawn.

Brown et al., "Large Language Monkeys: Scaling Inference Compute with Repeated Sampling" (2024),
with a stopping rule: where a verifier decides, nothing is gained by drawing on after a pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.search.base import Proposal, SearchState, StrategyOptions, seen
from tasks.model import PublicTask
from verifiers.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN:
    """Draws up to `n` fresh samples.

    Args:
        n: samples at the most.
        temperature: of every sample.
        exhaustive: draw all `n` even after a pass.
    """

    n: int = 10
    temperature: float = 0.8
    exhaustive: bool = False
    name: str = "best-of-n"

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n is {self.n}: give 1 or more samples")

    def start(self, task: PublicTask) -> SearchState:
        """Nothing asked, nothing seen."""
        return SearchState()

    def ask(self, state: SearchState, k: int) -> tuple[SearchState, tuple[Proposal, ...]]:
        """The next fresh samples."""
        count = 0 if state.exhausted else min(k, self.n - state.asked)
        proposals = tuple(
            Proposal(index=state.asked + offset, temperature=self.temperature)
            for offset in range(count)
        )
        return state.model_copy(update={"asked": state.asked + count}), proposals

    def tell(self, state: SearchState, proposal: Proposal, verdict: Verdict) -> SearchState:
        """Remembers the candidate."""
        return state.model_copy(update={"seen": (*state.seen, seen(proposal, verdict))})

    def finished(self, state: SearchState) -> bool:
        """At the first verified pass, or when all are drawn."""
        if not self.exhaustive and any(one.passed for one in state.seen):
            return True
        return len(state.seen) >= self.n


def build(options: StrategyOptions) -> BestOfN:
    """From what the user set."""
    return BestOfN(n=options.n, temperature=options.temperature, exhaustive=options.exhaustive)
