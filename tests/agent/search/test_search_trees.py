"""What each strategy over a tree does with verdicts that are chosen for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from agent.search.base import PieceVerdict, Proposal, SearchState, StrategyOptions
from agent.search.majority import Majority, MajorityOptions
from agent.search.options import StrategyOptionError
from agent.search.registry import create_strategy
from agent.search.thompson import Thompson, ThompsonOptions
from sandbox.outcome import Outcome
from tests.agent.author import TASK
from verifiers.verdict import TestResult, Verdict

Judge = Callable[[Proposal, dict[int, Proposal]], Verdict]


def verdict(reward: float, got: object = 0) -> Verdict:
    outcome = Outcome.PASSED if reward == 1 else Outcome.FAILED
    test = TestResult(name="f(1)", outcome=outcome, detail=f"got {got!r}, expected 5")
    return Verdict(outcome=outcome, reward=reward, tests=(test,))


def piece(reward: float, left: int) -> PieceVerdict:
    outcome = Outcome.PASSED if reward == 1 else Outcome.FAILED
    return PieceVerdict(outcome=outcome, reward=reward, left=left)


def run(
    name: str, judge: Judge, *, n: int = 30, exhaustive: bool = False, **own: Any
) -> tuple[SearchState, list[Proposal]]:
    """Runs a strategy to its end, as the loop would."""
    strategy = create_strategy(name, StrategyOptions(n=n, exhaustive=exhaustive, own=own))
    state: SearchState = strategy.start(TASK)
    known: dict[int, Proposal] = {}
    waiting: list[Proposal] = []
    while not strategy.finished(state):
        state, proposals = strategy.ask(state, 1000)
        known |= {one.index: one for one in proposals}
        waiting += proposals
        one = waiting.pop(0)
        state = strategy.tell(state, one, judge(one, known))
    return state, list(known.values())


def repairs(made: list[Proposal]) -> list[tuple[int, int | None]]:
    return [(one.index, one.parent) for one in made if one.kind == "repair"]


def test_beam_goes_on_from_the_best_of_different_behaviours() -> None:
    rewards = [0.3, 0.6, 0.6, 0.2, 0.1, 0.1, 0.9, 0.9, 0.0, 0.0, 0.0, 0.0]
    got = [0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]

    def judge(one: Proposal, _known: Any) -> Verdict:
        return verdict(rewards[one.index], got[one.index])

    _state, made = run("beam", judge, n=12)
    # 1 and 2 do the same, so 0 is the second one that is kept
    assert repairs(made)[:4] == [(4, 1), (5, 1), (6, 0), (7, 0)]
    assert repairs(made)[4:] == [(8, 6), (9, 6), (10, 7), (11, 7)]


def test_beam_keeps_a_node_whose_repairs_are_worse() -> None:
    def judge(one: Proposal, _known: Any) -> Verdict:
        return verdict(0.8 if one.index == 0 else 0.1, one.index)

    _state, made = run("beam", judge, n=6, width=1, expand=2, depth=2)
    assert repairs(made) == [(2, 0), (3, 0), (4, 0), (5, 0)]


@pytest.mark.parametrize(("how", "kept"), [("last", 3), ("min", 2), ("product", 2), ("mean", 2)])
def test_chain_of_repairs_is_worth_its_last_state_unless_told_otherwise(
    how: str, kept: int
) -> None:
    # 1 is the better fresh sample; its repair 2 stays at that, and 3, of 0, outgrows it
    rewards = [0.1, 0.6, 0.6, 0.7]

    def judge(one: Proposal, _known: Any) -> Verdict:
        return verdict(rewards[one.index] if one.index < 4 else 0.0, one.index % 3)

    _state, made = run("beam", judge, n=6, width=2, expand=1, depth=2, aggregate=how)
    assert repairs(made)[:2] == [(2, 1), (3, 0)]
    parents = {parent for _, parent in repairs(made)[2:]}
    assert (3 in parents) == (kept == 3)


@pytest.mark.parametrize(
    "fields", [{"language": "bash"}, {"entry_kind": "program", "entry_point": ""}]
)
def test_what_is_no_piece_of_python_is_not_decomposed(fields: dict[str, Any]) -> None:
    strategy = create_strategy("decompose", StrategyOptions(n=5))
    _state, made = strategy.ask(strategy.start(TASK.model_copy(update=fields)), 99)
    assert [one.kind for one in made] == ["sample"] * 5


def test_beam_begins_anew_when_its_depth_is_reached() -> None:
    _state, made = run("beam", lambda one, _: verdict(0.5, one.index), n=10, width=1, depth=1)
    kinds = [one.kind for one in made]
    assert kinds == ["sample", "sample", "repair", "repair"] * 2 + ["sample", "sample"]
    assert [one.group for one in made] == [0] * 4 + [1] * 4 + [2] * 2
    assert {parent for _, parent in repairs(made)[2:]} == {4}


def test_grow_follows_the_weakest_step_unless_told_otherwise() -> None:
    # 0 begins badly and goes on well, 1 is even
    rewards = {0: 0.1, 1: 0.5, 2: 1.0, 3: 0.6}

    def judge(one: Proposal, known: dict[int, Proposal]) -> Verdict:
        if one.step == 0:
            return piece(rewards[one.index], 2)
        if one.step == 1:
            return piece(rewards[2 if one.parent == 0 else 3], 1)
        return verdict(0.5, one.index)

    def goes_on_from(how: str) -> int | None:
        _state, made = run("grow", judge, n=5, width=2, expand=1, aggregate=how)
        last = next(one for one in made if one.step == 2)
        assert last.parent is not None
        return made[last.parent].parent

    assert goes_on_from("min") == 1
    assert goes_on_from("product") == 1
    assert goes_on_from("mean") == 1
    assert goes_on_from("last") == 0


def test_rollouts_value_a_partial_program_by_the_share_that_passes() -> None:
    # 0 looks better by its step; completions of 1 pass
    def judge(one: Proposal, _known: Any) -> Verdict:
        if one.kind == "rollout":
            return verdict(1.0 if one.parent == 1 else 0.0, one.index)
        if one.step < 2:
            return piece(0.9 if one.index == 0 else 0.1, 2 - one.step)
        return verdict(0.0, one.index)

    _state, made = run("grow", judge, n=7, exhaustive=True, width=1, expand=2, rollouts=2)
    assert [(one.kind, one.parent) for one in made] == [
        ("step", None),
        ("step", None),
        *[("rollout", 0)] * 2,
        *[("rollout", 1)] * 2,
        ("step", 1),
    ]
    _state, made = run("grow", judge, n=3, width=1, expand=2)
    assert made[2].parent == 0


def test_grow_begins_anew_where_no_step_was_written() -> None:
    nothing = PieceVerdict(outcome=Outcome.ERROR, reward=0.0)
    _state, made = run("grow", lambda _one, _known: nothing, n=9)
    assert {(one.step, one.parent) for one in made} == {(0, None)}
    assert [one.group for one in made] == [0] * 4 + [1] * 4 + [2]


def test_groups_of_dvts_leave_each_others_behaviour_alone() -> None:
    # the best of every group does the same; the second best differs from group to group
    def judge(one: Proposal, _known: Any) -> Verdict:
        if one.parent is not None:
            return verdict(0.0, f"repaired {one.index}")
        return verdict(0.9, "same") if one.index % 2 == 0 else verdict(0.4, one.index)

    _state, made = run("dvts", judge, n=12, groups=3, expand=2, depth=1)
    assert repairs(made) == [(6, 0), (7, 0), (8, 3), (9, 3), (10, 5), (11, 5)]


def test_group_of_dvts_without_a_behaviour_of_its_own_begins_anew() -> None:
    _state, made = run("dvts", lambda *_: verdict(0.5, "same"), n=6, groups=2, expand=1, depth=3)
    parents = {one.group: [o.parent for o in made if o.group == one.group] for one in made}
    assert parents[0][:3] == [None, 0, 0]
    assert parents[1] == [None, None, None]


def test_groups_of_dvts_do_not_wait_for_each_other() -> None:
    strategy = create_strategy("dvts", StrategyOptions(n=9, own={"groups": 3, "expand": 1}))
    state, proposals = strategy.ask(strategy.start(TASK), 99)
    assert [one.group for one in proposals] == [0, 1, 2]
    state = strategy.tell(state, proposals[0], verdict(0.5))
    state, more = strategy.ask(state, 99)
    assert [(one.group, one.parent) for one in more] == [(0, 0)]


def test_mcts_visits_the_better_branch_more_often_and_none_never() -> None:
    def judge(one: Proposal, known: dict[int, Proposal]) -> Verdict:
        root = one
        while root.parent is not None:
            root = known[root.parent]
        return verdict(0.8 if root.index == 2 else 0.1, one.index)

    _state, made = run("mcts", judge, n=60, parallel=1, exploration=0.5)
    known = {one.index: one for one in made}
    below: Counter[int] = Counter()
    for one in made:
        while one.parent is not None:
            one = known[one.parent]
        below[one.index] += 1
    assert below[2] == max(below.values())
    assert below[2] > 2 * sorted(below.values())[-2]
    # widening: about the square root of the visits
    fresh = sum(one.kind == "sample" for one in made)
    assert 7 <= fresh <= 9


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("name", ["mcts", "thompson"])
def test_no_chain_of_repairs_is_longer_than_its_depth(name: str, depth: int) -> None:
    _state, made = run(
        name, lambda one, _: verdict(min(0.9, one.index / 40), one.index), n=40, depth=depth
    )
    known = {one.index: one for one in made}
    lengths = []
    for one in made:
        length = 0
        while one.parent is not None:
            one, length = known[one.parent], length + 1
        lengths.append(length)
    assert max(lengths) == depth


@pytest.mark.parametrize("rollouts", [0, 2])
def test_rollouts_value_a_node_of_mcts_by_the_share_that_passes(rollouts: int) -> None:
    # the first node looks better and leads nowhere; completions of the second pass
    second = 1 + rollouts

    def judge(one: Proposal, _known: Any) -> Verdict:
        if one.kind == "rollout":
            return verdict(1.0 if one.parent == second else 0.0, one.index)
        return verdict({0: 0.9, second: 0.1}.get(one.index, 0.0), one.index)

    own = {"rollouts": rollouts, "parallel": 1, "exploration": 0, "widening": 2}
    _state, made = run("mcts", judge, n=40, exhaustive=True, **own)
    assert {one.parent for one in made if one.kind == "sample"} == {None}
    tried = Counter(one.parent for one in made if one.kind == "repair")
    favourite, other = (second, 0) if rollouts else (0, second)
    assert tried[favourite] > 2 * tried[other]
    rolled = Counter(one.parent for one in made if one.kind == "rollout")
    nodes = sum(one.kind != "rollout" for one in made)
    assert sum(rolled.values()) in range(rollouts * (nodes - 1), rollouts * nodes + 1)


def test_thompson_believes_in_rewards_and_loses_faith_with_tries() -> None:
    strategy = Thompson(own=ThompsonOptions(confidence=4))
    assert strategy.belief(0.5, 0) == (3, 3)
    assert strategy.belief(1.0, 2) == (5, 3)
    assert strategy.belief(0.0, 0) == (1, 5)


def test_thompson_prefers_what_is_nearly_right_and_still_has_fresh_ideas() -> None:
    def judge(one: Proposal, _known: Any) -> Verdict:
        return verdict(0.9 if one.index == 3 else 0.05, one.index)

    tries: Counter[int | None] = Counter()
    for seed in range(20):
        strategy = create_strategy("thompson", StrategyOptions(n=12, seed=seed))
        state: SearchState = strategy.start(TASK)
        while not strategy.finished(state):
            state, proposals = strategy.ask(state, 9)
            for one in proposals:
                tries[one.parent] += one.index > 5
                state = strategy.tell(state, one, judge(one, {}))
    assert tries[3] == max(tries.values())
    assert tries[None] > 0


def test_programs_of_one_behaviour_are_one_arm() -> None:
    strategy = Thompson(n=99)
    state = strategy.start(TASK)
    for index in range(6):
        proposal = Proposal(index=index)
        state = strategy.tell(state, proposal, verdict(0.5, "same" if index < 5 else "other"))
    state = strategy.tell(state, Proposal(index=6, kind="repair", parent=4), verdict(0.0, "x"))
    arms = {one.index: tries for one, tries in strategy.arms(state)}
    assert arms == {0: 1, 5: 0, 6: 0}


def test_each_plan_is_coded_and_a_bad_one_is_not() -> None:
    def judge(one: Proposal, _known: Any) -> Verdict:
        if one.kind == "plan":
            return piece(float(one.index != 0), 1)
        return verdict(0.2, one.index)

    _state, made = run("plan", judge, n=10, codes=2, parallel=1)
    coded = Counter(one.parent for one in made if one.kind == "code")
    plans = [one.index for one in made if one.kind == "plan"]
    assert coded == dict.fromkeys(plans[1:], 2)
    assert len(made) == 10


def test_no_plan_is_drawn_that_nothing_is_left_to_code() -> None:
    for n in (1, 2, 3, 4, 5, 6, 7):
        _state, made = run("plan", lambda one, _: _plan_or(one), n=n, codes=2, parallel=1)
        assert made[-1].kind != "plan"


def _plan_or(one: Proposal) -> Verdict:
    return piece(1.0, 1) if one.kind == "plan" else verdict(0.1, one.index)


def test_helper_that_fails_is_asked_for_again_alone() -> None:
    def judge(one: Proposal, _known: Any) -> Verdict:
        if one.kind == "decompose":
            return piece(1.0, 3)
        if one.kind == "helper":
            return piece(float(one.step == 0 or bool(one.uses)), 1)
        return verdict(1.0 if len(one.uses) == 3 else 0.5, one.index)

    state, made = run("decompose", judge, n=20)
    assert [(one.kind, one.step, one.uses) for one in made] == [
        ("decompose", 3, ()),
        ("helper", 0, ()),
        ("helper", 1, ()),
        ("helper", 1, (2,)),
        ("compose", 0, (1, 3)),
        ("compose", 0, (1, 3, 4)),  # the entry point alone; the helpers stand
    ]
    assert state.best is not None
    assert state.best.passed


def test_where_nothing_can_be_decomposed_the_task_is_asked_as_a_whole() -> None:
    def judge(one: Proposal, _known: Any) -> Verdict:
        return piece(0.0, 0) if one.kind == "decompose" else verdict(0.1, one.index)

    _state, made = run("decompose", judge, n=9)
    assert [one.kind for one in made] == ["decompose", "sample"] * 2 + ["sample"] * 5


def test_majority_goes_by_behaviour_and_filters_first() -> None:
    shown = [(0.6, "a"), (0.2, "b"), (0.2, "b"), (0.9, "c"), (0.2, "b"), (1.0, "p")]

    def judge(one: Proposal, _known: Any) -> Verdict:
        return verdict(*shown[one.index])

    state, made = run("majority", judge, n=5)
    assert len(made) == 5
    assert state.best is not None
    assert state.best.index == 1
    state, _made = run("majority", judge, n=6)
    assert state.best is not None
    assert state.best.index == 5
    state, _made = run("majority", judge, n=6, filter=False)
    assert state.best is not None
    assert state.best.index == 1


def test_vote_ends_when_it_is_decided() -> None:
    strategy = Majority(n=5, own=MajorityOptions(filter=False))
    state = strategy.start(TASK)
    for index in range(3):
        assert not strategy.finished(state)
        state = strategy.tell(state, Proposal(index=index), verdict(0.5, "same"))
    assert strategy.finished(state)


def test_own_options_are_checked_at_once() -> None:
    with pytest.raises(
        StrategyOptionError,
        match=r"strategy beam has no option 'widht': its options are .*width=2, expand=2, depth=2",
    ):
        create_strategy("beam", StrategyOptions(own={"widht": 3}))
    with pytest.raises(StrategyOptionError, match=r"option width of strategy beam: .*\(given: 0\)"):
        create_strategy("beam", StrategyOptions(own={"width": 0}))
    with pytest.raises(StrategyOptionError, match="strategy greedy has no option 'x': it has none"):
        create_strategy("greedy", StrategyOptions(own={"x": 1}))
    made: Any = create_strategy("grow", StrategyOptions(own={"aggregate": "last", "width": "3"}))
    assert (made.own.aggregate, made.own.width) == ("last", 3)


def test_temperature_changes_evenly_from_first_to_last() -> None:
    strategy = create_strategy(
        "best-of-n", StrategyOptions(n=5, temperature=0.2, own={"temperature_end": 1.0})
    )
    _state, proposals = strategy.ask(strategy.start(TASK), 9)
    assert [one.temperature for one in proposals] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
