"""What commands that record a run share: wrong words leave no trace, Ctrl-C says how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agent.cli.interrupt import InterruptedRunError
from agent.confirming import check_confirmation
from agent.run import Run
from agent.session import make_strategy
from agent.settings import Settings
from sandbox.errors import UnknownSandboxError
from sandbox.registry import sandbox_names


def check_words(settings: Settings) -> None:
    """Checks names that would otherwise be looked up when much has been done already.

    Raises:
        UnknownStrategyError: no strategy of that name.
        UnknownSandboxError: no sandbox of that name.
        SettingsError: confirming is both asked for and ruled out.
    """
    make_strategy(settings)
    check_confirmation(settings)
    known = sandbox_names()
    for name in (settings.sandbox, settings.confirm_sandbox):
        if name is not None and name not in known:
            raise UnknownSandboxError(f"unknown sandbox {name!r}: known are {', '.join(known)}")


@contextmanager
def recorded(run: Run) -> Iterator[None]:
    """Closes a run's record at the end; an interruption tells how to go on with it."""
    try:
        yield
    except InterruptedRunError as error:
        run.close()
        if not run.folder.is_dir():
            raise
        raise InterruptedRunError(
            f"{error}; what was received is kept: go on with --resume {run.id}"
        ) from None
    finally:
        run.close()
