"""The embedded model itself, small as it is: it answers, repeats itself, survives and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from agent.llm.base import CallShape, Message, ModelConfigError, ModelError, ModelRequest, Watch
from agent.llm.local import LocalModel
from agent.llm.weights import pull

REPOSITORY = Path(__file__).resolve().parents[3]
NAME = "smollm2-135m"
ASK = ModelRequest(
    messages=(
        Message(role="system", content="You write Python."),
        Message(role="user", content="Write a function add(a, b)."),
    ),
    task_id="t",
    max_tokens=40,
    seed=7,
)


@pytest.fixture(scope="module")
def weights() -> Path:
    """The weights; without them the tests skip, unless REGREEN_REQUIRE_MODEL=1."""
    try:
        import xllamacpp  # noqa: F401

        return pull(NAME)
    except (ImportError, ModelError) as error:
        if os.environ.get("REGREEN_REQUIRE_MODEL") == "1":
            raise
        pytest.skip(f"no embedded model: {error}")


@pytest.fixture
async def model(weights: Path) -> AsyncIterator[LocalModel]:
    model = LocalModel(NAME)
    yield model
    await model.aclose()


def pid_of(model: LocalModel) -> int:
    server = model._server
    assert server is not None
    return server._process.pid


@pytest.mark.model
@pytest.mark.anyio
async def test_the_same_seed_gives_the_same_text_whatever_came_before(model: LocalModel) -> None:
    other = (*ASK.messages[:1], Message(role="user", content="Write a function add(a, c)."))
    [first] = await model.complete(ASK)
    assert first.text
    assert first.usage.tokens_out > 0
    assert not first.usage.estimated
    assert first.model == f"local/{NAME}"
    await model.complete(ASK.model_copy(update={"messages": other}))
    again, second = await model.complete(ASK.model_copy(update={"n": 2}))
    assert again.text == first.text
    assert second.text != first.text
    os.kill(pid_of(model), signal.SIGKILL)
    [restarted] = await model.complete(ASK)
    assert restarted.text == first.text


@pytest.mark.model
@pytest.mark.anyio
async def test_cancelled_and_too_long_requests_leave_it_usable(model: LocalModel) -> None:
    await model.complete(ASK.model_copy(update={"max_tokens": 1}))
    with anyio.move_on_after(0.3) as scope:
        await model.complete(ASK.model_copy(update={"max_tokens": 3000}))
    assert scope.cancelled_caught
    start = time.monotonic()
    await model.complete(ASK.model_copy(update={"max_tokens": 1}))
    assert time.monotonic() - start < 10
    long = (Message(role="user", content="word " * 6000),)
    with pytest.raises(ModelConfigError, match="exceeds the available context size"):
        await model.complete(ASK.model_copy(update={"messages": long}))
    pid = pid_of(model)
    await model.aclose()
    await model.aclose()
    assert not running(pid)


@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_server_ends_when_we_are_killed(weights: Path) -> None:
    code = f"""
import anyio, time
from agent.llm.base import Message, ModelRequest
from agent.llm.local import LocalModel
async def main():
    model = LocalModel({NAME!r})
    chat = (Message(role="user", content="hi"),)
    await model.complete(ModelRequest(messages=chat, task_id="t", max_tokens=1))
    print(model._server._process.pid, flush=True)
    await anyio.sleep(60)
anyio.run(main)
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    command = Path(f"/proc/{pid}/cmdline").read_text()
    assert "local_server.py" in command
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(pid)


@pytest.mark.model
@pytest.mark.anyio
async def test_a_file_that_is_no_model(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    await anyio.Path(path).write_bytes(b"GGUF" + b"\0" * 1000)
    model = LocalModel(str(path))
    with pytest.raises(ModelError, match="the embedded server does not start"):
        await model.complete(ASK)
    await model.aclose()


@pytest.mark.anyio
async def test_a_download_on_first_use_stops_when_we_are_cancelled(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.setenv("REGREEN_CACHE_DIR", str(tmp_path))

    def drip() -> Iterator[bytes]:
        for _ in range(100):
            yield b"GGUF" * 1000
            time.sleep(0.02)

    httpserver.expect_request("/slow.gguf").respond_with_handler(lambda _: Response(drip()))
    told: list[int] = []
    url = httpserver.url_for("/slow.gguf")
    model = LocalModel(url, progress=lambda done, _: told.append(done))
    start = time.monotonic()
    with anyio.move_on_after(0.5) as scope:
        await model.complete(ASK)
    assert scope.cancelled_caught
    assert time.monotonic() - start < 1.5
    assert told[-1] > 0
    await anyio.sleep(0.2)
    before = len(told)
    await anyio.sleep(0.2)
    assert len(told) == before
    await model.aclose()


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


@pytest.mark.model
@pytest.mark.anyio
async def test_a_prompt_is_read_once_for_all_its_answers(model: LocalModel) -> None:
    asked = [ASK.model_copy(update={"seed": seed, "max_tokens": 4}) for seed in range(16)]
    answers = [one for request in asked for one in await model.complete(request)]
    assert len({one.text for one in answers}) > 1
    read = sum(one.usage.tokens_in for one in answers)
    cached = sum(one.usage.tokens_cached for one in answers)
    assert answers[0].usage.tokens_cached == 0, "the first has it read"
    assert cached / read >= 0.8
    other = (*ASK.messages[:1], Message(role="user", content="Write a function sub(a, b)."))
    [between] = await model.complete(asked[0].model_copy(update={"messages": other}))
    assert between.usage.tokens_cached == 0
    [again] = await model.complete(asked[0])
    assert again.usage.tokens_cached == 0, "another prompt came between"
    assert again.text == answers[0].text


@pytest.mark.model
@pytest.mark.anyio
async def test_an_answer_that_is_stopped_frees_the_server_and_its_count_is_exact(
    model: LocalModel,
) -> None:
    await model.complete(ASK.model_copy(update={"max_tokens": 1}))
    # any definition with one parameter is wrong for this watch, and the model writes one with two
    watch = Watch(entry_point="add", calls=(CallShape(positional=9),))
    ask = "Answer with ```python and the function `def add(a, b)`, in one block."
    chat = (Message(role="user", content=ask),)
    for seed in range(8):
        request = ASK.model_copy(
            update={"messages": chat, "watch": watch, "max_tokens": 1500, "seed": seed}
        )
        began = time.monotonic()
        [answer] = await model.complete(request)
        if answer.reason:
            break
    assert answer.finish == "cut"
    assert answer.reason in ("signature", "syntax", "repetition", "runaway")
    assert 0 < answer.usage.tokens_out < 1500
    assert not answer.usage.estimated
    assert time.monotonic() - began < 60
    began = time.monotonic()
    await model.complete(request.model_copy(update={"max_tokens": 1}))
    assert time.monotonic() - began < 5, "the server goes on with what nobody reads"
