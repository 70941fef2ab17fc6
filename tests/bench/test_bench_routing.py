"""The routing benchmark's own arithmetic, on records small enough to count by hand."""

from __future__ import annotations

import random

import pytest

from agent.routing.features import Features
from agent.routing.fitting import Recorded
from agent.routing.observed import Draw
from agent.routing.simulation import Walk, shuffled, shuffled_alike
from bench import routing, routing_models, routing_pool, routing_tiers
from bench.routing_bank import halves
from bench.routing_edits import Edited, mended
from bench.search import read


def recorded(name: str) -> Recorded:
    return Recorded(task_id=name, looks=Features(), draws=(Draw(passed=True),))


def test_halves_are_drawn_by_lot_and_share_nothing() -> None:
    bank = [recorded(str(number)) for number in range(9)]
    first, second = halves(bank, 3)
    names = [one.task_id for one in (*first, *second)]
    assert (len(first), len(second)) == (4, 5)
    assert sorted(names) == [str(number) for number in range(9)]
    assert halves(bank, 3) == (first, second)
    assert halves(bank, 4)[0] != first


def test_needed_draws_are_read_off_a_curve() -> None:
    curve = [0.0, 1.0, 1.0, 3.0]
    assert routing_pool.needed(curve, 1.0) == 1.0
    assert routing_pool.needed(curve, 2.0) == 2.5
    assert routing_pool.needed(curve, 0.0) == 0.0
    assert routing_pool.needed(curve, 9.0) == 3.0


def test_an_oracle_needs_no_more_draws_than_taking_turns() -> None:
    lot = random.Random(0)
    table = []
    for place in range(30):
        share = (0.0, 0.05, 0.5)[place % 3]
        orders = []
        for _ in range(4):
            passes = [lot.random() < share for _ in range(60)]
            first = passes.index(True) + 1 if any(passes) else None
            known = first or 60
            chances = tuple(0.5 / (k + 1) for k in range(known))
            walk = Walk(chances, first, 60)
            orders.append(routing_pool.Dealing(walk, walk, share, (0.0,) * known, (1.0,) * known))
        table.append(orders)
    rows = {(row.index, row.n): row.fewer for row in routing_pool.measure("fitted", table, seed=0)}
    assert rows["taking turns", 10] == pytest.approx(1.0, abs=0.1)
    assert rows["oracle: can be solved", 10] > 1.3


def test_a_cascade_asks_up_to_the_first_that_is_right() -> None:
    one = routing_models.Answered(
        Features(), {"a": False, "b": True, "c": True}, {"a": 1.0, "b": 2.0, "c": 3.0}
    )
    assert routing_models._asked(one, "abc") == "ab"
    assert routing_models._asked(one, "cab") == "c"


def test_sections_are_its_own() -> None:
    asked = read(["--sections", "tiers,pool"], routing.SECTIONS)
    assert asked.sections == ("tiers", "pool")
    with pytest.raises(SystemExit):
        read(["--sections", "stopping"], routing.SECTIONS)


def drawn(rewards: list[float]) -> Recorded:
    draws = tuple(Draw(passed=one == 1, reward=one, behaviour=str(one)) for one in rewards)
    return Recorded(task_id="one", looks=Features(), draws=draws)


def test_a_draw_that_one_of_its_first_edits_mends_counts_as_passed() -> None:
    one = drawn([0.0, 0.6, 1.0, 0.9])
    edited = [Edited("one"), Edited("one", 7, 7, 0.7), Edited("one"), Edited("one", 20, 0, 2.0)]
    assert [draw.passed for draw in mended(one, edited, 6).draws] == [False, False, True, False]
    assert [draw.passed for draw in mended(one, edited, 7).draws] == [False, True, True, False]
    assert edited[1].cost(20) == (7, 0.7)
    assert edited[3].cost(5) == (5, 0.5)
    assert edited[0].cost(5) == (0, 0.0)


def test_edits_are_shuffled_with_their_draws() -> None:
    one = drawn([place / 50 for place in range(50)])
    edited = [Edited("one", place) for place in range(50)]
    for number in range(3):
        places = [round(draw.reward * 50) for draw in shuffled(one, number, 4)]
        assert [each.tried for each in shuffled_alike(one, edited, number, 4)] == places


def test_edits_count_against_what_is_drawn_without_them() -> None:
    asked = read(["--sections", "tiers", "--orders", "3"], routing.SECTIONS)
    tasks = [
        Recorded(task_id=str(number), looks=Features(), draws=drawn(rewards).draws)
        for number, rewards in enumerate([[1.0] * 10, [0.5] * 9 + [1.0], [0.5] * 10, [0.0] * 10])
    ]
    edits = [[Edited(one.task_id, 1, 1 if draw.reward == 0.5 else 0) for draw in one.draws]
             for one in tasks]  # fmt: skip
    plain = routing_tiers._Fits(tasks, tasks, asked)
    again = [mended(one, found, 1) for one, found in zip(tasks, edits, strict=True)]
    rows, _ = routing_tiers._measured(routing_tiers._Fits(again, again, asked), plain, asked)
    gains = {row.way: row.gain for row in rows if row.tasks == "all"}
    assert gains["10 draws each"] == pytest.approx(2 / 1, rel=0.3)
    assert gains["one draw"] > 1
