"""Scores the program that a search has chosen, by tests that the search never saw.

Only the report holds a scorer. It reads the hidden tests from their source when it is called, and
leaves no trace in a cache.
"""

from __future__ import annotations

from tasks.model import Task

from .verdict import Verdict
from .verifier import Verifier


class HiddenScorer:
    """Runs a task's scoring tests, after the search.

    Args:
        verifier: runs them; its cache is neither read nor written here.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    async def score(self, task: Task, program: str) -> Verdict:
        """The verdict on `program` by the tests that decide the score.

        Raises:
            tasks.model.TaskError: the hidden tests can't be read from their source any more.
        """
        return await self._verifier.verify(
            task.public(), program, tests=task.scoring(), cache=False
        )
