"""Anthropic's protocol against a loopback server."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest
from pydantic import SecretStr

from agent.llm.base import Completion, Message, ModelConfigError, ModelError, ModelRequest
from agent.llm.base import ModelUnavailableError as Unavailable
from agent.llm.registry import create_model
from agent.llm.retry import RetryPolicy

pytest.importorskip("anthropic")

KEY = "sk-ant-very-secret-0123456789"
QUICK = RetryPolicy(attempts=3, wait_initial=0.01, wait_max=0.02)
ASK = ModelRequest(
    messages=(
        Message(role="system", content="be brief"),
        Message(role="user", content="x" * 32),
    ),
    task_id="t",
    max_tokens=50,
    stop=("END",),
)


def events(wire: Any, *texts: str, end: bool = True) -> list[bytes]:
    counts = {"input_tokens": 5, "cache_read_input_tokens": 20, "output_tokens": 1}
    script = [wire.SSE, wire.event({"type": "message_start", "message": {"usage": counts}})]
    script += [
        wire.event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}})
        for text in texts
    ]
    if end:
        final = {"stop_reason": "max_tokens"}
        script.append(
            wire.event({"type": "message_delta", "delta": final, "usage": {"output_tokens": 50}})
        )
        script.append(wire.event({"type": "message_stop"}))
    return [*script, wire.chunk(b"")]


async def ask(server: Any, request: ModelRequest = ASK) -> list[Completion]:
    url = f"http://127.0.0.1:{server.port}"
    model = create_model("anthropic/c", base_url=url, api_key=SecretStr(KEY), retry=QUICK)
    try:
        return list(await model.complete(request))
    finally:
        await model.aclose()


@pytest.mark.anyio
async def test_a_streamed_answer(raw_server: Any, wire: Any) -> None:
    raw_server.play(events(wire, "def ", "f"))
    [completion] = await ask(raw_server)
    assert completion.text == "def f"
    assert completion.finish == "length"
    assert completion.model == "anthropic/c"
    usage = completion.usage
    assert (usage.tokens_in, usage.tokens_cached, usage.tokens_out) == (25, 20, 50)
    assert not usage.estimated
    sent = raw_server.requests[0]
    assert sent["system"] == "be brief"
    assert [m["role"] for m in sent["messages"]] == ["user"]
    assert sent["stop_sequences"] == ["END"]
    assert raw_server.headers[0].startswith("POST /v1/messages ")


@pytest.mark.anyio
async def test_several_answers_by_several_calls(raw_server: Any, wire: Any) -> None:
    raw_server.play(events(wire, "one"))
    answers = await ask(raw_server, ASK.model_copy(update={"n": 3}))
    assert [a.text for a in answers] == ["one"] * 3
    assert len(raw_server.requests) == 3


@pytest.mark.anyio
async def test_two_options_that_exclude_each_other(raw_server: Any, wire: Any) -> None:
    words = "`temperature` and `top_p` cannot both be specified for this model."
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    raw_server.play(wire.status(400, error), events(wire, "ok"))
    [completion] = await ask(raw_server)
    assert completion.text == "ok"
    assert "top_p" in raw_server.requests[0]
    assert "top_p" not in raw_server.requests[1]
    assert "temperature" in raw_server.requests[1]


@pytest.mark.anyio
async def test_a_cut_stream_is_tried_again_and_counted(raw_server: Any, wire: Any) -> None:
    raw_server.play(events(wire, "y" * 80, end=False), events(wire, "whole"))
    [completion] = await ask(raw_server)
    assert completion.text == "whole"
    assert completion.usage.tokens_in == 50
    assert completion.usage.tokens_out == 50 + 20
    assert completion.usage.estimated


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (401, ModelConfigError, "ANTHROPIC_API_KEY"),
        (404, ModelConfigError, "no such model"),
        (529, Unavailable, "tried 3 times"),
    ],
)
async def test_refusals_without_the_key(
    raw_server: Any,
    wire: Any,
    caplog: pytest.LogCaptureFixture,
    code: int,
    kind: type[ModelError],
    words: str,
) -> None:
    body = {"type": "error", "error": {"type": "x", "message": f"not with {KEY}"}}
    raw_server.play(wire.status(code, body))
    with caplog.at_level(logging.DEBUG), pytest.raises(kind) as caught:
        await ask(raw_server)
    assert words in str(caught.value)
    logged = "".join(f"{r.getMessage()} {vars(r)}" for r in caplog.records)
    assert KEY not in logged + "".join(traceback.format_exception(caught.value))
    assert KEY in raw_server.headers[0]


@pytest.mark.anyio
async def test_an_overload_in_the_middle_of_a_stream_is_tried_again(
    raw_server: Any, wire: Any
) -> None:
    fault = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    broken = [*events(wire, "half", end=False)[:-1], wire.event(fault), wire.chunk(b"")]
    raw_server.play(broken, events(wire, "good"))
    assert [a.text for a in await ask(raw_server)] == ["good"]


@pytest.mark.anyio
async def test_another_kind_of_server(raw_server: Any, wire: Any) -> None:
    raw_server.play(wire.answer("I speak something else"))
    with pytest.raises(Unavailable, match="is this an Anthropic server"):
        await ask(raw_server)


def test_no_key() -> None:
    with pytest.raises(ModelConfigError, match="set ANTHROPIC_API_KEY"):
        create_model("anthropic/c")
