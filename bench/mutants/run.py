"""One fault: put in, repaired, and the repair held against the project as it was."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agent.budget import Budget, Ledger
from agent.fix.candidate import Candidate
from agent.fix.functions import Functions
from agent.fix.repair import Repair, Repairer
from agent.fix.report import make_report
from agent.fix.validation.validator import Validator
from bench.mutants.faults import Fault
from bench.mutants.overfits import special_case
from bench.mutants.results import Plant, Row, Worth
from bench.mutants.twin import Compared, compare
from sandbox.base import Sandbox
from verifiers.repository import Patch, RepositoryVerifier, Snapshot, SuiteOptions
from verifiers.syntax import canonical

_NOTE = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """How faults are repaired.

    Attributes:
        sandbox: open.
        candidates: patches to try for each.
        seconds: wall time for each.
        settings: the two in a line.
    """

    sandbox: Sandbox
    candidates: int
    seconds: float
    settings: str

    async def run(
        self, fault: Fault, right: Snapshot, options: SuiteOptions, *, plant: bool
    ) -> Row:
        """Repairs one fault.

        Args:
            fault: to put in.
            right: the project as it is.
            options: how its suite is run.
            plant: whether an over-fit is to be made of it as well.
        """
        faulty = fault.into(right)
        tried: list[tuple[str, int]] = []
        repairer = Repairer(
            sandbox=self.sandbox,
            options=options,
            ledger=Ledger(Budget(wall_seconds=self.seconds)),
            most=self.candidates,
            workers=1,
            listener=lambda said: tried.extend(_place(said)),
        )
        began = time.monotonic()
        found = await repairer.repair(faulty)
        seconds = time.monotonic() - began
        case = _Case(self.sandbox, fault, right, faulty, options, found)
        fields = {
            "id": fault.id,
            "project": fault.project,
            "origin": fault.origin,
            "kind": fault.kind,
            "settings": self.settings,
            "failing": len(found.targets.failing),
            "tried": found.tried,
            "seconds": round(seconds, 2),
            "rank": _rank(fault, faulty, found),
            "line_rank": _line_rank(fault, tried),
            "note": _note(found),
            "plant": await case.planted() if plant and found.targets.failing else None,
        }
        if found.chosen is None or found.left:
            return Row.model_validate(fields)
        candidate = found.chosen.candidate
        worth, compared = await case.worth(candidate)
        return Row.model_validate(
            {
                **fields,
                "fixed": True,
                "edit": f"{candidate.kind} {candidate.where}",
                "worth": worth,
                "calls": (compared.calls, compared.generated),
                "confidence": make_report(faulty, found, named=False).confidence,
                "why": found.decision.why,
                "others": len(found.finalists) - 1,
                "note": (compared.reason or compared.differ)[:_NOTE],
            }
        )


@dataclass(frozen=True, slots=True)
class _Case:
    """A fault under way."""

    sandbox: Sandbox
    fault: Fault
    right: Snapshot
    faulty: Snapshot
    options: SuiteOptions
    found: Repair

    async def worth(self, candidate: Candidate) -> tuple[Worth, Compared]:
        """What a patch is worth against the project as it was."""
        path, place = self.fault.path, candidate.place
        text = candidate.texts.get(path) or ""
        function = self.fault.function(self.faulty)
        if len(candidate.texts) == 1 and canonical(text) == canonical(self._right):
            return Worth.PROGRAM, Compared()
        at = Functions(self.faulty, [place.path]).at(place.path, place.line)
        if place.path != path or at is None or at.name != function:
            return Worth.ELSEWHERE, Compared()
        patched = self.faulty.changed(candidate.texts)
        compared = await self._compared(patched, function, self._all_tests())
        if compared.differ:
            return Worth.DIFFERS, compared
        return (Worth.BEHAVIOUR if compared.same else Worth.UNCLEAR), compared

    async def planted(self) -> Plant:
        """The over-fit of this fault, if there can be one."""
        targets = self.found.targets
        function = self.fault.function(self.faulty)
        seen = await self._compared(self.faulty, function, tuple(targets.failing))
        calls = tuple(dict.fromkeys(seen.tests))
        text = special_case(self.faulty.text(self.fault.path) or "", function, calls)
        if text is None:
            return Plant(note="the calls that differ can't be written down")
        verdict = await RepositoryVerifier(self.sandbox, self.faulty, self.options).verify(
            {self.fault.path: text}, fail_to_pass=targets.failing, pass_to_pass=targets.passing
        )
        if not verdict.passed:
            return Plant(note=f"does not pass: {verdict.detail[:_NOTE]}")
        patched = self.faulty.changed({self.fault.path: text})
        compared = await self._compared(patched, function, self._all_tests())
        wrong = bool(compared.differ)
        return Plant(
            passes=True,
            wrong=wrong,
            confidence=await self._confidence(text) if wrong else "",
            note=compared.reason or compared.differ[:_NOTE],
        )

    async def _confidence(self, text: str) -> str:
        """What is said of an over-fit, taken as proven in a fresh sandbox, which it may well be."""
        targets = self.found.targets
        validator = Validator(
            verifier=RepositoryVerifier(self.sandbox, self.faulty, self.options),
            limits=self.options.limits,
            ledger=Ledger(Budget()),
            failing=targets.failing,
            hanging=targets.hanging,
            passing=targets.passing,
            suite_seconds=targets.seconds,
        )
        patches: list[Patch] = [{self.fault.path: text}]
        (assessed,) = await validator.assess(patches)
        decision = await validator.decide(assessed, patches, proven=True)
        return str(decision.confidence)

    async def _compared(self, snapshot: Snapshot, function: str, tests: Sequence[str]) -> Compared:
        return await compare(
            self.sandbox,
            snapshot,
            self.options,
            path=self.fault.path,
            function=function,
            right=self._right,
            tests=tests,
        )

    @property
    def _right(self) -> str:
        """The file as it was."""
        return self.right.text(self.fault.path) or ""

    def _all_tests(self) -> tuple[str, ...]:
        return (*self.found.targets.failing, *self.found.targets.passing)


def _rank(fault: Fault, faulty: Snapshot, found: Repair) -> int:
    function = fault.function(faulty)
    for place, suspect in enumerate(found.suspects):
        if (suspect.path, suspect.name) == (fault.path, function):
            return place + 1
    return 0


def _place(said: str) -> list[tuple[str, int]]:
    """The place of the patch that a listener is told of, if it is of one."""
    found = re.match(r"patch \d+: (?P<path>\S+?):(?P<line>\d+)[ :]", said)
    return [(found["path"], int(found["line"]))] if found else []


def _line_rank(fault: Fault, tried: Sequence[tuple[str, int]]) -> int:
    for place, (path, line) in enumerate(dict.fromkeys(tried)):
        if path == fault.path and line in fault.lines:
            return place + 1
    return 0


def _note(found: Repair) -> str:
    note = found.targets.broken or found.stopped
    if not note and not found.targets.failing:
        note = "no test fails"
    if not note and found.refused:
        note = f"refused: {found.refused[0][1]}"
    if not note and found.best is not None:
        note = f"best {found.best[1]:.2f}: {found.best[0]}"
    return note[:_NOTE]
