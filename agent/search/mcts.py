"""Monte Carlo tree search over fresh ideas and repairs.

Selection by UCB1 (Auer, Cesa-Bianchi and Fischer, 2002; in trees: Kocsis and Szepesvári, "Bandit
Based Monte-Carlo Planning", 2006), with progressive widening (Coulom, "Computing Elo Ratings of
Move Patterns in the Game of Go", 2007), since a model has no list of moves. For programs:
Zhang et al., "Planning with Large Language Models for Code Generation" (2023); Zhou et al.,
"Language Agent Tree Search" (2023). A node's value is its reward, or, with rollouts, the share of
completions drawn from it that pass. The tree is kept for the whole search; values are taken back
to the root by every node that is told. A node under way counts as a visit without a value, so that
proposals made side by side spread out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

from pydantic import Field

from agent.search.base import Proposal, Seen, StrategyOptions
from agent.search.rewards import monte_carlo_value
from agent.search.tree import (
    Idea,
    PlainTreeSearch,
    TreeOptions,
    TreeState,
    common,
    read_tree,
)


class MctsOptions(TreeOptions):
    """Options of MCTS.

    Attributes:
        exploration: the constant of UCB1; the square root of 2 in the paper, for rewards in
            [0, 1].
        widening: children that a node with v visits may have: this times the square root of v.
        depth: repairs in a row at the most.
        rollouts: completions drawn from each new node to value it (K); 0 takes its reward.
        parallel: proposals under way at a time; the more, the less each knows of the others.
    """

    exploration: float = Field(default=math.sqrt(2), ge=0)
    widening: float = Field(default=1.0, gt=0)
    depth: int = Field(default=3, ge=0)
    rollouts: int = Field(default=0, ge=0)
    parallel: int = Field(default=2, ge=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mcts(PlainTreeSearch):
    """Repairs what looks good or was seldom looked at, or has a fresh idea."""

    own: MctsOptions = field(default_factory=MctsOptions)
    name: str = "mcts"

    def ideas(self, state: TreeState) -> tuple[Idea, ...]:
        """Rollouts of what is new; else one new node at the place that UCB1 leads to."""
        if len(state.open) >= self.own.parallel:
            return ()
        if self.own.rollouts:
            rolled = {one.parent for one in state.made if one.kind == "rollout"}
            for one in state.seen:
                new = one.kind != "rollout" and one.index not in rolled
                if new and one.whole and not one.passed:
                    return (Idea(kind="rollout", parent=one.index),) * self.own.rollouts
        parent = _Tree(state, self.own).place()
        return (Idea(kind="sample" if parent is None else "repair", parent=parent),)


class _Tree:
    """Visits and values, worked out from a state; the root has the index `None`."""

    def __init__(self, state: TreeState, own: MctsOptions) -> None:
        self._own = own
        self._nodes = state.nodes
        self._visits: dict[int | None, int] = defaultdict(int)
        self._values: dict[int | None, float] = defaultdict(float)
        self._children: dict[int | None, list[int]] = defaultdict(list)
        self._paid: dict[int | None, int] = defaultdict(int)
        rollouts: dict[int | None, list[bool]] = defaultdict(list)
        for one in state.seen:
            if one.kind == "rollout":
                rollouts[one.parent].append(one.passed)
        # a child is always younger than its parent, so each is whole before it is handed up
        for node in reversed(state.made):
            if node.kind != "rollout":
                drawn = rollouts.get(node.index, [])
                valued = bool(drawn) and len(drawn) >= own.rollouts
                reward = node.reward if isinstance(node, Seen) else 0.0
                self._add(node, monte_carlo_value(drawn) if valued else reward)

    def _add(self, node: Seen | Proposal, value: float) -> None:
        """Takes a node in, and all that it and those below it are worth up to its parent."""
        index, above = node.index, node.parent
        self._children[above].append(index)
        self._paid[above] += node.kind != "edit"
        self._visits[index] += 1
        self._values[index] += value
        self._visits[above] += self._visits[index]
        self._values[above] += self._values[index]

    def place(self) -> int | None:
        """The node to repair next; `None` for a fresh idea."""
        place: int | None = None
        depth = 0
        while True:
            room = max(1, math.ceil(self._own.widening * math.sqrt(self._visits[place])))
            below = [one for one in self._children[place] if self._may_grow(one, depth)]
            if self._paid[place] < room or not below:
                return place
            place = max(below, key=lambda one: (self._bound(one, place), -one))
            depth += 1

    def _may_grow(self, index: int, depth: int) -> bool:
        """Whether a node at this depth can have repairs: it was told, and isn't too deep."""
        node = self._nodes.get(index)
        return node is not None and node.whole and not node.passed and depth < self._own.depth

    def _bound(self, index: int, above: int | None) -> float:
        """UCB1: the mean value, and more the less it was visited."""
        visits = self._visits[index]
        mean = self._values[index] / visits
        return mean + self._own.exploration * math.sqrt(math.log(self._visits[above]) / visits)


def build(options: StrategyOptions) -> Mcts:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that MCTS doesn't have.
    """
    own = read_tree("mcts", MctsOptions, options)
    return Mcts(own=own, **common(options, own))
