"""A free edit: a small change of the parent, made without a model."""

from __future__ import annotations

from agent.llm.base import Completion
from agent.proposals.base import Known, Made, Product
from agent.search.base import Proposal
from agent.search.edits.propose import edits_of
from agent.search.edits.symptoms import symptoms


class Edit:
    """Makes edit number `step` of the parent."""

    def work(self, proposal: Proposal, known: Known) -> Made | None:
        """The edited program; nothing where there are fewer edits."""
        parent = known.parent(proposal)
        task = known.task
        if task.language != "python":
            return None
        edits = edits_of(parent.program, symptoms(parent.verdict), task.entry_point, task.prompt)
        found = edits.get(proposal.step) if edits is not None else None
        return Made(found[1]) if found is not None else None

    def read(self, proposal: Proposal, completion: Completion, known: Known) -> Product:
        """Never: no model is asked.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("no model is asked, so there is no answer to read")
