"""The ask/tell protocol: a strategy is a stateless algorithm over a serialisable state.

`ask` proposes work, `tell` takes in what became of it; both return a new state. Whatever runs,
pays, cancels, records and resumes is the loop's business. The shape follows treequest's
`algos/base.py` (Sakana AI, 2025).
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from sandbox.outcome import Outcome
from tasks.model import PublicTask
from verifiers.verdict import Verdict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StrategyOptions(_Frozen):
    """What a user can set of any strategy; each takes what concerns it.

    Attributes:
        n: samples at the most.
        temperature: sampling temperature.
        exhaustive: go on after a verified pass, to measure.
    """

    n: int = Field(default=10, ge=1)
    temperature: float = Field(default=0.8, ge=0)
    exhaustive: bool = False


class Proposal(_Frozen):
    """One piece of work: a completion to draw.

    Attributes:
        index: the sample's number within its task, from 0, never used twice.
        kind: what to ask for; a fresh sample of the whole program.
        temperature: sampling temperature.
    """

    index: int
    kind: Literal["sample"] = "sample"
    temperature: float = 0.8


class Seen(_Frozen):
    """What a strategy remembers of a candidate it was told of."""

    index: int
    passed: bool
    reward: float
    runs: bool
    """Whether it at least got as far as being asked something."""


class SearchState(_Frozen):
    """The state that every strategy has; strategies may add to it."""

    asked: int = 0
    seen: tuple[Seen, ...] = ()
    exhausted: bool = False
    """No more work may be proposed: the model's bank or the budget is at its end."""

    @property
    def best(self) -> Seen | None:
        """The candidate to return: passed before reward before running before the first."""
        if not self.seen:
            return None
        return max(self.seen, key=lambda one: (one.passed, one.reward, one.runs, -one.index))


State = TypeVar("State", bound=SearchState)


class Strategy(Protocol[State]):
    """A search algorithm."""

    @property
    def name(self) -> str:
        """The name under which it is registered."""
        ...

    def start(self, task: PublicTask) -> State:
        """The state before anything was proposed. The task has no hidden tests in it."""
        ...

    def ask(self, state: State, k: int) -> tuple[State, tuple[Proposal, ...]]:
        """Up to `k` proposals; none when there is nothing to do before more is told."""
        ...

    def tell(self, state: State, proposal: Proposal, verdict: Verdict) -> State:
        """Takes in a verdict. Called in the order of the proposals' indices."""
        ...

    def finished(self, state: State) -> bool:
        """Whether the search is over, so that work under way can be cancelled."""
        ...


def seen(proposal: Proposal, verdict: Verdict) -> Seen:
    """What to remember of one verdict."""
    imported = all(test.name != "import" for test in verdict.tests)
    return Seen(
        index=proposal.index,
        passed=verdict.passed,
        reward=verdict.reward,
        # without a test in the verdict, only a failed run says that there was one
        runs=imported and (bool(verdict.tests) or verdict.outcome is Outcome.FAILED),
    )
