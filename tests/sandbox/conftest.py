"""Sandboxes that tests share, each opened once, and what it takes to use them."""

from __future__ import annotations

import gc
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from sandbox.base import Sandbox
from sandbox.docker import DockerSandbox
from sandbox.errors import SandboxUnavailableError
from sandbox.jobs import Job, Limits, Report
from sandbox.local import LocalSandbox

BACKENDS = ("local", pytest.param("docker", marks=pytest.mark.docker))
ADDS_ONE: dict[str, Any] = {
    "kind": "asserts",
    "source": "def check(candidate):\n    assert candidate(2) == 3\n    assert candidate(5) == 6\n",
    "function": "check",
    "filename": "tests.py",
    "weights": {},
}


def let_others_in(folder: Path) -> None:
    """Lets other users get to a folder of pytest's, as they get to /tmp."""
    top = Path(tempfile.gettempdir())
    for one in (folder, *folder.parents):
        if one == top:
            return
        status = one.stat()
        if status.st_uid == os.geteuid() and status.st_mode & 0o011 != 0o011:
            one.chmod(status.st_mode | 0o711)


def unavailable(reason: str) -> NoReturn:
    if os.environ.get("REGREEN_REQUIRE_DOCKER") == "1":
        pytest.fail(f"{reason}, but REGREEN_REQUIRE_DOCKER=1")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def open_sandbox() -> Callable[..., AbstractContextManager[Sandbox]]:
    """Opens a sandbox by its backend's name; skips where no engine answers."""

    @contextmanager
    def make(backend: str, portal: BlockingPortal, slots: int = 2) -> Iterator[Sandbox]:
        new: Any = DockerSandbox(slots=slots) if backend == "docker" else LocalSandbox(slots=slots)
        manager = portal.wrap_async_context_manager(new)
        with warnings.catch_warnings():
            # The docker package drops its socket unclosed where nobody listens.
            warnings.simplefilter("ignore", ResourceWarning)
            try:
                sandbox, reason = manager.__enter__(), ""
            except SandboxUnavailableError as error:
                sandbox, reason = None, str(error)
                del manager  # it holds the error, and the error the socket
            gc.collect()
        if sandbox is None:
            if backend == "docker":
                unavailable(reason)
            pytest.fail(reason)
        try:
            yield sandbox
        finally:
            manager.__exit__(None, None, None)

    return make


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Name of a backend."""
    return str(request.param)


@pytest.fixture(scope="session")
def opened(
    backend: str,
    open_sandbox: Callable[[str, BlockingPortal], AbstractContextManager[Sandbox]],
) -> Iterator[tuple[BlockingPortal, Sandbox]]:
    """A sandbox that stays open, and the portal to its event loop."""
    with start_blocking_portal() as portal, open_sandbox(backend, portal) as sandbox:
        yield portal, sandbox


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Job]:
    """A job whose tests expect a function `f` that adds one, unless told otherwise."""

    def make(program: str, *, limits: dict[str, Any] | None = None, **fields: Any) -> Job:
        given = {"tests": (ADDS_ONE,), "entry_point": "f", **fields}
        return Job(program=program, limits=Limits(**(limits or {})), **given)

    return make


@pytest.fixture
def run(
    opened: tuple[BlockingPortal, Sandbox], make_job: Callable[..., Job]
) -> Callable[..., Report]:
    """Runs one program to its end."""
    portal, sandbox = opened

    def run_one(program: str, *, fresh: bool = False, **fields: Any) -> Report:
        async def call() -> Report:
            return await sandbox.run(make_job(program, **fields), fresh=fresh)

        return portal.call(call)

    return run_one


@pytest.fixture
def run_all(opened: tuple[BlockingPortal, Sandbox]) -> Callable[[list[Job]], list[Report]]:
    """Runs many jobs at the same time."""
    portal, sandbox = opened

    async def call(jobs: list[Job]) -> list[Report]:
        reports: dict[int, Report] = {}

        async def one(number: int) -> None:
            reports[number] = await sandbox.run(jobs[number])

        async with anyio.create_task_group() as tasks:
            for number in range(len(jobs)):
                tasks.start_soon(one, number)
        return [reports[number] for number in range(len(jobs))]

    return lambda jobs: portal.call(call, jobs)
