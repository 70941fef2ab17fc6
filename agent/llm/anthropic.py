"""Anthropic's models, by their own protocol."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import anyio
from pydantic import SecretStr

from agent.llm.base import ModelConfigError, ModelRequest, Usage
from agent.llm.chat_model import ChatModel, StreamedResponse
from agent.llm.chat_stream import BadStreamError, ChatAnswer, server_error, token_count
from agent.llm.registry import ModelOptions
from agent.llm.retry import RetryPolicy
from agent.llm.transport import check_address

try:
    import anthropic
except ImportError as _missing:  # an extra: say how to get it, rather than a bare module name
    raise ModelConfigError(
        "anthropic/ models need a package that is not installed: pip install 'regreen[anthropic]'"
    ) from _missing

DEFAULT_BASE_URL = "https://api.anthropic.com"
_CONNECT_SECONDS = 10.0
_OPTIONAL = ("cache_control", "thinking", "temperature", "top_p", "stop_sequences")
_CACHED_CHARS = 4_096
"""Prompts from about 1,024 tokens on can be kept by the server; shorter ones it ignores."""
_LEAST_THINKING = 1_024
"""Tokens; the server refuses a smaller budget of thinking."""
_UNSUPPORTED = re.compile(
    r"unsupported|not support|n't support|unknown|unrecogni[sz]ed|unexpected|extra|not permitted"
    r"|not allowed|cannot both|can't both|deprecated",
    re.IGNORECASE,
)


class MessageAnswer(ChatAnswer):
    """An answer spelt in Anthropic's events; there is one choice a call."""

    def add(self, event: Mapping[str, Any]) -> None:
        """Takes one event of a stream, or a whole message that was not streamed.

        Raises:
            BadStreamError: it has not the shape of one.
            ServerSaysError: it is an error object.
        """
        kind = event.get("type")
        if kind == "error" or event.get("error"):
            raise server_error(event.get("error"))
        if kind == "message_start":
            self._count(_mapping(event.get("message")).get("usage"))
            self.choice(0)
        elif kind == "content_block_delta":
            delta = _mapping(event.get("delta"))
            self.take(0, _string(delta.get("text")), thought=len(_string(delta.get("thinking"))))
        elif kind == "message_delta":
            self._count(event.get("usage"))
            self.take(0, "", reason=_mapping(event.get("delta")).get("stop_reason"))
        elif kind == "message_stop":
            self.end()
        elif kind == "message":
            self._count(event.get("usage"))
            blocks = event.get("content")
            texts = [_string(_mapping(b).get("text")) for b in blocks or ()]
            self.take(0, "".join(texts), reason=event.get("stop_reason"))
        elif not isinstance(kind, str):
            raise BadStreamError('the answer has no "type"; is this an Anthropic server?')

    def _count(self, raw: object) -> None:
        """Takes the counts, each of which replaces the one before."""
        usage = _mapping(raw)
        before = self.usage or Usage()
        if not usage:
            return
        read = token_count(usage.get("cache_read_input_tokens"))
        fresh = token_count(usage.get("input_tokens"))
        written = token_count(usage.get("cache_creation_input_tokens"))
        details = _mapping(usage.get("output_tokens_details"))
        self.usage = Usage(
            tokens_in=read + fresh + written or before.tokens_in,
            tokens_out=token_count(usage.get("output_tokens")) or before.tokens_out,
            tokens_cached=read or before.tokens_cached,
            tokens_thinking=token_count(details.get("thinking_tokens")),
            tokens_written=written or before.tokens_written,
        )


class AnthropicModel(ChatModel):
    """One of Anthropic's models: streamed, bounded, retried; several answers by several calls.

    The protocol has no seed: `request.seed` has no effect. A long first turn, which all samples of
    a task and their repairs share, is marked to be kept by the server. With a budget of thinking,
    the model thinks at its own temperature, since the protocol allows no other.

    Args:
        model: the model's name there.
        base_url: the server; else `ANTHROPIC_BASE_URL`, else Anthropic's own.
        api_key: the key; else `ANTHROPIC_API_KEY`.
        timeout_seconds: longest time for one answer; text that came by then is kept, as `cut`.
        retry: how often and how patiently to ask again.

    Raises:
        ModelConfigError: no key, or no usable address.
    """

    _accepts_n = False
    _answer = MessageAnswer

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: SecretStr | None = None,
        timeout_seconds: float = 300.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        name = f"anthropic/{model}"
        url = base_url or os.environ.get("ANTHROPIC_BASE_URL") or DEFAULT_BASE_URL
        address = check_address(url, name)
        key = api_key or SecretStr(os.environ.get("ANTHROPIC_API_KEY", ""))
        if not key.get_secret_value():
            raise ModelConfigError(f"{name}: no key; set ANTHROPIC_API_KEY")
        super().__init__(
            name=name,
            host=address.host,
            key=key,
            key_hint="set ANTHROPIC_API_KEY to a valid one",
            status_error=anthropic.APIStatusError,
            connection_error=anthropic.APIConnectionError,
            timeout_seconds=timeout_seconds,
            retry=retry or RetryPolicy(),
        )
        self._model = model
        connect = min(_CONNECT_SECONDS, timeout_seconds)
        self._client = anthropic.AsyncAnthropic(
            api_key=key.get_secret_value(),
            base_url=url,
            max_retries=0,
            timeout=anthropic.Timeout(timeout_seconds, connect=connect),
            http_client=(
                anthropic.DefaultAsyncHttpxClient(trust_env=False) if address.loopback else None
            ),
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        with anyio.CancelScope(shield=True):
            await self._client.close()

    def _open(
        self, request: ModelRequest, options: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        options = dict(options)
        turns = _turns(request, options.pop("cache_control", None))
        system = "\n\n".join(m.content for m in request.messages if m.role == "system")
        return self._client.messages.with_streaming_response.create(
            model=self._model,
            messages=cast(Any, turns),
            max_tokens=request.tokens_out_most,
            stream=True,
            # The client package has no sampling parameters any more; the protocol still has them,
            # and models that don't refuse them by name.
            extra_body={**options, **({"system": system} if system else {})},
        )

    def _options(self, request: ModelRequest, n: int, seed: int | None) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if request.thinking and request.thinking >= _LEAST_THINKING:
            options["thinking"] = {"type": "enabled", "budget_tokens": request.thinking}
        if "thinking" not in options or "thinking" in self._refused:
            options["temperature"] = request.temperature
            if request.top_p < 1:
                options["top_p"] = request.top_p
        if request.stop:
            options["stop_sequences"] = list(request.stop)
        if len(_first_turn(request)) >= _CACHED_CHARS:
            options["cache_control"] = {"type": "ephemeral"}
        return {key: value for key, value in options.items() if key not in self._refused}

    def _refused_option(self, status: int, detail: str, sent: Mapping[str, Any]) -> str | None:
        if status != 400 or not _UNSUPPORTED.search(detail):
            return None
        # The last one named goes first: of "temperature and top_p cannot both", keep the former.
        named = [option for option in _OPTIONAL if option in sent and option in detail]
        return named[-1] if named else None


def build(rest: str, options: ModelOptions) -> AnthropicModel:
    """Builds `anthropic/REST` for the registry."""
    return AnthropicModel(
        rest,
        base_url=options.base_url,
        api_key=options.api_key,
        timeout_seconds=options.timeout_seconds,
        retry=options.retry,
    )


def _first_turn(request: ModelRequest) -> str:
    """What the chats of one task begin with."""
    return next((m.content for m in request.messages if m.role == "user"), "")


def _turns(request: ModelRequest, cache_control: object) -> list[dict[str, Any]]:
    """The chat without system words; its first turn marked to be kept, if that is wanted."""
    turns: list[dict[str, Any]] = [m.model_dump() for m in request.messages if m.role != "system"]
    for turn in turns if cache_control else ():
        if turn["role"] == "user":
            block = {"type": "text", "text": turn["content"], "cache_control": cache_control}
            turn["content"] = [block]
            break
    return turns


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
