"""Beam search over a growing program: one open function after the other.

Snell et al., "Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling Model
Parameters" (2024), section 5.2, with a function as the step. For tasks whose prompt leaves several
functions or methods open; with one, it is best-of-n in waves. A partial program is worth its
weakest step, unless told otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from pydantic import Field

from agent.proposals.parts import open_parts
from agent.search.base import Seen, StrategyOptions
from agent.search.rewards import GROWTH, Aggregate, monte_carlo_value
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
        rollouts: whole programs drawn from each partial one (K); the share that passes is then its
            worth, in place of the steps' rewards. 0: none.
    """

    width: int = Field(default=2, ge=1)
    expand: int = Field(default=2, ge=1)
    aggregate: Aggregate = GROWTH
    rollouts: int = Field(default=0, ge=0)


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
        made = [one for one in state.seen if one.group == group]
        beam = [one for one in made if one.kind in ("step", "sample")]
        step = max((one.step for one in beam), default=-1) + 1
        # of what was written of the last step at all
        usable = [one for one in beam if one.step == step - 1 and not one.whole and one.left]
        rolled = {one.parent for one in made if one.kind == "rollout"}
        if own.rollouts and usable and not rolled & {one.index for one in usable}:
            return tuple(
                Idea(kind="rollout", parent=node.index, step=step, group=group)
                for node in usable
                for _ in range(own.rollouts)
            )
        if not usable:
            kind = "step" if state.parts > 1 else "sample"
            return (Idea(kind=kind, group=group + bool(beam)),) * (own.width * own.expand)
        return tuple(
            Idea(kind="step", parent=node.index, step=step, group=group)
            for node in self._kept(state, usable)
            for _ in range(own.expand)
        )

    def _kept(self, state: GrowState, usable: list[Seen]) -> list[Seen]:
        """The best of them, of different behaviours first."""
        nodes, own = state.nodes, self.own
        passes: dict[int | None, list[bool]] = defaultdict(list)
        for one in state.seen:
            if one.kind == "rollout":
                passes[one.parent].append(one.passed)

        def value(node: Seen) -> float:
            if own.rollouts and passes[node.index]:
                return monte_carlo_value(passes[node.index])
            return worth(nodes, node, own.aggregate)

        ordered = sorted(usable, key=lambda one: (-value(one), one.index))
        return distinct(ordered)[: own.width]


def build(options: StrategyOptions) -> Grow:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that it doesn't have.
    """
    own = read_tree("grow", GrowOptions, options)
    return Grow(own=own, **common(options, own))
