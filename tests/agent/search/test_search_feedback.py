"""Feedback: of visible tests only, made of real verdicts, bounded whatever a program says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.search import feedback as module
from agent.search.feedback import LONGEST, feedback
from sandbox.outcome import Outcome
from tasks.model import AssertTests, PublicTask, PytestTests, StdioCase, StdioTests
from verifiers.verdict import TestResult, Verdict
from verifiers.verifier import Verifier

ASSERTS = AssertTests(
    source="assert f(1) == 2\nassert f(100, 200, 300) == 601\nassert f(5) == 6\nassert f(0) == 1\n"
)
TASK = PublicTask(id="T/1", prompt="def f(*x):\n", entry_point="f", visible=(ASSERTS,))


async def text_of(verifier: Verifier, program: str, task: PublicTask = TASK) -> str:
    return feedback(task, await verifier.verify(task, program)).text()


@pytest.mark.anyio
async def test_failing_tests_with_got_and_expected_the_smallest_input_first(
    verifier: Verifier,
) -> None:
    text = await text_of(verifier, "def f(*x):\n    return sum(x) + 1 if x[0] == 1 else 0\n")
    assert text.splitlines() == [
        "It passes 1 of 4 tests.",
        "- f(0) == 1: got 0, expected 1",
        "- f(5) == 6: got 0, expected 6",
        "- f(100, 200, 300) == 601: got 0, expected 601",
    ]


@pytest.mark.anyio
async def test_more_than_three_failures_are_counted(verifier: Verifier) -> None:
    text = await text_of(verifier, "def f(*x):\n    return None\n")
    assert text.endswith("1 more tests fail.")
    assert text.count("\n- ") == 3


@pytest.mark.anyio
async def test_traceback_holds_the_candidates_lines_only(verifier: Verifier) -> None:
    program = "def helper(x):\n    return {}[x]\n\n\ndef f(*x):\n    return helper(x[0])\n"
    text = await text_of(verifier, program)
    assert "- f(0) == 1: KeyError: 0" in text
    assert "  line 6, in f: return helper(x[0])\n  line 2, in helper: return {}[x]" in text
    assert "judge" not in text
    assert "File " not in text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("def f(*x:\n    return 1\n", "It can't be run: line 1: "),
        ("def g(*x):\n    return 1\n", "It can't be run: nothing at module level defines 'f'; it"),
        ("", "It can't be run: the program is empty"),
        ("import nowhere_at_all\ndef f(*x): pass\n", "It fails before any test: ModuleNotFound"),
        ("def f(*x):\n    while True: pass\n", "It ran out of time: "),
        ("def f(*x):\n    return bytearray(1 << 40)\n", "It ran out of memory: "),
    ],
)
async def test_what_ended_the_run_is_said_first(
    verifier: Verifier, program: str, said: str
) -> None:
    limits = TASK.limits.model_copy(update={"cpu_seconds": 1.0})
    text = await text_of(verifier, program, TASK.model_copy(update={"limits": limits}))
    assert text.startswith(said)


@pytest.mark.anyio
async def test_counter_example_of_a_property_is_in_it(verifier: Verifier) -> None:
    source = (
        "from hypothesis import given, strategies as st\nfrom solution import f\n\n\n"
        "@given(st.integers())\ndef test_more(x):\n    assert f(x) == x + 1\n"
    )
    task = TASK.model_copy(update={"visible": (PytestTests(source=source),)})
    text = await text_of(verifier, "def f(x):\n    return x + 1 if x < 1000 else x\n", task)
    assert "test_more" in text
    assert "x=1000" in text


@pytest.mark.anyio
async def test_cases_are_told_by_their_input(verifier: Verifier) -> None:
    cases = (
        StdioCase(name="long", stdin="4 5 6\n" * 400, stdout="0"),
        StdioCase(name="small", stdin="2 3\n", stdout="5", args=("-v",)),
    )
    task = PublicTask(
        id="T/io", prompt="Add.", entry_kind="program", visible=(StdioTests(cases=cases),)
    )
    text = await text_of(verifier, "print(7)\n", task)
    lines = text.splitlines()
    assert lines[0] == "It passes 0 of 2 tests."
    assert lines[1].startswith("- input '2 3\\n' with arguments ['-v']: expected '5', got '7")
    assert all(len(line) < 700 for line in lines)


RESULTS = st.builds(
    TestResult,
    name=st.text(max_size=900),
    outcome=st.sampled_from([one for one in Outcome if one is not Outcome.INFRA]),
    detail=st.text(max_size=2_000),
)


@given(
    tests=st.lists(RESULTS, max_size=12),
    outcome=st.sampled_from([one for one in Outcome if one is not Outcome.INFRA]),
    detail=st.text(max_size=5_000),
    longest=st.integers(1, LONGEST),
)
def test_it_is_bounded_and_always_the_same(
    tests: list[TestResult], outcome: Outcome, detail: str, longest: int
) -> None:
    verdict = Verdict(outcome=outcome, reward=0.0, tests=tuple(tests), detail=detail)
    made = feedback(TASK, verdict)
    assert len(made.text()) <= LONGEST
    assert len(made.text(longest)) <= longest
    assert made.text() == feedback(TASK, verdict).text()
    assert len(made.failures) <= len(tests)


def test_addresses_are_left_out_so_that_a_replay_asks_the_same() -> None:
    def text(address: str) -> str:
        detail = f"got <object object at {address}>, expected 1"
        result = TestResult(name="f(0) == 1", outcome=Outcome.FAILED, detail=detail)
        return feedback(
            TASK, Verdict(outcome=Outcome.FAILED, reward=0.0, tests=(result,), detail=detail)
        ).text()

    assert text("0x7f2a10") == text("0x55d1e0ff")
    assert "got <object object>, expected 1" in text("0x1")


def test_it_takes_a_public_task_and_a_verdict_and_nothing_else() -> None:
    # whatever else it could reach would be a way for hidden tests into a prompt
    import inspect

    parameters: dict[str, Any] = dict(inspect.signature(feedback, eval_str=True).parameters)
    taken: dict[str, object] = {name: one.annotation for name, one in parameters.items()}
    wanted: dict[str, object] = {"task": PublicTask, "verdict": Verdict}
    assert taken == wanted
    imported = {line for line in inspect.getsource(module).splitlines() if "import" in line}
    assert not any("scorer" in line or "import Task" in line for line in imported)
