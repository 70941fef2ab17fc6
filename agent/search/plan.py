"""Plan first, then code: different plans in plain words, each coded a few times.

Jiang et al., "Self-Planning Code Generation with Large Language Models" (2023); Wang et al.,
"Planning in Natural Language Improves LLM Search for Code Generation" (2024), for the diversity
that plans bring. A plan is a sample as any other: it is paid for.
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
    read_tree,
)


class PlanOptions(TreeOptions):
    """Options of plan-then-code.

    Attributes:
        codes: programs to each plan.
        parallel: plans that are worked on at a time.
    """

    codes: int = Field(default=2, ge=1)
    parallel: int = Field(default=2, ge=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanThenCode(PlainTreeSearch):
    """Draws plans, and `codes` programs to each."""

    own: PlanOptions = field(default_factory=PlanOptions)
    name: str = "plan"

    def ideas(self, state: TreeState) -> tuple[Idea, ...]:
        """The programs to the first plan that has none; else another plan."""
        coded = {one.parent for one in state.made if one.kind == "code"}
        for one in state.seen:
            if one.kind == "plan" and one.good and one.index not in coded:
                return (Idea(kind="code", parent=one.index),) * self.own.codes
        at_work = {one.parent if one.kind == "code" else one.index for one in state.open}
        if len(at_work) >= self.own.parallel:
            return ()
        # a plan that nothing is left to code is of no use
        return (Idea(kind="plan" if self.n - state.paid > 1 else "sample"),)


def build(options: StrategyOptions) -> PlanThenCode:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that it doesn't have.
    """
    own = read_tree("plan", PlanOptions, options)
    return PlanThenCode(own=own, **common(options, own))
