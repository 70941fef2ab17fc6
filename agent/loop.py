"""The one loop that drives every strategy: draw, judge, tell, until it is over.

The strategy is asked ahead until it wants to hear verdicts, the proposals are worked on side by
side, and what came of them is told in their order. Asking and telling alternate in a way that
depends on the verdicts alone; so what is chosen depends on the samples, and neither on which answer
came first nor on how many calls are under way at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import anyio
from anyio.abc import TaskGroup

from agent import events
from agent.budget import BudgetExhaustedError, Ledger
from agent.drawing import Drawer, Sampling
from agent.incidents import Incident
from agent.journal import Journal
from agent.judging import Judging, Verifying
from agent.llm.base import BankExhaustedError, Completion, Model, PromptTooLongError, Usage
from agent.llm.prices import Price
from agent.proposals.base import Ask, Kind, Known, Made, Node, Piece, Product
from agent.proposals.registry import kind_of
from agent.results import Candidate as Candidate
from agent.results import SearchResult as SearchResult
from agent.routing.features import features
from agent.routing.pool import Pool, PoolSpentError
from agent.routing.router import Router
from agent.search.base import (
    GivesUp,
    PieceVerdict,
    Proposal,
    SearchState,
    Seen,
    Strategy,
    prepared,
)
from agent.tiers import Tier
from sandbox.outcome import Outcome
from tasks.model import PublicTask
from verifiers.verdict import Verdict

_AHEAD = 1024
"""Proposals that may be open at a time; a constant, so that no strategy's decisions hang on how
many calls are made at a time."""


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
        stronger: the further models of a cascade; a proposal's tier says which is asked.
        sampling: how to draw.
        concurrency: calls to the model at a time, for one task.
        confirm: which passing candidates are judged again in a fresh sandbox before they count.
        router: says in which tier a task stands, for events and reports; a strategy that routes has
            one of its own.
        pool: shared with the searches for other tasks: each sample waits until it is dealt out;
            needs a router.
        listener: told what happens.
        kinds: looks up what a kind of proposal asks and how it reads.
    """

    model: Model
    verifier: Verifying
    strategy: Strategy[Any]
    ledger: Ledger
    journal: Journal | None = None
    price: Price | None = None
    stronger: tuple[Tier, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    concurrency: int = 4
    confirm: Confirm = Confirm.EACH
    router: Router | None = None
    pool: Pool | None = None
    listener: events.Listener = events.ignore
    kinds: Callable[[str], Kind] = kind_of

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
        finally:
            if self.pool is not None:
                self.pool.leave()


@dataclass(frozen=True, slots=True)
class _Done:
    """What one proposal came to."""

    candidate: Candidate
    whole: bool = True


class _Search:
    """One search under way."""

    def __init__(self, searcher: Searcher, task: PublicTask) -> None:
        self._s = s = searcher
        self._task = task = prepared(searcher.strategy, task)
        self._drawer = Drawer(
            task_id=task.id,
            strategy=s.strategy.name,
            tiers=(Tier(s.model, s.price), *s.stronger),
            ledger=s.ledger,
            journal=s.journal,
            sampling=s.sampling,
            listener=s.listener,
        )
        self._judging = Judging(task, s.verifier, s.ledger, s.journal)
        self._state: SearchState = s.strategy.start(task)
        self._result = SearchResult(task.id)
        self._looks = features(task)
        self._nodes: dict[int, Node] = {}
        self._known = Known(task, self._nodes)
        self._identities: set[str] = set()
        self._open: deque[Proposal] = deque()
        """Proposals that were made and not told, in order."""
        self._waiting: deque[Proposal] = deque()
        """Those of them that nobody works on yet."""
        self._arrived: dict[int, _Done | None] = {}
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._change = anyio.Event()
        self._over = False

    async def run(self) -> SearchResult:
        """Runs it to its end."""
        self._s.listener(events.TaskStarted(self._task.id))
        self._drawer.book_lost()
        self._route()
        async with anyio.create_task_group() as tasks:
            while True:
                await self._settle()
                if self._over:
                    for scope in self._scopes.values():
                        scope.cancel()
                    break
                self._start(tasks)
                if not self._scopes and not self._next_arrived:
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

    @property
    def _next_arrived(self) -> bool:
        return bool(self._open) and self._open[0].index in self._arrived

    async def _settle(self) -> None:
        """Tells the strategy what has arrived, in order, and asks it ahead after each."""
        self._ask()
        while not self._over and self._next_arrived:
            proposal = self._open.popleft()
            done = self._arrived.pop(proposal.index)
            if done is None:  # nothing came of it: the bank or the budget is at its end
                self._state = self._state.model_copy(update={"exhausted": True})
                continue
            candidate = await self._settled(done)
            self._nodes[proposal.index] = Node(
                proposal, candidate.completion.text, candidate.program, candidate.verdict
            )
            self._s.listener(
                events.VerdictReached(
                    self._task.id, candidate.index, candidate.verdict, candidate.kind
                )
            )
            self._state = self._s.strategy.tell(self._state, proposal, candidate.verdict)
            self._route()
            self._over = self._s.strategy.finished(self._state)
            self._ask()

    def _route(self) -> None:
        """Takes down in which tier the task stands by what the model under way has drawn."""
        if self._s.router is None or (self._result.routes and self._state.seen[-1].passed):
            return
        tiers = {index: node.proposal.tier for index, node in self._nodes.items()}
        last = max(tiers.values(), default=0)
        seen = [one for one in self._state.seen if tiers.get(one.index) == last]
        route, known = self._s.router.route(self._looks, seen), self._result.routes
        if known and known[-1].tier is route.tier:
            known[-1] = route
            return
        known.append(route)
        self._s.listener(events.TierChosen(self._task.id, route))

    async def _settled(self, done: _Done) -> Candidate:
        """What is known for good of a proposal whose turn has come."""
        candidate = done.candidate
        if not done.whole:
            self._result.pieces += 1
            return candidate
        if candidate.verdict.passed and self._s.confirm is Confirm.EACH:
            candidate = await self._confirm(candidate)
        if candidate.verdict.broken:  # no candidate can pass tests that can't be run
            self._stop("tests", candidate.verdict.broken)
        identity = self._judging.identity(candidate.program)
        self._result.duplicates += identity in self._identities
        self._identities.add(identity)
        self._result.candidates.append(candidate)
        return candidate

    def _ask(self) -> None:
        """Asks the strategy ahead, as far as it goes without more verdicts."""
        while not self._over and len(self._open) < _AHEAD and self._may_go_on():
            room = _AHEAD - len(self._open)
            state, proposals = self._s.strategy.ask(self._state, room)
            if self._state.exhausted and not all(one.free for one in proposals):
                return
            self._state = state
            if not proposals:
                return
            self._open.extend(proposals)
            self._waiting.extend(proposals)

    def _may_go_on(self) -> bool:
        """Whether to ask on; where nothing can be paid, only if there is time for what is free."""
        if not self._state.exhausted:
            return True
        try:
            self._s.ledger.check_time()
        except BudgetExhaustedError:
            return False
        return True

    def _start(self, tasks: TaskGroup) -> None:
        """Sets to work on what waits, as far as calls may be made at a time."""
        # what waits for its turn counts too: a fast model must not draw far ahead of a verdict
        while self._waiting and len(self._scopes) + len(self._arrived) < self._s.concurrency:
            proposal = self._waiting.popleft()
            work = self._begin(tasks, proposal)
            if not isinstance(work, Ask):
                continue
            if self._drawer.received_before(proposal, work):
                return  # it may end the search, so nothing is asked of the model before it is told
            for companion in self._drawer.join(proposal, self._waiting):
                self._waiting.remove(companion)
                self._begin(tasks, companion)

    def _begin(self, tasks: TaskGroup, proposal: Proposal) -> Ask | Made | None:
        work = self._s.kinds(proposal.kind).work(proposal, self._known)
        scope = anyio.CancelScope()
        self._scopes[proposal.index] = scope
        tasks.start_soon(self._work, proposal, work, scope)
        return work

    async def _work(
        self, proposal: Proposal, work: Ask | Made | None, scope: anyio.CancelScope
    ) -> None:
        done: _Done | None = None
        with scope:
            try:
                done = await self._done(proposal, work)
            except BankExhaustedError as error:
                if proposal.tier < len(self._s.stronger):  # a better model may have some
                    done = _nothing(proposal, str(error))
                else:
                    self._stop("bank", str(error))
            except BudgetExhaustedError as error:
                self._stop("budget", str(error))
            except PoolSpentError as error:
                self._stop("pool", str(error))
            except PromptTooLongError as error:
                if proposal.parent is None:
                    self._stop("prompt", str(error))
                else:  # what it goes on from is too long; there are other things to try
                    done = _nothing(proposal, str(error))
        del self._scopes[proposal.index]
        if not scope.cancelled_caught:
            self._arrived[proposal.index] = done
        elif isinstance(work, Ask) and not self._drawer.received_before(proposal, work):
            self._drawer.record("dropped", {"index": proposal.index})
        self._change.set()

    def _stop(self, why: str, detail: str) -> None:
        if self._result.stopped == "drawn":
            self._result.stopped, self._result.detail = why, detail
        self._state = self._state.model_copy(update={"exhausted": True})
        # nobody will work on what asks a model, so nobody waits for it
        unworked = {one.index for one in self._waiting if not one.free}
        self._open = deque(one for one in self._open if one.index not in unworked)
        self._waiting = deque(one for one in self._waiting if one.free)

    async def _done(self, proposal: Proposal, work: Ask | Made | None) -> _Done:
        if work is None:
            return _nothing(proposal, "there is nothing to do")
        if isinstance(work, Made):
            self._s.ledger.check_time()
            completion, paid = _unasked(work.program), 0.0
            product = Product(work.program)
        else:
            await self._turn(proposal, work)
            completion, paid = await self._drawer.draw(proposal, work)
            product = self._s.kinds(proposal.kind).read(proposal, completion, self._known)
        verdict = await self._verdict(proposal, product.program, product.piece)
        candidate = Candidate(
            proposal.index,
            product.program,
            completion,
            paid,
            verdict,
            kind=proposal.kind,
            parent=proposal.parent,
            tier=proposal.tier,
        )
        return _Done(candidate, whole=product.piece is None)

    async def _turn(self, proposal: Proposal, work: Ask) -> None:
        """Waits until a shared pool deals out a sample to this task."""
        if self._s.pool is not None:
            chance = self._result.routes[-1].chance if self._result.routes else 0.0
            recorded = self._drawer.received_before(proposal, work) is not None
            await self._s.pool.take(chance, recorded=recorded)

    async def _verdict(self, proposal: Proposal, program: str, piece: Piece | None) -> Verdict:
        judge, index, on = (
            self._judging.judge,
            proposal.index,
            self._drawer.account(proposal.tier, free=proposal.free),
        )
        if piece is None:
            return await judge(index, self._task, program, on=on)
        verdict = piece.verdict
        if verdict is None:
            verdict = await judge(index, piece.task or self._task, program, on=on)
        return PieceVerdict(left=piece.left, **verdict.model_dump())

    async def _confirm(self, candidate: Candidate) -> Candidate:
        """Judges a passing candidate again, in a fresh sandbox with another hash seed."""
        verdict = await self._judging.judge(
            candidate.index,
            self._task,
            candidate.program,
            fresh=True,
            on=self._drawer.account(candidate.tier, free=not candidate.completion.model),
        )
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
            self._drawer.record("incident", data)
        self._result.incidents.append(incident)
        self._s.listener(incident)

    async def _choose(self) -> None:
        by_index = {one.index: one for one in self._result.candidates}
        best, strategy = self._best_standing(), self._s.strategy
        gives_up = isinstance(strategy, GivesUp) and strategy.gave_up(self._state)
        if self._result.stopped == "drawn" and gives_up:
            self._result.stopped = "given up"
        while best is not None and best.passed and self._s.confirm is Confirm.CHOSEN:
            by_index[best.index] = confirmed = await self._confirm(by_index[best.index])
            if confirmed.verdict.passed:
                break
            best = self._best_standing()
        self._result.candidates = list(by_index.values())
        if best is None:
            return
        self._result.chosen = by_index[best.index]
        self._result.confidence = self._standing().confidence
        if best.passed and (self._over or self._result.stopped in ("drawn", "given up")):
            self._result.stopped, self._result.detail = "verified", ""
        if self._over and (ending := self._state.ending):
            self._result.stopped = ending

    def _best_standing(self) -> Seen | None:
        return self._standing().best

    def _standing(self) -> SearchState:
        """What was seen, but for those whose two verdicts disagree."""
        fallen = {one.index for one in self._result.incidents}
        standing = tuple(one for one in self._state.seen if one.index not in fallen)
        return self._state.model_copy(update={"seen": standing})


def _unasked(program: str) -> Completion:
    """What stands for an answer where no model was asked."""
    return Completion(text=program, usage=Usage(), finish="stop", model="", seconds=0.0)


def _nothing(proposal: Proposal, why: str) -> _Done:
    """What is told of a proposal of which nothing came."""
    verdict = PieceVerdict(outcome=Outcome.ERROR, reward=0.0, detail=why)
    candidate = Candidate(
        proposal.index,
        "",
        _unasked(""),
        0.0,
        verdict,
        kind=proposal.kind,
        parent=proposal.parent,
        tier=proposal.tier,
    )
    return _Done(candidate, whole=False)


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group that a task group raised: callers expect one, not a tree."""
    first = group.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first
