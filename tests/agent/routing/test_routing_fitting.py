"""Fits and simulations: on records whose truth is known."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ElementTree

import pytest

from agent.routing.calibrating import calibrated, choose, with_floor
from agent.routing.chance import Weights, chance, sigmoid
from agent.routing.features import Features
from agent.routing.fitting import Recorded, Row, fit_weights, histories, regress, rows_of, solve
from agent.routing.observed import Draw, Failures
from agent.routing.plot import as_svg
from agent.routing.profile import Point
from agent.routing.route import Difficulty
from agent.routing.simulation import Walk, by_chance, dealt, in_turn, routed, stopping, walks


def recorded(name: str, share: float, *, words: float = 4.0, size: int = 60) -> Recorded:
    lot = random.Random(name)
    passes = round(share * size)
    draws = [Draw(passed=True, reward=1.0)] * passes + [
        Draw(passed=False, reward=lot.random(), behaviour=str(lot.randrange(5)))
        for _ in range(size - passes)
    ]
    return Recorded(task_id=name, looks=Features(words=words), draws=tuple(draws))


MIXED = [
    recorded(f"{share}/{number}", share, words=5.0 - 2 * share)
    for share in (0.0, 0.0, 0.05, 0.3, 0.8)
    for number in range(6)
]


def test_a_regression_finds_the_weights_that_made_its_rows() -> None:
    truth = [-1.0, 0.5, 2.0]
    lot = random.Random(1)
    rows = []
    for _ in range(400):
        values = (1.0, lot.uniform(-2, 2), lot.uniform(-2, 2))
        at = sigmoid(sum(w * x for w, x in zip(truth, values, strict=True)))
        rows.append(Row(values=values, share=at, weight=1.0))
    assert regress(rows) == pytest.approx(truth, abs=0.1)


def test_few_rows_stay_near_the_prior() -> None:
    row = Row(values=(1.0, 0.0, 1.0), share=0.9, weight=0.01)
    assert regress([row], [0.0, 0.0, 7.0])[2] == pytest.approx(7.0, abs=0.1)


def test_equations_are_solved_even_with_a_zero_pivot() -> None:
    assert solve([[0.0, 2.0], [4.0, 1.0]], [6.0, 11.0]) == pytest.approx([2.0, 3.0])


def test_a_history_ends_at_the_first_pass() -> None:
    order = [
        Draw(passed=False, reward=0.4, behaviour="a"),
        Draw(passed=False, reward=0.1, behaviour="b"),
        Draw(passed=True),
        Draw(passed=False, behaviour="c"),
    ]
    assert histories(order) == [
        Failures(),
        Failures(count=1, behaviours=1, best=0.4),
        Failures(count=2, behaviours=2, best=0.4),
    ]


def test_rows_say_what_share_of_the_rest_passes() -> None:
    rows = rows_of(recorded("a", 0.5, size=4), seed=0)
    assert all(row.share == 0.5 for row in rows if row.values[1] == 0)
    assert all(row.share > 0.5 for row in rows if row.values[1] > 0)


def test_fitted_chances_are_about_right() -> None:
    weights = fit_weights(MIXED)
    first = sum(chance(weights, one.looks, Failures()) for one in MIXED) / len(MIXED)
    assert first == pytest.approx(0.23, abs=0.05)
    hard, easy = (chance(weights, Features(words=words), Failures()) for words in (5.0, 3.4))
    assert easy > 3 * hard
    late = chance(weights, Features(words=4.0), Failures(count=40, behaviours=5, best=0.9))
    assert late < 0.05


def test_nothing_recorded_is_nothing_to_fit_to() -> None:
    with pytest.raises(ValueError, match="nothing was recorded"):
        fit_weights([])


def walk(first: int | None, *chances: float, size: int = 10) -> Walk:
    return Walk(chances, first, size)


def test_best_of_n_stops_at_its_pass() -> None:
    assert stopping(walk(3), 5) == (3, True)
    assert stopping(walk(3), 2) == (2, False)
    assert stopping(walk(None), 99) == (10, False)


def test_the_router_gives_up_below_the_floor_and_not_before() -> None:
    profile = with_floor(0.05, Weights())
    lost = routed(walk(9, *(0.5 / (k + 1) ** 2 for k in range(9))), profile, 10)
    assert (lost.draws, lost.solved, lost.tier) == (3, False, Difficulty.VERY_HARD)
    won = routed(walk(3, 0.5, 0.2, 0.06), profile, 10)
    assert (won.draws, won.solved) == (3, True)
    assert routed(walk(None, *[0.9] * 10), profile, 4).draws == 4


def test_dealing_by_turns_and_by_chance() -> None:
    ones = [walk(None, *[0.01] * 10), walk(2, 0.5, 0.4), walk(1, 0.3)]
    assert dealt(ones, in_turn)[:4] == [0, 0, 1, 1]
    assert dealt(ones, by_chance(ones))[:3] == [0, 1, 2]
    assert dealt(ones, by_chance(ones))[-1] == 2
    assert len(dealt(ones, in_turn)) == 10 + 2 + 1


def test_what_is_chosen_keeps_the_gain_at_fewer_draws() -> None:
    weights = fit_weights(MIXED)
    profile = choose(MIXED, gain=0.95, orders=5)
    every = [one for task in walks(MIXED, weights, orders=5, seed=0) for one in task]
    ends = [routed(one, profile, 60) for one in every]
    full = [stopping(one, 60) for one in every]
    first = [stopping(one, 1) for one in every]
    low, high, mine = (
        sum(solved for _, solved in first),
        sum(solved for _, solved in full),
        sum(one.solved for one in ends),
    )
    assert mine >= low + 0.9 * (high - low)
    assert sum(one.draws for one in ends) < 0.8 * sum(draws for draws, _ in full)
    dearer = choose(MIXED, gain=1.0, orders=5)
    assert dearer.tiers.hard.chance <= profile.tiers.hard.chance


def test_a_calibration_is_the_same_each_time_and_names_what_it_is_for() -> None:
    profile = calibrated(MIXED, model="openai/x", suite="humaneval", orders=3)
    assert profile == calibrated(MIXED, model="openai/x", suite="humaneval", orders=3)
    assert (profile.model, profile.suite) == ("openai/x", "humaneval")
    assert {plan.thinking_tokens for plan in profile.tiers.all} == {None}


def test_thinking_gets_the_room_that_passes_took() -> None:
    thinking = [
        one.model_copy(
            update={
                "draws": tuple(
                    draw.model_copy(update={"thinking": 1000 if draw.passed else 9000})
                    for draw in one.draws
                )
            }
        )
        for one in MIXED
    ]
    plans = calibrated(thinking, orders=3).tiers.all
    assert {plan.thinking_tokens for plan in plans} <= {None, 1024}
    assert plans[-1].thinking_tokens == 1024


def test_the_picture_is_svg_with_every_point() -> None:
    points = [
        Point(name="best of 1", draws=1, solved=0.2),
        Point(name="best of <9>", draws=5, solved=0.5),
        Point(name="given up below 0.1", draws=3, solved=0.4),
    ]
    root = ElementTree.fromstring(as_svg(points, "a < b & c"))
    circles = root.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 3
    with pytest.raises(ValueError, match="without points"):
        as_svg([], "")
