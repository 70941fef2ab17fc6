"""What a sandbox is to those who use it: a place that runs jobs, opened and closed once."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from .jobs import Job, Report


@runtime_checkable
class Indexes(Protocol):
    """Package indexes that a setup command may ask; `sandbox.indexes` has those of pip."""

    @property
    def counts(self) -> dict[str, int]:
        """How many there are to ask, of the kinds `index` and `links`."""
        ...

    async def get(self, path: str, at: int) -> dict[str, Any]:
        """What a path stands for, from a byte on; see `PackageIndexes.get`. Never raises."""
        ...


class Sandbox(Protocol):
    """Runs jobs, several at a time. An asynchronous context manager; nothing outlives it."""

    @property
    def level(self) -> str:
        """The isolation level reached, e.g. `docker/slot` or `local/userns`."""
        ...

    @property
    def reduced(self) -> bool:
        """Whether this level is less than full isolation."""
        ...

    @property
    def identity(self) -> str:
        """What verdicts depend on besides the job: backend, image, guest; part of cache keys."""
        ...

    @property
    def slots(self) -> int:
        """How many jobs run at the same time."""
        ...

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        """Runs one job.

        Args:
            job: what to run.
            fresh: in a sandbox started for this run alone, with another hash seed.

        Returns:
            The report. A fault of the sandbox comes back as outcome `infra` after retries.

        Raises:
            SandboxError: the sandbox can't be had (any more) at all.
        """
        ...

    async def __aenter__(self) -> Sandbox: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
