"""Thompson repair: wider or deeper, decided by draws from what is known of each.

Tang et al., "Code Repair with LLMs gives an Exploration-Exploitation Tradeoff" (2024): every
program is an arm whose chance to be repaired is believed to be Beta-distributed around its reward,
and falls with each try. A fresh sample is one more arm, as in Inoue et al., "Wider or Deeper?
Scaling LLM Inference-Time Compute with Adaptive Branching Tree Search" (2025). Each time one value
is drawn for each arm, and the arm with the highest is tried. Programs of the same behaviour are one
arm.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pydantic import Field

from agent.search.base import Seen, StrategyOptions
from agent.search.tree import (
    Idea,
    PlainTreeSearch,
    TreeOptions,
    TreeState,
    common,
    depth,
    distinct,
    ranked,
    read_tree,
)


class ThompsonOptions(TreeOptions):
    """Options of Thompson repair.

    Attributes:
        depth: repairs in a row at the most; deeper ones are poor value.
        confidence: how many tries a program's reward counts for.
        parallel: proposals under way at a time; the more, the less each knows of the others.
    """

    depth: int = Field(default=2, ge=0)
    confidence: float = Field(default=4.0, ge=0)
    parallel: int = Field(default=2, ge=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thompson(PlainTreeSearch):
    """Draws which program to repair, or whether to begin afresh."""

    own: ThompsonOptions = field(default_factory=ThompsonOptions)
    name: str = "thompson"

    def ideas(self, state: TreeState) -> tuple[Idea, ...]:
        """The arm of the highest draw."""
        if len(state.open) >= self.own.parallel:
            return ()
        lot = state.draw("arm")
        best, highest = None, lot.betavariate(*self._fresh(state))
        for node, tries in self.arms(state):
            drawn = lot.betavariate(*self.belief(node.reward, tries))
            if drawn > highest:
                best, highest = node.index, drawn
        return (Idea(kind="sample" if best is None else "repair", parent=best),)

    def belief(self, reward: float, tries: int) -> tuple[float, float]:
        """The Beta distribution of the chance that one more repair pays off."""
        confidence = self.own.confidence
        return 1 + confidence * reward, 1 + confidence * (1 - reward) + tries

    def _fresh(self, state: TreeState) -> tuple[float, float]:
        """The same for a fresh sample: its rewards so far; those under way count as nothing."""
        rewards = [one.reward for one in state.seen if one.kind == "sample"]
        open_ones = sum(one.kind == "sample" for one in state.open)
        return 1 + sum(rewards), 1 + len(rewards) - sum(rewards) + open_ones

    def arms(self, state: TreeState) -> list[tuple[Seen, int]]:
        """One program of each behaviour that may be repaired, and how often such were tried."""
        nodes = state.nodes
        tried: Counter[str] = Counter()
        for one in state.made:
            if one.kind == "repair" and one.parent is not None:
                tried[nodes[one.parent].behaviour] += 1
        shallow = [
            one
            for one in ranked(state.seen)
            if one.whole and not one.passed and depth(nodes, one.index) < self.own.depth
        ]
        behaviours = len({one.behaviour for one in shallow})
        return [(one, tried[one.behaviour]) for one in distinct(shallow)[:behaviours]]


def build(options: StrategyOptions) -> Thompson:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that Thompson repair doesn't have.
    """
    own = read_tree("thompson", ThompsonOptions, options)
    return Thompson(own=own, **common(options, own))
