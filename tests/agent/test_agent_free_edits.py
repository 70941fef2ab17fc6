"""Free edits in the loop: tried before anything is paid for, with every strategy, at no tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.budget import Budget, Ledger
from agent.journal import Journal
from agent.llm.base import ModelRequest
from agent.loop import Searcher
from agent.search.base import StrategyOptions
from agent.search.registry import create_strategy, strategy_names
from tests.agent.author import RIGHT, RUNGS, TASK, answer
from tests.agent.test_agent_strategies import outline

pytestmark = pytest.mark.anyio
MakeSearcher = Callable[..., Searcher]
Scripted = Callable[..., Any]

NEARLY = "def f(x):\n    return 2 * x + 3 if x < 5 else x\n"
"""Passes two of three tests; several edits repair it, such as `x <= 5`."""
HOPELESS = "def f(x):\n    return {1: 5, 5: 13}.get(x)\n"
WRONG = RUNGS[0]


def chat(program: str) -> str:
    return f"```python\n{program}```"


def strategy(name: str, **more: Any) -> Any:
    return create_strategy(name, StrategyOptions(**{"n": 8, "edits": 60, **more}))


@pytest.mark.parametrize("name", ["best-of-n", "majority", "beam", "mcts", "thompson", "dvts"])
async def test_an_edit_repairs_what_is_nearly_right(
    searcher: MakeSearcher, scripted: Scripted, name: str
) -> None:
    model = scripted(lambda _request: chat(NEARLY))
    made = searcher(model, strategy=strategy(name))
    result = await made.search(TASK)
    assert result.passed
    assert result.stopped == "verified"
    assert result.chosen is not None
    assert (result.chosen.kind, result.chosen.cost) == ("edit", 0.0)
    assert result.chosen.parent is not None
    spent = made.ledger.spent
    # what a first wave asks for is paid; none after it is
    assert 1 <= spent.samples <= 6
    assert spent.tokens_out == 20 * spent.samples


@pytest.mark.parametrize("name", ["best-of-n", "majority", "beam", "mcts", "thompson", "dvts"])
async def test_without_edits_nothing_is_edited(
    searcher: MakeSearcher, scripted: Scripted, name: str
) -> None:
    model = scripted(lambda _request: chat(NEARLY))
    result = await searcher(model, strategy=strategy(name, edits=0)).search(TASK)
    assert not result.passed
    assert "edit" not in {one.kind for one in result.candidates}


async def test_hopeless_and_unpromising_programs_cost_no_more_than_their_edits(
    searcher: MakeSearcher, scripted: Scripted
) -> None:
    made = strategy("best-of-n", n=3, edits=5)
    result = await searcher(scripted(lambda _request: chat(WRONG)), strategy=made).search(TASK)
    assert [one.kind for one in result.candidates] == ["sample"] * 3
    result = await searcher(scripted(lambda _request: chat(NEARLY)), strategy=made).search(TASK)
    assert len([one for one in result.candidates if one.kind == "edit"]) <= 15


async def test_samples_are_the_same_with_and_without_edits(
    searcher: MakeSearcher, scripted: Scripted
) -> None:
    """So that a bank is served in the same order, and a comparison is one of like with like."""
    for name in ("best-of-n", "beam"):
        asked: dict[int, list[tuple[int, int | None]]] = {}
        for edits in (0, 6):
            calls: list[tuple[int, int | None]] = []

            def write(request: ModelRequest, calls: list[Any] = calls) -> str:
                calls.append((request.index, request.seed))
                return chat(HOPELESS)

            made = strategy(name, n=6, edits=edits)
            result = await searcher(scripted(write), strategy=made, concurrency=1).search(TASK)
            asked[edits] = calls
            assert ("edit" in {one.kind for one in result.candidates}) == bool(edits)
        assert asked[0] == asked[6]
        assert [index for index, _ in asked[6]] == list(range(6))


@pytest.mark.parametrize("name", sorted({*strategy_names()} - {"greedy"}))
async def test_result_depends_neither_on_concurrency_nor_on_interruptions(
    searcher: MakeSearcher, scripted: Scripted, tmp_path: Path, name: str
) -> None:
    def write(request: ModelRequest) -> str:
        return answer(request.messages, request.seed)

    made = strategy(name, n=6, edits=4)
    journal = Journal(tmp_path / "run")
    first = await searcher(scripted(write), strategy=made, concurrency=5, journal=journal).search(
        TASK
    )
    journal.close()
    alone = await searcher(scripted(write), strategy=made, concurrency=1).search(TASK)
    assert outline(first) == outline(alone)
    journal = Journal(tmp_path / "run")
    dumb = scripted(lambda _request: AssertionError("asked again"))
    again = await searcher(dumb, strategy=made, concurrency=2, journal=journal).search(TASK)
    journal.close()
    assert outline(again) == outline(first)


async def test_greedy_and_exhaustive_searches_stay_what_they_are(
    searcher: MakeSearcher, scripted: Scripted
) -> None:
    for made in (strategy("greedy"), strategy("best-of-n", exhaustive=True, n=2)):
        result = await searcher(scripted(lambda _request: chat(NEARLY)), strategy=made).search(TASK)
        assert {one.kind for one in result.candidates} == {"sample"}
        assert not result.passed


async def test_edits_end_with_the_time_of_the_sandbox_and_not_with_the_samples(
    searcher: MakeSearcher, scripted: Scripted
) -> None:
    # no other test runs this text, so its verdicts are not in the cache and take time
    model = scripted(lambda _request: chat(f"# timed\n{NEARLY}"))
    one_sample = Ledger(Budget(samples=1))
    made = searcher(model, strategy=strategy("best-of-n"), ledger=one_sample, concurrency=1)
    result = await made.search(TASK)
    assert result.passed
    assert one_sample.spent.samples == 1
    assert one_sample.spent.sandbox_seconds > 0
    model = scripted(lambda _request: chat(f"# timed again\n{NEARLY}"))
    no_time = Ledger(Budget(sandbox_seconds=1e-9))
    made = searcher(model, strategy=strategy("best-of-n"), ledger=no_time, concurrency=1)
    result = await made.search(TASK)
    assert not result.passed
    assert result.stopped == "budget"
    assert "edit" not in {one.kind for one in result.candidates}


async def test_majority_still_votes_where_no_edit_passes(
    searcher: MakeSearcher, scripted: Scripted
) -> None:
    programs = [HOPELESS, RUNGS[2], RUNGS[2], WRONG]
    model = scripted(lambda request: chat(programs[request.index]))
    made = strategy("majority", n=4, edits=2, own={"filter": False})
    result = await searcher(model, strategy=made).search(TASK)
    assert result.chosen is not None
    assert result.chosen.program.strip() == RUNGS[2].strip()
    model = scripted(lambda request: chat([HOPELESS, RIGHT, RIGHT, WRONG][request.index]))
    result = await searcher(model, strategy=made).search(TASK)
    assert result.passed
