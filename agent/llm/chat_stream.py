"""Reads a chat answer off the wire, whatever shape and size the server sends.

The answer is bounded: a server that never stops, or sends megabytes for a request of a few
hundred tokens, is cut off and what came is kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.llm.base import Usage, Watch
from agent.llm.early import Watcher

MIN_ANSWER_CHARS = 64 * 1024
CHARS_PER_TOKEN_MAX = 32
"""No common vocabulary has many tokens longer than this."""
EVENT_BYTES = 16 * 2**20
_TELLING_BYTES = 6

Finish = Literal["stop", "length", "cut"]
_FINISH: Mapping[str, Finish] = {
    "length": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "cut",
    "refusal": "cut",
}
_STATUS = {
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "invalid_request_error": 400,
    "exceed_context_size_error": 400,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}


class BadStreamError(Exception):
    """The server sent something that is no chat answer."""


class ServerSaysError(Exception):
    """The server reported an error in the middle of its stream."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def answer_chars(max_tokens: int) -> int:
    """The most characters of one answer that are kept."""
    return max(MIN_ANSWER_CHARS, CHARS_PER_TOKEN_MAX * max_tokens)


@dataclass(slots=True)
class Choice:
    """One answer as far as it has come.

    Attributes:
        parts: its text.
        chars: how much came, thinking included.
        thought: how much of it was thinking that the server kept apart.
        finish: why it ended; None while it may go on.
        reason: why we cut it off, if we did.
        watcher: says when to.
    """

    parts: list[str] = field(default_factory=list)
    chars: int = 0
    thought: int = 0
    finish: Finish | None = None
    reason: str = ""
    watcher: Watcher | None = None

    @property
    def text(self) -> str:
        """What has come so far."""
        return "".join(self.parts)


@dataclass(slots=True)
class ChatAnswer:
    """All that one call has brought so far.

    Attributes:
        limit: characters after which an answer is cut.
        watch: what each answer has to become, or None.
        wanted: how many answers were asked for.
        choices: answers by the server's index.
        usage: the server's own count, or None.
        done: the server said that this was all.
        seen: characters received, thinking included; what a cut stream has cost at least.
        pieces: pieces with text in them; none is less than a token.
        counted: the server's running count for each answer, where it keeps one (llama.cpp does).
    """

    limit: int
    watch: Watch | None = None
    wanted: int = 1
    choices: dict[int, Choice] = field(default_factory=dict)
    usage: Usage | None = None
    done: bool = False
    seen: int = 0
    pieces: int = 0
    counted: dict[int, Usage] = field(default_factory=dict)
    _bills: int = 0

    def add(self, event: Mapping[str, Any]) -> None:
        """Takes one event of a stream, or a whole answer that was not streamed.

        Raises:
            BadStreamError: it has not the shape of a chat answer.
            ServerSaysError: it is an error object.
        """
        if event.get("error"):
            raise server_error(event["error"])
        choices = event.get("choices")
        if isinstance(event.get("usage"), Mapping):
            self._bill(_usage(event["usage"]), final=not choices)
        if choices is None and self.usage is None:
            raise BadStreamError('the answer has no "choices"')
        if not isinstance(choices, list | None):
            raise BadStreamError('"choices" is no list')
        for item in choices or ():
            if not isinstance(item, Mapping):
                raise BadStreamError('"choices" holds something that is no object')
            self._add_choice(item)
            self._count_on(item, event.get("timings"))

    def _bill(self, usage: Usage, *, final: bool) -> None:
        """Takes a count of the server: its last word, or one of several if it gives one a choice.

        llama.cpp does that where several answers come from one call (measured): each has the whole
        prompt, which was read once, and the tokens of one answer.
        """
        if final and self._bills:
            assert self.usage is not None
            out = self.usage.tokens_out + usage.tokens_out
            usage = usage.model_copy(update={"tokens_out": out})
        self._bills += final
        self.usage = usage

    def _count_on(self, item: Mapping[str, Any], timings: object) -> None:
        """Takes llama.cpp's running count of one answer."""
        index = item.get("index")
        if isinstance(timings, Mapping) and isinstance(index, int) and "predicted_n" in timings:
            cached = token_count(timings.get("cache_n"))
            self.counted[index] = Usage(
                tokens_in=cached + token_count(timings.get("prompt_n")),
                tokens_out=token_count(timings.get("predicted_n")),
                tokens_cached=cached,
            )

    def _add_choice(self, item: Mapping[str, Any]) -> None:
        index = item.get("index")
        part = item.get("delta") or item.get("message") or {}
        if not isinstance(part, Mapping):
            raise BadStreamError("a choice has neither a delta nor a message")
        thinking = part.get("reasoning_content") or part.get("reasoning")
        self.take(
            index if isinstance(index, int) else 0,
            _text(part.get("content")),
            thought=len(thinking) if isinstance(thinking, str) else 0,
            reason=item.get("finish_reason"),
        )

    def take(self, index: int, text: str, *, thought: int = 0, reason: object = None) -> None:
        """Adds to one answer.

        Args:
            index: the answer's number.
            text: more of its text.
            thought: characters of thinking, which are counted but not kept.
            reason: the server's word for why it ended, or None while it goes on.
        """
        choice = self.choice(index)
        self.seen += thought + len(text)
        self.pieces += bool(thought or text)
        if choice.finish is not None:
            return
        choice.parts.append(text[: max(0, self.limit - choice.chars)])
        choice.chars += len(text) + thought
        choice.thought += thought
        if choice.chars > self.limit:
            choice.finish, choice.reason = "cut", "size"
        elif isinstance(reason, str):
            choice.finish = _FINISH.get(reason, "stop")
        elif choice.watcher is not None and text and (why := choice.watcher.feed(text)):
            choice.finish, choice.reason = "cut", str(why)

    def choice(self, index: int) -> Choice:
        """The answer with this number."""
        if index not in self.choices:
            watcher = Watcher(self.watch) if self.watch is not None else None
            self.choices[index] = Choice(watcher=watcher)
        return self.choices[index]

    @property
    def overflowed(self) -> bool:
        """Whether to stop reading: every answer has come to its end, one by being cut off."""
        finishes = [choice.finish for choice in self.choices.values()]
        return "cut" in finishes and None not in finishes and len(finishes) >= self.wanted

    def end(self) -> None:
        """Marks open answers as complete: the server said so, though it gave no reason."""
        self.done = True
        for choice in self.choices.values():
            choice.finish = choice.finish or "stop"

    def cut(self) -> None:
        """Marks open answers as cut off for lack of time, keeping their text."""
        for choice in self.choices.values():
            if choice.finish is None:
                choice.finish, choice.reason = "cut", "time"

    def finished(self) -> list[Choice]:
        """Answers that have come to an end, in the server's order."""
        return [c for _, c in sorted(self.choices.items()) if c.finish is not None]


async def read_answer(chunks: AsyncIterator[bytes], answer: ChatAnswer) -> None:
    """Fills `answer` from a response's body, streamed or not.

    What the body is shows in its first bytes; content types are too often wrong. On an error
    `answer` keeps what had come before it.

    Raises:
        BadStreamError: the body is no chat answer (HTML, broken JSON).
        ServerSaysError: the server reported an error in its stream.
    """
    start = b""
    async for chunk in chunks:
        start += chunk
        if len(start.strip()) >= _TELLING_BYTES:
            break
    head = start.strip()
    if not head:
        return
    if head.startswith((b"{", b"[")):
        answer.add(_parse(await _whole(start, chunks)))
        answer.end()
        return
    if not head.startswith((b"data", b"event", b"id", b"retry", b":")):
        kind = "HTML" if head.startswith(b"<") else "something else"
        raise BadStreamError(
            f"the server answers with {kind} instead of JSON; check the base URL (most end in /v1)"
        )
    async with aclosing(_events(start, chunks)) as events:
        async for data in events:
            if data == b"[DONE]":
                answer.end()
                return
            answer.add(_parse(data))
            if answer.overflowed:
                return


async def _events(start: bytes, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The data of each server-sent event; event names and comments carry nothing for us."""
    buffer = bytearray()
    data: list[bytes] = []
    async for chunk in _chained(start, chunks):
        buffer += chunk
        if len(buffer) > EVENT_BYTES:
            raise BadStreamError(f"one event is larger than {EVENT_BYTES // 2**20} MiB")
        if b"\n" not in chunk:
            continue
        *lines, rest = bytes(buffer).split(b"\n")
        buffer = bytearray(rest)
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].strip())
            elif not line.strip() and data:
                yield b"\n".join(data)
                data = []
    if buffer.startswith(b"data:"):
        data.append(bytes(buffer)[5:].strip())
    if data == [b"[DONE]"]:  # the blank line after the last event is often left out
        yield data[0]


async def _chained(start: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for chunk in chunks:
        yield chunk


async def _whole(start: bytes, chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray(start)
    async for chunk in chunks:
        body += chunk
        if len(body) > EVENT_BYTES:
            raise BadStreamError(f"the answer is larger than {EVENT_BYTES // 2**20} MiB")
    return bytes(body)


def _parse(data: bytes) -> Mapping[str, Any]:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        raise BadStreamError("the server sends something that is no JSON") from None
    if not isinstance(event, Mapping):
        raise BadStreamError("the server sends JSON that is no object")
    return event


def _text(content: object) -> str:
    """The text of a message, given as a string or as a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def server_error(error: object) -> ServerSaysError:
    """An error object in a stream, with the HTTP status that it would have had."""
    if not isinstance(error, Mapping):
        return ServerSaysError(str(error), 500)
    code = error.get("code")
    status = _STATUS.get(str(error.get("type")), 500)
    if isinstance(code, int) and 400 <= code < 600:
        status = code
    return ServerSaysError(str(error.get("message") or error), status)


def _usage(raw: Mapping[str, Any]) -> Usage:
    return Usage(
        tokens_in=token_count(raw.get("prompt_tokens")),
        tokens_out=token_count(raw.get("completion_tokens")),
        tokens_cached=token_count(_detail(raw, "prompt_tokens_details", "cached_tokens")),
        tokens_thinking=token_count(_detail(raw, "completion_tokens_details", "reasoning_tokens")),
    )


def _detail(raw: Mapping[str, Any], outer: str, inner: str) -> object:
    details = raw.get(outer)
    return details.get(inner) if isinstance(details, Mapping) else None


def token_count(value: object) -> int:
    """A server's count, or 0 for what is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return max(0, int(value))
