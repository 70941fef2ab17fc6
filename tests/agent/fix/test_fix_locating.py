"""Where a fault is sought: formulas, traced runs, what is run first, what is shown."""

from __future__ import annotations

import pytest

from agent.fix.coverage import Coverage, collected
from agent.fix.edits import edits
from agent.fix.relevant import Relevant, changed_lines
from agent.fix.spectrum import FormulaName, dstar, formula, ochiai, tarantula
from agent.fix.suspects import find_suspects
from agent.fix.targets import Targets
from sandbox.suite import Status, SuiteTest
from verifiers.repository import File, Snapshot

SHOP = """import math
from decimal import Decimal

RATE = 2
OTHER = 3


def total(prices):
    result = 0
    for price in prices:
        if price > 9:
            result += price - 1
        else:
            result += price * RATE
    return shown(result)


def shown(amount):
    return amount


class Cart(object):
    @property
    def size(self):
        return 1
"""
TESTS = """from shop import total

def test_small(): assert total([1]) == 2
def test_large(): assert total([10]) == 10
def test_none(): assert total([]) == 0
def test_apart(): pass
"""
SNAPSHOT = Snapshot(
    files={
        "shop.py": File(content=SHOP.encode()),
        "test_shop.py": File(content=TESTS.encode()),
        "test_other.py": File(content=b"def test_other(): pass\n"),
    }
)
SMALL, LARGE, NONE, APART = (
    f"test_shop.py::test_{name}" for name in ("small", "large", "none", "apart")
)
OTHER = "test_other.py::test_other"
TARGETS = Targets(failing={LARGE: "E   assert 9 == 10"}, passing=(SMALL, NONE, APART, OTHER))


def seen(name: str, lines: str, entered: str = "8,18") -> SuiteTest:
    reached = {"shop.py": (entered, lines)} if lines else {}
    return SuiteTest(id=name, status=Status.PASSED, reached=reached)


TRACED = collected(
    SNAPSHOT,
    [
        seen(SMALL, "9-11,14,15,19"),
        seen(LARGE, "9-12,15,19"),
        seen(NONE, "9,10,15,19"),
        seen(APART, ""),
        seen(OTHER, "19", "18"),
        seen("test_shop.py::test_of_nobody", "24"),
    ],
    TARGETS.failing,
    TARGETS.passing,
)


def test_the_formulas_are_those_of_their_papers() -> None:
    assert ochiai(2, 2, 4, 10) == pytest.approx(0.5)
    assert dstar(2, 2, 4, 10) == pytest.approx(1.0)
    assert dstar(3, 0, 3, 5) > dstar(3, 1, 3, 5)  # nothing speaks against it
    assert tarantula(2, 5, 4, 10) == pytest.approx(0.5)
    for name in FormulaName:
        by = formula(name)
        assert by(0, 3, 2, 3) == 0
        assert by(2, 0, 2, 3) > by(2, 3, 2, 3) > 0
        assert by(2, 0, 2, 0) > 0


def test_what_was_traced_is_put_together_and_nonsense_passed_over() -> None:
    assert TRACED.failing == {LARGE}
    assert TRACED.passing == {SMALL, NONE, APART, OTHER}
    assert TRACED.functions["shop.py", 8] == {SMALL, LARGE, NONE}
    assert TRACED.lines["shop.py", 12] == {LARGE}
    assert ("shop.py", 24) not in TRACED.lines
    odd = collected(SNAPSHOT, [seen(LARGE, "x,3-,-4,1-2-3,7,99", "8-8")], [LARGE], [])
    assert set(odd.lines) == {("shop.py", 7)}
    assert set(odd.functions) == {("shop.py", 8)}
    large = collected(SNAPSHOT, [seen(LARGE, "20-99999999999")], [LARGE], [])
    assert set(large.lines) == {("shop.py", line) for line in range(20, 27)}


@pytest.mark.parametrize("by", list(FormulaName))
def test_what_failing_tests_execute_is_suspected_line_by_line(by: FormulaName) -> None:
    found = find_suspects(SNAPSHOT, ("shop.py",), TARGETS, TRACED, by=by)
    assert [one.name for one in found[:2]] == ["total", "shown"]
    assert found[0].heat[12] == 1.0
    assert found[0].heat[9] < 1.0
    assert 14 not in found[0].heat  # no failing test comes there
    assert "heat" not in found[0].model_dump()


def test_edits_of_hot_lines_come_first() -> None:
    found = find_suspects(SNAPSHOT, ("shop.py",), TARGETS, TRACED)
    lines = [one.place.line for one in edits(SNAPSHOT, found, TARGETS.failing)]
    without = find_suspects(SNAPSHOT, ("shop.py",), TARGETS)
    before = [one.place.line for one in edits(SNAPSHOT, without, TARGETS.failing)]
    assert lines.index(12) <= before.index(12)
    assert sum(lines[:20].count(hot) for hot in (11, 12)) > before[:20].count(12)


def test_of_failing_tests_that_were_not_traced_names_tell() -> None:
    hanging = TARGETS.model_copy(update={"failing": {**TARGETS.failing, SMALL: "hangs"}})
    only_large = Coverage(frozenset({LARGE}), frozenset(), {("shop.py", 18): frozenset({LARGE})})
    found = {one.name for one in find_suspects(SNAPSHOT, ("shop.py",), hanging, only_large)}
    assert {"total", "shown"} <= found
    blind = find_suspects(SNAPSHOT, ("shop.py",), TARGETS, Coverage())
    assert blind == find_suspects(SNAPSHOT, ("shop.py",), TARGETS)


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("abcde", "abXde", [3]),
        ("abcde", "abcXde", [3]),
        ("abcde", "Xabcde", [1]),
        ("abcde", "abde", [3]),
        ("abcde", "aXcdY", [2, 5]),
        ("abcde", "abcde", []),
        ("", "a", [1]),
    ],
)
def test_lines_that_a_patch_changes(old: str, new: str, lines: list[int]) -> None:
    assert list(changed_lines(list(old), list(new))) == lines


def test_tests_that_come_to_what_is_changed_are_run_first() -> None:
    relevant = Relevant(SNAPSHOT, ("shop.py",), TARGETS, TRACED)
    assert relevant.tests({"shop.py": SHOP.replace("price - 1", "price")}) == [SMALL, NONE]
    assert relevant.tests({"shop.py": SHOP.replace("return amount", "return 1")}) == [
        SMALL, NONE, OTHER,
    ]  # fmt: skip
    # what runs at an import is everybody's
    assert relevant.tests({"shop.py": SHOP.replace("RATE = 2", "RATE = 1")}) == [SMALL, NONE, APART]
    assert relevant.failing == (LARGE,)
    many = TARGETS.model_copy(update={"failing": {f"t.py::t[{n}]": "" for n in range(150)}})
    first = Relevant(SNAPSHOT, ("shop.py",), many, TRACED).failing
    assert (len(first), first[1]) == (50, "t.py::t[3]")
    blind = Relevant(SNAPSHOT, ("shop.py",), TARGETS, Coverage())
    assert blind.tests({"shop.py": SHOP.replace("price - 1", "price")}) == [SMALL, NONE, APART]
