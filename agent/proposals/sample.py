"""A fresh sample: the whole program, as if nothing had been tried before."""

from __future__ import annotations

from agent.llm.base import Completion
from agent.llm.prompts import task_prompt
from agent.proposals.base import Ask, Known, Product, whole_program
from agent.search.base import Proposal


class Sample:
    """Asks for the whole program."""

    def work(self, _proposal: Proposal, known: Known) -> Ask:
        """The task's own request."""
        return Ask(task_prompt(known.task), known.task)

    def read(self, _proposal: Proposal, completion: Completion, known: Known) -> Product:
        """The program in the answer."""
        return whole_program(completion, known.task)
