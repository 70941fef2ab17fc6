"""Patches of a real repository, compared in a sandbox: what is recorded, chosen and said."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent.budget import Budget, Ledger
from agent.fix.validation.assessment import Confidence
from agent.fix.validation.encoded import to_value
from agent.fix.validation.flags import Weight
from agent.fix.validation.harness import Harness
from agent.fix.validation.inputs import Input, Origin
from agent.fix.validation.validator import Validator
from sandbox.base import Sandbox
from sandbox.registry import SandboxOptions, choose_sandbox
from verifiers.repository import SUITE_LIMITS, File, RepositoryVerifier, Snapshot, SuiteOptions

pytestmark = pytest.mark.anyio

LIMITS = SUITE_LIMITS.model_copy(update={"wall_seconds": 60, "cpu_seconds": 60})
CART = """
from shop.money import rounded

class Item:
    def __init__(self, price, count):
        self.price, self.count = price, count

def total(items):
    result = 0
    for place in range(1, len(items)):
        result += items[place].price * items[place].count
    return rounded(result)

def steps(number):
    found = 0
    while number != 1:
        number = number // 2
        found += 1
    return found
"""
TESTS = """
import pytest
from shop.cart import Item, steps, total

@pytest.mark.parametrize(("given", "expected"), [
    ([], 0), ([(0, 1)], 0), ([(0, 3), (2, 3)], 6), ([(0, 0), (1, 1), (2, 2)], 5),
    ([(7, 2), (1, 1)], 15), ([(3, 1)], 3), ([(0, 1), (2, 2), (0, 9)], 4),
])
def test_total(given, expected):
    assert total([Item(*one) for one in given]) == expected

@pytest.mark.parametrize(("number", "expected"), [(1, 0), (2, 1), (9, 3)])
def test_steps(number, expected):
    assert steps(number) == expected
"""
SNAPSHOT = Snapshot(
    files={
        "src/shop/__init__.py": File(),
        "src/shop/cart.py": File(content=CART.encode()),
        "src/shop/money.py": File(content=b"def rounded(amount):\n    return round(amount, 2)\n"),
        "tests/test_cart.py": File(content=TESTS.encode()),
    }
)
PATH, TEST = "src/shop/cart.py", "tests/test_cart.py"
TOTAL = {
    f"{TEST}::test_total[given{number}-{expected}]": "" for number, expected in ((4, 15), (5, 3))
}
PASSING = (
    *(f"{TEST}::test_total[given{n}-{e}]" for n, e in ((0, 0), (1, 0), (2, 6), (3, 5), (6, 4))),
    *(f"{TEST}::test_steps[{one}]" for one in ("1-0", "2-1", "9-3")),
)
RIGHT = CART.replace("range(1, len(items))", "range(len(items))")
LEARNED = CART.replace(
    "    result = 0\n",
    "    result = 0\n    known = {2: 15, 1: 3}\n    if items and items[0].price > 2:\n"
    "        return known[len(items)]\n",
)
LISTED = CART.replace(
    "    result = 0\n",
    "    result = 0\n    if [(one.price, one.count) for one in items] == [(7, 2), (1, 1)]:\n"
    "        return 15\n    if [(one.price, one.count) for one in items] == [(3, 1)]:\n"
    "        return 3\n",
)
ODD = RIGHT.replace("range(len(items))", "range(min(3, len(items)))")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    options = SandboxOptions(limits=LIMITS, allow_reduced=True)
    found, _ = await choose_sandbox("local", options)
    async with found:
        yield found


def verifier_of(sandbox: Sandbox) -> RepositoryVerifier:
    return RepositoryVerifier(sandbox, SNAPSHOT, SuiteOptions(limits=LIMITS))


async def test_calls_of_tests_are_recorded_those_that_hang_too(sandbox: Sandbox) -> None:
    hanging = f"{TEST}::test_no_steps"
    text = f"{TESTS}\ndef test_no_steps():\n    assert steps(0) == 0\n"
    snapshot = SNAPSHOT.changed({TEST: text})
    verifier = RepositoryVerifier(sandbox, snapshot, SuiteOptions(limits=LIMITS))
    calls = await Harness(verifier).record(
        {PATH: ["total", "steps"]}, [*PASSING, *TOTAL, hanging], [*TOTAL, hanging], [hanging]
    )
    found = {(one.function, one.test, one.fails, one.end) for one in calls}
    assert ("shop.cart:steps", hanging, True, ("hang", "TimeUp")) in found
    assert ("shop.cart:steps", f"{TEST}::test_steps[9-3]", False, ("value", "")) in found
    assert sum(one.fails for one in calls if one.function == "shop.cart:total") == 2
    steps = [one for one in calls if one.function == "shop.cart:steps"]
    assert [to_value(one.given) for one in steps] == [[[n], {}] for n in (1, 2, 9, 0)]
    [seen] = await Harness(verifier_of(sandbox)).observe(
        [{PATH: CART.replace("number != 1", "number > 1")}],
        [Input(one.function, one.given, Origin.PASSING) for one in steps],
    )
    assert [one.preview for one in seen] == ["0", "1", "3", "0"]


async def test_the_true_fix_is_chosen_and_validated(sandbox: Sandbox) -> None:
    patches = [{PATH: text} for text in (LEARNED, LISTED, ODD, RIGHT)]
    validator = Validator(
        verifier=verifier_of(sandbox),
        limits=LIMITS,
        ledger=Ledger(Budget()),
        failing=TOTAL,
        passing=PASSING,
        neighbours=8,
    )
    found = await validator.assess(patches)
    assert [one.number for one in found[:2]] == [3, 2]
    by_number = {one.number: one for one in found}
    right = by_number[3].behaviour
    assert right is not None
    assert (right.kept.hits, right.turned.hits, right.turned.all) == (0, 2, 2)
    assert right.kept.all == 5
    assert right.gained > 10
    assert by_number[1].has(Weight.CHEAT)
    assert by_number[1].learned
    decision = await validator.decide(found[0], patches, proven=True)
    assert decision.confidence is Confidence.PLAUSIBLE
    assert any(
        "1 other patches that pass the suite do something else" in one for one in decision.why
    )
    [shown] = decision.differing  # none of those that only know the failing tests
    assert shown.call.startswith("total([<Item>, ")
    assert [who for who, _ in shown.results] == ["this patch", "patch 3"]

    patches = [{PATH: LISTED}, {PATH: RIGHT}]
    found = await validator.assess(patches)
    assert found[0].number == 1
    decision = await validator.decide(found[0], patches, proven=True)
    assert decision.confidence is Confidence.VALIDATED, decision.why
    assert validator.evidence.neighbours >= 5


async def test_what_is_not_called_with_values_is_plausible(sandbox: Sandbox) -> None:
    text = "import io\n\ndef first(file):\n    return file.readline()[1:]\n"
    tests = (
        "import io\nfrom mod import first\n\n"
        "def test_first():\n    assert first(io.StringIO('ab')) == 'ab'\n"
    )
    snapshot = Snapshot(
        files={"mod.py": File(content=text.encode()), "test_mod.py": File(content=tests.encode())}
    )
    validator = Validator(
        verifier=RepositoryVerifier(sandbox, snapshot, SuiteOptions(limits=LIMITS)),
        limits=LIMITS,
        ledger=Ledger(Budget()),
        failing={"test_mod.py::test_first": ""},
    )
    patches = [{"mod.py": text.replace("[1:]", "")}]
    [one] = await validator.assess(patches)
    assert one.behaviour is None
    decision = await validator.decide(one, patches, proven=True)
    assert decision.confidence is Confidence.PLAUSIBLE
    assert any("could not be called" in line for line in decision.why)
