"""Models behind any server that speaks the OpenAI chat protocol."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import anyio
import openai
from pydantic import SecretStr

from agent.llm.base import ModelConfigError, ModelRequest
from agent.llm.chat_model import ChatModel, StreamedResponse
from agent.llm.registry import ModelOptions
from agent.llm.retry import RetryPolicy
from agent.llm.transport import check_address

DEFAULT_BASE_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 10.0

_OPTIONAL = (
    "n",
    "stream_options",
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "reasoning_effort",
)
_UNSUPPORTED = re.compile(
    r"unsupported|not support|n't support|unknown|unrecogni[sz]ed|unexpected|extra|not permitted"
    r"|not allowed|only the default",
    re.IGNORECASE,
)


class OpenAIModel(ChatModel):
    """A chat model of an OpenAI-compatible server: streamed, bounded, retried.

    Options that a server refuses (`n`, `stream_options`, `max_tokens`, ...) are left out or
    replaced from then on. Where it gives fewer answers than asked for, the rest is asked for
    one by one, each with a seed derived from the request's.

    Args:
        model: the model's name at the server.
        name: the full name for messages; `openai/MODEL` if not given.
        base_url: the server; else `OPENAI_BASE_URL`, else OpenAI's own.
        api_key: the key; else `OPENAI_API_KEY`. A loopback server needs none.
        timeout_seconds: longest time for one answer; text that came by then is kept, as `cut`.
        retry: how often and how patiently to ask again.
        body: more fields of every request, for servers that know them.

    A budget of thinking has no field that all such servers know: it only raises `max_tokens`, and
    `request.effort` is what shortens the thinking.

    Raises:
        ModelConfigError: no key, or no usable address.
    """

    def __init__(
        self,
        model: str,
        *,
        name: str | None = None,
        base_url: str | None = None,
        api_key: SecretStr | None = None,
        timeout_seconds: float = 300.0,
        retry: RetryPolicy | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        name = name or f"openai/{model}"
        url = base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
        address = check_address(url, name)
        key = api_key or SecretStr(os.environ.get("OPENAI_API_KEY", ""))
        if not key.get_secret_value():
            if not address.loopback:
                raise ModelConfigError(
                    f"{name}: no key; set OPENAI_API_KEY, or give the base URL of a server on"
                    " this machine, which needs none"
                )
            key = SecretStr("no-key-needed")
        super().__init__(
            name=name,
            host=address.host,
            key=key,
            key_hint="set OPENAI_API_KEY to a valid one",
            status_error=openai.APIStatusError,
            connection_error=openai.APIConnectionError,
            timeout_seconds=timeout_seconds,
            retry=retry or RetryPolicy(),
        )
        self._model = model
        self._body = dict(body or {})
        self._client = openai.AsyncOpenAI(
            api_key=key.get_secret_value(),
            base_url=url,
            max_retries=0,
            timeout=openai.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
            # A proxy for the outside world can't reach a server on this machine.
            http_client=(
                openai.DefaultAsyncHttpxClient(trust_env=False) if address.loopback else None
            ),
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        with anyio.CancelScope(shield=True):
            await self._client.close()

    def _open(
        self, request: ModelRequest, options: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        return self._client.chat.completions.with_streaming_response.create(
            model=self._model,
            messages=cast(Any, [message.model_dump() for message in request.messages]),
            stream=True,
            **options,
        )

    def _options(self, request: ModelRequest, n: int, seed: int | None) -> dict[str, Any]:
        options: dict[str, Any] = {
            "max_tokens": request.tokens_out_most,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "stream_options": {"include_usage": True},
        }
        if n > 1:
            options["n"] = n
        if request.stop:
            options["stop"] = list(request.stop)
        if seed is not None:
            options["seed"] = seed
        if "max_tokens" in self._refused:
            options["max_completion_tokens"] = request.tokens_out_most
        if request.effort is not None:
            options["reasoning_effort"] = request.effort
        if self._body:
            options["extra_body"] = dict(self._body)
        return {key: value for key, value in options.items() if key not in self._refused}

    def _refused_option(self, status: int, detail: str, sent: Mapping[str, Any]) -> str | None:
        if status not in (400, 422):
            return None
        for option in _OPTIONAL:
            quoted = re.search(rf"['\"`]{option}['\"`]", detail) is not None
            # Only the longer names are no everyday words.
            if option not in sent or not (quoted or (len(option) > 6 and option in detail)):
                continue
            if option == "max_tokens" and "max_completion_tokens" not in detail:
                continue  # its value is wrong, not the option
            if option in ("n", "stream_options", "max_tokens") or _UNSUPPORTED.search(detail):
                return option
        return None


def build(rest: str, options: ModelOptions) -> OpenAIModel:
    """Builds `openai/REST` for the registry."""
    return OpenAIModel(
        rest,
        base_url=options.base_url,
        api_key=options.api_key,
        timeout_seconds=options.timeout_seconds,
        retry=options.retry,
    )
