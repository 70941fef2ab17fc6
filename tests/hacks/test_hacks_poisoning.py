"""What a program plants, the next one in the same place doesn't find, on every backend.

`test_hacks_run` runs each of these programs once; here each follows itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from sandbox.base import Sandbox
from sandbox.jobs import Report
from sandbox.outcome import Outcome
from tests.hacks import poisoning
from tests.hacks.catalogue import ADDS_ONE, Hack, job_of, plain_job

Opened = tuple[BlockingPortal, Sandbox]


@pytest.fixture(scope="module")
def opened(backend: str, open_sandbox: Callable[..., Any]) -> Iterator[Opened]:
    """A sandbox; what runs alone in it always gets the same slot."""
    with start_blocking_portal() as portal, open_sandbox(backend, portal) as sandbox:
        yield portal, sandbox


@pytest.mark.parametrize("hack", poisoning.HACKS, ids=lambda hack: hack.name)
def test_what_is_planted_is_not_found(opened: Opened, hack: Hack) -> None:
    portal, sandbox = opened
    job = job_of(hack, mark=f"hack{secrets.token_hex(4)}", canary="/nowhere")
    cell = sandbox._pool._cell  # type: ignore[attr-defined]
    for _ in range(2):
        report: Report = portal.call(sandbox.run, job)
        assert report.outcome in hack.outcomes, report
    right: Report = portal.call(sandbox.run, plain_job(ADDS_ONE, ADDS_ONE.right))
    assert right.outcome is Outcome.PASSED, right
    # A new pair of servers would have made it too easy.
    assert sandbox._pool._cell is cell  # type: ignore[attr-defined]
