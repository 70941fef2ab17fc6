"""Best-of-N: independent samples, until one is verified or all N are drawn.

Brown et al., "Large Language Monkeys: Scaling Inference Compute with Repeated Sampling" (2024),
with a stopping rule: where a verifier decides, nothing is gained by drawing on after a pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from agent.search.base import Proposal, SearchState, StrategyOptions, seen
from agent.search.options import OwnOptions, read_own
from tasks.model import PublicTask
from verifiers.verdict import Verdict


class BestOfNOptions(OwnOptions):
    """Options of best-of-n.

    Attributes:
        temperature_end: temperature of the last sample; between the first and the last it changes
            evenly. Unset: the same for all.
    """

    temperature_end: float | None = Field(default=None, ge=0, le=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN:
    """Draws up to `n` fresh samples.

    Args:
        n: samples at the most.
        temperature: of every sample, or of the first one.
        exhaustive: draw all `n` even after a pass.
        temperature_end: of the last sample, if it is another.
    """

    n: int = 10
    temperature: float = 0.8
    exhaustive: bool = False
    temperature_end: float | None = None
    name: str = "best-of-n"

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n is {self.n}: give 1 or more samples")

    def start(self, task: PublicTask) -> SearchState:
        """Nothing asked, nothing seen."""
        return SearchState()

    def ask(self, state: SearchState, k: int) -> tuple[SearchState, tuple[Proposal, ...]]:
        """The next fresh samples."""
        over = state.exhausted or self.finished(state)
        count = 0 if over else min(k, self.n - state.asked)
        proposals = tuple(
            Proposal(
                index=state.asked + offset, temperature=self._temperature(state.asked + offset)
            )
            for offset in range(count)
        )
        return state.model_copy(update={"asked": state.asked + count}), proposals

    def _temperature(self, index: int) -> float:
        if self.temperature_end is None or self.n == 1:
            return self.temperature
        return self.temperature + (self.temperature_end - self.temperature) * index / (self.n - 1)

    def tell(self, state: SearchState, proposal: Proposal, verdict: Verdict) -> SearchState:
        """Remembers the candidate."""
        return state.model_copy(update={"seen": (*state.seen, seen(proposal, verdict))})

    def finished(self, state: SearchState) -> bool:
        """At the first verified pass, or when all are drawn."""
        if not self.exhaustive and any(one.passed for one in state.seen):
            return True
        return len(state.seen) >= self.n


def build(options: StrategyOptions) -> BestOfN:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that it doesn't have.
    """
    own = read_own("best-of-n", BestOfNOptions, options)
    return BestOfN(
        n=options.n,
        temperature=options.temperature,
        exhaustive=options.exhaustive,
        temperature_end=own.temperature_end,
    )
