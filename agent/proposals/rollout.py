"""A rollout: one completion from a node, for a Monte Carlo estimate of what the node is worth."""

from __future__ import annotations

from agent.llm.base import Completion
from agent.llm.proposal_prompts import complete_prompt
from agent.proposals.base import Ask, Known, Product, whole_program
from agent.proposals.plan import Code
from agent.proposals.repair import Repair
from agent.proposals.sample import Sample
from agent.search.base import PieceVerdict, Proposal


class Rollout:
    """Goes on from the parent to a whole program, in the way that fits what the parent is.

    A failed program is repaired, a plan is coded, a partial program is completed; without a
    parent it is a fresh sample.
    """

    def work(self, proposal: Proposal, known: Known) -> Ask:
        """The request that fits the parent."""
        if proposal.parent is None:
            return Sample().work(proposal, known)
        parent = known.parent(proposal)
        if not isinstance(parent.verdict, PieceVerdict):
            return Repair().work(proposal, known)
        if parent.proposal.kind == "plan":
            return Code().work(proposal, known)
        return Ask(complete_prompt(known.task, parent.program), known.task)

    def read(self, proposal: Proposal, completion: Completion, known: Known) -> Product:
        """The whole program; what the answer leaves out is taken from the partial one."""
        task = known.task
        if proposal.parent is not None:
            parent = known.parent(proposal)
            if isinstance(parent.verdict, PieceVerdict) and parent.program:
                task = task.model_copy(update={"prompt": parent.program})
        return whole_program(completion, task)
