"""A repair: the failed program is shown again, with why it failed."""

from __future__ import annotations

from agent.llm.base import Completion
from agent.llm.proposal_prompts import repair_prompt
from agent.proposals.base import Ask, Known, Product, whole_program
from agent.search.base import Proposal
from agent.search.feedback import feedback


class Repair:
    """Asks for a correction of the parent."""

    def work(self, proposal: Proposal, known: Known) -> Ask:
        """The parent's program and the feedback on it."""
        parent = known.parent(proposal)
        told = feedback(known.task, parent.verdict).text()
        return Ask(repair_prompt(known.task, parent.program, told), known.task)

    def read(self, _proposal: Proposal, completion: Completion, known: Known) -> Product:
        """The program in the answer."""
        return whole_program(completion, known.task)
