"""Verdicts on what a model answered, for the loop that drives searches."""

from __future__ import annotations

from agent.fix.asking import Situation
from agent.fix.model.attempt import Attempt
from agent.fix.model.kinds import SPECIAL
from agent.fix.model.special import special_case
from sandbox.outcome import Outcome
from tasks.model import PublicTask
from verifiers.verdict import Verdict, rejected

_NEARLY = 0.99
"""The reward of a patch that passes the suite and can't be meant: it is worth a repair."""


class AttemptVerifier:
    """Judges attempts by the repository's suite; what is no patch fails without a run.

    Args:
        situation: whose judge is asked.
    """

    second_place = ""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation

    async def verify(self, _task: PublicTask, program: str, *, fresh: bool = False) -> Verdict:
        """The verdict on an attempt. It was booked where it was run, so it counts as known."""
        attempt = Attempt.model_validate_json(program)
        if attempt.candidate is None:
            sandbox = self._situation.verifier.sandbox
            refusal = rejected(
                Outcome.ERROR, attempt.reason, isolation=sandbox.level, reduced=sandbox.reduced
            )
            return refusal.model_copy(update={"trust": "in-process", "cached": True})
        verdict = await self._situation.verify(attempt.candidate)
        special = special_case(self._situation, attempt.candidate) if verdict.passed else ""
        if special:
            failed = {"outcome": Outcome.FAILED, "reward": _NEARLY, "detail": SPECIAL + special}
            verdict = verdict.model_copy(update=failed)
        return verdict.model_copy(update={"cached": True})
