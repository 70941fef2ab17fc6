"""Ctrl-C: the first one ends the run in good order, the second one ends it at once."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import anyio
import typer

from agent.cli.exits import Exit

Result = TypeVar("Result")
Words = ParamSpec("Words")


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
        interrupted = False

        async def watch(scope: anyio.CancelScope) -> None:
            nonlocal interrupted
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _number in signals:
                    if interrupted:
                        os._exit(Exit.INTERRUPTED)
                    interrupted = True
                    scope.cancel()

        async with anyio.create_task_group() as watching:
            with anyio.CancelScope() as scope:
                watching.start_soon(watch, scope)
                results.append(await work())
            watching.cancel_scope.cancel()
        if not results:
            raise InterruptedRunError("interrupted; what was received is kept")
        return results[0]

    return anyio.run(watched)
