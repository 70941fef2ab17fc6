"""An incident: a program passed where the search judged it, and not where it was judged again."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import BaseModel, ConfigDict

from verifiers.verdict import Verdict


class Incident(BaseModel):
    """Two verdicts on one program that disagree; such a program is never returned.

    Attributes:
        task_id: of the task.
        index: the sample's number within its task; 0 for a program that was given.
        program: the SHA-256 of the program's text, in hexadecimal.
        first: the verdict of the search, from a warm slot; it passed.
        second: the verdict of the fresh sandbox; it did not.
        first_level: the isolation level of the first, e.g. `docker/slot`.
        second_level: and of the second, e.g. `docker/container+runsc`.
        message: all of this in a sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str
    index: int
    program: str
    first: Verdict
    second: Verdict
    first_level: str
    second_level: str
    message: str

    @classmethod
    def between(
        cls, first: Verdict, second: Verdict, *, task_id: str, index: int, program: str
    ) -> Incident:
        """The incident that two verdicts on a program amount to."""
        return cls(
            task_id=task_id,
            index=index,
            program=program_digest(program),
            first=first,
            second=second,
            first_level=first.isolation,
            second_level=second.isolation,
            message=(
                f"sample {index} passed in {first.isolation}{_counts(first)} and ended as "
                f"{second.outcome} in a fresh {second.isolation}{_counts(second)}: {second.detail}"
            ),
        )

    def record(self) -> dict[str, Any]:
        """As a journal keeps it."""
        return {"index": self.index, "incident": self.model_dump(mode="json")}


def program_digest(program: str) -> str:
    """The SHA-256 of a program's text; what is no valid Unicode in it counts too."""
    return hashlib.sha256(program.encode("utf-8", "surrogatepass")).hexdigest()


def _counts(verdict: Verdict) -> str:
    counted = verdict.counted
    right = sum(test.outcome == "passed" for test in counted)
    return f" ({right} of {len(counted)} tests)" if counted else ""
