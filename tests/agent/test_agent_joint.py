"""Several samples from one call: who comes together, what is booked, and what a fault costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agent.budget import Budget, Ledger
from agent.drawing import Sampling
from agent.journal import Journal
from agent.llm.base import Completion, ModelRequest, ModelUnavailableError
from agent.llm.replay import ReplayModel
from agent.loop import Searcher
from tasks.model import PublicTask

RIGHT = "def f(x):\n    return x + 1\n"
WRONG = "def f(x):\n    return x - {}\n"

pytestmark = pytest.mark.anyio
MakeSearcher = Callable[..., Searcher]


class Counting:
    """A recorded bank behind a server that gives so many answers a call at the most."""

    def __init__(self, folder: Path, programs: Sequence[str], most: int = 100) -> None:
        path = folder / "bank.jsonl"
        rows = [{"task_id": "T/1", "solution": program} for program in programs]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self._bank, self._most = ReplayModel(str(path)), most
        self.asked: list[tuple[int, int]] = []
        self.fails = False

    @property
    def name(self) -> str:
        return "counting/1"

    async def complete(self, request: ModelRequest) -> Sequence[Completion]:
        self.asked.append((request.index, request.n))
        if self.fails:
            raise ModelUnavailableError("it is down")
        return (await self._bank.complete(request))[: self._most]

    async def aclose(self) -> None:
        """Nothing to close."""


def wrong(count: int) -> list[str]:
    return [WRONG.format(number) for number in range(count)]


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_samples_come_together_by_their_numbers(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path, concurrency: int
) -> None:
    model = Counting(tmp_path, wrong(10))
    searching = searcher(model, sampling=Sampling(per_call=4), concurrency=concurrency)
    result = await searching.search(task)
    assert sorted(model.asked) == [(0, 4), (4, 4), (8, 2)]
    assert [one.program for one in result.candidates] == wrong(10)
    assert searching.ledger.spent.samples == 10
    assert not searching.ledger._reserved


async def test_it_stops_with_the_call_that_brings_a_pass(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path
) -> None:
    model = Counting(tmp_path, [*wrong(5), RIGHT, *wrong(4)])
    with_journal = Journal(tmp_path)
    searching = searcher(model, sampling=Sampling(per_call=4), concurrency=1, journal=with_journal)
    result = await searching.search(task)
    assert result.passed
    assert model.asked == [(0, 4), (4, 4)]
    # paid for is kept, also what nobody needed any more
    assert len(with_journal.keys("sample")) == searching.ledger.spent.samples == 8
    assert with_journal.lost() == []
    again = searcher(model, sampling=Sampling(per_call=4), concurrency=1, journal=with_journal)
    assert (await again.search(task)).chosen == result.chosen
    assert model.asked == [(0, 4), (4, 4)]
    with_journal.close()


async def test_a_server_that_gives_fewer_is_asked_for_the_rest(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path
) -> None:
    model = Counting(tmp_path, wrong(4), most=1)
    journal = Journal(tmp_path)
    searching = searcher(model, n=4, sampling=Sampling(per_call=4), concurrency=1, journal=journal)
    result = await searching.search(task)
    assert model.asked[0] == (0, 4)
    assert sorted(model.asked[1:]) == [(1, 1), (2, 1), (3, 1)]
    assert [one.program for one in result.candidates] == wrong(4)
    assert searching.ledger.spent.samples == 4
    assert journal.lost() == []
    journal.close()


async def test_what_does_not_fit_together_is_asked_one_by_one(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path
) -> None:
    model = Counting(tmp_path, wrong(10))
    ledger = Ledger(Budget(samples=6))
    searching = searcher(model, sampling=Sampling(per_call=4), concurrency=1, ledger=ledger)
    result = await searching.search(task)
    assert model.asked == [(0, 4), (4, 1), (5, 1)]
    assert (result.stopped, ledger.spent.samples) == ("budget", 6)
    assert not ledger._reserved


async def test_a_call_that_fails_ends_the_search_and_holds_nothing(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path
) -> None:
    model = Counting(tmp_path, wrong(10))
    model.fails = True
    searching = searcher(model, sampling=Sampling(per_call=4), concurrency=1)
    with pytest.raises(ModelUnavailableError, match="it is down"):
        await searching.search(task)
    assert model.asked == [(0, 4)]
    assert searching.ledger.spent.samples == 0
    assert not searching.ledger._reserved


async def test_only_what_is_missing_of_a_call_is_asked_for_again(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    model = Counting(tmp_path, wrong(4))
    await searcher(model, n=2, concurrency=1, journal=journal).search(task)
    model.asked.clear()
    searching = searcher(model, n=4, sampling=Sampling(per_call=4), concurrency=1, journal=journal)
    result = await searching.search(task)
    assert model.asked == [(2, 2)]
    assert [one.program for one in result.candidates] == wrong(4)
    journal.close()
