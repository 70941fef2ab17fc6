"""The search for patches by a model, driven by the loop that drives all searches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from agent import events
from agent.budget import Ledger
from agent.drawing import Sampling
from agent.fix.asking import Answers, Asked, Passed, Situation
from agent.fix.candidate import Candidate, Identity
from agent.fix.model.attempt import Attempt
from agent.fix.model.judging import AttemptVerifier
from agent.fix.model.kinds import kinds
from agent.fix.model.prompts import LENGTHS, first_request
from agent.fix.model.special import special_case
from agent.fix.model.strategy import patch_strategy
from agent.journal import Journal
from agent.llm.base import ModelError
from agent.loop import Confirm, Searcher
from agent.settings import Settings
from agent.tiers import Tier
from sandbox.outcome import Outcome
from tasks.model import PublicTask
from verifiers.verdict import Verdict

TASK_ID = "fix"
"""Under which samples stand in a run's journal, and in a recorded bank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSearch:
    """Asks a model, or the models of a cascade, for patches.

    Attributes:
        settings: how to search and to draw.
        tiers: the models, open.
        ledger: what is spent and may be.
        journal: where answers are recorded; `None` records nothing.
        listener: told what happens.
    """

    settings: Settings
    tiers: Sequence[Tier]
    ledger: Ledger
    journal: Journal | None = None
    listener: events.Listener = events.ignore

    async def ask(self, situation: Situation) -> Asked:
        """Searches until the budget, the samples or the strategy are at their end.

        Raises:
            ModelError: the model can't be used, and no patch was found before.
            SandboxError: the sandbox can't be had.
            JournalError: what was received can't be kept.
        """
        kept = _Kept(situation)
        for longest in LENGTHS:
            try:
                result = await self._searcher(kept, longest).search(_task())
            except ModelError as error:
                found = _asked(situation, kept.seen)
                if not found.passed:
                    raise
                return replace(found, stopped=str(error))
            if result.stopped != "prompt" or result.candidates:
                break
        seen = [(one.program, one.verdict) for one in result.candidates]
        stopped = result.detail if result.stopped in ("budget", "bank", "prompt") else ""
        found = _asked(situation, seen)
        return replace(found, stopped=stopped, spent=result.stopped == "budget")

    def _searcher(self, kept: _Kept, longest: int) -> Searcher:
        settings, known = self.settings, kept.situation
        return Searcher(
            model=self.tiers[0].model,
            price=self.tiers[0].price,
            stronger=tuple(self.tiers[1:]),
            verifier=kept,
            strategy=patch_strategy(settings),
            ledger=self.ledger,
            journal=self.journal,
            sampling=Sampling(
                max_tokens=settings.max_tokens,
                top_p=settings.top_p,
                seed=settings.seed,
                early_stop=False,  # an answer is no program, so nothing can be told early
                effort=settings.effort,
                thinking=settings.thinking_tokens,
                per_call=settings.samples_per_call,
            ),
            concurrency=settings.calls_at_a_time,
            confirm=Confirm.NONE,  # finalists are proven by the repair
            listener=self.listener,
            kinds=kinds(known, first_request(known, longest)),
        )


class _Kept(AttemptVerifier):
    """A verifier that keeps what it has judged, should the model break down later."""

    def __init__(self, situation: Situation) -> None:
        super().__init__(situation)
        self.situation = situation
        self.seen: list[tuple[str, Verdict]] = []

    async def verify(self, task: PublicTask, program: str, *, fresh: bool = False) -> Verdict:
        verdict = await super().verify(task, program, fresh=fresh)
        self.seen.append((program, verdict))
        return verdict


def _task() -> PublicTask:
    """What stands for the repository where a search wants a task; all else is in the kinds."""
    return PublicTask(id=TASK_ID, prompt="", entry_kind="program", language="patch")


def _asked(situation: Situation, seen: Iterable[tuple[str, Verdict]]) -> Asked:
    """What a search has brought, from all attempts that it has settled with the verdict on each."""
    passed: dict[Identity, Passed] = {}
    best: tuple[Candidate, float] | None = None
    counts = dict.fromkeys(Answers.model_fields, 0)
    known: set[Identity] = set()
    for program, verdict in seen:
        counts["received"] += 1
        attempt = Attempt.model_validate_json(program)
        candidate = attempt.candidate
        if candidate is None:
            counts[attempt.kind.value] += 1
            continue
        repeated = candidate.identity in known
        counts["repeated" if repeated else "judged"] += 1
        known.add(candidate.identity)
        if _all_pass(verdict):
            special = special_case(situation, candidate)
            counts["special"] += bool(special) and not repeated
            passed.setdefault(candidate.identity, Passed(candidate, verdict, special))
        elif best is None or verdict.reward > best[1]:
            best = candidate, verdict.reward
    return Asked(
        passed=tuple(sorted(passed.values(), key=lambda one: _rank(situation, one))),
        answers=Answers.model_validate(counts),
        best=best,
    )


def _rank(situation: Situation, passed: Passed) -> tuple[bool, int, str]:
    """Patches without a special case first, the smallest of them first."""
    candidate = passed.candidate
    return bool(passed.special), candidate.size(situation.snapshot), str(candidate)


def _all_pass(verdict: Verdict) -> bool:
    """Whether the suite passes, whatever else is held against the patch."""
    return bool(verdict.tests) and all(one.outcome is Outcome.PASSED for one in verdict.tests)
