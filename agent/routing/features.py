"""What a prompt and its visible tests tell of a task's difficulty before anything is drawn.

Only counts and lengths, on a log scale where they spread; no model is asked and nothing is run. A
hidden test can't be among them: a `PublicTask` has none.
"""

from __future__ import annotations

import math
import re

from pydantic import BaseModel, ConfigDict

from tasks.model import PublicTask, StdioTests, Tests

_WORD = re.compile(r"[A-Za-z]+")
_SIGNATURE = re.compile(r"def\s+\w+\s*\(([^)]*)\)")
_EXAMPLE = re.compile(r">>>|==>|➞|=>|\bexample", re.IGNORECASE)
_ASSERTION = re.compile(r"\bassert\b|\bself\.assert")
_FUNCTION = re.compile(r"\bdef test")


class Features(BaseModel):
    """Of one task.

    Attributes:
        words: of the prompt, log(1 + count).
        parameters: of the last function in the prompt.
        examples: marks of an example in the prompt, log(1 + count).
        tests: assertions, test functions and cases that can be seen, log(1 + count).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: float = 0.0
    parameters: int = 0
    examples: float = 0.0
    tests: float = 0.0


def features(task: PublicTask) -> Features:
    """What a task's prompt and visible tests tell."""
    signatures = _SIGNATURE.findall(task.prompt)
    parameters = signatures[-1].split(",") if signatures else []
    return Features(
        words=math.log1p(len(_WORD.findall(task.prompt))),
        parameters=sum(bool(one.strip()) for one in parameters),
        examples=math.log1p(len(_EXAMPLE.findall(task.prompt))),
        tests=math.log1p(sum(map(_count, task.visible))),
    )


def _count(tests: Tests) -> int:
    """How many tests there are, as far as their source shows."""
    if isinstance(tests, StdioTests):
        return len(tests.cases)
    return len(_ASSERTION.findall(tests.source)) or len(_FUNCTION.findall(tests.source))
