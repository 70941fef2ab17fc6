"""The second stage of trust: where a program that passed is judged again.

Without further words that is a fresh cell of the search's own sandbox. `confirm_sandbox` and
`confirm_runtime` name another backend or another runtime of the engine, so that a hole in the one
is not a hole in the other. It is opened, and tried, before anything is paid.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.settings import Settings, SettingsError
from sandbox.base import Sandbox
from sandbox.errors import SandboxUnavailableError
from sandbox.jobs import Isolation, Job
from sandbox.outcome import Outcome
from sandbox.registry import SandboxOptions, choose_sandbox
from tasks.model import AssertTests

_TRIAL = Job(
    program="def f(x):\n    return x + 1\n",
    tests=(AssertTests(source="assert f(1) == 2\n").model_dump(mode="json"),),
    entry_point="f",
)


def check_confirmation(settings: Settings) -> None:
    """Checks that what confirms was not named and ruled out at the same time.

    Raises:
        SettingsError: it was.
    """
    named = {"--confirm-sandbox": settings.confirm_sandbox}
    named["--confirm-runtime"] = settings.confirm_runtime
    for flag, value in named.items():
        if value is not None and not settings.confirm:
            raise SettingsError(f"{flag} {value} and --no-confirm: leave one of them out")


@asynccontextmanager
async def open_second(settings: Settings, options: SandboxOptions) -> AsyncIterator[Sandbox | None]:
    """Opens the sandbox that confirms, if it is another than the search's.

    Args:
        settings: in force.
        options: those of the search's sandbox.

    Raises:
        SettingsError: confirming is both asked for and ruled out.
        SandboxUnavailableError: it can't be had; the message says what to do.
    """
    check_confirmation(settings)
    if settings.confirm_sandbox is None and settings.confirm_runtime is None:
        yield None
        return
    name = settings.confirm_sandbox or settings.sandbox
    same = name == settings.sandbox
    runtime = settings.confirm_runtime or (settings.runtime if same else None)
    own = {"isolation": Isolation.CONTAINER, "runtime": runtime}
    sandbox, _ = await choose_sandbox(name, options.model_copy(update=own))
    async with sandbox:
        report = await sandbox.run(_TRIAL, fresh=True)
        if report.outcome is not Outcome.PASSED:
            raise SandboxUnavailableError(
                f"the sandbox that is to confirm ({sandbox.level}) can't judge the smallest "
                f"program: {report.outcome}, {report.detail}"
            )
        yield sandbox
