"""The one loop that drives every strategy: draw, judge, tell, until it is over.

Proposals are worked on side by side and settled in the order of their indices, so what is chosen
depends on the samples and not on which answer came first. Whatever was received stands in the
journal before it is used; a resumed run takes it from there and asks the model for the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import anyio
from anyio.abc import TaskGroup

from agent import events
from agent.budget import BudgetExhaustedError, BudgetHeldError, Ledger, Reservation
from agent.incidents import Incident
from agent.journal import Journal
from agent.llm.base import (
    BankExhaustedError,
    Completion,
    Message,
    Model,
    ModelRequest,
    ModelUnavailableError,
    PromptTooLongError,
)
from agent.llm.prices import Price, cost, upper_bound
from agent.llm.prompts import task_prompt
from agent.search.base import Proposal, SearchState, Seen, Strategy
from sandbox.errors import SandboxError
from sandbox.outcome import Outcome
from tasks.model import PublicTask
from verifiers.extract import extract_program, join_completion
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier

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


@dataclass(frozen=True, slots=True)
class Candidate:
    """One complete program, with its cost and its origin.

    `confirmed` is the level at which it passed a second time; empty if it did not, or was not
    asked to.
    """

    index: int
    program: str
    completion: Completion
    cost: float
    verdict: Verdict
    confirmed: str = ""


@dataclass(slots=True)
class SearchResult:
    """What a search found.

    Attributes:
        task_id: of the task.
        chosen: the candidate to return, `None` if nothing was drawn, or nothing stood up to the
            second verdict.
        candidates: all that were settled, in the order of their indices.
        stopped: why it ended: `verified`, `drawn`, `bank`, `budget`, `prompt` (too long),
            or `tests` (they can't be run).
        detail: a sentence for the last three.
        incidents: disagreements between two verdicts on the same program.
    """

    task_id: str
    chosen: Candidate | None = None
    candidates: list[Candidate] = field(default_factory=list)
    stopped: str = "drawn"
    detail: str = ""
    incidents: list[Incident] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the chosen candidate passed every test that the search could see."""
        return self.chosen is not None and self.chosen.verdict.passed


class Confirm(StrEnum):
    """Which passing candidates get a second verdict in a fresh sandbox, with another hash seed."""

    NONE = "none"
    EACH = "each"
    CHOSEN = "chosen"
    """Only the one to be returned: for searches that go on after a pass."""


@dataclass(slots=True, kw_only=True)
class Searcher:
    """All that a search needs besides the task; shared by the tasks of a run.

    Attributes:
        model: what is asked.
        verifier: what judges.
        strategy: what decides.
        ledger: what is spent and may be.
        journal: where it is recorded; `None` records nothing.
        price: of the model; `None` counts no money.
        sampling: how to draw.
        concurrency: calls to the model at a time, for one task.
        confirm: which passing candidates are judged again in a fresh sandbox before they count.
        listener: told what happens.
    """

    model: Model
    verifier: Verifier
    strategy: Strategy[Any]
    ledger: Ledger
    journal: Journal | None = None
    price: Price | None = None
    sampling: Sampling = Sampling()
    concurrency: int = 4
    confirm: Confirm = Confirm.EACH
    listener: events.Listener = events.ignore

    async def search(self, task: PublicTask) -> SearchResult:
        """Searches for a program that passes the task's visible tests.

        Raises:
            ModelError: the model can't be used.
            SandboxError: the sandbox can't be had.
            JournalError: what was received can't be kept.
        """
        try:
            return await _Search(self, task).run()
        except BaseExceptionGroup as group:
            raise first_error(group) from None


class _Search:
    """One search under way."""

    def __init__(self, searcher: Searcher, task: PublicTask) -> None:
        self._s = searcher
        self._task = task
        # a verdict is on the program and on the task with its tests, which are hashed only once
        self._task_hash = hashlib.sha256(
            json.dumps(task.model_dump(mode="json"), sort_keys=True).encode()
        )
        self._messages = task_prompt(task)
        self._prompt_digest = chat_digest(self._messages)
        self._state: SearchState = searcher.strategy.start(task)
        self._result = SearchResult(task.id)
        self._arrived: dict[int, Candidate | None] = {}
        self._proposals: dict[int, Proposal] = {}
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._next = 0
        self._change = anyio.Event()
        self._over = False

    async def run(self) -> SearchResult:
        """Runs it to its end."""
        self._s.listener(events.TaskStarted(self._task.id))
        async with anyio.create_task_group() as tasks:
            while True:
                await self._settle()
                if self._over:
                    for scope in self._scopes.values():
                        scope.cancel()
                    break
                self._ask(tasks)
                if not self._scopes and self._next not in self._arrived:
                    break
                await self._change.wait()
                self._change = anyio.Event()
        await self._choose()
        result = self._result
        self._s.listener(
            events.TaskFinished(
                self._task.id, result.passed, len(result.candidates), result.stopped
            )
        )
        return result

    def _ask(self, tasks: TaskGroup) -> None:
        # what waits for its turn counts too: a fast model must not draw far ahead of a verdict
        while len(self._scopes) + len(self._arrived) < self._s.concurrency:
            self._state, proposals = self._s.strategy.ask(self._state, 1)
            if not proposals:
                return
            (proposal,) = proposals
            self._proposals[proposal.index] = proposal
            scope = anyio.CancelScope()
            self._scopes[proposal.index] = scope
            tasks.start_soon(self._work, proposal, scope)
            if self._received_before(proposal.index) is not None:
                return  # it may end the search, so nothing is asked of the model before it is told

    async def _settle(self) -> None:
        """Tells the strategy what has arrived, in the order of the indices."""
        while not self._over and self._next in self._arrived:
            candidate = self._arrived.pop(self._next)
            proposal = self._proposals[self._next]
            self._next += 1
            if candidate is None:  # nothing came of it: the bank or the budget is at its end
                self._state = self._state.model_copy(update={"exhausted": True})
                continue
            if candidate.verdict.passed and self._s.confirm is Confirm.EACH:
                candidate = await self._confirm(candidate)
            if candidate.verdict.broken:  # no candidate can pass tests that can't be run
                self._stop("tests", candidate.verdict.broken)
            self._result.candidates.append(candidate)
            self._s.listener(
                events.VerdictReached(self._task.id, candidate.index, candidate.verdict)
            )
            self._state = self._s.strategy.tell(self._state, proposal, candidate.verdict)
            self._over = self._s.strategy.finished(self._state)

    async def _work(self, proposal: Proposal, scope: anyio.CancelScope) -> None:
        candidate: Candidate | None = None
        with scope:
            try:
                candidate = await self._candidate(proposal)
            except BankExhaustedError as error:
                self._stop("bank", str(error))
            except BudgetExhaustedError as error:
                self._stop("budget", str(error))
            except PromptTooLongError as error:
                self._stop("prompt", str(error))
        del self._scopes[proposal.index]
        if not scope.cancelled_caught:
            self._arrived[proposal.index] = candidate
        elif self._received_before(proposal.index) is None:
            self._record("dropped", {"index": proposal.index})
        self._change.set()

    def _stop(self, why: str, detail: str) -> None:
        if self._result.stopped == "drawn":
            self._result.stopped, self._result.detail = why, detail
        self._state = self._state.model_copy(update={"exhausted": True})

    async def _candidate(self, proposal: Proposal) -> Candidate:
        completion, paid = await self._completion(proposal)
        if completion.kind == "continuation":
            program = join_completion(self._task.prompt, completion.text)
        else:
            program = extract_program(completion.text, self._task)
        verdict = await self._judge(proposal.index, program)
        return Candidate(proposal.index, program, completion, paid, verdict)

    async def _judge(self, index: int, program: str, *, fresh: bool = False) -> Verdict:
        """The verdict on a program, from the journal where it stands there."""
        kind, digest = "confirmation" if fresh else "verdict", self._digest(program)
        place = self._s.verifier.second_place if fresh else ""
        known = self._s.journal.get(kind, self._task.id, index) if self._s.journal else None
        if known is not None and (known["program"], known.get("place", "")) == (digest, place):
            verdict = Verdict.model_validate(known["verdict"])
        else:
            verdict = await self._s.verifier.verify(self._task, program, fresh=fresh)
            if verdict.outcome is Outcome.INFRA:
                raise SandboxError(f"the sandbox failed three times: {verdict.detail}")
            data = {"index": index, "program": digest, "verdict": verdict.model_dump(mode="json")}
            self._record(kind, {**data, "place": place} if place else data)
        if not verdict.cached:
            self._s.ledger.ran(verdict.seconds)
        return verdict

    def _digest(self, program: str) -> str:
        """What a verdict in the journal is on: the program, and the task with its tests."""
        digest = self._task_hash.copy()
        digest.update(json.dumps(program).encode())
        return digest.hexdigest()[:16]

    async def _completion(self, proposal: Proposal) -> tuple[Completion, float]:
        s = self._s
        known = self._received_before(proposal.index)
        if known is not None:
            completion = Completion.model_validate(known["completion"])
            paid = float(known["cost"])
            held = await self._reserve(0, 0.0)
            s.ledger.settle(held, completion.usage, cost=paid, seconds=completion.seconds)
            self._received(proposal, completion, paid, replayed=True)
            return completion, paid
        size = sum(len(one.content.encode("utf-8", "surrogatepass")) for one in self._messages)
        bound = upper_bound(size, s.sampling.max_tokens, s.price) if s.price else 0.0
        tokens = size // _BYTES_PER_TOKEN + _TEMPLATE_TOKENS + s.sampling.max_tokens
        held = await self._reserve(tokens, bound)
        booked = False
        try:
            self._record("asked", {"index": proposal.index})
            answers = await s.model.complete(self._request(proposal))
            if not answers:
                raise ModelUnavailableError(f"{s.model.name} gave no answer at all")
            completion = answers[0]
            paid = cost(completion.usage, s.price) if s.price else 0.0
            s.ledger.settle(held, completion.usage, cost=paid, seconds=completion.seconds)
            booked = True
            self._record(
                "sample",
                {
                    "index": proposal.index,
                    "prompt": self._prompt_digest,
                    "completion": completion.model_dump(mode="json"),
                    "cost": paid,
                },
            )
        except BankExhaustedError:
            self._record("refused", {"index": proposal.index})
            raise
        finally:
            if not booked:
                s.ledger.release(held)
        self._received(proposal, completion, paid, replayed=False)
        return completion, paid

    async def _reserve(self, tokens: int, cost: float) -> Reservation:
        """Sets the call's upper bound aside, once calls under way leave enough of the budget."""
        while True:
            try:
                return self._s.ledger.reserve(tokens=tokens, cost=cost)
            except BudgetHeldError:
                await self._s.ledger.freed()

    def _request(self, proposal: Proposal) -> ModelRequest:
        sampling = self._s.sampling
        return ModelRequest(
            messages=self._messages,
            task_id=self._task.id,
            index=proposal.index,
            temperature=proposal.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=sample_seed(sampling.seed, self._task.id, proposal.index),
        )

    def _received(
        self, proposal: Proposal, completion: Completion, paid: float, *, replayed: bool
    ) -> None:
        self._s.listener(
            events.SampleReceived(
                self._task.id,
                proposal.index,
                completion.usage,
                paid,
                completion.seconds,
                replayed,
            )
        )

    def _received_before(self, index: int) -> dict[str, Any] | None:
        """The journal's record of a sample, if it answers what would be asked today."""
        journal = self._s.journal
        known = journal.get("sample", self._task.id, index) if journal is not None else None
        return known if known is not None and known["prompt"] == self._prompt_digest else None

    async def _confirm(self, candidate: Candidate) -> Candidate:
        """Judges a passing candidate again, in a fresh sandbox with another hash seed."""
        verdict = await self._judge(candidate.index, candidate.program, fresh=True)
        if verdict.passed:
            return replace(candidate, confirmed=verdict.isolation)
        self._report(
            Incident.between(
                candidate.verdict,
                verdict,
                task_id=self._task.id,
                index=candidate.index,
                program=candidate.program,
            )
        )
        return replace(candidate, verdict=verdict)

    def _report(self, incident: Incident) -> None:
        data, journal = incident.record(), self._s.journal
        known = journal.get("incident", incident.task_id, incident.index) if journal else None
        if known != {"task": incident.task_id, **data}:
            self._record("incident", data)
        self._result.incidents.append(incident)
        self._s.listener(incident)

    async def _choose(self) -> None:
        by_index = {one.index: one for one in self._result.candidates}
        best = self._best_standing()
        while best is not None and best.passed and self._s.confirm is Confirm.CHOSEN:
            by_index[best.index] = confirmed = await self._confirm(by_index[best.index])
            if confirmed.verdict.passed:
                break
            best = self._best_standing()
        self._result.candidates = list(by_index.values())
        if best is None:
            return
        self._result.chosen = by_index[best.index]
        if best.passed and (self._over or self._result.stopped == "drawn"):
            self._result.stopped, self._result.detail = "verified", ""

    def _best_standing(self) -> Seen | None:
        """The best that was seen, but for those whose two verdicts disagree."""
        fallen = {one.index for one in self._result.incidents}
        standing = tuple(one for one in self._state.seen if one.index not in fallen)
        return SearchState(seen=standing).best

    def _record(self, kind: str, data: dict[str, Any]) -> None:
        if self._s.journal is not None:
            self._s.journal.append(kind, {"task": self._task.id, **data})


def sample_seed(seed: int, task_id: str, index: int) -> int:
    """The seed of one sample: the same for the same run's seed, task and index."""
    digest = hashlib.sha256(f"{seed}/{task_id}/{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def chat_digest(messages: Sequence[Message]) -> str:
    """A hash of what a model is asked."""
    text = json.dumps([message.model_dump() for message in messages])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group that a task group raised: callers expect one, not a tree."""
    first = group.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first
