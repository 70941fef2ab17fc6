"""What free edits of one program come to: those that a search would try, in its order."""

from __future__ import annotations

from dataclasses import dataclass

from agent.search.edits.propose import edits_of
from agent.search.edits.symptoms import symptoms
from agent.search.free_edits import EDITS_FROM
from tasks.model import PublicTask
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier


@dataclass(frozen=True, slots=True)
class Mending:
    """What became of a program's edits.

    Attributes:
        tried: edits that were judged.
        found: the number of the first that passes all tests, from 1; 0 where none does.
        seconds: of the sandbox.
    """

    tried: int = 0
    found: int = 0
    seconds: float = 0.0


async def mend(
    verifier: Verifier, task: PublicTask, program: str, verdict: Verdict, most: int
) -> Mending:
    """Judges the edits of a program, one by one, until one passes.

    Args:
        verifier: that judges them by the tests that the task shows.
        task: what the program is for.
        program: complete source.
        verdict: on it; one that is not promising has no edits.
        most: edits at the most.

    Raises:
        sandbox.errors.SandboxError: the sandbox can't be had.
    """
    if verdict.passed or verdict.reward < EDITS_FROM or task.language != "python":
        return Mending()
    edits = edits_of(program, symptoms(verdict), task.entry_point, task.prompt)
    tried, seconds = 0, 0.0
    while edits is not None and tried < most and (made := edits.get(tried)) is not None:
        tried += 1
        judged = await verifier.verify(task, made[1])
        seconds += judged.seconds
        if judged.passed:
            return Mending(tried, tried, round(seconds, 4))
    return Mending(tried, 0, round(seconds, 4))
