"""Strategies as pure functions: what they ask, what they remember, when they are done."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.search.base import Proposal, SearchState, StrategyOptions, behaviour
from agent.search.best_of_n import BestOfN
from agent.search.registry import UnknownStrategyError, create_strategy, strategy_names
from sandbox.outcome import Outcome
from tasks.model import PublicTask
from verifiers.verdict import TestResult, Verdict

TASK = PublicTask(id="T/1", prompt="def f(x):", entry_point="f")


def verdict(reward: float, *, imported: bool = True) -> Verdict:
    outcome = Outcome.PASSED if reward == 1 else Outcome.FAILED
    name = "f(1) == 2" if imported else "import"
    return Verdict(outcome=outcome, reward=reward, tests=(TestResult(name=name, outcome=outcome),))


@settings(deadline=None)
@given(
    n=st.integers(1, 30),
    waves=st.lists(st.integers(0, 9), max_size=20),
    temperature=st.floats(0, 2),
)
def test_asks_each_index_once_and_no_more_than_n(
    n: int, waves: list[int], temperature: float
) -> None:
    strategy = BestOfN(n=n, temperature=temperature)
    state, asked = strategy.start(TASK), []
    for k in waves:
        before = state
        state, proposals = strategy.ask(state, k)
        assert len(proposals) <= k
        assert strategy.ask(before, k) == (state, proposals)  # stateless
        asked += [one.index for one in proposals]
        assert {one.temperature for one in proposals} <= {temperature}
    assert asked == list(range(min(n, sum(waves))))


@settings(deadline=None)
@given(rewards=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=12))
def test_finished_at_the_first_pass_or_when_all_are_drawn(rewards: list[float]) -> None:
    for exhaustive in (False, True):
        strategy = BestOfN(n=len(rewards), exhaustive=exhaustive)
        state = strategy.start(TASK)
        for index, reward in enumerate(rewards):
            assert not strategy.finished(state)
            state = strategy.tell(state, Proposal(index=index), verdict(reward))
            if reward == 1.0 and not exhaustive:
                break
        assert strategy.finished(state)
        best = state.best
        assert best is not None
        assert best.index == rewards.index(max(rewards))
        assert SearchState.model_validate_json(state.model_dump_json()) == state


def test_nothing_is_asked_of_what_is_exhausted() -> None:
    strategy = BestOfN(n=5)
    state = strategy.start(TASK).model_copy(update={"exhausted": True})
    assert strategy.ask(state, 5) == (state, ())


def test_best_prefers_what_runs_and_then_what_came_first() -> None:
    strategy = BestOfN(n=9)
    state = strategy.start(TASK)
    assert state.best is None
    rejected = Verdict(outcome=Outcome.SYNTAX, reward=0.0)
    for index, told in enumerate([rejected, verdict(0, imported=False), verdict(0), verdict(0)]):
        state = strategy.tell(state, Proposal(index=index), told)
    assert state.best is not None
    assert state.best.index == 2
    state = strategy.tell(state, Proposal(index=4), verdict(0.5))
    assert state.best is not None
    assert state.best.index == 4


@pytest.mark.parametrize("n", [0, -3])
def test_n_below_one_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"n is {n}: give 1 or more"):
        BestOfN(n=n)


def test_registry() -> None:
    assert {"best-of-n", "greedy"} <= set(strategy_names())
    made: Any = create_strategy("best-of-n", StrategyOptions(n=3, temperature=0.2, exhaustive=True))
    assert made == BestOfN(n=3, temperature=0.2, exhaustive=True)
    greedy: Any = create_strategy("greedy", StrategyOptions(n=3, temperature=0.9))
    assert (greedy.n, greedy.temperature, greedy.name) == (1, 0.0, "greedy")
    with pytest.raises(
        UnknownStrategyError,
        match=r"unknown strategy 'bestofn': known are adaptive, agreement, beam, best-of-n, .*",
    ):
        create_strategy("bestofn", StrategyOptions())


def test_behaviour_is_what_the_tests_saw_and_no_more() -> None:
    def told(detail: str, outcome: Outcome = Outcome.FAILED, name: str = "f(1)") -> Verdict:
        return Verdict(
            outcome=outcome,
            reward=0.0,
            tests=(TestResult(name=name, outcome=outcome, detail=detail),),
        )

    one = behaviour(told("got 1, expected 2"))
    assert one == behaviour(told("got 1, expected 2\n  line 7, in f: return 1"))
    assert one != behaviour(told("got 3, expected 2"))
    assert one != behaviour(told("got 1, expected 2", name="f(2)"))
    assert one != behaviour(told("got 1, expected 2", Outcome.ERROR))
    addresses = [f"got <object object at {number:#x}>, expected 2" for number in (4711, 815)]
    assert behaviour(told(addresses[0])) == behaviour(told(addresses[1]))
    rejected = [Verdict(outcome=Outcome.SYNTAX, reward=0.0, detail=text) for text in ("a", "b")]
    assert behaviour(rejected[0]) != behaviour(rejected[1])
