"""Beam search over repairs: the best few of a wave are repaired, each several times.

Snell et al., "Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling Model
Parameters" (2024), section 5.2, with the partial pass rate as the reward of a step and repairs as
steps. A chain of repairs is worth its last state. When a beam has reached its depth and samples are
left, another one is begun.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field

from agent.proposals.registry import kind_of
from agent.search.base import Seen, StrategyOptions
from agent.search.options import OwnOptions, read_own
from agent.search.tree import Idea, TreeSearch, TreeState, common, distinct, ranked
from tasks.model import PublicTask


class BeamOptions(OwnOptions):
    """Options of beam search.

    Attributes:
        width: nodes that are kept of a wave (K).
        expand: repairs of each node that is kept (M); the first wave has `width` times as many
            fresh samples.
        depth: waves of repairs after the fresh ones. Deep repair is poor value.
        edits: free edits of each node that is kept, tried before its repairs; they need a kind of
            proposal called `edit`.
    """

    width: int = Field(default=2, ge=1)
    expand: int = Field(default=2, ge=1)
    depth: int = Field(default=2, ge=0)
    edits: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam(TreeSearch[TreeState]):
    """Keeps `width` nodes and expands each `expand` times, `depth` times over."""

    own: BeamOptions = field(default_factory=BeamOptions)
    name: str = "beam"

    def start(self, task: PublicTask) -> TreeState:
        """Nothing asked, nothing seen."""
        return TreeState(seed=self.first_seed(task))

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
        wave: list[Idea] = []
        for node in self._kept(beam):
            wave += expansion(node, waves, own.expand, own.edits)
        return tuple(wave)

    def _kept(self, beam: list[Seen]) -> list[Seen]:
        """The best of the beam so far, of different behaviours where there are enough.

        A node stays in the race when its repairs are worse than it is.
        """
        return distinct(ranked(one for one in beam if one.whole))[: self.own.width]


def expansion(node: Seen, wave: int, repairs: int, edits: int) -> list[Idea]:
    """What is made of one node in a wave: free edits before paid repairs."""
    free = [
        Idea(kind="edit", parent=node.index, step=number, group=node.group, free=True)
        for number in range(edits)
    ]
    paid = Idea(kind="repair", parent=node.index, step=wave, group=node.group)
    return [*free, *[paid] * repairs]


def build(options: StrategyOptions) -> Beam:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that beam search doesn't have.
        UnknownKindError: free edits are wanted, and nothing is installed that makes them.
    """
    own = read_own("beam", BeamOptions, options)
    if own.edits:
        kind_of("edit")
    return Beam(own=own, **common(options))
