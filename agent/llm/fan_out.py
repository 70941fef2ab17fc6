"""Several answers to one request from servers that give one answer a call."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import anyio

from agent.llm.base import Completion, ModelError

_log = logging.getLogger(__name__)


def derived_seed(seed: int | None, number: int) -> int | None:
    """The seed of the answer with this number; number 0 keeps the request's own seed.

    Hashed rather than counted up, so that it meets no seed of a neighbouring request.
    """
    if seed is None or number == 0:
        return seed
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


async def fan_out(
    ask: Callable[[int], Awaitable[Sequence[Completion]]], numbers: Iterable[int]
) -> list[Completion]:
    """Asks for each numbered answer at the same time, and keeps those that come.

    Args:
        ask: brings the answer with this number.
        numbers: the answers wanted.

    Returns:
        The answers in the order of their numbers; without those that failed, if any came.

    Raises:
        ModelError: none came; the first failure.
    """
    answers: dict[int, Sequence[Completion]] = {}
    failures: dict[int, ModelError] = {}

    async def one(number: int) -> None:
        try:
            answers[number] = await ask(number)
        except ModelError as error:
            failures[number] = error

    async with anyio.create_task_group() as group:
        for number in numbers:
            group.start_soon(one, number)
    if failures and not answers:
        raise failures[min(failures)]
    for number in sorted(failures):
        _log.warning("answer %d of a request is missing: %s", number, failures[number])
    return [completion for number in sorted(answers) for completion in answers[number]]
