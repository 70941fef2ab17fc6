"""Ctrl-C: the first one ends the run in good order, the second one ends it at once."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import anyio
import typer
from anyio.abc import TaskStatus

from agent.cli.exits import Exit

Result = TypeVar("Result")
Words = ParamSpec("Words")

_SHOW_CURSOR = b"\x1b[?25h"


class InterruptedRunError(Exception):
    """The user, or the system, asked the run to end."""


def ending(command: Callable[Words, int]) -> Callable[Words, None]:
    """A command as typer takes it: its result becomes the exit code, and Ctrl-C is told apart."""

    @functools.wraps(command)
    def ended(*words: Words.args, **named: Words.kwargs) -> None:
        try:
            code = command(*words, **named)
        except KeyboardInterrupt:
            raise InterruptedRunError("interrupted") from None
        raise typer.Exit(code)

    return ended


def run(work: Callable[[], Awaitable[Result]]) -> Result:
    """Runs asynchronous work until it is done or interrupted.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM came; everything has been closed.
    """

    async def watched() -> Result:
        results: list[Result] = []
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as watching:
            await watching.start(_watch, scope)
            with scope:
                results.append(await work())
            watching.cancel_scope.cancel()
        if not results:
            raise InterruptedRunError("interrupted")
        return results[0]

    try:
        return anyio.run(watched)
    except KeyboardInterrupt:  # before the first signal was listened for, or after the last
        raise InterruptedRunError("interrupted") from None


async def _watch(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _number in signals:
            if scope.cancel_called:
                _end_at_once()
            scope.cancel()


def _end_at_once() -> None:
    if sys.stderr.isatty():
        os.write(2, _SHOW_CURSOR)  # a progress display hides it
    os._exit(Exit.INTERRUPTED)
