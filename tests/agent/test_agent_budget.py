"""Budgets: never exceeded, whatever is under way, and the same end at any concurrency."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.budget import Budget, BudgetExhaustedError, BudgetHeldError, Ledger, Reservation
from agent.drawing import Sampling
from agent.llm.base import ModelRequest, Usage
from agent.llm.prices import Price
from agent.llm.prompts import task_prompt
from agent.loop import Searcher
from tasks.model import PublicTask

WRONG = "def f(x):\n    return None\n"
MakeSearcher = Callable[..., Searcher]
Scripted = Callable[..., Any]


def wrong(_request: ModelRequest) -> str:
    return WRONG


@pytest.mark.anyio
@pytest.mark.parametrize("concurrency", [1, 3, 8])
@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_budget_of_samples_holds_before_the_call(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, concurrency: int, limit: int
) -> None:
    model = scripted(wrong, delay=lambda index: 0.01 * (index % 2))
    ledger = Ledger(Budget(samples=limit))
    result = await searcher(model, n=10, concurrency=concurrency, ledger=ledger).search(task)
    assert len(model.requests) == limit
    assert len(result.candidates) == limit
    assert result.stopped == "budget"
    assert result.detail == f"the budget of {limit} samples is used up"
    assert (result.chosen is None) == (limit == 0)


@pytest.mark.anyio
async def test_pass_within_the_budget_is_verified_and_no_stop(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted
) -> None:
    programs = [WRONG, "def f(x):\n    return x + 1\n", WRONG]
    model = scripted(lambda request: programs[request.index])
    ledger = Ledger(Budget(samples=3))
    result = await searcher(model, concurrency=8, ledger=ledger).search(task)
    assert (result.stopped, result.detail) == ("verified", "")


def prompt_tokens(task: PublicTask) -> int:
    """More tokens than the task's prompt can have."""
    return sum(len(message.content.encode()) for message in task_prompt(task))


@pytest.mark.anyio
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    tokens=st.integers(0, 4_000),
    share=st.floats(0.05, 1.0),
    concurrency=st.integers(2, 8),
    delays=st.lists(st.integers(0, 3), min_size=20, max_size=20),
)
async def test_budget_of_tokens_holds_and_ends_alike_at_any_concurrency(
    searcher: MakeSearcher,
    task: PublicTask,
    scripted: Scripted,
    tokens: int,
    share: float,
    concurrency: int,
    delays: list[int],
) -> None:
    usage = Usage(tokens_in=prompt_tokens(task) // 3, tokens_out=int(200 * share))
    calls = []
    for at_a_time in (1, concurrency):
        model = scripted(wrong, usage=usage, delay=lambda index: delays[index] / 1000)
        ledger = Ledger(Budget(tokens=tokens))
        searching = searcher(
            model,
            n=20,
            concurrency=at_a_time,
            ledger=ledger,
            sampling=Sampling(max_tokens=200),
        )
        result = await searching.search(task)
        assert ledger.spent.tokens_in + ledger.spent.tokens_out <= tokens
        assert len(model.requests) == ledger.spent.samples
        assert result.stopped == ("budget" if len(model.requests) < 20 else "drawn")
        calls.append(len(model.requests))
    assert calls[0] == calls[1]


@pytest.mark.anyio
@pytest.mark.parametrize("concurrency", [1, 8])
async def test_budget_of_money_holds_when_every_call_costs_all_it_may(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, concurrency: int
) -> None:
    price = Price(input=1.0, output=5.0)
    usage = Usage(tokens_in=prompt_tokens(task), tokens_out=100)
    each = (usage.tokens_in + 500) / 1e6
    limit = 3.5 * each
    model = scripted(wrong, usage=usage, delay=lambda _index: 0.01)
    ledger = Ledger(Budget(cost=limit))
    searching = searcher(
        model,
        concurrency=concurrency,
        ledger=ledger,
        price=price,
        sampling=Sampling(max_tokens=100),
    )
    result = await searching.search(task)
    assert len(model.requests) == 3
    assert ledger.spent.cost == pytest.approx(3 * each)
    assert ledger.spent.cost <= limit
    assert result.stopped == "budget"
    assert result.detail.startswith(f"${limit - 3 * each:.4f} of ${limit:g} are left")
    assert sum(one.cost for one in result.candidates) == pytest.approx(ledger.spent.cost)


@pytest.mark.anyio
async def test_calls_that_may_cost_too_much_wait_for_those_under_way(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted
) -> None:
    model = scripted(wrong, usage=Usage(tokens_in=1, tokens_out=1), delay=lambda _index: 0.02)
    size = prompt_tokens(task) // 2 + 64 + 1000
    ledger = Ledger(Budget(tokens=size * 2 + 100))
    searching = searcher(
        model, n=9, concurrency=8, ledger=ledger, sampling=Sampling(max_tokens=1000)
    )
    result = await searching.search(task)
    assert model.most_under_way == 2
    assert len(model.requests) == 9
    assert result.stopped == "drawn"


@pytest.mark.anyio
async def test_prompt_in_a_wide_script_is_not_taken_for_a_short_one(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted
) -> None:
    wide = task.model_copy(update={"prompt": 'def f(x):\n    """' + "数" * 900 + '"""\n'})
    ledger = Ledger(Budget(tokens=1000))
    model = scripted(wrong)
    searching = searcher(model, ledger=ledger, sampling=Sampling(max_tokens=1))
    assert (await searching.search(wide)).stopped == "budget"
    assert model.requests == []


@pytest.mark.anyio
@pytest.mark.parametrize("concurrency", [1, 8])
async def test_no_call_begins_after_the_wall_time_is_over(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, concurrency: int
) -> None:
    begun: list[float] = []

    def delay(_index: int) -> float:
        begun.append(time.monotonic())
        return 0.1

    model = scripted(wrong, delay=delay)
    ledger = Ledger(Budget(wall_seconds=0.35))
    result = await searcher(model, n=1000, concurrency=concurrency, ledger=ledger).search(task)
    assert result.stopped == "budget"
    assert result.detail == "0.35 s of wall time are over"
    assert 1 <= len(begun) <= 4 * concurrency
    assert max(begun) - ledger.started <= 0.35 + 0.05


@pytest.mark.anyio
async def test_budget_of_sandbox_time_ends_the_search(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted
) -> None:
    model = scripted(lambda request: f"import time\ntime.sleep(0.06)\n{WRONG}N = {request.index}\n")
    ledger = Ledger(Budget(sandbox_seconds=0.1))
    result = await searcher(model, concurrency=1, ledger=ledger).search(task)
    assert len(model.requests) == 2
    assert result.stopped == "budget"
    assert result.detail == "0.1 s of sandbox time are used up"


@pytest.mark.anyio
async def test_tasks_of_a_run_share_its_budget(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted
) -> None:
    whole = Ledger(Budget(samples=7))
    model = scripted(wrong, delay=lambda _index: 0.01)
    owns = [Ledger(Budget(samples=4), whole) for _ in range(3)]
    stopped = []

    async def search(own: Ledger) -> None:
        result = await searcher(model, concurrency=3, ledger=own).search(task)
        stopped.append(result.stopped)

    async with anyio.create_task_group() as tasks:
        for own in owns:
            tasks.start_soon(search, own)
    assert len(model.requests) == 7
    assert sum(own.spent.samples for own in owns) == whole.spent.samples == 7
    assert max(own.spent.samples for own in owns) <= 4
    assert stopped == ["budget"] * 3


def test_arithmetic_with_a_parent() -> None:
    whole = Ledger(Budget(tokens=100, cost=1.0))
    part = Ledger(Budget(tokens=60), whole)
    held = part.reserve(tokens=50, cost=0.4)
    with pytest.raises(BudgetHeldError, match=r"60 of 60 tokens are left.*may take 20"):
        part.reserve(tokens=20, cost=0.0)
    other = Ledger(Budget(), whole)
    with pytest.raises(BudgetHeldError, match="100 of 100 tokens"):
        other.check(tokens=51)
    other.check(tokens=50, cost=0.6)
    with pytest.raises(BudgetHeldError, match=r"\$1\.0000 of \$1 are left"):
        other.check(cost=0.61)
    with pytest.raises(BudgetExhaustedError, match="may take 101") as caught:
        other.check(tokens=101)
    assert not isinstance(caught.value, BudgetHeldError)
    usage = Usage(tokens_in=4, tokens_out=6, tokens_cached=2, tokens_thinking=3, estimated=True)
    part.settle(held, usage, cost=0.25, seconds=2.0)
    part.ran(1.5)
    for ledger in (part, whole):
        assert (ledger.spent.tokens_in, ledger.spent.tokens_out) == (4, 6)
        assert (ledger.spent.tokens_cached, ledger.spent.tokens_thinking) == (2, 3)
        assert (ledger.spent.samples, ledger.spent.cost) == (1, 0.25)
        assert (ledger.spent.model_seconds, ledger.spent.sandbox_seconds) == (2.0, 1.5)
        assert ledger.spent.estimated
    assert other.spent.samples == 0
    part.release(part.reserve(tokens=50, cost=0.75))
    part.reserve(tokens=50, cost=0.75)


def test_limits_are_not_negative() -> None:
    for field in ("samples", "tokens", "cost"):
        with pytest.raises(ValueError, match="greater than or equal to 0"):
            Budget(**{field: -1})
    for field in ("wall_seconds", "sandbox_seconds"):
        with pytest.raises(ValueError, match="greater than 0"):
            Budget(**{field: 0})


class Books(RuleBasedStateMachine):
    """Calls begin and end in any order on two tasks of one run; each uses no more than it held."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = Ledger(Budget(samples=9, tokens=300, cost=2.0))
        self.parts = [
            Ledger(Budget(samples=5, tokens=200), self.whole),
            Ledger(Budget(cost=1.5), self.whole),
        ]
        self.open: list[tuple[Ledger, Reservation]] = []
        self.settled = 0

    @rule(part=st.integers(0, 1), tokens=st.integers(0, 120), cost=st.floats(0, 1))
    def begin(self, part: int, tokens: int, cost: float) -> None:
        ledger = self.parts[part]
        try:
            self.open.append((ledger, ledger.reserve(tokens=tokens, cost=cost)))
        except BudgetHeldError:
            assert self.open
        except BudgetExhaustedError:
            assert any(
                spent.samples + 1 > (budget.samples or 99)
                or spent.tokens_in + spent.tokens_out + tokens > (budget.tokens or 999)
                or spent.cost + cost > (budget.cost or 99)
                for budget, spent in ((one.budget, one.spent) for one in (ledger, self.whole))
            )

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        ledger, held = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        if data.draw(st.booleans()):
            ledger.release(held)
            return
        tokens_in = data.draw(st.integers(0, held.tokens))
        tokens_out = data.draw(st.integers(0, held.tokens - tokens_in))
        cost = data.draw(st.floats(0, held.cost))
        usage = Usage(tokens_in=tokens_in, tokens_out=tokens_out)
        ledger.settle(held, usage, cost=cost, seconds=0.0)
        self.settled += 1

    @invariant()
    def never_over(self) -> None:
        for ledger in (self.whole, *self.parts):
            limit, spent = ledger.budget, ledger.spent
            held = [
                reservation for owner, reservation in self.open if ledger in (owner, owner.parent)
            ]
            assert limit.samples is None or spent.samples + len(held) <= limit.samples
            tokens = spent.tokens_in + spent.tokens_out + sum(one.tokens for one in held)
            assert limit.tokens is None or tokens <= limit.tokens
            cost = spent.cost + sum(one.cost for one in held)
            assert limit.cost is None or cost <= limit.cost + 1e-9
        assert self.whole.spent.samples == self.settled
        assert self.settled == sum(part.spent.samples for part in self.parts)


Books.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_never_over_the_limit = Books.TestCase
