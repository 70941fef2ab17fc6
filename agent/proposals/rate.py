"""A rating: the model says how difficult it finds the task, before anything is drawn."""

from __future__ import annotations

import re

from agent.llm.base import Completion
from agent.llm.proposal_prompts import rate_prompt
from agent.proposals.base import Ask, Known, Piece, Product
from agent.search.base import Proposal
from sandbox.outcome import Outcome
from verifiers.fences import split_thought
from verifiers.verdict import Verdict

_LOWEST, _HIGHEST = 1, 5


class Rate:
    """Asks for a number from 1, easy, to 5; its reward is 1 for the easiest and 0 for the hardest.

    Nothing is run, and it never counts as a pass.
    """

    def work(self, _proposal: Proposal, known: Known) -> Ask:
        """The task, and a request for a number."""
        return Ask(rate_prompt(known.task))

    def read(self, _proposal: Proposal, completion: Completion, _known: Known) -> Product:
        """The first number in the answer; without one, it says nothing."""
        said, _thought = split_thought(completion.text)
        found = re.search(rf"[{_LOWEST}-{_HIGHEST}]", said)
        if found is None:
            verdict = Verdict(outcome=Outcome.FAILED, reward=0.0, detail="no number")
        else:
            easy = (_HIGHEST - int(found[0])) / (_HIGHEST - _LOWEST)
            verdict = Verdict(outcome=Outcome.PASSED, reward=easy, detail=f"rated {found[0]}")
        return Product("", Piece(left=1, verdict=verdict))
