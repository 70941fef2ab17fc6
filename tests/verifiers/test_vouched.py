"""What rests on nothing but the word of the candidate's own objects is marked, and examined."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome
from tests.hacks.catalogue import Exam, asserts, pytest_file
from verifiers.verdict import Verdict, from_report

pytestmark = pytest.mark.anyio

POINT = """
class Point:
    def __init__(self, x, tag=""): self.x, self.tag = x, tag
    def moved(self, by): return Point(self.x + by)
    def __eq__(self, o): return isinstance(o, Point) and self.x == o.x
    def __hash__(self): return hash(self.x)
    def __lt__(self, o): return self.x < o.x
"""
IGNORANT = POINT.replace("self.x == o.x", "True")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[LocalSandbox]:
    async with LocalSandbox(slots=1) as opened:
        yield opened


async def judged(sandbox: LocalSandbox, tests: str, program: str = POINT) -> Verdict:
    test = pytest_file(tests) if "def test_" in tests else asserts(tests)
    exam = Exam(tests=(test,), entry_point="Point", kind="class")
    return from_report(await sandbox.run(exam.job(program, {"wall_seconds": 20})), (), reduced=True)


@pytest.mark.parametrize(
    ("assertion", "vouched"),
    [
        ("Point(1).moved(2) == Point(3)", True),
        ("Point(1) != Point(3)", True),
        ("Point(1) < Point(2)", True),
        ("isinstance(Point(1), Point)", True),
        ("Point(1) in [Point(2), Point(1)]", True),
        ("Point(1).moved(2).x == 3", False),
        ("Point(1).moved(2) == Point(3) and Point(4).x == 4", False),
        ("sorted([Point(2), Point(1)])[0].x == 1", False),
        ("(p := Point(1)) is p", False),
    ],
)
async def test_an_assertion_is_marked(sandbox: LocalSandbox, assertion: str, vouched: bool) -> None:
    verdict = await judged(sandbox, f"assert Point(5).x == 5\nassert {assertion}\n")
    assert verdict.outcome is Outcome.PASSED, verdict
    assert [test.vouched for test in verdict.tests] == [False, vouched]
    assert verdict.vouched == vouched


async def test_a_test_function_is_marked(sandbox: LocalSandbox) -> None:
    source = (
        "from solution import Point\n\ndef test_word():\n    assert Point(1) == Point(1)\n"
        "\ndef test_value():\n    assert Point(1) == Point(1)\n    assert Point(1).x == 1\n"
    )
    verdict = await judged(sandbox, source)
    assert [(test.name, test.vouched) for test in verdict.tests] == [
        ("test_word", True),
        ("test_value", False),
    ]


async def test_an_equality_that_ignores_everything_fails(sandbox: LocalSandbox) -> None:
    source = "assert Point(1).x == 1\nassert Point(1).moved(2) == Point(3)\n"
    assert (await judged(sandbox, source)).passed
    verdict = await judged(sandbox, source, IGNORANT)
    assert verdict.outcome is Outcome.FAILED
    assert "says of everything else" in verdict.detail
    assert verdict.reward < 1


async def test_an_equality_that_ignores_something_is_honest(sandbox: LocalSandbox) -> None:
    source = "assert Point(1, 'a') == Point(1, 'b')\nassert Point(1).x == 1\n"
    assert (await judged(sandbox, source)).passed


async def test_a_class_alone_is_no_witness(sandbox: LocalSandbox) -> None:
    verdict = await judged(sandbox, "assert isinstance(Point(1), Point)\n")
    assert verdict.outcome is Outcome.FAILED
    assert (
        verdict.detail
        == "objects: every assertion rests on the word of the candidate's own objects"
    )
    told_apart = "assert isinstance(Point(1), Point)\nassert Point(1) != Point(2)\n"
    assert (await judged(sandbox, told_apart)).passed
