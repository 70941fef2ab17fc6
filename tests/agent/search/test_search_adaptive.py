"""Adaptive: cool first, then wide, then repairs where they pay; and an end by rule."""

from __future__ import annotations

from typing import Any

from agent.routing.chance import Weights
from agent.routing.presets import PRESETS
from agent.routing.profile import Profile, Tiers
from agent.routing.route import TierPlan
from agent.search.adaptive import Adaptive, bettered
from agent.search.base import GivesUp, Proposal, StrategyOptions
from agent.search.registry import create_strategy
from agent.search.tree import TreeState
from tests.agent.author import TASK
from tests.agent.search.test_search_properties import told, whole
from verifiers.verdict import Verdict

HOPELESS = Profile(
    weights=Weights(intercept=-9, failed=0, words=0, examples=0, tests=0, behaviours=0, best=0),
    tiers=Tiers(very_hard=TierPlan(samples=4)),
)


def make(n: int = 20, **fields: Any) -> Adaptive:
    options = {"own": fields.pop("own", {}), "n": n, "temperature": 0.7, **fields}
    made = create_strategy("adaptive", StrategyOptions(**options))
    assert isinstance(made, Adaptive)
    return made


def search(strategy: Adaptive, verdict: Any) -> tuple[Any, list[Proposal]]:
    """Asks and tells in order until it is over."""
    state, made = strategy.start(TASK), list[Proposal]()
    while not strategy.finished(state):
        state, proposals = strategy.ask(state, 99)
        made += proposals
        waiting = sorted(state.open, key=lambda one: one.index)
        assert waiting
        state = strategy.tell(state, waiting[0], verdict(waiting[0]))
    return state, made


def fails(proposal: Proposal) -> Verdict:
    return whole(0.5, proposal.index)


def test_the_first_sample_is_cool_and_alone() -> None:
    strategy = make()
    state, first = strategy.ask(strategy.start(TASK), 99)
    assert [(one.kind, one.temperature) for one in first] == [("sample", 0.0)]
    state = strategy.tell(state, first[0], fails(first[0]))
    state, then = strategy.ask(state, 99)
    assert [(one.kind, one.temperature) for one in then] == [("sample", 0.7)] * 2


def test_a_cool_run_stays_cool() -> None:
    strategy = make(own={"first_temperature": 1.0})
    assert strategy.ask(strategy.start(TASK), 1)[1][0].temperature == 0.7


def test_a_first_pass_is_the_end_after_one_sample() -> None:
    state, made = search(make(), lambda one: whole(1.0, 0))
    assert len(made) == 1
    assert not make().gave_up(state)


def test_repairs_come_after_fresh_samples_and_only_where_there_is_something_to_repair() -> None:
    _, made = search(make(30), fails)
    kinds = [one.kind for one in made]
    assert kinds[:3] == ["sample"] * 3
    assert "repair" in kinds
    _, made = search(make(30), lambda one: whole(0.1, one.index))
    assert {one.kind for one in made} == {"sample"}


def test_what_pays_is_done_more_often() -> None:
    def repairs_pay(one: Proposal) -> Verdict:
        return whole(min(0.99, 0.4 + 0.02 * one.index) if one.kind == "repair" else 0.4, one.index)

    def repairs_never_pay(one: Proposal) -> Verdict:
        return whole(0.0 if one.kind == "repair" else 0.4, one.index)

    def repairs(verdict: Any) -> int:
        counts = []
        for seed in range(5):
            _, made = search(make(40, seed=seed, own={"depth": 9}), verdict)
            counts.append(sum(one.kind == "repair" for one in made))
        return sum(counts)

    assert repairs(repairs_pay) > 2 * repairs(repairs_never_pay)


def test_beliefs_count_what_betters_the_search() -> None:
    strategy = make()
    state: TreeState = strategy.start(TASK)
    for index, (kind, reward) in enumerate(
        [("sample", 0.2), ("sample", 0.5), ("repair", 0.6), ("sample", 0.1)]
    ):
        proposal = Proposal(index=index, kind=kind, parent=0 if kind == "repair" else None)
        state = strategy.tell(state, proposal, whole(reward, index))  # type: ignore[arg-type]
    assert bettered(state, "sample") == (2.0, 2.0)  # the first of all has nothing to better
    assert bettered(state, "repair") == (2.0, 2.0)


def test_a_bank_is_asked_for_fresh_samples_only() -> None:
    _, made = search(make(30, repairs=False, own={"rate": True}), fails)
    assert {one.kind for one in made} == {"sample"}
    assert [one.index for one in made] == list(range(30))


def test_a_hopeless_task_is_given_up_when_its_tier_is_spent() -> None:
    strategy = make(50, profile=HOPELESS)
    assert isinstance(strategy, GivesUp)
    state, made = search(strategy, fails)
    assert len(made) == 4
    assert strategy.gave_up(state)
    few = make(3, profile=HOPELESS)
    state, made = search(few, fails)
    assert len(made) == 3
    assert not few.gave_up(state), "that was n, and no tier"


def test_tiers_say_how_to_search_and_how_long_to_think() -> None:
    tiers = Tiers(very_hard=TierPlan(strategy="best-of-n", thinking_tokens=512))
    profile = HOPELESS.model_copy(update={"tiers": tiers})
    _, made = search(make(20, profile=profile), fails)
    assert {(one.kind, one.thinking) for one in made} == {("sample", 512)}


def test_in_a_hurry_all_is_asked_at_once() -> None:
    strategy = make(profile=PRESETS["latency"])
    assert len(strategy.ask(strategy.start(TASK), 99)[1]) >= 4


def test_a_rating_comes_first_where_it_is_asked_for() -> None:
    strategy = make(own={"rate": True})
    state, first = strategy.ask(strategy.start(TASK), 99)
    assert [one.kind for one in first] == ["rate"]
    state = strategy.tell(state, first[0], told(first[0], (0.0, 0, 1)))
    assert strategy.route(state).chance > strategy.route(strategy.start(TASK)).chance
    state, then = strategy.ask(state, 99)
    assert {(one.kind, one.temperature) for one in then} <= {("sample", 0.0), ("sample", 0.7)}
    assert then[0].temperature == 0.0


def test_to_measure_all_samples_are_alike() -> None:
    strategy = make(9, exhaustive=True, profile=HOPELESS, own={"rate": True})
    _, made = strategy.ask(strategy.start(TASK), 99)
    assert len(made) == 9
    assert {(one.kind, one.temperature) for one in made} == {("sample", 0.7)}
