"""From what is known of patches to an order and a decision."""

from __future__ import annotations

from typing import Any

import pytest

from agent.fix.validation.assessment import Assessment, Confidence, Evidence, decide, order
from agent.fix.validation.behaviour import Behaviour, Share, compare, telling
from agent.fix.validation.flags import Flag, Sort, Weight
from agent.fix.validation.harness import Seen
from agent.fix.validation.inputs import Input, Origin

GOOD = Behaviour(
    kept=Share(hits=0, all=10),
    turned=Share(hits=2, all=2),
    near=Share(hits=30, all=40),
    elsewhere=Share(hits=10, all=60),
    gained=40,
    cured=5,
)
STRONG = Evidence(neighbours=15, survived=0, alike=5)
LENIENT = Evidence(neighbours=15, survived=2, alike=5)


def flag(weight: Weight) -> Flag:
    return Flag(sort=Sort.SPECIAL_CASE, weight=weight, path="m.py", line=3, text="compares with 17")


def patch(
    number: int = 0, size: int = 5, *, flags: tuple[Flag, ...] = (), **seen: Any
) -> Assessment:
    behaviour = GOOD.model_copy(update=seen)
    return Assessment(number=number, size=size, flags=flags, behaviour=behaviour)


LEARNED: dict[str, Any] = {
    "near": Share(hits=0, all=40), "elsewhere": Share(hits=0, all=60), "cured": 0,
    "gained": 0,
}  # fmt: skip


def test_what_speaks_for_it_and_nothing_against_it_is_validated() -> None:
    found = decide(patch(flags=(flag(Weight.NOTE),)), STRONG, proven=True)
    assert found.confidence is Confidence.VALIDATED
    assert "on 10 inputs of passing tests its results are as before" in found.why
    assert "the suite refuses 15 of 15 small edits of it" in found.why
    assert "it compares with 17 (m.py:3)" in found.why


def test_few_calls_are_enough_where_the_suite_takes_hardly_anything_else() -> None:
    few = patch(kept=Share(), turned=Share(hits=1, all=1))
    almost = STRONG.model_copy(update={"survived": 1})
    assert decide(few, STRONG, proven=True).confidence is Confidence.VALIDATED
    assert decide(few, almost, proven=True).confidence is Confidence.VALIDATED
    assert decide(patch(), LENIENT, proven=True).confidence is Confidence.VALIDATED


@pytest.mark.parametrize(
    ("one", "evidence", "proven", "said"),
    [
        (patch(), STRONG, False, "not run again"),
        (patch(flags=(flag(Weight.DOUBT),)), STRONG, True, "compares with 17"),
        (patch(flags=(flag(Weight.CHEAT),)), STRONG, True, "compares with 17"),
        (Assessment(number=0, size=1), STRONG, True, "could not be called"),
        (patch(lost=True), STRONG, True, "were lost"),
        (patch(turned=Share()), STRONG, True, "no call of the failing tests"),
        (patch(turned=Share(hits=0, all=2)), STRONG, True, "changes no result"),
        (patch(kept=Share(hits=1, all=10)), STRONG, True, "1 of 10 results that passing tests"),
        (patch(kept=Share(hits=0, all=0)), LENIENT, True, "hardly call"),
        (
            patch(kept=Share(hits=0, all=1), turned=Share(hits=1, all=1)),
            LENIENT,
            True,
            "hardly call",
        ),
        (patch(crashed=True, altered=9), STRONG, True, "9 other answers"),
        (patch(near=Share(hits=3, all=3), elsewhere=Share()), STRONG, True, "only 3 inputs"),
        (patch(**LEARNED), STRONG, True, "a special case"),
        (patch(hangs=3), STRONG, True, "does not end on 3"),
        (patch(harmed=60), STRONG, True, "raises or hangs on 60"),
        (patch(), STRONG.model_copy(update={"rivals": 1}), True, "something else"),
        (patch(), STRONG.model_copy(update={"doubt": "looks odd"}), True, "looks odd"),
        (patch(), Evidence(), True, "only 0 small edits"),
        (patch(), Evidence(neighbours=15, survived=9), True, "9 of 15 small edits"),
    ],
)
def test_each_thing_that_speaks_against_it_makes_it_plausible(
    one: Assessment, evidence: Evidence, proven: bool, said: str
) -> None:
    found = decide(one, evidence, proven=proven)
    assert found.confidence is Confidence.PLAUSIBLE
    assert any(said in line for line in found.why), found.why


def test_a_true_fix_comes_before_a_special_case_always() -> None:
    """However small, promising and in however large a group of its like the special case is."""
    weak = patch(
        9,
        400,
        near=Share(hits=3, all=40),
        gained=3,
        kept=Share(hits=2, all=10),
        hangs=1,
        harmed=90,
        flags=(flag(Weight.DOUBT),),
    )
    by_behaviour = patch(0, 1, **LEARNED).model_copy(update={"alike": 9})
    by_syntax = patch(1, 1, flags=(flag(Weight.CHEAT),)).model_copy(update={"alike": 9})
    assert sorted([by_behaviour, by_syntax, weak], key=order)[0] is weak


def test_without_evidence_it_is_the_first_and_with_it_the_larger_group() -> None:
    blind = [Assessment(number=number, size=4) for number in range(3)]
    assert [one.number for one in sorted([blind[2], blind[0], blind[1]], key=order)] == [0, 1, 2]
    large = patch(2, 9).model_copy(update={"alike": 2})
    assert sorted([patch(0), patch(1), large], key=order)[0] is large
    assert sorted([patch(0, 8), patch(1, 3)], key=order)[0].number == 1


def inputs(*origins: Origin) -> list[Input]:
    return [
        Input("m:f", ["l", [["l", [n]], ["d", []]]], origin) for n, origin in enumerate(origins)
    ]


def value(text: str) -> Seen:
    return Seen("value", text, text)


RAISED, HANG, LOST = Seen("raised", "E", "E: no"), Seen("hang", "hang", ""), Seen("lost", "", "")


def test_differences_by_where_they_are() -> None:
    given = inputs(
        Origin.PASSING, Origin.FAILING, Origin.NEAR, Origin.NEAR, Origin.AROUND, Origin.FRESH,
        Origin.FRESH,
    )  # fmt: skip
    old = [value("a"), value("b"), RAISED, value("d"), value("e"), value("f"), LOST]
    new = [value("a"), value("B"), value("c"), RAISED, value("e"), HANG, value("g")]
    found = compare(given, old, new)
    assert (found.kept, found.turned) == (Share(hits=0, all=1), Share(hits=1, all=1))
    assert (found.near, found.elsewhere) == (Share(hits=2, all=2), Share(hits=1, all=2))
    assert (found.cured, found.harmed, found.hangs, found.lost) == (1, 2, 1, False)
    assert (found.gained, found.altered, found.crashed) == (1, 0, False)
    assert str(found.examples[0]) == "f(2): before: raises E: no; after: c"
    assert compare(given, old, [LOST] * 7).lost


def test_patches_are_told_apart_where_the_chosen_one_has_an_answer() -> None:
    given = inputs(Origin.PASSING, Origin.NEAR, Origin.NEAR, Origin.FRESH, Origin.FRESH)
    chosen = [value("a"), value("b"), RAISED, value("d"), value("e")]
    other = [value("A"), value("b"), value("c"), LOST, RAISED]
    assert telling(given, chosen, other) == (4,)
