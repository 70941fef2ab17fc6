"""Reads what a reward is learned from out of run folders; no run is changed or locked by it.

A journal has verdicts by the tests that its search could see, and no others: hidden tests are
scored after a search, and their verdicts are written nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.journal import read_records
from agent.reward.cases import Case, Sighting, cases, names_of, sighting
from agent.reward.model import RewardError, Training
from agent.run import read_manifest
from verifiers.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Gathered:
    """What some runs have to learn from.

    Attributes:
        cases: of all tasks.
        about: where they come from.
    """

    cases: Sequence[Case]
    about: Training


def gather(folders: Sequence[Path], *, seed: int = 0) -> Gathered:
    """The cases of some runs.

    A task that several runs have worked on is one task, so that no fold has seen it.

    Args:
        folders: of the runs.
        seed: of the orders of their samples, and of which tests are held out.

    Raises:
        RewardError: a folder has no run in it, or none of them has anything to learn from.
        JournalError: a journal can't be read.
    """
    searches: list[tuple[str, list[Sighting]]] = []
    models: set[str] = set()
    suites: set[str] = set()
    for folder in dict.fromkeys(folders):
        made = read_manifest(folder)
        if not made:
            raise RewardError(f"no run in {folder}: there is no manifest")
        suites.add(str(made.get("what", {}).get("suite") or made.get("what", {}).get("tasks", "")))
        found, asked = _searches(folder)
        searches += found
        models |= asked
    programs = sum(len(seen) for _, seen in searches)
    if not any(one.vote.answers for _, seen in searches for one in seen):
        raise RewardError(
            f"nothing to learn from: of {programs} programs none was observed on probes; record "
            "them with --strategy agreement, best with --exhaustive too"
        )
    if all(len(names_of(seen)) < 2 for _, seen in searches):
        raise RewardError(
            "nothing to learn from: no task has two visible tests, of which one could be held out"
        )
    return Gathered(
        [case for task, seen in searches for case in cases(task, seen, seed=seed)],
        Training(
            runs=tuple(folder.name for folder in dict.fromkeys(folders)),
            models=tuple(sorted(models)),
            suites=tuple(sorted(filter(None, suites))),
            programs=programs,
        ),
    )


def _searches(folder: Path) -> tuple[list[tuple[str, list[Sighting]]], set[str]]:
    """The fresh samples of each task of a run, and the models that wrote them."""
    fresh: set[tuple[str, int]] = set()
    verdicts: dict[tuple[str, int], dict[str, Any]] = {}
    models: set[str] = set()
    for record in read_records(folder):
        data, key = record["data"], (record["data"].get("task", ""), record["data"].get("index", 0))
        if record["kind"] == "sample" and data.get("kind") == "sample":
            fresh.add(key)
            models.add(str(data.get("model", "")))
        elif record["kind"] == "verdict":
            verdicts[key] = data
    found: dict[str, list[Sighting]] = {}
    for task, index in sorted(fresh & verdicts.keys()):
        data = verdicts[task, index]
        try:
            verdict = Verdict.model_validate(data["verdict"])
        except (KeyError, ValidationError):
            continue  # written by a version that knew another kind of verdict
        if not verdict.broken:
            found.setdefault(task, []).append(sighting(index, verdict))
    return list(found.items()), models
