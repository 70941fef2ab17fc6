"""Compares the patches that pass a suite, chooses among them, and says how far one is believed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.budget import BudgetExhaustedError, Ledger
from agent.fix.validation.assessment import (
    Assessment,
    Confidence,
    Decision,
    Evidence,
    decide,
    order,
)
from agent.fix.validation.behaviour import Difference, compare, difference, telling
from agent.fix.validation.flags import Flag
from agent.fix.validation.harness import Call, Harness, Seen
from agent.fix.validation.inputs import Input, make_inputs
from agent.fix.validation.neighbours import neighbours, size
from agent.fix.validation.syntax import find_flags
from agent.fix.validation.watching import Watched, functions_to_watch
from sandbox.errors import SandboxError
from sandbox.jobs import Limits
from verifiers.repository import Patch, RepositoryError, RepositoryVerifier

NEIGHBOURS = 20
"""Small edits of the chosen patch that the suite is tried on."""
_WHOLE_SUITE_SECONDS = 20.0
"""A suite that takes longer is recorded only in the files in which tests fail."""
_MOST_INPUTS = 400
_HARNESS_SECONDS = 120.0


@dataclass(slots=True, kw_only=True)
class Validator:
    """Looks at the patches of one repository that pass its suite.

    Attributes:
        verifier: of the repository as it was.
        limits: of a run in which calls are made; the sandbox has to be opened with these.
        ledger: what is spent and may be.
        failing: ids of the tests that the patches turn, with the end of the traceback.
        hanging: those of them that did not end.
        passing: ids of the tests that passed before.
        suite_seconds: that the suite takes.
        compares: whether syntax and calls can be looked at: they can for Python only.
        seconds: wall time that may be spent on small edits of the chosen patch.
        neighbours: how many of them are tried at the most.
        listener: told what is going on, in a line.
        evidence: what the last decision rests on, besides its assessment.
    """

    verifier: RepositoryVerifier
    limits: Limits
    ledger: Ledger
    failing: Mapping[str, str]
    hanging: Sequence[str] = ()
    passing: Sequence[str] = ()
    suite_seconds: float = 0.0
    compares: bool = True
    seconds: float = 120.0
    neighbours: int = NEIGHBOURS
    listener: Callable[[str], None] = lambda _line: None
    evidence: Evidence = field(default_factory=Evidence)
    _names: Sequence[str] = ()
    _assessed: tuple[Assessment, ...] = ()
    _inputs: tuple[Input, ...] = ()
    _old: tuple[Seen, ...] = ()
    _seen: dict[int, tuple[Seen, ...]] = field(default_factory=dict)

    async def assess(
        self, patches: Sequence[Patch], names: Sequence[str] = ()
    ) -> tuple[Assessment, ...]:
        """What is known of each patch, the best first.

        Args:
            patches: that pass the suite, the most promising first.
            names: of them, for people.

        Raises:
            SandboxError: the sandbox can't be had at all.
        """
        harness = self._harness()
        self._names = names or [f"patch {number + 1}" for number in range(len(patches))]
        if self.compares:
            self.listener("comparing what was before and after")
            await self._prepare(harness, patches)
        self.ledger.ran(harness.seconds)
        groups = self._groups(len(patches))
        found = [
            Assessment(
                number=number,
                size=size(self.verifier.snapshot, patch) if self.compares else 0,
                flags=self._flags(patch),
                behaviour=compare(self._inputs, self._old, self._seen[number])
                if self._inputs
                else None,
                group=groups[number],
                alike=groups.count(groups[number]),
            )
            for number, patch in enumerate(patches)
        ]
        self._assessed = tuple(sorted(found, key=order))
        return self._assessed

    async def decide(
        self, chosen: Assessment, patches: Sequence[Patch], *, proven: bool, doubt: str = ""
    ) -> Decision:
        """How far the chosen patch is to be believed.

        Args:
            chosen: of the assessments.
            patches: those that were assessed, in the same order as then.
            proven: whether it passed in a fresh sandbox.
            doubt: what else speaks against it, or nothing.

        Raises:
            SandboxError: the sandbox can't be had at all.
        """
        evidence = self._against(chosen).model_copy(update={"doubt": doubt})
        before = decide(chosen, evidence, proven=proven, tried=False)
        if before.confidence is Confidence.VALIDATED:
            evidence = await self.try_neighbours(patches[chosen.number], chosen, evidence)
        self.evidence = evidence
        return decide(chosen, evidence, proven=proven)

    def _flags(self, patch: Patch) -> tuple[Flag, ...]:
        if not self.compares:
            return ()
        return find_flags(self.verifier.snapshot, patch, self.failing)

    def _harness(self) -> Harness:
        own = self.verifier
        seconds = min(self.limits.wall_seconds, _HARNESS_SECONDS)
        limits = self.limits.model_copy(
            update={"wall_seconds": seconds, "cpu_seconds": max(1, round(seconds))}
        )
        options = own.options.model_copy(update={"limits": limits})
        return Harness(RepositoryVerifier(own.sandbox, own.snapshot, options))

    async def _prepare(self, harness: Harness, patches: Sequence[Patch]) -> None:
        """Records calls in the old code, makes inputs of them, and runs all versions on those."""
        watched = functions_to_watch(self.verifier.snapshot, patches, self.verifier.sources)
        calls = await self._record(harness, watched) if self._has_time() else ()
        self._inputs = self._make(calls, watched)
        if self._inputs:
            self._old, *seen = await harness.observe([{}, *patches], self._inputs)
            self._seen = dict(enumerate(seen))

    async def _record(self, harness: Harness, watched: Sequence[Watched]) -> tuple[Call, ...]:
        by_path: dict[str, list[str]] = {}
        for one in watched:
            by_path.setdefault(one.path, []).append(one.name)
        tests = [*self.failing]
        if self.suite_seconds <= _WHOLE_SUITE_SECONDS:
            tests += self.passing
        if not by_path:
            return ()
        return await harness.record(by_path, tests, self.failing, self.hanging)

    def _make(self, calls: Sequence[Call], watched: Sequence[Watched]) -> tuple[Input, ...]:
        """Inputs of the changed functions; of their callers only where those have none."""
        passing = set(self.passing)
        found: dict[bool, list[Input]] = {True: [], False: []}
        for label in dict.fromkeys(call.function for call in calls):
            name = label.partition(":")[2]
            of = next((one for one in watched if one.name == name), None)
            if of is None:
                continue
            own = [call for call in calls if call.function == label]
            found[of.changed] += make_inputs(
                label,
                [call.given for call in own if call.test in passing],
                [call.given for call in own if call.fails],
                of.node,
            )
        chosen = found[True]
        if not any(one.origin.value == "failing" for one in chosen):
            chosen = [*found[False], *chosen]
        return tuple(chosen[:_MOST_INPUTS])

    def _groups(self, count: int) -> list[int]:
        """For each patch the number of the first one that does the same on all inputs."""
        forms = [
            tuple((one.kind, one.digest) for one in self._seen.get(number, ()))
            for number in range(count)
        ]
        return [forms.index(form) for form in forms]

    def _against(self, chosen: Assessment) -> Evidence:
        """Other patches that pass the suite and do something else on an input.

        Those that nobody could mean tell nothing of what is meant.
        """
        rivals = agreeing = 0
        shown: list[Difference] = []
        mine = self._seen.get(chosen.number, ())
        others = [one for one in self._assessed if one is not chosen and not one.dishonest]
        for other in others if mine else ():
            theirs = self._seen[other.number]
            places = telling(self._inputs, mine, theirs)
            agreeing += not places
            rivals += bool(places)
            for place in places[:1]:
                results = {"this patch": mine[place], self._names[other.number]: theirs[place]}
                shown.append(difference(self._inputs[place], results))
        return Evidence(agreeing=agreeing, rivals=rivals, differing=tuple(shown))

    async def try_neighbours(
        self, patch: Patch, chosen: Assessment, evidence: Evidence
    ) -> Evidence:
        """Runs the suite on small edits of a patch that do something else than it does.

        Args:
            patch: one of those that were assessed.
            chosen: its assessment.
            evidence: what is known besides.

        Returns:
            That, with what came of it.
        """
        harness = self._harness()
        mine = self._seen[chosen.number]
        shown = list(evidence.differing)
        others = neighbours(self.verifier.snapshot, patch, count=self.neighbours)
        self.listener(f"comparing {len(others)} small edits of the patch")
        observed = await harness.observe(others, self._inputs)
        self.ledger.ran(harness.seconds)
        places = [telling(self._inputs, mine, seen) for seen in observed]
        unlike = [number for number, found in enumerate(places) if found]
        passed = await self.passes([others[number] for number in unlike])
        for number, survives in zip(unlike, passed, strict=False):
            if survives:
                place = places[number][0]
                seen = {"this patch": mine[place], "a small edit of it": observed[number][place]}
                shown.append(difference(self._inputs[place], seen))
        return evidence.model_copy(
            update={
                "neighbours": len(passed),
                "alike": len(others) - len(unlike),
                "survived": sum(passed),
                "differing": tuple(shown),
            }
        )

    async def passes(self, patches: Sequence[Patch]) -> list[bool]:
        """Whether each of some patches passes the suite; of fewer, if the time is over."""
        began = time.monotonic()
        found: list[bool] = []
        for patch in patches:
            if time.monotonic() - began > self.seconds or not self._has_time():
                break
            self.listener(f"small edit {len(found) + 1} of {len(patches)} of the patch")
            found.append(await self._passes(patch))
        return found

    async def _passes(self, patch: Patch) -> bool:
        files = {name.partition("::")[0] for name in self.failing}
        beside = [name for name in self.passing if name.partition("::")[0] in files]
        try:
            verdict = await self.verifier.verify(
                patch, fail_to_pass=self.failing, pass_to_pass=beside
            )
            if verdict.passed and len(beside) < len(self.passing):
                verdict = await self.verifier.verify(
                    patch, fail_to_pass=self.failing, pass_to_pass=self.passing
                )
        except RepositoryError:
            return False
        if verdict.outcome == "infra":
            raise SandboxError(f"the sandbox failed three times: {verdict.detail}")
        self.ledger.ran(verdict.seconds)
        return verdict.passed

    def _has_time(self) -> bool:
        try:
            self.ledger.check_time()
        except BudgetExhaustedError:
            return False
        return True
