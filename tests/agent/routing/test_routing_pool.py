"""The pool: who may draw next, and what happens when it is spent."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from agent.routing.pool import Pool, PoolSpentError

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def dealt(pool: Pool, chances: dict[str, list[float]]) -> tuple[list[str], dict[str, str]]:
    """Lets each task ask with its chances in turn; who got samples in which order, and refusals."""
    order: list[str] = []
    refused: dict[str, str] = {}

    async def task(name: str) -> None:
        try:
            for chance in chances[name]:
                await pool.take(chance)
                order.append(name)
                await anyio.lowlevel.checkpoint()
        except PoolSpentError as error:
            refused[name] = str(error)
        finally:
            pool.leave()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for name in chances:
                group.start_soon(task, name)
    return order, refused


async def test_the_likeliest_goes_first_and_what_was_left_alone_is_come_back_to() -> None:
    chances = {"a": [0.5, 0.2, 0.1], "b": [0.3, 0.25], "c": [0.05]}
    order, refused = await dealt(Pool(samples=6, tasks=3), chances)
    assert order == ["a", "b", "b", "a", "a", "c"]
    assert not refused


async def test_all_that_wait_hear_that_it_is_spent() -> None:
    chances = {"a": [0.9] * 5, "b": [0.1] * 5}
    order, refused = await dealt(Pool(samples=3, tasks=2), chances)
    assert order == ["a", "a", "a"]
    assert refused == dict.fromkeys(("a", "b"), "the pool of 3 samples is spent")


@pytest.mark.parametrize("at_a_time", [1, 2, 7])
async def test_never_more_than_there_are_however_many_at_a_time(at_a_time: int) -> None:
    chances = {str(number): [0.5 / (k + 1) for k in range(9)] for number in range(5)}
    order, refused = await dealt(Pool(samples=11, tasks=5, at_a_time=at_a_time), chances)
    assert len(order) == 11
    assert len(refused) == 5


async def test_below_the_floor_a_task_is_given_up() -> None:
    pool = Pool(samples=99, tasks=2, floor=0.1)
    order, refused = await dealt(pool, {"a": [0.2, 0.05], "b": [0.3]})
    assert sorted(order) == ["a", "b"]
    assert refused == {"a": "given up: the next sample passes in 5.00% only"}


async def test_what_the_journal_has_goes_first_and_counts() -> None:
    pool = Pool(samples=2, tasks=2)
    order: list[str] = []

    async def task(name: str, chance: float, recorded: bool) -> None:
        try:
            await pool.take(chance, recorded=recorded)
            order.append(name)
        finally:
            pool.leave()

    async with anyio.create_task_group() as group:
        group.start_soon(task, "likely", 0.9, False)
        group.start_soon(task, "known", 0.0, True)
    assert order == ["known", "likely"]
    assert pool.given == 2


async def test_whoever_is_called_off_while_waiting_takes_nothing() -> None:
    pool = Pool(samples=1, tasks=2)
    got: list[str] = []
    with anyio.move_on_after(0.01):  # the other one has not come yet, so nobody is dealt anything
        await pool.take(0.9)
    pool.leave()
    with anyio.fail_after(5):
        await pool.take(0.1)
        got.append("stays")
    assert (got, pool.given) == (["stays"], 1)


async def test_one_under_way_may_still_be_called_off_so_the_others_wait_for_it() -> None:
    pool = Pool(samples=1, tasks=2)
    heard: list[str] = []

    async def waits() -> None:
        try:
            await pool.take(0.1)
        except PoolSpentError as error:
            heard.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(waits)
        await anyio.wait_all_tasks_blocked()
        await pool.take(0.9)
        await anyio.wait_all_tasks_blocked()
        assert not heard
        pool.leave()
    assert heard == ["the pool of 1 samples is spent"]
