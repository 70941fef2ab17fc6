"""Diverse verifier tree search: independent small beams, kept apart by what their programs do.

Beeching, Tunstall and Rush, "Scaling Test-Time Compute with Open Models" (Hugging Face, 2024): the
samples are split over independent subtrees, each of which goes on from its best node. There the
subtrees differ by their text; here a group leaves a behaviour alone that another group goes on
from, and begins anew if it has no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field

from agent.search.base import StrategyOptions
from agent.search.tree import (
    Idea,
    PlainTreeSearch,
    TreeOptions,
    TreeState,
    common,
    ranked,
    read_tree,
)


class DvtsOptions(TreeOptions):
    """Options of DVTS.

    Attributes:
        groups: independent subtrees.
        expand: fresh samples a group begins with, and repairs of its best node (M).
        depth: waves of repairs after the fresh samples; then the group begins anew.
    """

    groups: int = Field(default=3, ge=1)
    expand: int = Field(default=2, ge=1)
    depth: int = Field(default=2, ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dvts(PlainTreeSearch):
    """Runs `groups` subtrees; none waits for another."""

    own: DvtsOptions = field(default_factory=DvtsOptions)
    name: str = "dvts"

    def ideas(self, state: TreeState) -> tuple[Idea, ...]:
        """The next wave of the first group that waits for nothing."""
        busy = {one.group for one in state.open}
        for group in range(self.own.groups):
            if group not in busy:
                return self._wave(state, group)
        return ()

    def _wave(self, state: TreeState, group: int) -> tuple[Idea, ...]:
        own = self.own
        nodes = [one for one in state.seen if one.group == group]
        paid = [one.index for one in nodes if one.kind != "edit"]
        waves = len(paid) // own.expand
        since = waves - waves % (own.depth + 1)
        fresh = (Idea(group=group, step=waves),) * own.expand
        if since == waves:
            return fresh
        tree = [one for one in nodes if one.index >= paid[since * own.expand]]
        claimed = _goes_on_from(state)
        claimed.pop(group, None)
        avoided = set(claimed.values())
        for node in ranked(one for one in tree if one.whole):
            if node.behaviour not in avoided:
                repair = Idea(kind="repair", parent=node.index, step=waves, group=group)
                return (repair,) * own.expand
        return fresh


def _goes_on_from(state: TreeState) -> dict[int, str]:
    """The behaviour that each group is repairing now, or did last; none for fresh samples."""
    newest = {one.group: one.parent for one in state.made if one.kind != "edit"}
    nodes = state.nodes
    return {
        group: nodes[parent].behaviour for group, parent in newest.items() if parent is not None
    }


def build(options: StrategyOptions) -> Dvts:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that DVTS doesn't have.
    """
    own = read_tree("dvts", DvtsOptions, options)
    return Dvts(own=own, **common(options, own))
