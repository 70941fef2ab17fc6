"""Beam search over a growing program: one open function after the other.

Snell et al., "Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling Model
Parameters" (2024), section 5.2, with a function as the step. For tasks whose prompt leaves several
functions or methods open; with one, it is best-of-n in waves. A partial program is worth its
weakest step, unless told otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field

from agent.proposals.parts import open_parts
from agent.search.base import Seen, StrategyOptions
from agent.search.rewards import GROWTH, Aggregate
from agent.search.tree import (
    Idea,
    TreeOptions,
    TreeSearch,
    TreeState,
    common,
    distinct,
    read_tree,
    worth,
)
from tasks.model import PublicTask


class GrowOptions(TreeOptions):
    """Options of beam search over growing programs.

    Attributes:
        width: partial programs that are kept of a step (K).
        expand: continuations of each (M); the first step has `width` times as many.
        aggregate: how the rewards of the steps become one: `min`, `product`, `mean` or `last`.
    """

    width: int = Field(default=2, ge=1)
    expand: int = Field(default=2, ge=1)
    aggregate: Aggregate = GROWTH


class GrowState(TreeState):
    """The state of a search over growing programs; `parts` functions are open in the prompt."""

    parts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Grow(TreeSearch[GrowState]):
    """Keeps `width` partial programs and writes the next function of each `expand` times."""

    own: GrowOptions = field(default_factory=GrowOptions)
    name: str = "grow"

    def start(self, task: PublicTask) -> GrowState:
        """Nothing written; counts what the prompt leaves open."""
        return GrowState(seed=self.first_seed(task), parts=len(open_parts(task)))

    def ideas(self, state: GrowState) -> tuple[Idea, ...]:
        """The next step of all that was kept, once the step before has been told as a whole."""
        if state.open:
            return ()
        own = self.own
        group = max((one.group for one in state.seen), default=0)
        beam = [one for one in state.seen if one.group == group]
        step = max((one.step for one in beam), default=-1) + 1
        kept = self._kept(state, [one for one in beam if one.step == step - 1])
        if step == 0 or step >= state.parts or not kept:
            kind = "step" if state.parts > 1 else "sample"
            first = Idea(kind=kind, group=group + bool(beam))
            return (first,) * (own.width * own.expand)
        return tuple(
            Idea(kind="step", parent=node.index, step=step, group=group)
            for node in kept
            for _ in range(own.expand)
        )

    def _kept(self, state: GrowState, last: list[Seen]) -> list[Seen]:
        """The best of the last step that got written at all, of different behaviours first."""
        nodes = state.nodes
        usable = [one for one in last if not one.whole and one.left]

        how = self.own.aggregate
        ordered = sorted(usable, key=lambda one: (-worth(nodes, one, how), one.index))
        return distinct(ordered)[: self.own.width]


def build(options: StrategyOptions) -> Grow:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that it doesn't have.
    """
    own = read_tree("grow", GrowOptions, options)
    return Grow(own=own, **common(options, own))
