"""What every output is made of, and what an output is."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from agent.fix.report import FixReport
from agent.fix.targets import Targets


class Story(BaseModel):
    """All that an output may tell of.

    Attributes:
        report: how the repair ended.
        targets: the tests, with the tracebacks of those that failed.
        folder: the repository's folder within the checkout, `/` between the parts; empty if it
            is the checkout's top. For formats whose paths begin at the top.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    report: FixReport
    targets: Targets = Targets()
    folder: str = ""

    def path(self, name: str) -> str:
        """A file's path from the checkout's top."""
        return f"{self.folder}/{name}" if self.folder else name

    def detail(self, test: str) -> str:
        """The end of a failing test's traceback; empty where there is none."""
        return self.targets.failing.get(test, "")


Render = Callable[[Story], bytes]
"""Makes the whole file of one format; never raises for what a repository holds."""
