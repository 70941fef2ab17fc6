"""Draws completions: from the journal where they stand there, else from the model within budget.

Whatever was received stands in the journal before it is used, under the sample's number and a
digest of what was asked, so a resumed run asks for nothing that it has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent import events
from agent.budget import BudgetHeldError, Ledger, Reservation
from agent.journal import Journal
from agent.llm.base import (
    BankExhaustedError,
    Completion,
    Message,
    Model,
    ModelRequest,
    ModelUnavailableError,
)
from agent.llm.prices import Price, cost, upper_bound
from agent.proposals.base import Ask
from agent.search.base import Proposal

_BYTES_PER_TOKEN = 2
"""For the upper bound of a prompt's tokens: fewer bytes a token than any tokenizer's mean."""
_TEMPLATE_TOKENS = 64
"""Allowance for what a chat template adds around a few messages."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw from the model."""

    max_tokens: int = 1024
    top_p: float = 0.95
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawer:
    """Draws for one search.

    Attributes:
        task_id: of the search's task.
        model: what is asked.
        ledger: what is spent and may be.
        journal: where it is recorded; `None` records nothing.
        price: of the model; `None` counts no money.
        sampling: how to draw.
        listener: told of what was received.
    """

    task_id: str
    model: Model
    ledger: Ledger
    journal: Journal | None
    price: Price | None
    sampling: Sampling
    listener: events.Listener

    async def draw(self, proposal: Proposal, ask: Ask) -> tuple[Completion, float]:
        """One completion, and what it cost.

        Raises:
            BudgetExhaustedError: it doesn't fit into what is left.
            ModelError: the model can't be used.
            JournalError: what was received can't be kept.
        """
        known = self.received_before(proposal, ask)
        if known is not None:
            completion = Completion.model_validate(known["completion"])
            paid = float(known["cost"])
            held = await self._reserve(0, 0.0)
            self.ledger.settle(held, completion.usage, cost=paid, seconds=completion.seconds)
            self._received(proposal, completion, paid, replayed=True)
            return completion, paid
        size = sum(len(one.content.encode("utf-8", "surrogatepass")) for one in ask.messages)
        limit = self.sampling.max_tokens
        bound = upper_bound(size, limit, self.price) if self.price else 0.0
        held = await self._reserve(size // _BYTES_PER_TOKEN + _TEMPLATE_TOKENS + limit, bound)
        booked = False
        try:
            self.record("asked", {"index": proposal.index})
            answers = await self.model.complete(self._request(proposal, ask))
            if not answers:
                raise ModelUnavailableError(f"{self.model.name} gave no answer at all")
            completion = answers[0]
            paid = cost(completion.usage, self.price) if self.price else 0.0
            self.ledger.settle(held, completion.usage, cost=paid, seconds=completion.seconds)
            booked = True
            self._keep(proposal, ask, completion, paid)
        except BankExhaustedError:
            self.record("refused", {"index": proposal.index})
            raise
        finally:
            if not booked:
                self.ledger.release(held)
        self._received(proposal, completion, paid, replayed=False)
        return completion, paid

    def received_before(self, proposal: Proposal, ask: Ask) -> dict[str, Any] | None:
        """The journal's record of a sample, if it answers what would be asked today."""
        if self.journal is None:
            return None
        known = self.journal.get("sample", self.task_id, proposal.index)
        if known is None or known["prompt"] != chat_digest(ask.messages):
            return None
        return known

    def record(self, kind: str, data: dict[str, Any]) -> None:
        """Adds to the journal, where there is one."""
        if self.journal is not None:
            self.journal.append(kind, {"task": self.task_id, **data})

    def _keep(self, proposal: Proposal, ask: Ask, completion: Completion, paid: float) -> None:
        self.record(
            "sample",
            {
                "index": proposal.index,
                "kind": proposal.kind,
                "parent": proposal.parent,
                "prompt": chat_digest(ask.messages),
                "completion": completion.model_dump(mode="json"),
                "cost": paid,
            },
        )

    async def _reserve(self, tokens: int, cost: float) -> Reservation:
        """Sets the call's upper bound aside, once calls under way leave enough of the budget."""
        while True:
            try:
                return self.ledger.reserve(tokens=tokens, cost=cost)
            except BudgetHeldError:
                await self.ledger.freed()

    def _request(self, proposal: Proposal, ask: Ask) -> ModelRequest:
        return ModelRequest(
            messages=ask.messages,
            task_id=self.task_id,
            index=proposal.number,
            temperature=proposal.temperature,
            top_p=self.sampling.top_p,
            max_tokens=self.sampling.max_tokens,
            seed=sample_seed(self.sampling.seed, self.task_id, proposal.number),
        )

    def _received(
        self, proposal: Proposal, completion: Completion, paid: float, *, replayed: bool
    ) -> None:
        self.listener(
            events.SampleReceived(
                self.task_id,
                proposal.index,
                completion.usage,
                paid,
                completion.seconds,
                replayed,
            )
        )


def sample_seed(seed: int, task_id: str, index: int) -> int:
    """The seed of one sample: the same for the same run's seed, task and index."""
    digest = hashlib.sha256(f"{seed}/{task_id}/{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def chat_digest(messages: Sequence[Message]) -> str:
    """A hash of what a model is asked."""
    text = json.dumps([message.model_dump() for message in messages])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
