"""The routing benchmark's own arithmetic, on records small enough to count by hand."""

from __future__ import annotations

import random

import pytest

from agent.routing.features import Features
from agent.routing.fitting import Recorded
from agent.routing.observed import Draw
from agent.routing.simulation import Walk
from bench import routing, routing_models, routing_pool
from bench.routing_bank import halves
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
            orders.append(routing_pool.Dealing(walk, share, (0.0,) * known, (1.0,) * known))
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
