"""The books: what is spent on what, tables of it, and limits that hold whatever is under way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.accounts import Account, Entry, Spent, entries, table
from agent.budget import Budget, Ledger
from agent.drawing import Sampling
from agent.journal import Journal
from agent.llm.base import BankExhaustedError, Completion, ModelRequest, Usage
from agent.llm.metering import note
from agent.llm.prices import Price, cost
from agent.loop import Searcher
from agent.search.best_of_n import BestOfN
from agent.search.cascade import Cascade, Stage
from agent.tiers import Tier, cost_of
from tasks.model import PublicTask

WRONG = "def f(x):\n    return None\n"
RIGHT = "def f(x):\n    return x + 1\n"
PRICE = Price(input=1.0, output=5.0)
MakeSearcher = Callable[..., Searcher]
Scripted = Callable[..., Any]


def wrong(request: ModelRequest) -> str:
    return f"{WRONG}N = {request.index}\n"


AMOUNTS = st.builds(
    Usage,
    tokens_in=st.integers(0, 999),
    tokens_out=st.integers(0, 999),
    tokens_cached=st.integers(0, 99),
    tokens_thinking=st.integers(0, 99),
    tokens_written=st.integers(0, 99),
    estimated=st.booleans(),
)
ACCOUNTS = st.builds(
    Account,
    task=st.sampled_from("ab"),
    strategy=st.sampled_from("xy"),
    tier=st.integers(0, 1),
    model=st.sampled_from(["m", "n", ""]),
)
BOOKINGS = st.lists(st.tuples(ACCOUNTS, AMOUNTS, st.sampled_from(["settle", "lose", "ran"])))
KEYS = st.lists(st.sampled_from(["task", "strategy", "tier", "model"]), unique=True)


@given(bookings=BOOKINGS, keys=KEYS)
def test_every_table_adds_up_to_what_was_spent(bookings: Any, keys: Any) -> None:
    whole = Ledger(Budget())
    part = Ledger(Budget(), whole)
    for number, (account, usage, what) in enumerate(bookings):
        if what == "ran":
            part.ran(number / 8, on=account)
            continue
        held = part.reserve(tokens=0, cost=0.0)
        book = part.settle if what == "settle" else part.lose
        book(held, usage, cost=number / 4, seconds=1.0, on=account)
    for ledger in (part, whole):
        rows = table(ledger.entries, keys)
        places = [tuple(getattr(row, key) for key in keys) for row in rows]
        assert len(set(places)) == len(places)
        for name in Spent.__dataclass_fields__:
            total = getattr(ledger.spent, name)
            values = [getattr(row, name) for row in rows]
            assert (any(values) if name == "estimated" else sum(values)) == total
        assert table(table(ledger.entries, ("task", "model", *keys)), keys) == rows


def test_a_table_by_a_key_that_no_row_has() -> None:
    with pytest.raises(ValueError, match="task, strategy, tier, model"):
        table((), ("price",))  # type: ignore[arg-type]
    assert table((), ("model",)) == ()
    assert entries({}) == ()


def test_the_cost_is_unknown_where_an_asked_model_has_no_price(scripted: Scripted) -> None:
    known, unknown = scripted(wrong), scripted(wrong)
    unknown.__class__ = type("Other", (type(unknown),), {"name": "other/1"})
    tiers = (Tier(known, PRICE), Tier(unknown))
    ledger = Ledger(Budget())
    assert cost_of(ledger, tiers) == 0
    ledger.ran(1.0, on=Account(model="scripted/1"))
    assert cost_of(ledger, tiers) == 0
    ledger.ran(1.0, on=Account(model="other/1"))
    assert cost_of(ledger, tiers) is None
    assert cost_of(Ledger(Budget()), (Tier(unknown),)) is None


def cascade(*samples: int, failures: int = 0) -> Cascade:
    stages = tuple(Stage(count, lambda n: BestOfN(n=n)) for count in samples)
    return Cascade(stages=stages, failures=failures)


def named(model: Any, name: str) -> Any:
    model.__class__ = type(name, (type(model),), {"name": name})
    return model


@pytest.mark.anyio
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_cascade_is_booked_by_model_at_the_price_of_each(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, concurrency: int
) -> None:
    new = f"CONCURRENCY = {concurrency}\n"  # not known to the cache of verdicts
    cheap = named(scripted(lambda request: wrong(request) + new), "cheap/1")
    better = named(scripted(lambda request: RIGHT if request.index == 1 else WRONG), "better/1")
    dear = Price(input=10.0, output=50.0)
    ledger = Ledger(Budget())
    result = await searcher(
        cheap,
        strategy=cascade(3, 4),
        price=PRICE,
        stronger=(Tier(better, dear),),
        ledger=ledger,
        concurrency=concurrency,
    ).search(task)
    assert result.passed
    assert result.chosen is not None
    assert (result.chosen.tier, result.chosen.completion.model) == (1, "better/1")
    assert [request.index for request in cheap.requests] == [0, 1, 2]
    assert sorted(request.index for request in better.requests)[:2] == [0, 1]
    first, second = table(ledger.entries, ("tier", "model"))
    assert (first.tier, first.model, first.samples) == (0, "cheap/1", 3)
    assert (second.tier, second.model) == (1, "better/1")
    usage = Usage(tokens_in=10, tokens_out=20)
    assert first.cost == pytest.approx(3 * cost(usage, PRICE))
    assert second.cost == pytest.approx(second.samples * cost(usage, dear))
    assert first.sandbox_seconds > 0
    assert {row.task for row in ledger.entries} == {task.id}
    assert {row.strategy for row in ledger.entries} == {"cascade"}


@pytest.mark.anyio
async def test_a_better_model_sees_the_failure_and_a_dry_bank_only_ends_its_stage(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted
) -> None:
    def bank(request: ModelRequest) -> str | Exception:
        return wrong(request) if request.index == 0 else BankExhaustedError("dry")

    better = scripted(lambda _request: RIGHT)
    result = await searcher(
        scripted(bank), strategy=cascade(3, 1, failures=1), stronger=(Tier(better),)
    ).search(task)
    assert result.passed
    (request,) = better.requests
    assert WRONG.strip() in request.messages[-2].content
    assert "f(1) == 2" in request.messages[-1].content
    assert len(result.candidates) == 2


class Metered:
    """Notes what it has spent while it answers, as the real ones do.

    Args:
        usage: of a whole answer, by the request's index.
        delay: seconds until then; half of the answer has come after half of the time.
        right: the index of the answer that is right.
    """

    name = "metered/1"

    def __init__(
        self, usage: Callable[[int], Usage], delay: Callable[[int], float], right: int
    ) -> None:
        self._usage, self._delay, self._right = usage, delay, right
        self.begun: list[int] = []
        self.ended: list[int] = []

    async def complete(self, request: ModelRequest) -> list[Completion]:
        self.begun.append(request.index)
        usage = self._usage(request.index)
        try:
            await anyio.sleep(self._delay(request.index))
        except anyio.get_cancelled_exc_class():
            note(usage.model_copy(update={"tokens_out": usage.tokens_out // 2}))
            raise
        self.ended.append(request.index)
        note(usage)
        text = RIGHT if request.index == self._right else wrong(request)
        return [Completion(text=text, usage=usage, finish="stop", model=self.name, seconds=0.0)]

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.mark.anyio
async def test_calls_that_are_called_off_are_booked_at_an_estimate_and_again_on_resuming(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path
) -> None:
    usage = Usage(tokens_in=100, tokens_out=40)
    model = Metered(lambda _i: usage, lambda i: 0.0 if i == 0 else 30.0, right=0)

    async def search(ledger: Ledger) -> None:
        journal = Journal(tmp_path)
        try:
            searching = searcher(model, ledger=ledger, concurrency=3, price=PRICE, journal=journal)
            assert (await searching.search(task)).passed
        finally:
            journal.close()

    ledger = Ledger(Budget())
    await search(ledger)
    spent = ledger.spent
    off = len(model.begun) - 1
    assert off == 2
    assert (spent.samples, spent.dropped) == (1, off)
    assert (spent.tokens_in, spent.tokens_out) == (100 * (1 + off), 40 + 20 * off)
    assert spent.estimated
    half = Usage(tokens_in=100, tokens_out=20)
    assert spent.cost == pytest.approx(cost(usage, PRICE) + off * cost(half, PRICE))
    again = Ledger(Budget())
    await search(again)
    assert len(model.begun) == 1 + off, "nothing is asked again"
    assert again.spent.dropped == off
    assert again.spent.cost == pytest.approx(spent.cost)
    assert again.entries[0].model == "metered/1"


@pytest.mark.anyio
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shares=st.lists(st.floats(0, 1), min_size=12, max_size=12),
    delays=st.lists(st.integers(0, 4), min_size=12, max_size=12),
    at_a_time=st.lists(st.integers(1, 6), min_size=3, max_size=3),
    calls=st.floats(0, 8),
    right=st.integers(0, 20),
)
async def test_no_limit_on_money_is_broken_whatever_is_under_way_and_called_off(
    searcher: MakeSearcher,
    task: PublicTask,
    shares: list[float],
    delays: list[int],
    at_a_time: list[int],
    calls: float,
    right: int,
) -> None:
    most, longest = 200, 100
    bound = (1000 * PRICE.input + longest * PRICE.output) / 1e6
    model = Metered(
        lambda i: Usage(
            tokens_in=int(most * shares[i % 12]), tokens_out=int(longest * shares[-i % 12])
        ),
        lambda i: delays[i % 12] / 1000,
        right=right,
    )
    whole = Ledger(Budget(cost=calls * bound))
    owns = [Ledger(Budget(), whole) for _ in range(3)]

    async def search(own: Ledger, concurrency: int) -> None:
        await searcher(
            model,
            n=10,
            ledger=own,
            price=PRICE,
            concurrency=concurrency,
            sampling=Sampling(max_tokens=longest),
        ).search(task)

    async with anyio.create_task_group() as tasks:
        for own, concurrency in zip(owns, at_a_time, strict=True):
            tasks.start_soon(search, own, concurrency)
    spent = whole.spent
    assert spent.cost <= calls * bound + 1e-9
    assert not whole._reserved
    assert spent.samples == len(model.ended)
    assert spent.cost == pytest.approx(sum(own.spent.cost for own in owns))
    by_model = table(whole.entries, ("model",))
    assert sum(row.cost for row in by_model) == pytest.approx(spent.cost)
    assert all(isinstance(row, Entry) for row in by_model)
