"""Beam search over repairs: the best few of a wave are repaired, each several times.

Snell et al., "Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling Model
Parameters" (2024), section 5.2, with the partial pass rate as the reward of a step and repairs as
steps. A chain of repairs is worth its last state. When a beam has reached its depth and samples are
left, another one is begun.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field

from agent.search.base import Seen, StrategyOptions
from agent.search.rewards import REPAIRS, Aggregate
from agent.search.tree import (
    Idea,
    PlainTreeSearch,
    TreeOptions,
    TreeState,
    common,
    distinct,
    ranked,
    read_tree,
    worth,
)


class BeamOptions(TreeOptions):
    """Options of beam search.

    Attributes:
        width: nodes that are kept of a wave (K).
        expand: repairs of each node that is kept (M); the first wave has `width` times as many
            fresh samples.
        depth: waves of repairs after the fresh ones. Deep repair is poor value.
        aggregate: how the rewards of a chain of repairs become one: `last`, `min`, `product` or
            `mean`.
    """

    width: int = Field(default=2, ge=1)
    expand: int = Field(default=2, ge=1)
    depth: int = Field(default=2, ge=0)
    aggregate: Aggregate = REPAIRS


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam(PlainTreeSearch):
    """Keeps `width` nodes and expands each `expand` times, `depth` times over."""

    own: BeamOptions = field(default_factory=BeamOptions)
    name: str = "beam"

    def ideas(self, state: TreeState) -> tuple[Idea, ...]:
        """The next wave, once the one before has been told as a whole."""
        if state.open:
            return ()
        own = self.own
        group = max((one.group for one in state.seen), default=0)
        beam = [one for one in state.seen if one.group == group]
        waves = len({one.step for one in beam if one.kind != "edit"})
        if not beam or waves > own.depth:
            group += bool(beam)
            return (Idea(group=group),) * (own.width * own.expand)
        return tuple(
            Idea(kind="repair", parent=node.index, step=waves, group=group)
            for node in self._kept(state, beam)
            for _ in range(own.expand)
        )

    def _kept(self, state: TreeState, beam: list[Seen]) -> list[Seen]:
        """The best of the beam so far, of different behaviours where there are enough.

        A node stays in the race when its repairs are worse than it is.
        """
        nodes, how = state.nodes, self.own.aggregate
        ordered = ranked(one for one in beam if one.whole)
        ordered.sort(key=lambda one: -worth(nodes, one, how))
        return distinct(ordered)[: self.own.width]


def build(options: StrategyOptions) -> Beam:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that beam search doesn't have.
    """
    own = read_tree("beam", BeamOptions, options)
    return Beam(own=own, **common(options, own))
