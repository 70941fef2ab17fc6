"""What the chat providers share: one bounded, retried stream a call, and several answers a request.

A provider's own file says how its requests look and how its answers are spelt; here is what
happens when a server is slow, down, full, or stops in the middle of a word.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Protocol, cast

import anyio
from pydantic import SecretStr

from agent.llm.base import (
    Completion,
    ModelError,
    ModelRequest,
    ModelUnavailableError,
    Usage,
    Watch,
)
from agent.llm.chat_stream import (
    BadStreamError,
    ChatAnswer,
    Choice,
    ServerSaysError,
    answer_chars,
    read_answer,
)
from agent.llm.fan_out import derived_seed, fan_out
from agent.llm.metering import note
from agent.llm.redaction import one_line
from agent.llm.retry import RetryPolicy, TransientError, call_with_retries, status_error
from agent.llm.transport import transport_errors
from agent.llm.usage import add_usage, estimate_usage, message_chars, share_usage
from verifiers.fences import split_thought

_log = logging.getLogger(__name__)


class StreamedResponse(Protocol):
    """A response whose body arrives in pieces, as both client packages have it."""

    def iter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """The body, decompressed."""
        ...


class StatusError(Protocol):
    """A refusal by HTTP status, as both client packages have it."""

    body: object | None
    status_code: int

    @property
    def response(self) -> Any:
        """The client package's response, with `headers`."""
        ...


class ChatModel(ABC):
    """The lifecycle of a request to a chat server.

    Args:
        name: the full name, as the user gives it.
        host: the server, for messages.
        key: the key, to keep it out of messages.
        key_hint: how the user sets the key.
        status_error: what the client package raises for a refusal by status.
        connection_error: what it raises when no response comes.
        timeout_seconds: longest time for one answer; text that came by then is kept, as `cut`.
        retry: how often and how patiently to ask again.
    """

    _accepts_n = True

    def __init__(
        self,
        *,
        name: str,
        host: str,
        key: SecretStr,
        key_hint: str,
        status_error: type[Exception],
        connection_error: type[Exception],
        timeout_seconds: float,
        retry: RetryPolicy,
    ) -> None:
        self._name = name
        self._host = host
        self._key = key
        self._key_hint = key_hint
        self._status_error = status_error
        self._broken = (*transport_errors(), connection_error)
        self._timeout = timeout_seconds
        self._retry = retry
        self._refused: set[str] = set()

    @property
    def name(self) -> str:
        """The full name, as the user gives it."""
        return self._name

    @abstractmethod
    def _options(self, request: ModelRequest, n: int, seed: int | None) -> dict[str, Any]:
        """The sampling options to send, without those that the server has refused."""

    @abstractmethod
    def _open(
        self, request: ModelRequest, options: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Sends the request."""

    @abstractmethod
    def _refused_option(self, status: int, detail: str, sent: Mapping[str, Any]) -> str | None:
        """The option that the server refuses as such, to go on without it; else None."""

    @abstractmethod
    async def aclose(self) -> None:
        """Closes the connections."""

    _answer: Callable[[int, Watch | None], ChatAnswer] = ChatAnswer
    """Makes an empty answer from the most characters it may have, and what is watched for."""

    async def complete(self, request: ModelRequest) -> Sequence[Completion]:
        """Answers with up to `request.n` completions; tokens of cut tries are on the first.

        Raises:
            ModelConfigError: the server refuses the key, the model or the request.
            ModelUnavailableError: no usable answer after all tries.
        """
        if request.n == 1:
            return await self._call(request, 1, request.seed)
        first: list[Completion] = []
        if self._accepts_n:
            first = await self._call(request, request.n, request.seed)
            self._accepts_n = len(first) > 1
        missing = range(len(first), request.n)

        async def ask(number: int) -> Sequence[Completion]:
            return await self._call(request, 1, derived_seed(request.seed, number))

        try:
            return first + await fan_out(ask, missing)
        except ModelError as error:
            if not first:
                raise
            _log.warning("%d of %d answers are missing: %s", len(missing), request.n, error)
            return first

    async def _call(self, request: ModelRequest, n: int, seed: int | None) -> list[Completion]:
        start = time.perf_counter()
        answer, lost = await call_with_retries(
            lambda: self._try(request, n, seed), policy=self._retry, name=self._name
        )
        seconds = time.perf_counter() - start
        choices = answer.finished()[:n]
        spent = _with_thinking(_spent(request, answer), choices)
        note(spent)
        shares = share_usage(spent, [choice.chars for choice in choices])
        shares[0] = add_usage(shares[0], lost)
        return [
            Completion(
                text=choice.text,
                usage=share,
                finish=choice.finish or "cut",
                model=self._name,
                seconds=seconds,
                reason=choice.reason,
            )
            for choice, share in zip(choices, shares, strict=True)
        ]

    async def _try(self, request: ModelRequest, n: int, seed: int | None) -> ChatAnswer:
        """One try; it is repeated at once only where the server refuses an option."""
        while True:
            options = self._options(request, n, seed)
            try:
                return await self._stream(request, options)
            except self._status_error as raised:
                error = cast(StatusError, raised)
                detail = _server_words(error.body)
                option = self._refused_option(error.status_code, detail, options)
                if option is None:
                    headers = error.response.headers
                    raise self._refusal(error.status_code, detail, headers) from None
                self._refused.add(option)
                _log.warning("%s refuses the option %r: going on without", self._name, option)

    async def _stream(self, request: ModelRequest, options: Mapping[str, Any]) -> ChatAnswer:
        answer = self._answer(answer_chars(request.tokens_out_most), request.watch)
        answer.wanted = int(options.get("n", 1))
        began = False
        try:
            with anyio.move_on_after(self._timeout) as scope:
                async with self._open(request, options) as response:
                    began = True
                    # Declared an iterator, but a generator: left open, it would hold the socket.
                    body = cast(Any, response.iter_bytes())
                    async with aclosing(body) as chunks:
                        await read_answer(chunks, answer)
        except self._broken as error:
            if not answer.finished():
                raise self._broke_off(error, request, answer, began) from None
        except BadStreamError as error:
            if not answer.seen:
                raise ModelUnavailableError(f"{self._name}: {error}") from None
            raise TransientError(str(error), lost=_spent(request, answer)) from None
        except ServerSaysError as error:
            refusal = self._refusal(error.status, str(error), {})
            if isinstance(refusal, TransientError) and answer.seen:
                refusal.lost = _spent(request, answer)
            raise refusal from None
        except anyio.get_cancelled_exc_class():
            note(_spent(request, answer))  # the server has the prompt, and has begun
            raise
        if scope.cancelled_caught:
            if not answer.seen:
                lost = _spent(request, answer) if began else None
                raise TransientError(f"no answer within {self._timeout:g} s", lost=lost)
            answer.cut()
        if not answer.finished():
            what = "in the middle of an answer" if answer.choices else "without any choice"
            raise TransientError(f"the answer ends {what}", lost=_spent(request, answer))
        return answer

    def _broke_off(
        self, error: Exception, request: ModelRequest, answer: ChatAnswer, began: bool
    ) -> TransientError:
        cause = error.__cause__ or error
        words = one_line(str(cause) or type(cause).__name__, secrets=[self._key])
        if began:
            lost = _spent(request, answer)
            return TransientError(f"the connection broke off ({words})", lost=lost)
        return TransientError(f"can't reach the server at {self._host} ({words})")

    def _refusal(self, status: int, detail: str, headers: Mapping[str, str]) -> Exception:
        words = one_line(detail, secrets=[self._key])
        return status_error(self._name, status, words, headers, key_hint=self._key_hint)


def _spent(request: ModelRequest, answer: ChatAnswer) -> Usage:
    """What an answer has cost so far.

    That is the server's count; where none came, or the answer broke off after an early count,
    an estimate. A count below the pieces that came is none: a piece is a token at the least.
    """
    counted = list(answer.counted.values())
    if counted and (answer.usage is None or not answer.done or len(counted) > 1):
        return Usage(
            tokens_in=max(one.tokens_in for one in counted),
            tokens_out=sum(one.tokens_out for one in counted),
            tokens_cached=max(one.tokens_cached for one in counted),
        )
    estimated = estimate_usage(message_chars(request.messages), answer.seen)
    least = max(estimated.tokens_out, answer.pieces)
    if answer.usage is None:
        return estimated.model_copy(update={"tokens_out": least})
    if answer.done and answer.usage.tokens_out >= answer.pieces:
        return answer.usage
    tokens_out = max(answer.usage.tokens_out, least)
    return answer.usage.model_copy(update={"tokens_out": tokens_out, "estimated": True})


def _with_thinking(usage: Usage, choices: Sequence[Choice]) -> Usage:
    """The usage with its tokens of thinking, by their share of the text if the server gave none."""
    if usage.tokens_thinking:
        return usage
    thought = sum(choice.thought + len(split_thought(choice.text)[1]) for choice in choices)
    if not thought:
        return usage
    share = min(1.0, thought / max(1, sum(choice.chars for choice in choices)))
    tokens = round(usage.tokens_out * share)
    return usage.model_copy(update={"tokens_thinking": tokens, "estimated": True})


def _server_words(body: object) -> str:
    """What the server says in an error's body, with the code that tells one 429 from another."""
    if isinstance(body, Mapping):
        inner = body.get("error")
        fields = inner if isinstance(inner, Mapping) else body
        words = str(fields.get("message") or fields.get("detail") or inner or dict(body))
        extra = [str(fields[key]) for key in ("code", "param") if fields.get(key)]
        return f"{words} ({', '.join(extra)})" if extra else words
    text = str(body or "")
    return "" if text.lstrip().startswith("<") else text
