"""Anthropic's protocol against a loopback server."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest
from pydantic import SecretStr

from agent.llm.base import (
    CallShape,
    Completion,
    Message,
    ModelConfigError,
    ModelError,
    ModelRequest,
    Watch,
)
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


@pytest.mark.anyio
async def test_a_budget_of_thinking(raw_server: Any, wire: Any) -> None:
    think = {
        "type": "content_block_delta",
        "delta": {"type": "thinking_delta", "thinking": "h" * 30},
    }
    script = events(wire, "y" * 10)
    script.insert(2, wire.event(think))
    raw_server.play(script)
    [completion] = await ask(raw_server, ASK.model_copy(update={"thinking": 2000}))
    sent = raw_server.requests[0]
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert sent["max_tokens"] == 2050
    assert "temperature" not in sent
    assert "top_p" not in sent
    assert completion.text == "y" * 10
    assert completion.usage.tokens_out == 50
    assert completion.usage.tokens_thinking == round(50 * 30 / 40)


@pytest.mark.anyio
async def test_thinking_that_the_model_refuses_is_left_out(raw_server: Any, wire: Any) -> None:
    words = "thinking: this model does not support it"
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    raw_server.play(wire.status(400, error), events(wire, "ok"))
    await ask(raw_server, ASK.model_copy(update={"thinking": 2000}))
    assert "thinking" not in raw_server.requests[1]
    assert raw_server.requests[1]["temperature"] == 0.8


@pytest.mark.anyio
async def test_a_long_first_turn_is_marked_to_be_kept_and_what_that_costs_is_counted(
    raw_server: Any, wire: Any
) -> None:
    turns = (
        Message(role="user", content="x" * 5000),
        Message(role="assistant", content="no"),
        Message(role="user", content="again"),
    )
    counts = {"input_tokens": 5, "cache_creation_input_tokens": 1200, "output_tokens": 1}
    script = events(wire, "ok")
    script[1] = wire.event({"type": "message_start", "message": {"usage": counts}})
    raw_server.play(script)
    [completion] = await ask(raw_server, ASK.model_copy(update={"messages": turns}))
    first, _, last = raw_server.requests[0]["messages"]
    assert first["content"] == [
        {"type": "text", "text": "x" * 5000, "cache_control": {"type": "ephemeral"}}
    ]
    assert last["content"] == "again"
    usage = completion.usage
    assert (usage.tokens_in, usage.tokens_written, usage.tokens_cached) == (1205, 1200, 0)


@pytest.mark.anyio
async def test_an_answer_that_cannot_end_well_is_stopped(raw_server: Any, wire: Any) -> None:
    script = events(wire, "```python\n", "def f():\n", "    return 1\n", end=False)[:-1]
    raw_server.play([*script, "hold"])
    watch = Watch(entry_point="f", calls=(CallShape(positional=1),))
    [completion] = await ask(raw_server, ASK.model_copy(update={"watch": watch}))
    assert (completion.finish, completion.reason) == ("cut", "signature")
    assert raw_server.client_gone.wait(5)
    assert completion.usage.tokens_in == 25
    assert completion.usage.estimated
