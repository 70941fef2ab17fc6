"""The OpenAI-compatible model against servers that answer well, badly, slowly and not at all."""

from __future__ import annotations

import json
import logging
import socket
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agent.llm.base import (
    CallShape,
    Completion,
    Message,
    ModelConfigError,
    ModelError,
    ModelRequest,
    ModelUnavailableError,
    Watch,
)
from agent.llm.metering import metered
from agent.llm.openai import OpenAIModel
from agent.llm.retry import RetryPolicy

KEY = "sk-very-secret-0123456789"
QUICK = RetryPolicy(attempts=3, wait_initial=0.01, wait_max=0.02, retry_after_max=2.0)
ASK = ModelRequest(messages=(Message(role="user", content="x" * 40),), task_id="t", max_tokens=50)
Wire = Any
"""What conftest.py spells answers with, handed over by the `wire` fixture."""


@asynccontextmanager
async def open_model(url: str, **options: Any) -> AsyncIterator[OpenAIModel]:
    options = {"retry": QUICK, "api_key": SecretStr(KEY), **options}
    model = OpenAIModel("m", base_url=url, **options)
    try:
        yield model
    finally:
        await model.aclose()


async def ask(url: str, request: ModelRequest = ASK, **options: Any) -> list[Completion]:
    async with open_model(url, **options) as model:
        return list(await model.complete(request))


async def failure(url: str, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await ask(url, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    assert KEY not in message
    return caught.value


@pytest.mark.anyio
async def test_streamed_answer_with_the_servers_own_token_counts(
    raw_server: Any, wire: Wire
) -> None:
    raw_server.play([
        wire.SSE,
        wire.delta("def f"),
        wire.delta("(): pass"),
        wire.delta("", finish="length"),
        wire.usage(7, 3),
        wire.END,
    ])  # fmt: skip
    [completion] = await ask(raw_server.url)
    assert completion.text == "def f(): pass"
    assert completion.finish == "length"
    assert (completion.usage.tokens_in, completion.usage.tokens_out) == (7, 3)
    assert not completion.usage.estimated
    assert completion.model == "openai/m"
    sent = raw_server.requests[0]
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["max_tokens"] == 50
    assert f"Bearer {KEY}" in raw_server.headers[0]


@pytest.mark.anyio
async def test_pieces_cut_anywhere_make_the_same_answer(raw_server: Any, wire: Wire) -> None:
    body = (
        'data: {"choices":[{"index":0,"delta":{"content":"é→x"},"finish_reason":"stop"}]}\r\n\r\n'
    )
    raw = body.encode() + b"data: [DONE]"
    raw_server.play(
        [wire.SSE, *(wire.chunk(raw[i : i + 1]) for i in range(len(raw))), wire.chunk(b"")]
    )
    [completion] = await ask(raw_server.url)
    assert completion.text == "é→x"
    assert completion.usage.estimated
    assert completion.usage.tokens_in == 10


@pytest.mark.anyio
async def test_a_server_that_does_not_stream(httpserver: HTTPServer) -> None:
    answer = {
        "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }
    httpserver.expect_request("/v1/chat/completions").respond_with_json(answer)
    [completion] = await ask(httpserver.url_for("/v1"))
    assert completion.text == "hi"
    assert completion.usage.model_dump() == {
        "tokens_in": 9,
        "tokens_out": 4,
        "tokens_cached": 8,
        "tokens_thinking": 2,
        "tokens_written": 0,
        "estimated": False,
    }


@pytest.mark.anyio
async def test_n_answers_in_one_call_share_one_bill(raw_server: Any, wire: Wire) -> None:
    raw_server.play([
        wire.SSE,
        wire.delta("aaaa", index=0, finish="stop"),
        wire.delta("bb", index=1, finish="stop"),
        wire.usage(10, 9),
        wire.END,
    ])  # fmt: skip
    answers = await ask(raw_server.url, ASK.model_copy(update={"n": 2}))
    assert [a.text for a in answers] == ["aaaa", "bb"]
    assert [a.usage.tokens_in for a in answers] == [10, 0]
    assert sum(a.usage.tokens_out for a in answers) == 9
    assert len(raw_server.requests) == 1


@pytest.mark.anyio
async def test_fan_out_where_the_server_ignores_n(raw_server: Any, wire: Wire) -> None:
    raw_server.play(wire.answer("one"))
    request = ASK.model_copy(update={"n": 3, "seed": 5})
    async with open_model(raw_server.url) as model:
        answers = await model.complete(request)
        assert [a.text for a in answers] == ["one"] * 3
        assert raw_server.requests[0]["n"] == 3
        assert all("n" not in sent for sent in raw_server.requests[1:])
        first = sorted(sent["seed"] for sent in raw_server.requests)
        assert 5 in first
        assert len(set(first)) == 3
        await model.complete(request)
    # It has learnt: no call asks for several any more, and the seeds are the same again.
    assert all("n" not in sent for sent in raw_server.requests[3:])
    assert sorted(sent["seed"] for sent in raw_server.requests[3:]) == first


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("stream_options", "Unrecognized request argument supplied: stream_options"),
        ("n", "Field 'n': Value must be between 1 <= value <= 1, but got 2"),
        ("max_tokens", "Unsupported parameter: 'max_tokens', use 'max_completion_tokens' instead"),
        ("temperature", "'temperature' does not support 0.8 with this model. Only the default (1)"),
        ("seed", "Unknown parameter: 'seed'"),
    ],
)
async def test_a_refused_option_is_left_out(
    httpserver: HTTPServer, option: str, words: str
) -> None:
    seen: list[dict[str, Any]] = []

    def handle(request: Request) -> Response:
        sent = json.loads(request.get_data())
        seen.append(sent)
        if option in sent:
            return Response(json.dumps({"error": {"message": words}}), 400)
        return Response('{"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}')

    httpserver.expect_request("/v1/chat/completions").respond_with_handler(handle)
    request = ASK.model_copy(update={"n": 2, "seed": 1})
    answers = await ask(httpserver.url_for("/v1"), request)
    assert [a.text for a in answers] == ["ok", "ok"]
    assert option in seen[0]
    assert option not in seen[1]
    if option == "max_tokens":
        assert seen[1]["max_completion_tokens"] == 50


@pytest.mark.anyio
async def test_a_wrong_value_is_not_taken_for_a_refused_option(raw_server: Any, wire: Wire) -> None:
    body = {"error": {"message": "'temperature' must be at most 2", "param": "temperature"}}
    raw_server.play(wire.status(400, body))
    error = await failure(raw_server.url)
    assert isinstance(error, ModelConfigError)
    assert "must be at most 2" in str(error)
    assert len(raw_server.requests) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("code", [408, 429, 500, 503])
async def test_a_passing_fault_is_tried_again(raw_server: Any, wire: Wire, code: int) -> None:
    raw_server.play(wire.status(code, {"error": {"message": "busy"}}), wire.answer("good"))
    [completion] = await ask(raw_server.url)
    assert completion.text == "good"
    assert completion.usage.tokens_in == 7  # a refusal costs nothing
    assert len(raw_server.requests) == 2


@pytest.mark.anyio
async def test_retry_after_is_kept(raw_server: Any, wire: Wire) -> None:
    raw_server.play(wire.status(429, {}, headers="Retry-After: 1\r\n"), wire.answer("good"))
    start = time.monotonic()
    await ask(raw_server.url)
    assert time.monotonic() - start >= 1.0


@pytest.mark.anyio
async def test_a_retry_after_beyond_patience_ends_the_call(raw_server: Any, wire: Wire) -> None:
    raw_server.play(wire.status(429, {}, headers="Retry-After: 3600\r\n"))
    error = await failure(raw_server.url)
    assert isinstance(error, ModelUnavailableError)
    assert "wait 3600 s" in str(error)
    assert len(raw_server.requests) == 1


@pytest.mark.anyio
async def test_429_for_ever_ends_in_one_clear_line(raw_server: Any, wire: Wire) -> None:
    raw_server.play(wire.status(429, {"error": {"message": "slow down"}}))
    error = await failure(raw_server.url)
    assert isinstance(error, ModelUnavailableError)
    assert str(error) == "openai/m: the server answers 429: slow down (tried 3 times)"


@pytest.mark.anyio
async def test_a_used_up_quota_is_not_waited_for(raw_server: Any, wire: Wire) -> None:
    raw_server.play(wire.status(429, {"error": {"message": "no", "code": "insufficient_quota"}}))
    error = await failure(raw_server.url)
    assert "quota" in str(error)
    assert len(raw_server.requests) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (401, ModelConfigError, "OPENAI_API_KEY"),
        (403, ModelConfigError, "OPENAI_API_KEY"),
        (404, ModelConfigError, "no such model"),
        (400, ModelConfigError, "refuses the request"),
        (500, ModelUnavailableError, "tried 3 times"),
    ],
)
async def test_refusals(
    raw_server: Any, wire: Wire, code: int, kind: type[ModelError], words: str
) -> None:
    raw_server.play(wire.status(code, {"error": {"message": f"not with {KEY}\nhere"}}))
    error = await failure(raw_server.url)
    assert isinstance(error, kind)
    assert words in str(error)
    assert "not with *** here" in str(error)


@pytest.mark.anyio
async def test_html_instead_of_json(raw_server: Any, wire: Wire) -> None:
    raw_server.play(wire.status(200, "<!DOCTYPE html><html>hello</html>"))
    error = await failure(raw_server.url)
    assert isinstance(error, ModelUnavailableError)
    assert "HTML" in str(error)
    assert len(raw_server.requests) == 1


@pytest.mark.anyio
async def test_an_html_error_page_is_not_shown(raw_server: Any, wire: Wire) -> None:
    raw_server.play(wire.status(502, "<html>" + "gateway" * 100_000 + "</html>"))
    assert "gateway" not in str(await failure(raw_server.url))


@pytest.mark.anyio
@pytest.mark.parametrize("body", ['{"choices": [', "[1]", '{"choices": 5}', '{"answer": 1}', "{}"])
async def test_json_that_is_no_answer(raw_server: Any, wire: Wire, body: str) -> None:
    raw_server.play(wire.status(200, body))
    assert isinstance(await failure(raw_server.url), ModelUnavailableError)


@pytest.mark.anyio
async def test_empty_choices(raw_server: Any, wire: Wire) -> None:
    raw_server.play(wire.status(200, {"choices": [], "usage": {"prompt_tokens": 30}}))
    error = await failure(raw_server.url)
    assert isinstance(error, ModelUnavailableError)
    assert "without any choice" in str(error)
    assert "90 tokens" in str(error)  # three tries, each billed


@pytest.mark.anyio
async def test_a_server_that_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = await failure(f"http://127.0.0.1:{port}/v1")
    assert isinstance(error, ModelUnavailableError)
    assert f"127.0.0.1:{port}" in str(error)


@pytest.mark.anyio
async def test_a_cut_stream_is_tried_again_and_its_tokens_are_counted(
    raw_server: Any, wire: Wire
) -> None:
    raw_server.play([wire.SSE, wire.delta("y" * 80), b"5\r\nda"], wire.answer("whole"))
    [completion] = await ask(raw_server.url)
    assert completion.text == "whole"
    # 7 + 3 of the good answer, 40 / 4 + 80 / 4 of the one that was cut.
    assert completion.usage.tokens_in == 17
    assert completion.usage.tokens_out == 23
    assert completion.usage.estimated


@pytest.mark.anyio
@pytest.mark.parametrize("clean", [True, False])
async def test_streams_that_are_always_cut_report_the_loss(
    raw_server: Any, wire: Wire, clean: bool
) -> None:
    ending = wire.chunk(b"") if clean else b"ff\r\n"
    raw_server.play([wire.SSE, wire.delta("y" * 80), ending])
    error = await failure(raw_server.url)
    assert isinstance(error, ModelUnavailableError)
    assert "about 90 tokens were spent" in str(error)


@pytest.mark.anyio
async def test_an_error_in_the_middle_of_a_stream(raw_server: Any, wire: Wire) -> None:
    fault = wire.event({"error": {"message": "out of memory", "code": 500}})
    raw_server.play([wire.SSE, wire.delta("y" * 80), fault, wire.chunk(b"")])
    error = await failure(raw_server.url)
    assert "out of memory" in str(error)
    assert "about 90 tokens" in str(error)


@pytest.mark.anyio
async def test_answers_that_came_whole_survive_a_cut(raw_server: Any, wire: Wire) -> None:
    broken = [wire.SSE, wire.delta("done", finish="stop"), wire.delta("ha", index=1), b"ff\r\n"]
    raw_server.play(broken, wire.answer("again"))
    answers = await ask(raw_server.url, ASK.model_copy(update={"n": 2}))
    assert [a.text for a in answers] == ["done", "again"]


@pytest.mark.anyio
async def test_an_answer_without_end_is_cut(raw_server: Any, wire: Wire) -> None:
    raw_server.play([wire.SSE, *[wire.delta("z" * 2000)] * 5000, "hold"])
    [completion] = await ask(raw_server.url)
    assert completion.finish == "cut"
    assert len(completion.text) == 64 * 1024
    assert completion.usage.estimated
    assert raw_server.client_gone.wait(5)


@pytest.mark.anyio
async def test_ten_megabytes_in_one_event_are_cut(raw_server: Any, wire: Wire) -> None:
    raw_server.play([wire.SSE, wire.delta("z" * 10_000_000, finish="stop"), wire.END])
    [completion] = await ask(raw_server.url, ASK.model_copy(update={"max_tokens": 4096}))
    assert completion.finish == "cut"
    assert len(completion.text) == 32 * 4096


@pytest.mark.anyio
async def test_text_that_came_before_the_time_limit_is_kept(raw_server: Any, wire: Wire) -> None:
    raw_server.play([wire.SSE, wire.delta("half an ans"), "hold"])
    [completion] = await ask(raw_server.url, timeout_seconds=0.5)
    assert (completion.text, completion.finish) == ("half an ans", "cut")
    assert completion.usage.estimated


@pytest.mark.anyio
async def test_silence_ends_at_the_time_limit(raw_server: Any, wire: Wire) -> None:
    raw_server.play(["hold"])
    start = time.monotonic()
    error = await failure(raw_server.url, timeout_seconds=0.2)
    assert isinstance(error, ModelUnavailableError)
    assert time.monotonic() - start < 5


@pytest.mark.anyio
async def test_cancellation_closes_the_stream_at_once(raw_server: Any, wire: Wire) -> None:
    raw_server.play([wire.SSE, wire.delta("half"), "hold"])
    async with open_model(raw_server.url) as model:
        start = time.monotonic()
        with anyio.move_on_after(0.3) as scope:
            await model.complete(ASK)
        assert scope.cancelled_caught
        assert time.monotonic() - start < 2
        assert await anyio.to_thread.run_sync(raw_server.client_gone.wait, 2)


@pytest.mark.anyio
async def test_a_loopback_server_needs_no_key_and_no_proxy(
    raw_server: Any, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_BASE_URL", raw_server.url)
    raw_server.play(wire.answer("hi"))
    model = OpenAIModel("m")
    try:
        assert [a.text for a in await model.complete(ASK)] == ["hi"]
    finally:
        await model.aclose()


def test_a_server_elsewhere_needs_a_key() -> None:
    with pytest.raises(ModelConfigError, match="OPENAI_API_KEY"):
        OpenAIModel("m")


@pytest.mark.parametrize("url", ["localhost:80", "ftp://x/v1", "http://", "http://[/v1"])
def test_no_address(url: str) -> None:
    with pytest.raises(ModelConfigError, match="base URL"):
        OpenAIModel("m", base_url=url)


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(ModelConfigError) as caught:
        OpenAIModel("m", base_url="http://me:hunter2@127.0.0.1/v1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.anyio
async def test_the_key_is_in_no_log_and_no_error(
    raw_server: Any, wire: Wire, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    echo = {"error": {"message": f"key {KEY} is wrong", "code": 500}}
    scripts: list[list[Any]] = [
        wire.answer("fine"),
        wire.status(401, echo),
        wire.status(429, echo),
        wire.status(400, {"error": f"{KEY}"}),
        [wire.SSE, wire.delta("x"), wire.event(echo), wire.chunk(b"")],
        [wire.SSE, wire.delta("x"), b"ff\r\n"],
        wire.status(200, f"<html>{KEY}</html>"),
    ]
    raised = []
    with caplog.at_level(logging.DEBUG):
        for script in scripts:
            raw_server.play(script)
            async with open_model(raw_server.url) as model:
                assert KEY not in repr(model)
                assert KEY not in repr(vars(model))
                try:
                    await model.complete(ASK)
                except ModelError as error:
                    raised.append("".join(traceback.format_exception(error)))
    assert any(KEY in head for head in raw_server.headers)
    assert len(raised) == len(scripts) - 1
    logged = "\n".join(f"{r.getMessage()} {vars(r)}" for r in caplog.records)
    assert logged
    printed = capfd.readouterr()
    for text in (logged, *raised, printed.out, printed.err):
        assert KEY not in text


WATCH = Watch(entry_point="f", calls=(CallShape(positional=1),))


@pytest.mark.anyio
async def test_an_answer_that_cannot_end_well_is_stopped_and_its_stream_closed(
    raw_server: Any, wire: Wire
) -> None:
    pieces = ["```python\n", "def f(a, ", "b):\n", "    return 1\n"]
    raw_server.play([wire.SSE, *map(wire.delta, pieces), "hold"])
    [completion] = await ask(raw_server.url, ASK.model_copy(update={"watch": WATCH}))
    assert (completion.finish, completion.reason) == ("cut", "signature")
    assert completion.text == "".join(pieces[:3])
    assert raw_server.client_gone.wait(5)
    assert completion.usage.estimated
    assert completion.usage.tokens_in == 10
    assert completion.usage.tokens_out >= 3


@pytest.mark.anyio
async def test_without_a_watch_the_same_answer_goes_on(raw_server: Any, wire: Wire) -> None:
    raw_server.play(wire.answer("```python\ndef f(a, b):\n    return 1\n```\n"))
    [completion] = await ask(raw_server.url)
    assert (completion.finish, completion.reason) == ("stop", "")


@pytest.mark.anyio
async def test_one_of_two_answers_is_stopped_and_the_other_goes_on(
    raw_server: Any, wire: Wire
) -> None:
    raw_server.play([
        wire.SSE,
        wire.delta("```python\ndef f():\n", index=0),
        wire.delta("    return 1\n", index=0),
        wire.delta("```python\ndef f(a):\n    return 1\n```\n", index=1, finish="stop"),
        "hold",
    ])  # fmt: skip
    request = ASK.model_copy(update={"n": 2, "watch": WATCH})
    first, second = await ask(raw_server.url, request)
    assert (first.text, first.reason) == ("```python\ndef f():\n", "signature")
    assert (second.finish, second.reason) == ("stop", "")
    assert raw_server.client_gone.wait(5)


def timed(text: str, index: int, tokens: int, *, finish: str | None = None) -> dict[str, Any]:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return {
        "choices": [choice],
        "timings": {"cache_n": 6, "prompt_n": 1, "predicted_n": tokens},
    }


@pytest.mark.anyio
async def test_a_running_count_makes_a_stopped_answers_count_exact(
    raw_server: Any, wire: Wire
) -> None:
    events = [timed("```python\n", 0, 3), timed("def f():\n", 0, 8)]
    raw_server.play([wire.SSE, *map(wire.event, events), "hold"])
    [completion] = await ask(raw_server.url, ASK.model_copy(update={"watch": WATCH}))
    usage = completion.usage
    assert (usage.tokens_in, usage.tokens_cached, usage.tokens_out) == (7, 6, 8)
    assert not usage.estimated


@pytest.mark.anyio
@pytest.mark.parametrize("counts", [True, False])
async def test_a_bill_for_each_answer_of_one_call_is_added_up(
    raw_server: Any, wire: Wire, counts: bool
) -> None:
    deltas = [timed(f"answer {i}", i, 12, finish="stop") for i in range(3)]
    if not counts:
        deltas = [{"choices": one["choices"]} for one in deltas]
    bills = [wire.usage(7, 12)] * 3
    script = [part for pair in zip(map(wire.event, deltas), bills, strict=True) for part in pair]
    raw_server.play([wire.SSE, *script, wire.END])
    answers = await ask(raw_server.url, ASK.model_copy(update={"n": 3}))
    assert len(answers) == 3
    assert sum(one.usage.tokens_in for one in answers) == 7
    assert sum(one.usage.tokens_out for one in answers) == 36
    assert not any(one.usage.estimated for one in answers)


@pytest.mark.anyio
async def test_a_count_below_the_pieces_that_came_is_not_believed(
    raw_server: Any, wire: Wire
) -> None:
    pieces = [wire.delta("a") for _ in range(9)]
    raw_server.play([wire.SSE, *pieces, wire.delta("", finish="stop"), wire.usage(7, 3), wire.END])
    [completion] = await ask(raw_server.url)
    assert completion.usage.tokens_out == 9
    assert completion.usage.estimated


def thought(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"reasoning_content": text}}]}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "pieces",
    [
        ["<th", "ink>\nhm", "m, hmm\n</th", "ink>\n", "yes"],
        ["<think>hm hmm hmmmm, never closed"],
        ["hmm, hmm, and hmm\n</think>\nyes"],
    ],
)
async def test_thinking_in_the_text_is_counted_by_its_share(
    raw_server: Any, wire: Wire, pieces: list[str]
) -> None:
    raw_server.play([
        wire.SSE,
        *map(wire.delta, pieces),
        wire.delta("", finish="stop"),
        wire.usage(7, 20),
        wire.END,
    ])  # fmt: skip
    [completion] = await ask(raw_server.url)
    assert completion.text == "".join(pieces)
    assert completion.usage.tokens_out == 20
    assert 5 <= completion.usage.tokens_thinking <= 20
    assert completion.usage.estimated


@pytest.mark.anyio
async def test_thinking_apart_is_counted_and_not_watched(raw_server: Any, wire: Wire) -> None:
    thoughts = [wire.event(thought("```python\ndef f():\n    hm\n")) for _ in range(3)]
    raw_server.play([
        wire.SSE,
        *thoughts,
        wire.delta("y" * 24, finish="stop"),
        wire.usage(7, 40),
        wire.END,
    ])  # fmt: skip
    [completion] = await ask(raw_server.url, ASK.model_copy(update={"watch": WATCH}))
    assert (completion.text, completion.finish) == ("y" * 24, "stop")
    assert completion.usage.tokens_thinking == round(40 * 81 / 105)


@pytest.mark.anyio
async def test_effort_and_a_budget_of_thinking_are_sent(raw_server: Any, wire: Wire) -> None:
    raw_server.play(wire.answer("hi"))
    request = ASK.model_copy(update={"effort": "low", "thinking": 1000})
    await ask(raw_server.url, request)
    assert raw_server.requests[0]["reasoning_effort"] == "low"
    assert raw_server.requests[0]["max_tokens"] == 1050
    await ask(raw_server.url)
    assert "reasoning_effort" not in raw_server.requests[1]


@pytest.mark.anyio
async def test_an_effort_that_the_server_refuses_is_left_out(raw_server: Any, wire: Wire) -> None:
    words = "Unrecognized request argument supplied: reasoning_effort"
    raw_server.play(wire.status(400, {"error": {"message": words}}), wire.answer("hi"))
    [completion] = await ask(raw_server.url, ASK.model_copy(update={"effort": "low"}))
    assert completion.text == "hi"
    assert "reasoning_effort" not in raw_server.requests[1]


@pytest.mark.anyio
async def test_a_call_that_is_called_off_has_been_metered(raw_server: Any, wire: Wire) -> None:
    raw_server.play([wire.SSE, wire.delta("y" * 80), "hold"])
    async with open_model(raw_server.url) as model:
        with metered() as meter, anyio.move_on_after(0.5) as scope:
            await model.complete(ASK)
        assert scope.cancelled_caught
        assert (meter.usage.tokens_in, meter.usage.tokens_out) == (10, 20)
        assert meter.usage.estimated
        raw_server.play(wire.answer("one"))
        with metered() as meter:
            await model.complete(ASK.model_copy(update={"n": 2}))
        assert (meter.usage.tokens_in, meter.usage.tokens_out) == (14, 6)
        raw_server.play([wire.SSE, wire.delta("y" * 80), b"ff\r\n"])
        with metered() as meter, pytest.raises(ModelUnavailableError):
            await model.complete(ASK)
        assert (meter.usage.tokens_in, meter.usage.tokens_out) == (30, 60)
