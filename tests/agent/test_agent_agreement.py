"""Where agreement is used by itself, and what an evaluation makes of it, in a real sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.api import aevaluate
from agent.loop import Confirm
from agent.session import UNDECIDED_STRATEGY, _confirmation, strategy_for
from agent.settings import Settings
from tasks.model import AssertTests, PublicTask, Task
from tasks.suite import Suite

EXAMPLES = AssertTests(source="assert f(1) == 2\n", derived=True)
WRITTEN = AssertTests(source="assert f(1) == 2\n")
BARE = PublicTask(id="t", prompt="def f(x: int) -> int:\n    ...\n", entry_point="f")


def with_tests(*tests: AssertTests, **more: Any) -> PublicTask:
    return BARE.model_copy(update={"visible": tests, **more})


@pytest.mark.parametrize(
    ("task", "decide"),
    [
        (with_tests(WRITTEN), True),
        (with_tests(EXAMPLES, WRITTEN), True),
        (with_tests(EXAMPLES), False),
        (with_tests(), False),
        (with_tests(WRITTEN, scored_elsewhere=True), False),
    ],
)
def test_which_tests_decide(task: PublicTask, decide: bool) -> None:
    assert task.tests_decide is decide
    assert (strategy_for(Settings(), task).strategy == UNDECIDED_STRATEGY) is not decide


def test_hidden_tests_take_the_decision_from_visible_ones() -> None:
    task = Task(with_tests(WRITTEN), load_hidden=lambda: (WRITTEN,))
    assert not task.public().tests_decide
    assert task.given().tests_decide
    refused = Task(with_tests(WRITTEN), load_hidden=lambda: (WRITTEN,), hidden_refused="repeats")
    assert refused.public().tests_decide
    assert Task(with_tests(WRITTEN)).public().tests_decide


@pytest.mark.parametrize(
    "settings",
    [
        {"strategy": "best-of-n"},
        {"strategy": "beam"},
        {"strategy_options": {"temperature_end": 0.1}},
        {"cascade": ("replay/a", "replay/b")},
    ],
)
def test_what_the_user_names_is_used(settings: dict[str, Any]) -> None:
    given = Settings(**settings)
    assert strategy_for(given, with_tests(EXAMPLES)) == given


@pytest.mark.parametrize("more", [{"entry_kind": "class"}, {"language": "javascript"}])
def test_only_python_functions_can_be_probed(more: dict[str, Any]) -> None:
    assert strategy_for(Settings(), with_tests(EXAMPLES, **more)).strategy == "adaptive"


def test_only_the_chosen_program_is_judged_twice() -> None:
    assert _confirmation(strategy_for(Settings(), with_tests(EXAMPLES))) is Confirm.CHOSEN
    assert _confirmation(strategy_for(Settings(), with_tests(WRITTEN))) is Confirm.EACH


RIGHT = "    return x + 1\n"
WRONG = "    return 2\n"
LIMITED = "    return min(x + 1, 7)\n"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Two tasks whose only example lets three programs pass, and their recorded samples."""
    rows, bank = [], []
    for number in range(2):
        prompt = f'def f(x: int) -> int:\n    """Number {number}.\n    >>> f(1)\n    2\n    """\n'
        test = "def check(candidate):\n    assert all(candidate(n) == n + 1 for n in range(50))\n"
        row = {"task_id": f"t/{number}", "prompt": prompt, "entry_point": "f", "test": test}
        rows.append(row | {"canonical_solution": RIGHT})
        samples = [WRONG, LIMITED, RIGHT, RIGHT, "    return x\n", RIGHT, RIGHT, RIGHT, RIGHT]
        bank.append({"task_id": f"t/{number}", "prompt": prompt, "samples": samples * 3})
    for name, lines in (("suite", rows), ("bank", bank)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    return tmp_path


@pytest.mark.anyio
async def test_an_evaluation_chooses_what_most_agree_on(suite: Path) -> None:
    assert isinstance(await _suite(suite), Suite)
    report = await _evaluate(suite)
    assert report.solved == 2
    assert report.stopped == {"agreed": 2}
    assert 3 <= report.mean_samples < 27
    for score in report.scores:
        assert score.confidence is not None
        assert 0 < score.confidence < 1
    assert report.confidence == pytest.approx(
        sum(score.confidence or 0 for score in report.scores) / 2
    )
    assert report.calibration_error == pytest.approx(1 - report.confidence)
    assert "confidence" in report.summary()

    first = await _evaluate(suite, strategy="best-of-n")
    assert (first.solved, first.mean_samples) == (0, 1)
    assert first.confidence is None

    every = await _evaluate(suite, exhaustive=True)
    assert (every.solved, every.mean_samples) == (2, 20)


@pytest.mark.anyio
async def test_a_run_chooses_the_same_however_it_is_run(suite: Path) -> None:
    reports = [await _evaluate(suite, concurrency=number, cache=number > 1) for number in (1, 8)]
    programs = [[score.program for score in report.scores] for report in reports]
    assert programs[0] == programs[1]
    assert reports[0].mean_samples == reports[1].mean_samples


@pytest.mark.anyio
async def test_given_tests_decide_as_ever(suite: Path) -> None:
    report = await _evaluate(suite, protocol="given")
    assert (report.solved, report.mean_samples) == (2, 3)
    assert report.stopped == {"verified": 2}
    assert report.confidence is None


async def _suite(folder: Path) -> Suite:
    from tasks import load_suite

    return load_suite(str(folder / "suite.jsonl"))


async def _evaluate(folder: Path, *, protocol: str = "hidden", **settings: Any) -> Any:
    given: dict[str, Any] = {"sandbox": "local", "slots": 1, "n": 20, "runs": folder / "runs"}
    given |= {"model": f"replay/{folder / 'bank.jsonl'}", "cache": False, "confirm": False}
    return await aevaluate(folder / "suite.jsonl", protocol=protocol, **(given | settings))
