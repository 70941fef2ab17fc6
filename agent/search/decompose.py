"""Decompose: helper functions that are solved and tested apart, then composed.

Zelikman et al., "Parsel: Algorithmic Reasoning with Language Models by Composing Decompositions"
(2023); Chen et al., "Divide-and-Conquer Meets Consensus: Unleashing the Power of Functions in Code
Generation" (2024). A step that fails is asked for again alone: the helper whose own examples fail,
or the entry point where all helpers stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import Field

from agent.search.base import Proposal, Seen, StrategyOptions
from agent.search.tree import (
    Idea,
    TreeOptions,
    TreeSearch,
    TreeState,
    common,
    ranked,
    read_tree,
)
from tasks.model import PublicTask

_LEAST = 3
"""Samples that a decomposition needs: the stubs, one helper, the entry point."""


class DecomposeOptions(TreeOptions):
    """Options of decomposition.

    Attributes:
        helpers: helper functions at the most.
        tries: attempts at each helper, and at the entry point, before a new decomposition.
    """

    helpers: int = Field(default=3, ge=1)
    tries: int = Field(default=2, ge=1)


class DecomposeState(TreeState):
    """The state of a search by decomposition; `divisible` if the task is a piece of Python."""

    divisible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DecomposeThenSolve(TreeSearch[DecomposeState]):
    """Works on one decomposition after the other, on its helpers side by side."""

    own: DecomposeOptions = field(default_factory=DecomposeOptions)
    name: str = "decompose"

    def start(self, task: PublicTask) -> DecomposeState:
        """Nothing asked, nothing seen."""
        python = task.language.strip().lower() in ("python", "python3", "py")
        return DecomposeState(
            seed=self.first_seed(task), divisible=python and bool(task.entry_point)
        )

    def ideas(self, state: DecomposeState) -> tuple[Idea, ...]:
        """The next step of the newest decomposition; a new one when that is at its end."""
        group = max((one.group for one in state.made), default=-1)
        told = [one for one in state.seen if one.group == group and one.kind != "edit"]
        open_ones = [one for one in state.open if one.group == group]
        if group < 0 or any(one.kind == "sample" for one in told):
            return self._begin(state, group + 1)
        if not told or (open_ones and not told[0].good):
            return ()
        stubs, *rest = told
        if not stubs.good:  # without helpers, the task as a whole
            return (Idea(group=group),)
        wanted, chosen = self._helpers(stubs, rest, open_ones)
        if wanted or chosen is None or any(one.kind == "compose" for one in open_ones):
            return wanted
        composed = [one.index for one in rest if one.kind == "compose"]
        if len(composed) >= self.own.tries:
            return self._begin(state, group + 1)
        uses = (*chosen, *composed[-1:])
        return (Idea(kind="compose", parent=stubs.index, uses=uses, group=group),)

    def _begin(self, state: DecomposeState, group: int) -> tuple[Idea, ...]:
        """A new decomposition, unless they come to nothing here or too few samples are left."""
        if state.open:
            return ()
        made = [one.good for one in state.seen if one.kind == "decompose"]
        hopeless = len(made) >= self.own.tries and not any(made)
        left = self.n - state.paid
        if hopeless or left < _LEAST or not state.divisible:
            return (Idea(group=group),) * left
        return (Idea(kind="decompose", step=self.own.helpers, group=group),)

    def _helpers(
        self, stubs: Seen, rest: Sequence[Seen], open_ones: Sequence[Proposal]
    ) -> tuple[tuple[Idea, ...], tuple[int, ...] | None]:
        """Helpers to ask for now; and, once none is missing, the one to use of each."""
        wanted: list[Idea] = []
        chosen: list[int] = []
        waiting = False
        for step in range(stubs.left - 1):
            tried = [one for one in rest if one.kind == "helper" and one.step == step]
            if any(one.kind == "helper" and one.step == step for one in open_ones):
                waiting = True
            elif tried and (tried[-1].good or len(tried) >= self.own.tries):
                chosen.append(ranked(tried)[0].index)
            else:
                uses = (tried[-1].index,) if tried else ()
                wanted.append(
                    Idea(kind="helper", parent=stubs.index, uses=uses, step=step, group=stubs.group)
                )
        return tuple(wanted), None if wanted or waiting else tuple(chosen)


def build(options: StrategyOptions) -> DecomposeThenSolve:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that it doesn't have.
    """
    own = read_tree("decompose", DecomposeOptions, options)
    return DecomposeThenSolve(own=own, **common(options, own))
