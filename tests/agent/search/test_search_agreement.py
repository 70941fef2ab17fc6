"""Agreement: who is believed, when it stops, and what it says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from agent.reward.model import Linear, RewardModel
from agent.reward.signs import SIGNS
from agent.search.agreement import Agreement, AgreementOptions, AgreementState, build
from agent.search.base import Proposal, StrategyOptions
from agent.search.belief import Course, Logistic, Signs, signs, usual_belief
from agent.search.options import StrategyOptionError
from agent.search.votes import Vote, standing, stays_ahead, vote_of
from sandbox.jobs import Observation
from sandbox.outcome import Outcome
from tasks.model import AssertTests, PublicTask
from verifiers.verdict import TestResult, Verdict

TASK = PublicTask(
    id="t",
    prompt="def f(x: int):\n    '''Says something.'''\n",
    entry_point="f",
    visible=(AssertTests(source="assert f(1) == 2\n", derived=True),),
)


def verdict(answers: str, *, passed: bool = True, reward: float = 0.0, got: str = "") -> Verdict:
    """A verdict with an answer to a probe for each letter; `!` is an exception."""
    probes = tuple(
        Observation(kind="raised" if letter == "!" else "value", digest=letter)
        for letter in answers
    )
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    test = TestResult(name="f(1) == 2", outcome=outcome, detail=got)
    return Verdict(outcome=outcome, reward=1.0 if passed else reward, tests=(test,), probes=probes)


def after(verdicts: Sequence[Verdict], strategy: Agreement) -> AgreementState:
    """The state after these verdicts, as far as the strategy wants them."""
    state = strategy.start(TASK)
    for one in verdicts:
        if strategy.finished(state):
            break
        state, proposals = strategy.ask(state, 1)
        state = strategy.tell(state, proposals[0], one)
    return state


ALL = Agreement(n=50, exhaustive=True, own=AgreementOptions(parallel=1))


def chosen(*verdicts: Verdict) -> int:
    best = after(verdicts, ALL).best
    assert best is not None
    return best.index


def test_the_largest_group_of_those_that_pass_is_believed() -> None:
    wrong = verdict("xy", passed=False, reward=0.9)
    assert chosen(verdict("ab"), verdict("cd"), verdict("cd"), wrong, wrong, wrong) == 1
    assert chosen(verdict("ab"), verdict("cd")) == 0
    assert chosen(wrong, verdict("ab")) == 1


def test_groups_that_differ_on_one_input_help_each_other() -> None:
    pair = verdict("z" * 10), verdict("z" * 10)
    near = [verdict("a" * 9 + letter) for letter in "bcd"]
    assert chosen(*pair, *near) == 2
    assert chosen(*pair, *(verdict(letter * 10) for letter in "bcd")) == 0


def test_where_none_passes_the_closest_vote() -> None:
    def failed(answers: str, reward: float) -> Verdict:
        return verdict(answers, passed=False, reward=reward)

    assert chosen(failed("aa", 0.5), failed("bb", 0.5), failed("bb", 0.5), failed("aa", 0.2)) == 1


def test_exceptions_speak_against_a_program() -> None:
    assert chosen(verdict("a!!!"), verdict("abcd")) == 1


@pytest.mark.parametrize(
    ("habit", "is_broken_by"),
    [
        ({"idempotent": True}, {"idempotent": False}),
        ({"steady": True}, {"steady": False}),
        ({}, {"changed": True}),
        ({"common": 0b001}, {}),
        ({"common": 0b111_000}, {"common": 0b001_000}),
    ],
)
def test_habits_of_others_speak_against_a_program(
    habit: dict[str, Any], is_broken_by: dict[str, Any]
) -> None:
    def with_habit(answers: str, **given: Any) -> Verdict:
        one = verdict(answers)
        probes = tuple(probe.model_copy(update=given) for probe in one.probes)
        return one.model_copy(update={"probes": probes})

    odd = with_habit("a", **is_broken_by)
    others = [with_habit(letter, **habit) for letter in "bcd"]
    broken = [with_habit(letter, **is_broken_by) for letter in "ef"]
    assert chosen(odd, *others) == 1
    assert chosen(odd, others[0]) == 1, "half of the groups have it"
    assert chosen(odd, *broken, *others[:2]) == 0, "too few have it"
    assert chosen(odd, odd, odd, *others) == 0, "one vote against three"
    assert chosen(with_habit("a", **habit), *others) == 0, "it has it"


def test_what_is_in_common_has_to_be_so_in_all_answers() -> None:
    values = [Observation(kind="value", digest=f"{bits}", common=bits) for bits in (0b111, 0b011)]
    raised = Observation(kind="raised", digest="!")

    def common(*probes: Observation) -> int:
        passed = Verdict(outcome=Outcome.PASSED, reward=1.0, probes=probes)
        return vote_of(Proposal(index=0), passed).common

    assert common(*values, raised) == 0b011
    assert common(raised) == common() == 0


def test_to_answer_at_all_is_a_habit() -> None:
    raising, *others = verdict("aaaxy!"), verdict("aaaxbc"), verdict("aaaeyg")
    assert chosen(raising, *others) == 1, "though it shares the most"
    assert chosen(raising, verdict("aaab!c"), verdict("aaaey!")) == 0, "so do the others"


def test_without_tests_whoever_answers_votes() -> None:
    untested = Verdict(
        outcome=Outcome.FAILED, reward=0.0, probes=(Observation(kind="value", digest="a"),)
    )
    assert vote_of(Proposal(index=0), untested).passed
    lost = untested.model_copy(update={"probes": (Observation(kind="lost", digest="a"),)})
    assert not vote_of(Proposal(index=0), lost).passed


def test_what_disagreed_with_itself_no_longer_counts() -> None:
    state = after([verdict("ab"), verdict("ab"), verdict("cd")], ALL)
    fallen = state.model_copy(update={"seen": state.seen[2:]})
    assert fallen.best is not None
    assert fallen.best.index == 2


def test_another_sample_need_not_decide_between_groups_that_are_near() -> None:
    def stands(*answers: str) -> tuple[int, int, int, int]:
        votes = [
            Vote(index=index, passed=True, answers=tuple(text))
            for index, text in enumerate(answers)
        ]
        found = standing(votes)
        assert found is not None
        return found.lead, found.second, found.camp, found.rival

    one, near, far = "a" * 50, "a" * 49 + "b", "a" * 48 + "bb"
    assert stands(one, one, near) == (2, 1, 3, 0)
    assert stands(one, one, far) == (2, 1, 2, 1)
    assert stands(one, one, near, far, far) == (2, 2, 3, 2)
    assert stands(one, one, "a" * 49) == (2, 1, 3, 0), "one that did not get to the end"
    assert stands("ab", "ab", "aa") == (2, 1, 2, 1), "one of two is not hardly any"


def test_it_stops_where_the_answer_is_settled() -> None:
    strategy = Agreement(n=100, own=AgreementOptions(parallel=1))
    state = after([verdict("ab")] * 100, strategy)
    assert strategy.finished(state)
    assert 2 <= len(state.seen) <= 8
    assert state.ending == "agreed"
    split = [verdict("ab"), verdict("cd")] * 50
    assert len(after(split, strategy).seen) > len(state.seen)


def test_it_gives_up_where_nothing_passes_sooner_where_failures_are_alike() -> None:
    strategy = Agreement(n=100, own=AgreementOptions(parallel=1))
    alike = after([verdict("ab", passed=False)] * 100, strategy)
    assert strategy.finished(alike)
    assert alike.ending == "hopeless"
    various = [verdict("ab", passed=False, got=str(number)) for number in range(100)]
    assert len(alike.seen) < len(after(various, strategy).seen)


def test_exhaustive_draws_all_and_patience_draws_more() -> None:
    same = [verdict("ab")] * 30
    assert len(after(same, Agreement(n=30, exhaustive=True)).seen) == 30
    hasty = Agreement(n=30, own=AgreementOptions(parallel=1))
    patient = Agreement(n=30, own=AgreementOptions(parallel=1, patience=20))
    assert len(after(same, hasty).seen) < len(after(same, patient).seen)


def test_the_state_can_be_written_down_and_read() -> None:
    state = after([verdict("ab"), verdict("cd", passed=False)], ALL)
    again = AgreementState.model_validate_json(state.model_dump_json())
    assert again == state
    assert again.confidence == state.confidence


def test_no_more_are_under_way_than_asked_for() -> None:
    strategy = Agreement(n=50, own=AgreementOptions(parallel=3))
    state, proposals = strategy.ask(strategy.start(TASK), 99)
    assert len(proposals) == 3
    state = strategy.tell(state, proposals[0], verdict("ab", passed=False))
    assert len(strategy.ask(state, 99)[1]) == 1


def test_probes_are_added_and_can_be_left_out() -> None:
    prepared = Agreement(own=AgreementOptions(probes=7)).prepared(TASK)
    assert prepared.probes is not None
    assert len(prepared.probes.calls) == 7
    assert Agreement(own=AgreementOptions(probes=0)).prepared(TASK) == TASK


@pytest.mark.parametrize(("lead", "second", "chance"), [(1, 0, 0.75), (2, 0, 0.875), (1, 1, 0.5)])
def test_beta_criterion(lead: int, second: int, chance: float) -> None:
    assert stays_ahead(lead, second) == pytest.approx(chance)


def test_more_agreement_is_more_believed() -> None:
    def said(*verdicts: Verdict) -> float:
        confidence = after(verdicts, ALL).confidence
        assert confidence is not None
        assert 0 < confidence < 1
        return confidence

    failed = verdict("xy", passed=False, reward=0.5)
    alone, agreed = said(verdict("ab")), said(*[verdict("ab")] * 10)
    assert said(failed) < alone < agreed
    assert said(*[verdict("ab")] * 5, *[verdict("cd")] * 5) < agreed
    assert AgreementState().confidence is None


def test_the_shipped_numbers_name_signs_that_there_are() -> None:
    belief = usual_belief()
    for model in (belief.passing, belief.failing):
        assert set(model.weights) <= set(Signs.model_fields)
    votes = [Vote(index=0, passed=True, answers=("a",))]
    stands = standing(votes)
    assert stands is not None
    found = signs(votes, stands, examples=3)
    assert Logistic(bias=0.0, weights={}).probability(found) == 0.5


def test_a_search_goes_on_only_as_long_as_it_has_a_chance() -> None:
    usual = {"draws": 10, "passing": 5, "failures": 3, "lead": 3, "second": 2, "words": 50}
    goes_on = usual_belief().patience.goes_on
    assert goes_on(Course(**usual))
    assert not goes_on(Course(**usual | {"lead": 5, "second": 0}))
    none = usual | {"passing": 0, "failures": 10, "lead": 0, "second": 0}
    assert goes_on(Course(**none))
    assert not goes_on(Course(**none | {"draws": 100}))


def test_a_learned_reward_decides_in_place_of_the_size() -> None:
    weights = {"raised": -9.0, "size": -1.0}
    model = RewardModel(
        signs=SIGNS,
        model=Linear(bias=0.0, weights=tuple(weights.get(name, 0.0) for name in SIGNS)),
    )
    votes = [verdict("cd"), verdict("ab"), verdict("cd"), verdict("a!")]
    strategy = Agreement(n=50, exhaustive=True, own=AgreementOptions(parallel=1), reward=model)
    by_size, by_model = after(votes, ALL), after(votes, strategy)
    assert by_size.best is not None
    assert by_model.best is not None
    assert (by_size.best.index, by_model.best.index) == (0, 1)
    assert AgreementState.model_validate_json(by_model.model_dump_json()) == by_model
    failing = [verdict("cd", passed=False, reward=0.5)] * 2 + [verdict("ab", passed=False)]
    closest = after(failing, strategy).best
    assert closest is not None
    assert closest.index == 0  # of those that fail it has learned nothing


def test_a_learned_reward_ends_the_search_where_it_is_sure_enough() -> None:
    weights = tuple(2.0 if name == "size" else 0.0 for name in SIGNS)
    model = RewardModel(signs=SIGNS, model=Linear(bias=0.0, weights=weights))
    own = AgreementOptions(
        parallel=1, patience=1e6, enough=0.89
    )  # three of a kind are worth 3^2 / (3^2 + 1)
    votes = [verdict("ab"), verdict("ab", passed=False, reward=0.5), verdict("ab")]
    eager = Agreement(n=50, own=own, reward=model)
    assert not after(votes, eager).settled
    state = after([*votes, verdict("ab")], eager)
    assert (state.settled, state.ending) == (True, "agreed")
    patient = Agreement(n=50, own=own.model_copy(update={"enough": 1.0}), reward=model)
    assert not after([*votes, verdict("ab")], patient).settled
    failing = [verdict("ab", passed=False, reward=0.5)] * 4
    assert not after(failing, eager).settled


def test_what_is_enough_is_said_by_a_learned_reward_alone() -> None:
    options = StrategyOptions(own={"enough": 0.9})
    with pytest.raises(StrategyOptionError, match="needs --reward-model"):
        build(options)
