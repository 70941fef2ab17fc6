"""Tiers: from looks at first, then from verdicts; what a profile's file may say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.routing.chance import FITTED, Weights, chance, inputs
from agent.routing.features import Features, features
from agent.routing.observed import Draw, Failures, failures
from agent.routing.presets import PRESETS, choose_profile, pooled
from agent.routing.profile import Profile, ProfileError, Tiers, read_profile, write_profile
from agent.routing.route import Difficulty, TierPlan
from agent.routing.router import Router
from agent.search.base import Seen
from tasks.model import AssertTests, PublicTask, PytestTests, StdioCase, StdioTests


def task(prompt: str = "def f(a, b):\n    ...\n", **fields: object) -> PublicTask:
    return PublicTask.model_validate({"id": "T", "prompt": prompt, **fields})


def failed(count: int, *, ways: int = 1, reward: float = 0.0) -> list[Seen]:
    return [
        Seen(index=i, passed=False, reward=reward, runs=True, behaviour=str(i % ways))
        for i in range(count)
    ]


def test_looks_count_words_parameters_examples_and_tests() -> None:
    looks = features(
        task(
            'def g(x): ...\ndef f(a, b=1):\n    """Sum.\n    >>> f(1)\n    >>> f(2)\n    """\n',
            visible=(AssertTests(source="assert f(1) == 2\nassert f(2) == 3\n"),),
        )
    )
    assert looks.parameters == 2
    assert round(2.718281828**looks.tests) == 3
    assert round(2.718281828**looks.examples) == 3
    assert features(task("one two three")).words < looks.words


@pytest.mark.parametrize(
    ("tests", "count"),
    [
        (PytestTests(source="def test_a():\n    f()\ndef test_b():\n    f()\n"), 2),
        (StdioTests(cases=tuple(StdioCase(name=n, stdout="") for n in "abc")), 3),
    ],
)
def test_every_kind_of_tests_is_counted(tests: object, count: int) -> None:
    assert round(2.718281828 ** features(task(visible=(tests,))).tests) == count + 1


def test_failures_count_behaviours_of_what_ran() -> None:
    draws = [
        Draw(passed=False, reward=0.5, behaviour="a"),
        Draw(passed=False, reward=0.2, behaviour="a"),
        Draw(passed=False, runs=False, behaviour="b"),
        Draw(passed=True, reward=1.0, behaviour="c"),
    ]
    assert failures(draws) == Failures(count=3, behaviours=1, best=0.5)


@given(
    st.integers(0, 100),
    st.integers(0, 100),
    st.floats(0, 1),
    st.floats(0, 8),
    st.floats(-1, 1),
)
def test_a_chance_is_one(count: int, ways: int, best: float, words: float, rated: float) -> None:
    known = Failures(count=count, behaviours=min(ways, count), best=best)
    looks = Features(words=words)
    assert len(inputs(looks, known)) == len(FITTED)
    assert 0 < chance(Weights(), looks, known, rated) < 1


def test_failures_make_a_task_harder_and_variety_less_so() -> None:
    router = Router(profile=Profile(), n=100)
    looks = Features(words=3.0, examples=1.0)
    routes = [router.route(looks, failed(count)) for count in (0, 1, 20, 100)]
    chances = [one.chance for one in routes]
    assert chances == sorted(chances, reverse=True)
    assert routes[0].tier is Difficulty.EASY
    assert routes[-1].tier is Difficulty.VERY_HARD
    assert "100 samples failed in 1 way" in routes[-1].reason
    assert router.route(looks, failed(20, ways=15)).chance > router.route(looks, failed(20)).chance


def test_repairs_and_pieces_say_nothing_of_the_next_fresh_sample() -> None:
    router = Router(profile=Profile(), n=10)
    repair = Seen(index=0, passed=False, reward=0, runs=True, kind="repair", parent=0)
    assert router.route(Features(), [repair]) == router.route(Features())


def test_a_models_own_rating_moves_the_chance() -> None:
    router = Router(profile=Profile(), n=10)

    def rated(reward: float, *, good: bool = True) -> float:
        said = Seen(
            index=0, passed=False, reward=reward, runs=True, kind="rate", whole=False, good=good
        )
        return router.route(Features(words=4), [said]).chance

    plain = router.route(Features(words=4)).chance
    assert rated(0.0) < plain < rated(1.0)
    assert rated(0.0, good=False) == plain  # it gave no number


def test_n_is_the_cap_whatever_a_tier_allows() -> None:
    profile = Profile(tiers=Tiers(very_hard=TierPlan(samples=50)))
    assert Router(profile=profile, n=7).route(Features(words=9), failed(99)).samples == 7
    assert Router(profile=profile, n=70).route(Features(words=9), failed(99)).samples == 50


def test_without_revision_the_prompt_alone_decides() -> None:
    router = Router(profile=PRESETS["production"], n=10)
    assert router.route(Features(words=3), failed(9)) == router.route(Features(words=3))
    assert router.route(Features(words=2)).strategy == "greedy"
    assert router.route(Features(words=2)).samples == 1
    assert router.route(Features(words=6, examples=2)).strategy == "thompson"


def test_tiers_in_another_order_are_refused() -> None:
    with pytest.raises(ValueError, match="must fall"):
        Tiers(easy=TierPlan(chance=0.01))
    with pytest.raises(ValueError, match="the last be 0"):
        Tiers(very_hard=TierPlan(chance=0.001))


@pytest.mark.parametrize("name", ["p.toml", "p.json"])
def test_a_profile_comes_back_from_its_file_as_it_was(tmp_path: Path, name: str) -> None:
    profile = choose_profile("full", samples=(1, 2, 3, 4)).model_copy(update={"model": 'a "b"\n'})
    write_profile(tmp_path / name, profile)
    assert read_profile(tmp_path / name) == profile


def test_what_a_profile_leaves_out_is_as_shipped(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("[tiers.very_hard]\nsamples = 3\n")
    read = read_profile(path)
    assert read.tiers.very_hard.samples == 3
    assert read.weights == Weights()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tiers.easy]\nchance = 2\n", "tiers.easy.chance: input should be less than"),
        ("[tiers.easy]\nluck = 1\n", "tiers.easy.luck: extra inputs"),
        ("nonsense", "can't be read"),
        ("[tiers.easy]\nchance = 0.0001\n", "tiers: value error, the chances of easy"),
    ],
)
def test_a_wrong_profile_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(ProfileError, match=said) as caught:
        read_profile(path)
    assert str(path) in str(caught.value)


def test_words_of_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="known are full, production, latency"):
        choose_profile("fast")
    with pytest.raises(ProfileError, match="tier_samples has 2 words: give four"):
        choose_profile("full", samples=(1, 2))
    with pytest.raises(ProfileError, match="No such file"):
        choose_profile("full", tmp_path / "none.toml")


def test_with_a_pool_no_tier_gives_up_by_itself() -> None:
    profile = pooled(PRESETS["production"])
    assert profile.revise
    assert {plan.samples for plan in profile.tiers.all} == {None}
