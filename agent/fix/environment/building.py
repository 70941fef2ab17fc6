"""Runs a setup command in a sandbox that is there for it alone, and may ask package indexes."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from agent.fix.environment.assemble import SETUP_SOURCE, Environment, Say, open_sandbox
from agent.fix.environment.needs import Need
from agent.fix.environment.setup import SetupError, set_up
from sandbox.jobs import Limits
from sandbox.registry import SandboxOptions
from sandbox.wheels import WheelError

_PIP = Need(requirement="pip", name="pip", source=SETUP_SOURCE, optional=True)
_SECONDS = 600.0
"""A download may take longer than a suite."""


async def build(
    environment: Environment,
    command: str,
    name: str,
    options: SandboxOptions,
    needs: Sequence[Need],
    *,
    limits: Limits,
    packages: str = "",
    say: Say,
) -> Environment:
    """The environment as a setup command leaves it.

    The sandbox is gone before any test runs, and with it the way to an index.

    Args:
        environment: as it was read.
        command: for the shell.
        name: of the sandbox, or `auto`.
        options: of the sandbox that tests will run in.
        needs: what is on the command's path, besides `pip`.
        limits: of a run of the suite.
        packages: see `set_up`.
        say: told of what was left out and of what was fetched, in lines.

    Raises:
        SetupError: the command failed, or what it left can't be taken.
        RequirementError: what the code itself needs can't be had.
        SandboxError: there is no sandbox to be had.
    """
    from sandbox.indexes import PackageIndexes, read_pip_settings  # a client of HTTP with it

    seconds = max(limits.wall_seconds, _SECONDS)
    wide = limits.model_copy(update={"wall_seconds": seconds, "cpu_seconds": seconds})
    try:
        settings = await anyio.to_thread.run_sync(read_pip_settings)
    except WheelError as error:
        raise SetupError(f"setup command {command!r}: {error}") from None
    async with PackageIndexes(settings) as indexes:
        alone = options.model_copy(update={"slots": 1, "spares": 0, "indexes": indexes})
        async with open_sandbox(name, alone, (*needs, _PIP), say=say) as (sandbox, _why):
            setup = await set_up(
                sandbox,
                environment.snapshot,
                command,
                wide,
                packages=packages,
                indexes=indexes,
                constraints=settings.constraints,
            )
        if indexes.fetched:
            say(f"the setup command fetched {', '.join(indexes.fetched)}")
    return environment.after(setup)
