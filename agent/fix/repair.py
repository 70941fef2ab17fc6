"""The search for a patch: relevant tests first, the whole suite for what turns them, then proof."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import anyio

from agent.budget import BudgetExhaustedError, Ledger
from agent.fix.asking import Asked, Asker, Situation
from agent.fix.candidate import Candidate, Identity
from agent.fix.coverage import Coverage, trace
from agent.fix.languages import language_of
from agent.fix.partly import Partly
from agent.fix.relevant import Relevant
from agent.fix.spectrum import FormulaName
from agent.fix.suspects import Suspect
from agent.fix.targets import Targets, find_targets
from agent.fix.validation.assessment import Decision
from agent.fix.validation.validator import Validator
from agent.journal import Journal
from agent.loop import first_error
from sandbox.base import Sandbox
from sandbox.errors import SandboxError
from sandbox.jobs import Limits
from sandbox.outcome import Outcome
from verifiers.repository import RepositoryVerifier, Snapshot, SuiteOptions, runner_of
from verifiers.verdict import Verdict

_SLOWER = 4.0
"""How many times its baseline's time a run of the suite may take."""
_LEAST_SECONDS, _LEAST_CPU_SECONDS = 15.0, 2.0
"""Of wall and of cpu time. What loops for ever is ended by the second, so the first can be patient
with a busy machine."""
FURTHER = 24
"""Edits that are still tried after one that passes, to see whether it is the only one."""
FINALISTS = 4
"""Patches that pass and are compared; of small edits no more are sought."""
_FLAKY_PROOFS = 3
"""Fresh runs that a patch has to pass where flaky tests were seen."""

Listener = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Finalist:
    """A patch that turns every target and breaks nothing.

    Attributes:
        candidate: the patch.
        verdict: on the whole suite; the last of the fresh ones if there were any.
        proven: whether it passed in fresh sandboxes as well.
        special: why it looks as if it were for the inputs of the failing tests only, or empty.
    """

    candidate: Candidate
    verdict: Verdict
    proven: bool = False
    special: str = ""


@dataclass(slots=True)
class Repair:
    """What was tried and found.

    Attributes:
        targets: what had to be turned, and what to stay.
        left: of the failing tests, those that the patch is not for, with the end of the traceback;
            they are no targets any more. None come to what it changes.
        suspects: functions, most suspicious first.
        tried: patches that were judged.
        best: of those that don't pass, the one with the highest reward, and that.
        finalists: that pass, the one that most speaks for first; the chosen one is proven.
        refused: finalists that did not pass in a fresh sandbox, with the reason.
        asked: what a model was asked and answered, if it was.
        decision: how far the chosen one is to be believed.
        stopped: why it ended early, or empty.
        seconds: wall time.
    """

    targets: Targets
    left: dict[str, str] = field(default_factory=dict)
    suspects: tuple[Suspect, ...] = ()
    tried: int = 0
    best: tuple[Candidate, float] | None = None
    finalists: list[Finalist] = field(default_factory=list)
    refused: list[tuple[Candidate, str]] = field(default_factory=list)
    asked: Asked | None = None
    decision: Decision = field(default_factory=Decision)
    stopped: str = ""
    seconds: float = 0.0

    @property
    def before(self) -> Targets:
        """What failed and passed before any patch, whether the chosen one is for it or not."""
        return self.targets.model_copy(update={"failing": {**self.targets.failing, **self.left}})

    @property
    def chosen(self) -> Finalist | None:
        """The first of the proven."""
        return next((one for one in self.finalists if one.proven), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repairer:
    """All that a repair needs besides the repository.

    Attributes:
        sandbox: open, with what the repository requires, and with `options.limits` at the least.
        options: how its suite is run.
        ledger: what is spent and may be.
        most: free edits to try.
        workers: suites to run at a time.
        only: ids of the tests to turn; empty for all that fail.
        formula: by which functions and lines are suspected.
        listener: told what is going on, in a line.
        asker: who is asked where no free edit does; `None` for nobody.
        journal: where it is recorded what a resumed run has to find again; `None` records nothing.
    """

    sandbox: Sandbox
    options: SuiteOptions
    ledger: Ledger
    most: int = 300
    workers: int = 1
    only: Sequence[str] = ()
    formula: FormulaName = FormulaName.OCHIAI
    listener: Listener = lambda _line: None
    asker: Asker | None = None
    journal: Journal | None = None

    async def repair(self, snapshot: Snapshot) -> Repair:
        """Looks for a patch.

        Raises:
            SandboxError: the sandbox can't be had.
            RepositoryError: the repository can't be judged.
            ModelError: the model can't be used, and no patch was found before.
        """
        began = time.monotonic()
        targets = await self._targets(snapshot)
        found = Repair(targets.only(self.only) if self.only else targets)
        if found.targets.failing and not found.targets.broken:
            await _Search(self, snapshot, found).run()
        found.seconds = time.monotonic() - began
        return found

    async def _targets(self, snapshot: Snapshot) -> Targets:
        """As they were found; a resumed run asks the same only if it knows the same."""
        known = self.journal.get("targets", "") if self.journal is not None else None
        if known is not None:
            return Targets.model_validate(known["targets"])
        self.listener("running the suite twice")
        targets = await find_targets(self.sandbox, snapshot, self.options)
        if self.journal is not None:
            self.journal.append("targets", {"targets": targets.model_dump(mode="json")})
        return targets


class _Search:
    """One search under way."""

    def __init__(self, repairer: Repairer, snapshot: Snapshot, found: Repair) -> None:
        self._r, self._snapshot, self._found = repairer, snapshot, found
        targets = found.targets
        self._options = repairer.options.model_copy(
            update={"limits": self._limits(repairer.options.limits, targets)}
        )
        self._verifier = RepositoryVerifier(repairer.sandbox, snapshot, self._options)
        self._relevant = Relevant(snapshot, self._verifier.sources, targets, Coverage())
        self._partly = Partly(targets, Coverage(), self._relevant)
        self._language = language_of(runner_of(snapshot, self._options.runner))
        self._left: Iterator[tuple[int, Candidate]] = iter(())
        self._passed: dict[int, Finalist] = {}
        self._last = repairer.most
        """The number of the last edit that is tried."""
        self._verdicts: dict[Identity, Verdict | anyio.Event] = {}

    async def run(self) -> None:
        """Tries edits, and proves what passes."""
        found, sources = self._found, self._verifier.sources
        seen = Coverage()
        if self._language.is_traced:
            self._r.listener("running the suite once more, to see what each test executes")
            seen = await trace(self._r.sandbox, self._snapshot, self._r.options, found.targets)
        self._relevant = Relevant(self._snapshot, sources, found.targets, seen)
        self._partly = Partly(found.targets, seen, self._relevant)
        if not self._tried_before():
            found.suspects = self._language.suspects(
                self._snapshot, sources, found.targets, seen, self._r.formula
            )
            await self._try_edits()
            await self._validate()
        if found.chosen is None and not found.stopped and self._r.asker is not None:
            await self._ask(self._r.asker)
            await self._validate()
        if found.chosen is None and not found.stopped:
            await self._settle()

    async def _try_edits(self) -> None:
        found = self._found
        made = self._language.edits(self._snapshot, found.suspects, found.targets.failing)
        self._left = enumerate(made)
        try:
            async with anyio.create_task_group() as group:
                for _ in range(self._r.workers):
                    group.start_soon(self._work)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        found.finalists = [self._passed[number] for number in sorted(self._passed)]

    async def _validate(self) -> None:
        """Puts the finalists in order, proves the first that holds, and says how far it goes."""
        found, targets = self._found, self._found.targets
        if not found.finalists:
            return
        validator = Validator(
            verifier=self._verifier,
            limits=self._r.options.limits,
            ledger=self._r.ledger,
            failing=targets.failing,
            hanging=targets.hanging,
            passing=targets.passing,
            suite_seconds=targets.seconds,
            compares=self._language.is_compared,
            listener=self._r.listener,
        )
        candidates = [one.candidate for one in found.finalists]
        patches = [one.texts for one in candidates]
        assessed = list(await validator.assess(patches, [str(one) for one in candidates]))
        special = [bool(one.special) for one in found.finalists]
        assessed.sort(key=lambda one: (one.dishonest, special[one.number]))
        found.finalists = [found.finalists[one.number] for one in assessed]
        await self._prove()
        for one, finalist in zip(assessed, found.finalists, strict=True):
            if finalist is found.chosen:
                found.decision = await validator.decide(
                    one, patches, proven=True, doubt=finalist.special
                )

    async def _settle(self) -> None:
        """Takes a patch for a part of the targets, where there is none for all of them."""
        found, all_targets = self._found, self._found.targets
        finalists: dict[frozenset[str], list[Finalist]] = {}
        for candidate in self._partly.best()[:FINALISTS]:
            verdict = await self._run(candidate, all_targets.failing, all_targets.passing)
            if turned := self._partly.turned(candidate, verdict):
                finalists.setdefault(turned, []).append(Finalist(candidate, verdict))
        for turned, equal in finalists.items():
            left = {name: how for name, how in all_targets.failing.items() if name not in turned}
            failing = {name: how for name, how in all_targets.failing.items() if name in turned}
            found.targets = all_targets.model_copy(update={"failing": failing})
            found.finalists, found.left = equal, left
            await self._validate()
            if found.chosen is not None:
                return
            found.targets, found.finalists, found.left = all_targets, [], {}

    async def _ask(self, asker: Asker) -> None:
        """Has a model write patches; those that pass are finalists, the best first."""
        found = self._found
        self._record_edits()
        situation = Situation(
            snapshot=self._snapshot,
            targets=found.targets,
            suspects=found.suspects,
            verifier=self._verifier,
            verify=self._judge,
            language=self._language,
            tried=found.tried,
            best=found.best,
        )
        found.asked = asked = await asker.ask(situation)
        found.tried += asked.answers.judged
        found.stopped = asked.stopped if asked.spent else ""
        if asked.best is not None and (found.best is None or asked.best[1] > found.best[1]):
            found.best = asked.best
        found.finalists += [
            Finalist(one.candidate, one.verdict, special=one.special) for one in asked.passed
        ]

    def _record_edits(self) -> None:
        journal, found = self._r.journal, self._found
        if journal is not None and journal.get("edits", "") is None:
            best = found.best
            record = {
                "tried": found.tried,
                "best": best[0].model_dump(mode="json") if best is not None else None,
                "reward": best[1] if best is not None else 0.0,
                "suspects": [one.model_dump(mode="json") for one in found.suspects],
            }
            journal.append("edits", record)

    def _tried_before(self) -> bool:
        """Whether an earlier start has come as far as asking, and what it knew by then."""
        known = self._r.journal.get("edits", "") if self._r.journal is not None else None
        if known is None or self._r.asker is None:
            return False
        self._found.tried = known["tried"]
        self._found.suspects = tuple(Suspect.model_validate(one) for one in known["suspects"])
        if known["best"] is not None:
            self._found.best = Candidate.model_validate(known["best"]), known["reward"]
        return True

    async def _work(self) -> None:
        for number, candidate in self._left:
            if number >= self._last or len(self._passed) >= FINALISTS:
                return
            try:
                self._r.ledger.check_time()
            except BudgetExhaustedError as error:
                self._found.stopped = str(error)
                return
            verdict = await self._judge(candidate)
            self._found.tried += 1
            self._told(number, candidate, verdict)

    def _told(self, number: int, candidate: Candidate, verdict: Verdict) -> None:
        found = self._found
        self._r.listener(f"patch {found.tried}: {candidate}: reward {verdict.reward:.2f}")
        if verdict.passed:
            self._passed[number] = Finalist(candidate, verdict)
            self._last = min(self._last, number + FURTHER)
        elif found.best is None or verdict.reward > found.best[1]:
            found.best = candidate, verdict.reward

    async def _judge(self, candidate: Candidate) -> Verdict:
        """The verdict on a patch; on one that is the same but for comments and layout, known."""
        key = candidate.identity
        while isinstance(known := self._verdicts.get(key), anyio.Event):
            await known.wait()
        if known is not None:
            return known
        self._verdicts[key] = done = anyio.Event()
        try:
            self._verdicts[key] = verdict = await self._suite(candidate)
            self._partly.note(candidate, verdict)
        finally:
            if self._verdicts[key] is done:  # cancelled or failed: whoever waits runs it
                del self._verdicts[key]
            done.set()
        return verdict

    async def _suite(self, candidate: Candidate) -> Verdict:
        """The tests that come to what is changed; then, if it turns the targets, all of them."""
        targets = self._found.targets
        failing, near = self._relevant.failing, self._relevant.tests(candidate.texts)
        verdict = await self._run(candidate, failing, near)
        # where only others fail: without those before them in their files they may
        turned = _passed(verdict).issuperset(failing)
        if turned and len(failing) + len(near) < len(targets.failing) + len(targets.passing):
            verdict = await self._run(candidate, targets.failing, targets.passing)
        return verdict

    async def _run(
        self,
        candidate: Candidate,
        failing: Iterable[str],
        passing: Iterable[str],
        *,
        fresh: bool = False,
    ) -> Verdict:
        verdict = await self._verifier.verify(
            candidate.texts, fail_to_pass=failing, pass_to_pass=passing, fresh=fresh
        )
        if verdict.outcome is Outcome.INFRA:
            raise SandboxError(f"the sandbox failed three times: {verdict.detail}")
        self._r.ledger.ran(verdict.seconds)
        return verdict

    async def _prove(self) -> None:
        """Fresh runs of the finalists, in their order, until one passes them."""
        found = self._found
        refused = {candidate.identity for candidate, _ in found.refused}
        for place, finalist in enumerate(found.finalists):
            if finalist.candidate.identity in refused:
                continue
            runs = _FLAKY_PROOFS if found.targets.flaky else 1
            for number in range(runs):
                self._r.listener(f"proof {number + 1} of {runs} in a fresh sandbox")
                targets = found.targets
                verdict = await self._run(
                    finalist.candidate, targets.failing, targets.passing, fresh=True
                )
                if not verdict.passed:
                    found.refused.append((finalist.candidate, verdict.detail))
                    break
            else:
                found.finalists[place] = replace(finalist, verdict=verdict, proven=True)
                return

    def _limits(self, limits: Limits, targets: Targets) -> Limits:
        """Time in proportion to what the suite took before anything was changed."""
        seconds = max(_LEAST_SECONDS, _SLOWER * targets.seconds)
        cpu = max(_LEAST_CPU_SECONDS, _SLOWER * targets.cpu_seconds)
        return limits.model_copy(
            update={
                "wall_seconds": min(limits.wall_seconds, seconds),
                "cpu_seconds": min(limits.cpu_seconds, round(cpu)),
            }
        )


def _passed(verdict: Verdict) -> set[str]:
    return {one.name for one in verdict.tests if one.outcome is Outcome.PASSED}
