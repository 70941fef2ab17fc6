"""Cascades: the next model only where one fails, whatever each of them does to search."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.search.base import Proposal, StrategyOptions
from agent.search.best_of_n import BestOfN
from agent.search.cascade import Cascade, CascadeState, Stage
from agent.search.registry import create_strategy, strategy_names
from tests.agent.author import TASK
from tests.agent.search.test_search_properties import REWARDS, told, whole
from verifiers.verdict import Verdict


def cascade(*samples: int, strategy: str = "best-of-n", **given: Any) -> Cascade:
    @lru_cache
    def build(count: int) -> Any:
        options = StrategyOptions(n=count, exhaustive=given.get("exhaustive", False))
        return create_strategy(strategy, options)

    return Cascade(stages=tuple(Stage(count, build) for count in samples), **given)


def run(one: Cascade, verdict: Any, k: int = 99) -> tuple[CascadeState, list[Proposal]]:
    """Asks and tells in order until it is over."""
    state, made = one.start(TASK), list[Proposal]()
    while not one.finished(state):
        state, proposals = one.ask(state, k)
        assert proposals
        made += proposals
        for proposal in proposals:
            state = one.tell(state, proposal, verdict(proposal))
            if one.finished(state):
                break
    return state, made


def test_each_model_is_asked_only_where_those_before_have_failed() -> None:
    def verdict(proposal: Proposal) -> Verdict:
        return whole(1.0 if (proposal.tier, proposal.serial) == (1, 1) else 0.5, proposal.index)

    state, made = run(cascade(3, 4, 5), verdict, k=1)
    assert [(one.index, one.tier, one.serial) for one in made] == [
        (0, 0, 0),
        (1, 0, 1),
        (2, 0, 2),
        (3, 1, 0),
        (4, 1, 1),
    ]
    assert state.best is not None
    assert state.best.index == 4


def test_a_better_model_begins_with_the_failures_that_came_closest() -> None:
    rewards = [0.1, 0.9, 0.9, 0.4]

    def verdict(proposal: Proposal) -> Verdict:
        if proposal.tier:
            return whole(0.2, proposal.index)
        return whole(rewards[proposal.index], 7 if proposal.index in (1, 2) else proposal.index)

    _, made = run(cascade(4, 3, failures=2), verdict)
    later = [(one.kind, one.parent, one.serial) for one in made[4:]]
    # the two of the same behaviour are one failure
    assert later == [("repair", 1, 0), ("repair", 3, 1), ("sample", None, 2)]
    _, made = run(cascade(1, 1, failures=5), verdict)
    assert [(one.kind, one.parent) for one in made] == [("sample", None), ("repair", 0)]


def test_stages_keep_count_for_themselves() -> None:
    _, made = run(cascade(4, 9, strategy="beam"), lambda one: whole(0.5, one.index))
    assert len(made) == 13
    for one in made:
        first = 0 if one.tier == 0 else 4
        assert one.serial == one.index - first
        assert one.parent is None or one.parent >= first
    assert any(one.parent is not None and one.tier == 1 for one in made)


@pytest.mark.parametrize("strategy", strategy_names())
@settings(max_examples=25)
@given(data=st.data())
def test_invariants_with_any_search_at_each_stage(strategy: str, data: st.DataObject) -> None:
    samples = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=3), "samples")
    failures = data.draw(st.integers(0, 3), "failures")
    exhaustive = data.draw(st.booleans(), "exhaustive")
    one = cascade(*samples, strategy=strategy, failures=failures, exhaustive=exhaustive)
    state, waiting, told_of = one.start(TASK), list[Proposal](), set[int]()
    count = 0
    while not one.finished(state):
        before, k = state, data.draw(st.integers(1, 9), "k")
        state, proposals = one.ask(state, k)
        assert one.ask(before, k) == (state, proposals)
        assert len(proposals) <= k
        for proposal in proposals:
            assert proposal.index == count
            assert proposal.parent is None or proposal.parent in told_of
            assert set(proposal.uses) <= told_of
            assert state.stage == proposal.tier
            count += 1
        waiting += proposals
        assert waiting, "it neither asks nor ends"
        proposal = waiting.pop(0)
        drawn = data.draw(
            st.tuples(st.sampled_from(REWARDS), st.integers(0, 2), st.integers(0, 9)), "verdict"
        )
        state = one.tell(state, proposal, told(proposal, drawn))
        told_of.add(proposal.index)
        assert CascadeState.model_validate_json(state.model_dump_json()) == state
    assert one.ask(state, 9) == (state, ())
    assert count <= sum(samples)
    if exhaustive and strategy != "greedy":
        assert count == sum(samples)


def test_an_exhausted_state_asks_nothing() -> None:
    one = cascade(2, 2)
    state = one.start(TASK).model_copy(update={"exhausted": True})
    assert one.ask(state, 5) == (state, ())


def test_a_cascade_has_a_model() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Cascade(stages=())
    assert cascade(1).name == "cascade"
    assert BestOfN(n=1).name == "best-of-n"
