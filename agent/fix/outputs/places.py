"""Where in a file a failing test broke, as its traceback says."""

from __future__ import annotations

import re

from agent.fix.outputs.base import Story

_PLACE = re.compile(r"^(?P<path>[^\s:][^:\n]*\.py):(?P<line>\d{1,7}):", re.M)


def failing_line(story: Story, test: str) -> tuple[str, int]:
    """The test's file and the last line of it that the traceback names; 0 if it names none."""
    path = test.partition("::")[0]
    lines = [
        int(found["line"])
        for found in _PLACE.finditer(story.detail(test))
        if found["path"] == path and int(found["line"])
    ]
    return path, lines[-1] if lines else 0
