"""Draws completions: from the journal where they stand there, else from a model within budget.

Whatever was received stands in the journal before it is used, under the sample's number and a
digest of what was asked, so a resumed run asks for nothing that it has.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agent import events
from agent.accounts import Account
from agent.budget import BudgetExhaustedError, BudgetHeldError, Ledger, Reservation
from agent.joint import JointCall, companions, join
from agent.journal import Journal
from agent.llm.base import (
    BankExhaustedError,
    Completion,
    Effort,
    Message,
    ModelError,
    ModelRequest,
    ModelUnavailableError,
    Usage,
)
from agent.llm.metering import metered
from agent.llm.prices import cost, upper_bound
from agent.llm.watching import watch_for
from agent.proposals.base import Ask
from agent.search.base import Proposal
from agent.tiers import Tier

_BYTES_PER_TOKEN = 2
"""For the upper bound of a prompt's tokens: fewer bytes a token than any tokenizer's mean."""
_TEMPLATE_TOKENS = 64
"""Allowance for what a chat template adds around a few messages."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw from a model.

    Attributes:
        max_tokens: of an answer, thinking aside.
        top_p: nucleus mass.
        seed: of the run.
        early_stop: stop answers while they stream that can't end well.
        effort: how long to think, in the servers' words.
        thinking: tokens that may be thought besides.
        per_call: samples that one call asks for, where nothing but their number tells them apart.
    """

    max_tokens: int = 1024
    top_p: float = 0.95
    seed: int = 0
    early_stop: bool = True
    effort: Effort | None = None
    thinking: int | None = None
    per_call: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawer:
    """Draws for one search.

    Attributes:
        task_id: of the search's task.
        strategy: the search's name, for the accounts.
        tiers: what is asked; which of them, a proposal says.
        ledger: what is spent and may be.
        journal: where it is recorded; `None` records nothing.
        sampling: how to draw.
        listener: told of what was received.
    """

    task_id: str
    strategy: str
    tiers: Sequence[Tier]
    ledger: Ledger
    journal: Journal | None
    sampling: Sampling
    listener: events.Listener
    _joint: dict[int, JointCall] = field(default_factory=dict)

    def join(self, first: Proposal, waiting: Sequence[Proposal]) -> list[Proposal]:
        """Which of the waiting proposals come with the first one's call; they are to be begun now.

        Their calls to `draw` may be made in any order, but all of them have to be made.
        """
        together = [
            one
            for one in companions(first, waiting, self.sampling.per_call)
            if self.journal is None or self.journal.get("sample", self.task_id, one.index) is None
        ]
        if together:
            self._joint.update(join([first, *together]))
        return together

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
            self._settle(proposal, await self._reserve(0, 0.0), completion, paid)
            self._received(proposal, completion, paid, replayed=True)
            return completion, paid
        call = self._joint.pop(proposal.index, None)
        found = await self._with_others(call, proposal, ask) if call is not None else None
        completion, paid = found or (await self._ask((proposal,), ask))[proposal.index]
        self._received(proposal, completion, paid, replayed=False)
        return completion, paid

    async def _with_others(
        self, call: JointCall, proposal: Proposal, ask: Ask
    ) -> tuple[Completion, float] | None:
        """One of a call's completions; `None` where the call has none for this proposal."""
        if proposal is not call.proposals[0]:
            await call.done.wait()
        else:
            try:
                call.found = await self._ask(call.proposals, ask)
            except BudgetExhaustedError:
                pass  # one by one they may still fit
            except ModelError as error:
                call.error = error
            finally:
                call.done.set()
        if call.error is not None:
            raise call.error
        return call.found.get(proposal.index)

    async def _ask(
        self, proposals: Sequence[Proposal], ask: Ask
    ) -> dict[int, tuple[Completion, float]]:
        """What one call brings for one or more proposals, booked and kept; not always for all."""
        first, found = proposals[0], dict[int, tuple[Completion, float]]()
        request = self._request(first, ask, len(proposals))
        held: Reservation | None = await self._hold(first, request)
        began = time.perf_counter()
        with metered() as meter:
            try:
                for one in proposals:
                    self.record("asked", {"index": one.index})
                completions = await self._complete(first, request)
                for one, completion in zip(proposals, completions, strict=False):
                    paid = self._cost(one, completion.usage)
                    self._settle(one, held, completion, paid)
                    held = None
                    found[one.index] = completion, paid
                for one in proposals:
                    if one.index in found:
                        self._keep(one, ask, *found[one.index])
                    else:
                        self.record("dropped", {"index": one.index})
            except BankExhaustedError:
                for one in proposals:
                    self.record("refused", {"index": one.index})
                raise
            finally:
                if held is not None:
                    self._lose(first, held, meter.usage, time.perf_counter() - began)
        return found

    def account(self, tier: int, *, free: bool = False) -> Account:
        """What costs are booked on.

        Args:
            tier: of the model.
            free: no model was asked.
        """
        model = "" if free else self.tiers[tier].model.name
        return Account(task=self.task_id, strategy=self.strategy, tier=tier, model=model)

    def book_lost(self) -> None:
        """Books what calls of an earlier start have cost from which no completion came."""
        if self.journal is None:
            return
        for number in self.journal.numbers("spent", self.task_id):
            known = self.journal.get("spent", self.task_id, number) or {}
            self.ledger.lose(
                None,
                Usage.model_validate(known["usage"]),
                cost=float(known["cost"]),
                seconds=float(known["seconds"]),
                on=Account.model_validate(known["on"]),
            )

    async def _complete(self, proposal: Proposal, request: ModelRequest) -> Sequence[Completion]:
        model = self.tiers[proposal.tier].model
        answers = await model.complete(request)
        if not answers:
            raise ModelUnavailableError(f"{model.name} gave no answer at all")
        return answers

    async def _hold(self, proposal: Proposal, request: ModelRequest) -> Reservation:
        """Sets the upper bound of a call aside."""
        size = sum(len(one.content.encode("utf-8", "surrogatepass")) for one in request.messages)
        price, limit = self.tiers[proposal.tier].price, request.tokens_out_most
        # a server that gives one answer a call reads the prompt for each
        bound = request.n * (upper_bound(size, limit, price) if price else 0.0)
        tokens = request.n * (size // _BYTES_PER_TOKEN + _TEMPLATE_TOKENS + limit)
        return await self._reserve(tokens, bound, request.n)

    def _cost(self, proposal: Proposal, usage: Usage) -> float:
        price = self.tiers[proposal.tier].price
        return cost(usage, price) if price else 0.0

    def _settle(
        self, proposal: Proposal, held: Reservation | None, completion: Completion, paid: float
    ) -> None:
        self.ledger.settle(
            held,
            completion.usage,
            cost=paid,
            seconds=completion.seconds,
            on=self.account(proposal.tier),
            cut=completion.finish == "cut" and bool(completion.reason),
        )

    def _lose(self, proposal: Proposal, held: Reservation, usage: Usage, seconds: float) -> None:
        """Books what a call has cost that was called off or failed; often that is nothing."""
        if not usage.tokens_in and not usage.tokens_out:
            self.ledger.release(held)
            return
        usage = usage.model_copy(update={"estimated": True})
        paid, on = self._cost(proposal, usage), self.account(proposal.tier)
        self.ledger.lose(held, usage, cost=paid, seconds=seconds, on=on)
        if self.journal is not None:
            lost = {"usage": usage.model_dump(), "cost": paid, "seconds": seconds}
            number = len(self.journal.numbers("spent", self.task_id))
            self.record("spent", {"index": number, **lost, "on": on.model_dump()})

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
                "model": self.tiers[proposal.tier].model.name,
                "prompt": chat_digest(ask.messages),
                "completion": completion.model_dump(mode="json"),
                "cost": paid,
            },
        )

    async def _reserve(self, tokens: int, cost: float, samples: int = 1) -> Reservation:
        """Sets the call's upper bound aside, once calls under way leave enough of the budget."""
        while True:
            try:
                return self.ledger.reserve(tokens=tokens, cost=cost, samples=samples)
            except BudgetHeldError:
                await self.ledger.freed()

    def _request(self, proposal: Proposal, ask: Ask, n: int) -> ModelRequest:
        return ModelRequest(
            messages=ask.messages,
            task_id=self.task_id,
            index=proposal.number if proposal.serial is None else proposal.serial,
            n=n,
            temperature=proposal.temperature,
            top_p=self.sampling.top_p,
            max_tokens=self.sampling.max_tokens,
            seed=sample_seed(self.sampling.seed, self.task_id, proposal.number),
            watch=watch_for(ask.wanted) if ask.wanted and self.sampling.early_stop else None,
            effort=self.sampling.effort,
            thinking=proposal.thinking or self.sampling.thinking,
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
