"""Every strategy through the loop: the same whichever answer comes first, resumed for nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agent.budget import Budget, Ledger
from agent.journal import Journal
from agent.judging import Judging
from agent.llm.base import Message, ModelRequest, ModelUnavailableError, PromptTooLongError, Usage
from agent.llm.openai import build as build_openai
from agent.llm.registry import ModelOptions
from agent.llm.replay import ReplayModel
from agent.loop import Confirm, Searcher, SearchResult
from agent.search.base import StrategyOptions
from agent.search.registry import create_strategy
from tasks.model import AssertTests, PublicTask
from tests.agent.author import RIGHT, RUNGS, TASK, answer
from verifiers.verifier import Verifier

pytestmark = pytest.mark.anyio
MakeSearcher = Callable[..., Searcher]
Scripted = Callable[..., Any]

STRATEGIES: dict[str, dict[str, Any]] = {
    "best-of-n": {"temperature_end": 0.2},
    "greedy": {},
    "majority": {},
    "beam": {},
    "grow": {"rollouts": 1},
    "dvts": {},
    "mcts": {"rollouts": 2},
    "thompson": {},
    "plan": {},
    "decompose": {},
}
"""Each with options that make it do all that it can."""
N = 14


def strategy(name: str, *, seed: int = 0, n: int = N, exhaustive: bool = True) -> Any:
    options = StrategyOptions(n=n, seed=seed, exhaustive=exhaustive, own=STRATEGIES[name])
    return create_strategy(name, options)


def writes(request: ModelRequest) -> str:
    return answer(request.messages, request.seed)


def outline(result: SearchResult) -> list[tuple[Any, ...]]:
    """All of a result that must not depend on chance."""
    told = [
        (one.index, one.kind, one.parent, one.program, one.verdict.outcome, one.verdict.reward)
        for one in result.candidates
    ]
    chosen = result.chosen.index if result.chosen is not None else None
    return [*told, (chosen, result.pieces, result.duplicates, result.stopped)]


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("exhaustive", [True, False])
async def test_result_depends_neither_on_the_order_of_arrival_nor_on_the_concurrency(
    searcher: MakeSearcher, scripted: Scripted, name: str, exhaustive: bool
) -> None:
    outlines, asked = [], []
    for concurrency, stretch in ((1, 0), (3, 7), (16, 5), (16, 11)):
        model = scripted(
            writes, delay=lambda index, stretch=stretch: (index * 7 % 13) * stretch / 2000
        )
        made = strategy(name, exhaustive=exhaustive)
        searching = searcher(model, strategy=made, concurrency=concurrency)
        with anyio.fail_after(60):
            outlines.append(outline(await searching.search(TASK)))
        asked.append({one.index: one.messages for one in model.requests})
        assert model.most_under_way <= concurrency
        assert len(model.requests) == len(asked[-1]) <= N
    assert outlines == [outlines[0]] * 4
    assert all(one.items() >= asked[0].items() for one in asked)
    if exhaustive and name != "greedy":
        assert len(asked[0]) == N


class Failing:
    """Answers as the author does, so many times; after that it is down."""

    name = "failing/1"

    def __init__(self, model: Any, answers: int) -> None:
        self._model, self._left = model, answers

    async def complete(self, request: ModelRequest) -> Any:
        if self._left <= 0:
            raise ModelUnavailableError("down")
        self._left -= 1
        return await self._model.complete(request)


@pytest.mark.parametrize("name", STRATEGIES)
async def test_interrupted_search_goes_on_and_pays_for_nothing_twice(
    searcher: MakeSearcher, scripted: Scripted, tmp_path: Path, name: str
) -> None:
    plain = await searcher(scripted(writes), strategy=strategy(name)).search(TASK)
    journal = Journal(tmp_path)
    received: Counter[tuple[int, tuple[Message, ...]]] = Counter()
    result: SearchResult | None = None
    starts = 0
    while result is None:
        model = scripted(writes, delay=lambda index: (index * 5 % 7) / 1000)
        failing = Failing(model, 3)
        searching = searcher(
            failing, strategy=strategy(name), concurrency=1 + starts % 4, journal=journal
        )
        try:
            result = await searching.search(TASK)
        except ModelUnavailableError:
            starts += 1
        received.update((one.index, one.messages) for one in model.requests)
        journal.close()
        journal = Journal(tmp_path)
    kept = Counter(one["data"]["index"] for one in journal if one["kind"] == "sample")
    journal.close()
    assert outline(result) == outline(plain)
    assert max(kept.values()) == 1
    # an answer that came while another call failed may have been cut off before it was kept
    assert set(kept) == {index for index, _ in received}
    assert starts >= (0 if name == "greedy" else 2)


@pytest.mark.parametrize("name", STRATEGIES)
async def test_search_resumed_after_its_end_asks_nobody_and_judges_nothing(
    searcher: MakeSearcher, scripted: Scripted, tmp_path: Path, name: str
) -> None:
    journal = Journal(tmp_path)
    first = searcher(scripted(writes), strategy=strategy(name), journal=journal, concurrency=3)
    before = await first.search(TASK)
    journal.close()
    journal = Journal(tmp_path)
    lines = sum(1 for _ in journal)
    dumb = scripted(lambda _request: AssertionError("asked again"))
    again = searcher(dumb, strategy=strategy(name), journal=journal, concurrency=9)
    after = await again.search(TASK)
    assert dumb.requests == []
    assert sum(1 for _ in journal) == lines
    journal.close()
    assert after.candidates == before.candidates
    assert outline(after) == outline(before)
    assert again.ledger.spent.tokens_out == first.ledger.spent.tokens_out > 0


@pytest.mark.parametrize("name", list(STRATEGIES)[3:])
async def test_search_finds_what_fresh_samples_never_are(
    searcher: MakeSearcher, scripted: Scripted, name: str
) -> None:
    def begins_wrong(request: ModelRequest) -> str:
        said = answer(request.messages, request.seed)
        return RUNGS[1] if len(request.messages) == 1 and RIGHT in said else said

    made = strategy(name, n=60, exhaustive=False)
    result = await searcher(
        scripted(begins_wrong), strategy=made, confirm=Confirm.EACH, concurrency=2
    ).search(TASK)
    assert result.stopped == "verified", outline(result)
    assert result.chosen is not None
    assert result.chosen.confirmed
    kinds = {one.kind for one in result.candidates}
    wanted = {"plan": {"code"}, "decompose": {"compose"}, "grow": {"step"}}
    if name in wanted:
        assert kinds & wanted[name]
        assert result.pieces
    else:
        assert kinds & {"repair", "rollout"}


async def test_duplicates_are_paid_for_and_counted_and_not_run_again(
    searcher: MakeSearcher, scripted: Scripted
) -> None:
    texts = ["def f(x):\n    return 7\n", "def f( x ):\n\n    return 7  # again\n", RIGHT] * 2
    searching = searcher(
        scripted(lambda request: texts[request.index]), n=6, exhaustive=True, concurrency=6
    )
    runs = 0
    assert isinstance(searching.verifier, Verifier)
    sandbox = searching.verifier.sandbox

    class Counting:
        level, reduced, identity, slots = sandbox.level, sandbox.reduced, "counting", 2

        async def run(self, job: Any, *, fresh: bool = False) -> Any:
            nonlocal runs
            runs += 1
            return await sandbox.run(job, fresh=fresh)

    counting: Any = Counting()
    searching.verifier = Verifier(counting)
    result = await searching.search(TASK)
    assert runs == 2
    assert result.duplicates == 4
    assert len(result.candidates) == 6
    assert searching.ledger.spent.samples == 6
    assert [one.verdict.passed for one in result.candidates] == [False, False, True] * 2
    assert sum(not one.verdict.cached for one in result.candidates) == 2


async def test_a_duplicate_waits_for_its_twin_and_runs_if_that_is_cut_off(
    searcher: MakeSearcher,
) -> None:
    searching = searcher(None)
    judging = Judging(TASK, searching.verifier, searching.ledger, None)
    slow = "import time\ntime.sleep(0.4)\ndef f(x):\n    return 'slow'\n"
    verdicts: list[Any] = []

    async def judge(index: int, scope: anyio.CancelScope | None = None) -> None:
        with scope or anyio.CancelScope():
            verdicts.append(await judging.judge(index, TASK, slow + "\n" * index))

    cut = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(judge, 0, cut)
        await anyio.sleep(0.1)
        group.start_soon(judge, 1)
        group.start_soon(judge, 2)
        await anyio.sleep(0.1)
        cut.cancel()
    assert len(verdicts) == 2
    assert sorted(one.cached for one in verdicts) == [False, True]


async def test_repair_prompt_that_is_too_long_is_no_end_of_the_search(
    searcher: MakeSearcher, scripted: Scripted
) -> None:
    def answers(request: ModelRequest) -> str | Exception:
        long = len(request.messages) > 1
        return PromptTooLongError("too long") if long else RUNGS[request.index % 4]

    result = await searcher(scripted(answers), strategy=strategy("beam")).search(TASK)
    assert result.stopped == "drawn"
    assert {one.kind for one in result.candidates} == {"sample"}
    assert result.pieces >= 4


@pytest.mark.parametrize("name", list(STRATEGIES)[2:])
async def test_bank_that_runs_dry_ends_every_strategy(
    searcher: MakeSearcher, tmp_path: Path, name: str
) -> None:
    rows = [{"task_id": TASK.id, "solution": RUNGS[index % 4]} for index in range(5)]
    (tmp_path / "bank.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = ReplayModel(str(tmp_path / "bank.jsonl"))
    for concurrency in (1, 4):
        searching = searcher(model, strategy=strategy(name), concurrency=concurrency)
        with anyio.fail_after(60):
            result = await searching.search(TASK)
        assert result.stopped == "bank"
        assert searching.ledger.spent.samples == 5
        assert len(result.candidates) + result.pieces == 5


@pytest.mark.parametrize("name", list(STRATEGIES)[2:])
async def test_budget_holds_for_every_strategy(
    searcher: MakeSearcher, scripted: Scripted, name: str
) -> None:
    ledger = Ledger(Budget(tokens=9_000))
    searching = searcher(
        scripted(writes, usage=Usage(tokens_in=300, tokens_out=700)),
        strategy=strategy(name, n=40),
        ledger=ledger,
        concurrency=4,
    )
    with anyio.fail_after(60):
        result = await searching.search(TASK)
    assert result.stopped == "budget"
    assert 5_000 <= ledger.spent.tokens_in + ledger.spent.tokens_out <= 9_000


@pytest.mark.parametrize("name", STRATEGIES)
async def test_every_strategy_against_a_server(
    searcher: MakeSearcher, httpserver: HTTPServer, name: str
) -> None:
    chats: list[Any] = []

    def complete(request: Request) -> Response:
        body = json.loads(request.data)
        chats.append(body["messages"])
        chat = [Message(**one) for one in body["messages"]]
        text = answer(chat, body["seed"])
        usage = {"prompt_tokens": 11, "completion_tokens": 7}
        if body.get("stream"):
            choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
            events = [{"choices": [choice]}, {"choices": [], "usage": usage}]
            lines = "".join(f"data: {json.dumps(one)}\n\n" for one in events)
            return Response(f"{lines}data: [DONE]\n\n", content_type="text/event-stream")
        choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
        return Response(json.dumps({"choices": [choice], "usage": usage}))

    httpserver.expect_request("/v1/chat/completions").respond_with_handler(complete)
    model = build_openai("author", ModelOptions(base_url=httpserver.url_for("/v1"), api_key=None))
    searching = searcher(model, strategy=strategy(name, n=8), concurrency=3)
    try:
        result = await searching.search(TASK)
    finally:
        await model.aclose()
    assert result.stopped in ("drawn", "verified")
    spent = searching.ledger.spent
    assert spent.samples == len(chats) == (1 if name == "greedy" else 8)
    assert (spent.tokens_in, spent.tokens_out) == (11 * len(chats), 7 * len(chats))
    for chat in chats:
        roles = [one["role"] for one in chat]
        assert roles == (["user", "assistant"] * 9)[: len(roles)]  # many servers want them so
        assert roles[-1] == "user"


async def test_class_grows_method_by_method(searcher: MakeSearcher, scripted: Scripted) -> None:
    prompt = (
        "class Stack:\n    def __init__(self):\n        ...\n\n"
        "    def push(self, item):\n        ...\n\n    def size(self):\n        ...\n"
    )
    tests = "s = Stack()\ns.push(4)\nassert s.size() == 1\nassert Stack().size() == 0\n"
    task = PublicTask(
        id="T/stack",
        prompt=prompt,
        entry_point="Stack",
        entry_kind="class",
        visible=(AssertTests(source=tests),),
    )
    methods = {
        "__init__": "def __init__(self):\n    self.items = []\n",
        "push": "def push(self, item):\n    self.items.append(item)\n",
        "size": "class Stack:\n    def size(self):\n        return len(self.items)\n",
    }

    def writes_methods(request: ModelRequest) -> str:
        asked = request.messages[-1].content
        (name,) = (one for one in methods if f"write `Stack.{one}`" in asked)
        return methods[name] if request.index % 4 else "I can't."

    made = create_strategy("grow", StrategyOptions(n=20))
    result = await searcher(scripted(writes_methods), strategy=made, concurrency=3).search(task)
    assert result.passed
    assert result.chosen is not None
    assert (result.chosen.kind, result.chosen.parent is not None) == ("step", True)
    assert result.pieces >= 8
    assert result.stopped == "verified"
