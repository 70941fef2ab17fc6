"""Plan first, then code: two proposals, so that one plan can be coded more than once."""

from __future__ import annotations

from agent.llm.base import Completion
from agent.llm.proposal_prompts import code_prompt, plan_prompt
from agent.proposals.base import Ask, Known, Piece, Product, whole_program
from agent.search.base import Proposal
from sandbox.outcome import Outcome
from verifiers.fences import split_thought
from verifiers.verdict import Verdict


class Plan:
    """Asks for a plan in words, which nothing can judge."""

    def work(self, _proposal: Proposal, known: Known) -> Ask:
        """The task, and a request for a plan."""
        return Ask(plan_prompt(known.task))

    def read(self, _proposal: Proposal, completion: Completion, _known: Known) -> Product:
        """The plan stays in the answer's text; all that can be said is whether there is one."""
        if plan_of(completion.text):
            verdict = Verdict(outcome=Outcome.PASSED, reward=1.0, detail="a plan")
        else:
            verdict = Verdict(outcome=Outcome.FAILED, reward=0.0, detail="the plan is empty")
        return Product("", Piece(left=1, verdict=verdict))


class Code:
    """Asks for the program to the parent's plan."""

    def work(self, proposal: Proposal, known: Known) -> Ask:
        """The plan as the model's own words."""
        plan = plan_of(known.parent(proposal).text)
        return Ask(code_prompt(known.task, plan), known.task)

    def read(self, _proposal: Proposal, completion: Completion, known: Known) -> Product:
        """The program in the answer."""
        return whole_program(completion, known.task)


def plan_of(text: str) -> str:
    """A plan without what was only thought."""
    said, _thought = split_thought(text)
    return said.strip()
