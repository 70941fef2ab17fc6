"""One retry policy for every model server: which faults pass, how long to wait, what was lost."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

import stamina

from agent.llm.base import (
    ModelConfigError,
    ModelError,
    ModelUnavailableError,
    PromptTooLongError,
    Usage,
)
from agent.llm.metering import note
from agent.llm.usage import add_usage

T = TypeVar("T")

_TRANSIENT_STATUS = frozenset({408, 409, 425, 429})
_TOO_LONG = re.compile(r"context|too (long|large|many tokens)|maximum.*(length|tokens)", re.I)
"""How servers word it that a chat doesn't fit; they share no code for it."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently to ask again; times in seconds.

    Attributes:
        attempts: tries in all, the first included.
        wait_initial: pause before the second try; doubles from try to try, plus jitter.
        wait_max: longest pause of our own choosing.
        retry_after_max: longest pause that a server may ask for; beyond it the call fails.
    """

    attempts: int = 5
    wait_initial: float = 0.5
    wait_max: float = 20.0
    retry_after_max: float = 60.0


class TransientError(Exception):
    """A fault that may pass. Internal: callers of a model see `ModelUnavailableError`.

    Attributes:
        retry_after: seconds that the server asked to wait, or None.
        lost: tokens spent on an answer that never arrived whole.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, lost: Usage | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.lost = lost or Usage()


async def call_with_retries(
    call: Callable[[], Awaitable[T]], *, policy: RetryPolicy, name: str
) -> tuple[T, Usage]:
    """Calls until an answer comes, and says what failed tries have cost.

    Args:
        call: makes one try; raises `TransientError` for a fault that may pass.
        policy: how often to try.
        name: the model's full name, for messages.

    Returns:
        The answer, and the tokens lost on tries that were cut off.

    Raises:
        ModelUnavailableError: every try failed; the message tells the tokens lost.
    """
    lost = Usage()
    tries = 0

    def pause(error: Exception) -> bool | float:
        if not isinstance(error, TransientError):
            return False
        if error.retry_after is None:
            return True
        return error.retry_after if error.retry_after <= policy.retry_after_max else False

    try:
        async for attempt in stamina.retry_context(
            on=pause,
            attempts=policy.attempts,
            timeout=None,
            wait_initial=policy.wait_initial,
            wait_max=policy.wait_max,
            wait_jitter=min(1.0, policy.wait_initial),
        ):
            with attempt:
                tries += 1
                try:
                    return await call(), lost
                except TransientError as error:
                    lost = add_usage(lost, error.lost)
                    note(error.lost)
                    raise
    except TransientError as error:
        raise ModelUnavailableError(_gave_up(name, error, tries, lost)) from None
    raise AssertionError("unreachable: the last failed try raises")


def _gave_up(name: str, error: TransientError, tries: int, lost: Usage) -> str:
    times = "once" if tries == 1 else f"{tries} times"
    message = f"{name}: {error} (tried {times})"
    if error.retry_after is not None:
        message += f"; the server asks to wait {error.retry_after:.0f} s"
    tokens = lost.tokens_in + lost.tokens_out
    if tokens:
        message += f"; about {tokens} tokens were spent on answers that broke off"
    return message


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """The pause that a server asks for: seconds, milliseconds or a date; None without one."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after", "")
        if not value:
            return None
        if value.strip().replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def status_error(
    name: str, status: int, detail: str, headers: Mapping[str, str], *, key_hint: str
) -> ModelError | TransientError:
    """What a refusal by HTTP status means.

    Args:
        name: the model's full name.
        status: the HTTP status.
        detail: the server's own words, already one line and free of keys.
        headers: the response's headers, looked up in lower case.
        key_hint: how the user sets the key.
    """
    said = f": {detail}" if detail else ""
    if status == 429 and "insufficient_quota" in detail:
        return ModelUnavailableError(f"{name}: the account's quota is used up (429){said}")
    if status in _TRANSIENT_STATUS or status >= 500:
        return TransientError(
            f"the server answers {status}{said}", retry_after=retry_after_seconds(headers)
        )
    if status in (401, 403):
        return ModelConfigError(f"{name}: the server refuses the key ({status}); {key_hint}{said}")
    if status == 404:
        return ModelConfigError(
            f"{name}: the server knows no such model or address (404); check the model's name"
            f" and the base URL{said}"
        )
    refused = f"{name}: the server refuses the request ({status}){said}"
    if status in (400, 413) and _TOO_LONG.search(detail):
        return PromptTooLongError(refused)
    return ModelConfigError(refused)
