"""Which mutants become faults of the benchmark: drawn by a seed, kept if the tests catch them."""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.mutants.faults import Fault, make_fault
from bench.mutants.injectors import Mutant, draw_order, injectors, is_other
from bench.mutants.projects import Project
from sandbox.base import Sandbox
from sandbox.outcome import Outcome
from verifiers.repository import RepositoryVerifier, Snapshot, SuiteOptions
from verifiers.verdict import Verdict

_DRAWS = 12
"""Mutants that are drawn at the most for each one that is wanted."""


@dataclass(slots=True)
class Chosen:
    """What was drawn.

    Attributes:
        faults: that the tests catch.
        left_out: of the others, how many for which reason.
    """

    faults: list[Fault] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class Checked:
    """What was found of mutants, a line each in a file, so that a draw can be broken off.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: dict[str, str] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                self.known[found["digest"]] = found["reason"]

    def add(self, fault: Fault, reason: str) -> None:
        """Notes why a fault is left out; an empty reason says that it is not."""
        self.known[fault.digest] = reason
        line = json.dumps({"digest": fault.digest, "project": fault.project, "reason": reason})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


async def choose(
    project: Project,
    snapshot: Snapshot,
    sandbox: Sandbox,
    options: SuiteOptions,
    *,
    wanted: int,
    seed: int,
    checked: Checked,
    say: Callable[[str], None],
) -> Chosen:
    """Draws mutants of one project from each tool until so many are caught by its tests.

    Args:
        project: of which.
        snapshot: it, as it is.
        sandbox: open.
        options: how its suite is run.
        wanted: faults of each tool.
        seed: of the draw.
        checked: what is known of mutants from an earlier start.
        say: told of each.
    """
    found = Chosen()
    verifier = RepositoryVerifier(sandbox, snapshot, options)
    passing: tuple[str, ...] = ()
    taken: set[tuple[str, int]] = set()
    for origin, injector in injectors().items():
        made = [
            mutant
            for path in sorted(snapshot.files)
            if project.is_source(path)
            for mutant in injector(path, snapshot.text(path) or "")
        ]
        draw = random.Random(f"{seed} {project.name} {origin}")
        number = 0
        for mutant in draw_order(made, draw)[: _DRAWS * wanted]:
            if number >= wanted:
                break
            fault = _fault(mutant, snapshot, f"{project.name}-{origin}-{number + 1}", project.name)
            if fault is None or (fault.path, fault.line) in taken:
                continue
            if fault.digest not in checked.known:
                passing = passing or (await verifier.baseline()).passing
                checked.add(fault, await _reason(verifier, fault, passing))
            reason = checked.known[fault.digest]
            say(f"{fault.id} {fault.kind} {fault.path}:{fault.line}: {reason or 'caught'}")
            if reason:
                found.left_out[reason] += 1
                continue
            number += 1
            taken.add((fault.path, fault.line))
            found.faults.append(fault)
    return found


def _fault(mutant: Mutant, snapshot: Snapshot, name: str, project: str) -> Fault | None:
    """The record of a mutant; `None` if it is no other program, or not inside of a function."""
    old = snapshot.text(mutant.path) or ""
    new = mutant.make()
    if not is_other(old, new):
        return None
    fault = make_fault(
        name=name,
        project=project,
        origin=mutant.origin,
        kind=mutant.kind,
        operator=mutant.operator,
        path=mutant.path,
        old=old,
        new=new,
    )
    return fault if fault.function(fault.into(snapshot)) else None


async def _reason(verifier: RepositoryVerifier, fault: Fault, passing: Sequence[str]) -> str:
    """Why a fault is left out; empty if the tests catch it."""
    text = fault.into(verifier.snapshot).text(fault.path)
    verdict = await verifier.verify({fault.path: text}, fail_to_pass=passing)
    if verdict.passed:
        return "no test fails"
    if verdict.outcome not in (Outcome.FAILED, Outcome.ERROR):
        return f"the suite does not end: {verdict.outcome}"
    if any("was not reported" in one.detail for one in verdict.tests):
        return "not all can be collected"
    return "not all can be collected" if not _passed(verdict) else ""


def _passed(verdict: Verdict) -> bool:
    return any(one.outcome is Outcome.PASSED for one in verdict.tests)
