"""What holds of every strategy's state, whatever the verdicts and in whatever order they come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.search.base import PieceVerdict, Proposal, SearchState, StrategyOptions
from agent.search.registry import create_strategy, strategy_names
from sandbox.outcome import Outcome
from tests.agent.author import TASK
from verifiers.verdict import TestResult, Verdict

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "adaptive": [
        {},
        {"rate": True, "fresh_first": 1, "repair_from": 0},
        {"wave": 5, "first_temperature": 1.0, "depth": 0},
    ],
    "agreement": [{}, {"probes": 0, "parallel": 1}, {"patience": 0.1}],
    "best-of-n": [{}, {"temperature_end": 0.0}],
    "greedy": [{}],
    "majority": [{}, {"filter": False}],
    "beam": [{}, {"width": 1, "expand": 3, "depth": 0}, {"width": 3, "depth": 4}],
    "grow": [{}, {"width": 1, "aggregate": "product"}, {"expand": 1, "rollouts": 2}],
    "dvts": [{}, {"groups": 1, "depth": 0}, {"groups": 5, "expand": 1, "depth": 3}],
    "mcts": [{}, {"rollouts": 3}, {"parallel": 5, "depth": 0}, {"widening": 0.5, "exploration": 0}],
    "thompson": [{}, {"depth": 0}, {"parallel": 6, "confidence": 0}],
    "plan": [{}, {"codes": 3, "parallel": 1}],
    "decompose": [{}, {"helpers": 1, "tries": 1}, {"tries": 3}],
}
REWARDS = (0.0, 0.0, 0.25, 0.5, 0.75, 0.99)
WHOLE = st.sampled_from(REWARDS)


def test_every_built_in_strategy_is_looked_at() -> None:
    assert set(OPTIONS) <= set(strategy_names())
    from agent.search.registry import _BUILT_IN

    assert set(OPTIONS) == set(_BUILT_IN)


def whole(reward: float, variant: int) -> Verdict:
    outcome = Outcome.PASSED if reward == 1 else Outcome.FAILED
    test = TestResult(name="f(1) == 5", outcome=outcome, detail=f"got {variant}, expected 5")
    return Verdict(outcome=outcome, reward=reward, tests=(test,))


def told(proposal: Proposal, drawn: tuple[float, int, int]) -> Verdict:
    """A verdict such as the loop would tell of a proposal of this kind."""
    reward, variant, luck = drawn
    if proposal.parent is not None and luck == 0:  # nothing came of it
        return PieceVerdict(outcome=Outcome.ERROR, reward=0.0)
    passed = Verdict(outcome=Outcome.PASSED, reward=1.0)
    good = passed if luck % 2 else Verdict(outcome=Outcome.FAILED, reward=reward)
    if proposal.kind in ("plan", "rate"):
        return PieceVerdict(left=1, **good.model_dump())
    if proposal.kind == "decompose":
        return PieceVerdict(left=variant + 2 if luck % 2 else 0, **good.model_dump())
    if proposal.kind == "helper" or (proposal.kind == "step" and proposal.step < 2):
        return PieceVerdict(left=2 - proposal.step, **good.model_dump())
    return whole(1.0 if luck == 9 else reward, variant)


@pytest.mark.parametrize("name", OPTIONS)
@settings(max_examples=150)
@given(data=st.data())
def test_invariants(name: str, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 25), "n")
    exhaustive = data.draw(st.booleans(), "exhaustive")
    in_order = data.draw(st.booleans(), "in order")
    own = data.draw(st.sampled_from(OPTIONS[name]), "own")
    options = StrategyOptions(n=n, exhaustive=exhaustive, own=own)
    strategy = create_strategy(name, options)
    most = 1 if name == "greedy" else n
    state: SearchState = strategy.start(TASK)
    waiting: list[Proposal] = []
    known: dict[int, Proposal] = {}
    told_of: set[int] = set()
    for _ in range(10 * n):
        if strategy.finished(state):
            break
        before = state
        k = data.draw(st.integers(1, 9), "k")
        state, proposals = strategy.ask(state, k)
        assert strategy.ask(before, k) == (state, proposals)  # no memory but the state
        assert len(proposals) <= k
        for one in proposals:
            assert one.index == len(known), "numbered from 0, none twice, none left out"
            assert one.parent is None or one.parent in told_of
            assert set(one.uses) <= told_of
            known[one.index] = one
        waiting += proposals
        assert sum(not one.free for one in known.values()) <= most
        if not waiting:
            break
        turn = 0 if in_order else data.draw(st.integers(0, len(waiting) - 1), "turn")
        proposal = waiting.pop(turn)
        drawn = data.draw(st.tuples(WHOLE, st.integers(0, 2), st.integers(0, 9)), "verdict")
        verdict = told(proposal, drawn)
        state = strategy.tell(state, proposal, verdict)
        told_of.add(proposal.index)
        assert type(state).model_validate_json(state.model_dump_json()) == state
        best = state.best
        wholes = [one for one in state.seen if one.whole]
        assert (best is None) == (not wholes)
        if best is not None and name != "majority":
            passed = [one for one in wholes if one.passed]
            assert best.passed == bool(passed)
            assert best.reward == max(one.reward for one in (passed or wholes))
    assert strategy.finished(state), "it came to no end"
    again, more = strategy.ask(state, 99)
    assert (again, more) == (state, ())
    if exhaustive and not any(one.kind == "edit" for one in known.values()):
        assert len(known) == most, "an exhaustive search draws all that it may"


@pytest.mark.parametrize("name", OPTIONS)
def test_exhausted_state_proposes_nothing_and_ends_when_all_is_told(name: str) -> None:
    strategy = create_strategy(name, StrategyOptions(n=9))
    state, proposals = strategy.ask(strategy.start(TASK), 2)
    state = state.model_copy(update={"exhausted": True})
    assert strategy.ask(state, 5) == (state, ())
    for proposal in proposals:
        state = strategy.tell(state, proposal, told(proposal, (0.25, 1, 2)))
    assert strategy.ask(state, 5) == (state, ())


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_drawn_by_lot_depends_on_the_seed_and_the_task_alone(name: str) -> None:
    def history(seed: int) -> list[Proposal]:
        strategy = create_strategy(name, StrategyOptions(n=20, seed=seed, exhaustive=True))
        state, made = strategy.start(TASK), list[Proposal]()
        while not strategy.finished(state):
            state, proposals = strategy.ask(state, 99)
            made += proposals
            for one in proposals:
                reward = REWARDS[one.index % len(REWARDS)]
                state = strategy.tell(state, one, told(one, (reward, one.index % 3, 1)))
        return made

    assert history(3) == history(3)
    if name == "thompson":
        assert any(history(3) != history(seed) for seed in range(4, 8))
