"""What is learned from: some visible tests are held out, and no sign knows what they say."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent.reward.cases import Sighting, cases, names_of, sighting
from agent.reward.code import code_size
from agent.reward.signs import SIGNS, signs_of
from agent.search.votes import grouped
from sandbox.jobs import Observation
from sandbox.outcome import Outcome
from verifiers.verdict import TestResult, Verdict


def program(tests: str, answers: str, index: int = 0, size: int = 10) -> Sighting:
    """A program that passes the tests with a capital letter and answers a letter to each probe."""
    results = tuple(
        TestResult(
            name=letter.lower(), outcome=Outcome.PASSED if letter.isupper() else Outcome.FAILED
        )
        for letter in tests
    )
    passed = tests.isupper()
    verdict = Verdict(
        outcome=Outcome.PASSED if passed else Outcome.FAILED,
        reward=1.0 if passed else 0.5,
        tests=results,
        probes=tuple(Observation(kind="value", digest=letter) for letter in answers),
        size=size,
    )
    return sighting(index, verdict)


def task(*programs: tuple[str, str]) -> list[Sighting]:
    return [program(tests, answers, place) for place, (tests, answers) in enumerate(programs)]


def test_a_label_is_the_share_that_passes_what_was_held_out() -> None:
    seen = task(("AB", "xx"), ("AB", "xx"), ("Ab", "yy"), ("Ab", "xx"), ("ab", "zz"))
    found = [one for one in cases("t", seen) if one.signs.rate == pytest.approx(4 / 5)]
    # a is shown and b held out: four pass a; of the three that answer xx two pass b
    assert {(one.size, round(one.right, 3)) for one in found} == {(3, 0.667), (1, 0.0)}
    other = [one for one in cases("t", seen) if one.signs.rate == pytest.approx(2 / 5)]
    assert {(one.size, one.right) for one in other} == {(2, 1.0)}  # b is shown: both pass a


def test_signs_say_nothing_of_a_test_that_is_held_out() -> None:
    passing = task(*[("AB", "xx")] * 3, *[("AB", "yy")] * 2)
    failing = task(*[("Ab", "xx")] * 3, *[("Ab", "yy")] * 2)
    shown_a = [[one.signs for one in cases("t", seen) if one.size] for seen in (passing, failing)]
    assert set(shown_a[1]) <= set(shown_a[0])
    assert {one.right for one in cases("t", failing)} == {0.0}


def test_a_task_with_one_test_has_nothing_to_hold_out() -> None:
    assert cases("t", task(("A", "x"), ("a", "y"))) == []
    assert cases("t", task(("", "x"))) == []
    assert cases("t", []) == []


def test_the_cases_of_a_task_weigh_one() -> None:
    for count in (2, 30):
        found = cases("t", task(*[("AB", "xx"), ("Ab", "yy")] * count))
        assert sum(one.weight for one in found) == pytest.approx(1.0)


def test_the_same_seed_the_same_cases() -> None:
    seen = task(*[("ABC", "xx"), ("AbC", "yy"), ("aBC", "zx")] * 4)
    assert cases("t", seen, seed=1) == cases("t", seen, seed=1)
    assert cases("t", seen, seed=1) != cases("t", seen, seed=2)


def test_a_run_that_broke_off_early_has_passed_nothing_that_it_was_not_asked() -> None:
    seen = [*task(("AB", "xx")), program("A", "xx", 1)]
    assert names_of(seen) == ("a", "b")
    assert min(one.right for one in cases("t", seen)) == 0.5


def test_signs() -> None:
    seen = task(*[("A", "xxy")] * 3, ("A", "xxz"), ("a", "xxy"))
    votes = [one.vote for one in seen]
    large, small = signs_of(votes, grouped([vote for vote in votes if vote.passed]))
    assert len(large.values) == len(SIGNS)
    assert large.size > small.size
    assert large.agreement == pytest.approx((4 + 4 + 3) / 3 / 4)
    assert large.consensus == pytest.approx((5 + 5 + 4) / 3 / 5)
    assert (large.rate, large.varied, large.failures) == (4 / 5, 2 / 3, 1.0)
    assert large.length == 0.0


def lengths(sizes: Sequence[int]) -> list[float]:
    votes = [program("A", "xy"[place % 2], place, size).vote for place, size in enumerate(sizes)]
    return [signs.length for signs in signs_of(votes, grouped(votes))]


def test_length_is_told_against_the_others() -> None:
    longer, shorter = lengths((40, 10, 40, 10))
    assert longer > 0 > shorter
    assert lengths((0, 0)) == [0.0, 0.0]  # nobody has counted


def test_the_size_of_code_is_that_of_its_syntax() -> None:
    plain = "def f(x):\n    return x + 1\n"
    told = 'def f(x: int) -> int:\n    """Adds."""\n    # one\n    return x + 1\n'
    assert code_size(plain) == code_size(told) > 0
    assert code_size(plain + "y = 2\n") > code_size(plain)
    assert code_size("def f(") == code_size("\0") == code_size("(" * 3_000) == 0
