"""The loop: when it stops, what it chooses, in which order, and what it does with faults."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import events
from agent.drawing import sample_seed
from agent.incidents import Incident
from agent.journal import Journal
from agent.llm.base import (
    Completion,
    ModelConfigError,
    ModelRequest,
    ModelUnavailableError,
    Usage,
)
from agent.llm.replay import ReplayModel
from agent.loop import Confirm, Searcher, SearchResult
from agent.search.base import StrategyOptions
from agent.search.registry import create_strategy
from sandbox.base import Sandbox
from sandbox.errors import SandboxError
from sandbox.jobs import Job, Report, infra
from sandbox.outcome import Outcome
from tasks.model import AssertTests, PublicTask
from verifiers.verifier import Verifier

RIGHT = "def f(x):\n    return x + 1\n"
TWO_OF_THREE = "def f(x):\n    return x + 1 if x else 7\n"
ONE_OF_THREE = "def f(x):\n    return 2 * x if x else 1 - 1\n"
NONE = "def f(x):\n    return 'no'\n"
RAISES = "def f(x):\n    raise KeyError(x)\n"
NO_PYTHON = "def f(x:\n"
REWARDS = {
    RIGHT: 1.0,
    TWO_OF_THREE: 2 / 3,
    ONE_OF_THREE: 1 / 3,
    NONE: 0.0,
    RAISES: 0.0,
    NO_PYTHON: 0.0,
}

pytestmark = pytest.mark.anyio
MakeSearcher = Callable[..., Searcher]
Scripted = Callable[..., Any]


def bank(folder: Path, programs: list[str], task_id: str = "T/1") -> ReplayModel:
    path = folder / "bank.jsonl"
    rows = [{"task_id": task_id, "solution": program} for program in programs]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ReplayModel(str(path))


def listed(programs: list[str]) -> Callable[[ModelRequest], str]:
    return lambda request: programs[request.index]


def indices(result: SearchResult) -> list[int]:
    return [candidate.index for candidate in result.candidates]


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_best_of_n_stops_at_the_first_verified_pass(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path, concurrency: int
) -> None:
    model = bank(tmp_path, [NONE, RIGHT, NONE, RIGHT, NONE, NONE])
    searching = searcher(model, concurrency=concurrency)
    result = await searching.search(task)
    assert result.stopped == "verified"
    assert result.passed
    assert indices(result) == [0, 1]
    assert result.chosen is result.candidates[1]
    assert result.chosen.program == RIGHT
    assert searching.ledger.spent.samples >= 2
    assert concurrency > 1 or searching.ledger.spent.samples == 2


async def test_siblings_under_way_are_cancelled_and_not_received(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, tmp_path: Path
) -> None:
    model = scripted(lambda _request: RIGHT, delay=lambda index: 600.0 * (index != 0))
    seen: list[events.Event] = []
    journal = Journal(tmp_path)
    searching = searcher(model, concurrency=8, journal=journal, listener=seen.append)
    with anyio.fail_after(20):
        result = await searching.search(task)
    assert indices(result) == [0]
    assert (model.cancelled, model.under_way) == (7, 0)
    assert searching.ledger.spent.samples == 1
    assert [e.index for e in seen if isinstance(e, events.SampleReceived)] == [0]
    assert journal.keys("sample") == [("T/1", 0)]
    assert len(journal.keys("asked")) == 8
    assert journal.lost() == []  # the search itself called them off
    journal.close()


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    programs=st.lists(st.sampled_from(list(REWARDS)), min_size=1, max_size=8),
    delays=st.lists(st.integers(0, 5), min_size=8, max_size=8),
    concurrency=st.integers(1, 8),
)
async def test_what_is_chosen_does_not_depend_on_the_order_of_arrival(
    searcher: MakeSearcher,
    task: PublicTask,
    scripted: Scripted,
    programs: list[str],
    delays: list[int],
    concurrency: int,
) -> None:
    model = scripted(listed(programs), delay=lambda index: delays[index] / 1000)
    searching = searcher(model, n=len(programs), concurrency=concurrency)
    result = await searching.search(task)
    passing = [index for index, program in enumerate(programs) if program == RIGHT]
    settled = passing[0] + 1 if passing else len(programs)
    assert indices(result) == list(range(settled))
    assert [one.verdict.reward for one in result.candidates] == pytest.approx(
        [REWARDS[program] for program in programs[:settled]]
    )
    ranks = [(REWARDS[p], p != NO_PYTHON) for p in programs[:settled]]
    assert result.chosen is not None
    assert result.chosen.index == ranks.index(max(ranks))
    assert result.passed == bool(passing)
    assert result.stopped == ("verified" if passing else "drawn")
    assert model.most_under_way <= concurrency
    assert model.under_way == 0


async def test_exhaustive_draws_all(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path
) -> None:
    model = bank(tmp_path, [NONE, RIGHT, NONE, RIGHT, NONE])
    result = await searcher(model, n=5, exhaustive=True, concurrency=3).search(task)
    assert indices(result) == [0, 1, 2, 3, 4]
    assert result.chosen is not None
    assert result.chosen.index == 1
    assert result.stopped == "verified"


async def test_greedy_draws_one_sample_at_temperature_0(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted
) -> None:
    model = scripted(lambda _request: NONE)
    strategy = create_strategy("greedy", StrategyOptions(n=10, temperature=0.8, exhaustive=True))
    result = await searcher(model, strategy=strategy, concurrency=8).search(task)
    assert [(one.index, one.temperature) for one in model.requests] == [(0, 0.0)]
    assert result.stopped == "drawn"
    assert not result.passed


@pytest.mark.parametrize("concurrency", [1, 2, 8])
@pytest.mark.parametrize("exhaustive", [False, True])
async def test_bank_that_runs_dry_is_a_clear_end(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path, concurrency: int, exhaustive: bool
) -> None:
    model = bank(tmp_path, [NONE, TWO_OF_THREE, NO_PYTHON])
    journal = Journal(tmp_path / "run")
    searching = searcher(model, concurrency=concurrency, exhaustive=exhaustive, journal=journal)
    with anyio.fail_after(20):
        result = await searching.search(task)
    assert result.stopped == "bank"
    assert "ran dry" in result.detail
    assert "\n" not in result.detail
    assert indices(result) == [0, 1, 2]
    assert result.chosen is not None
    assert result.chosen.index == 1
    assert searching.ledger.spent.samples == 3
    assert journal.lost() == []
    journal.close()


async def test_bank_without_the_task_ends_with_nothing(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path
) -> None:
    result = await searcher(bank(tmp_path, [RIGHT], "other")).search(task)
    assert (result.stopped, result.chosen, result.candidates) == ("bank", None, [])
    assert not result.passed


async def test_dry_bank_is_no_reason_where_a_pass_ended_the_search(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path
) -> None:
    result = await searcher(bank(tmp_path, [NONE, RIGHT]), concurrency=8).search(task)
    assert (result.stopped, result.detail) == ("verified", "")


@pytest.mark.parametrize("failing", [{2}, {2, 3}, {0, 1, 2, 3}])
async def test_model_that_is_down_is_one_known_error(
    searcher: MakeSearcher,
    task: PublicTask,
    scripted: Scripted,
    tmp_path: Path,
    failing: set[int],
) -> None:
    def answer(request: ModelRequest) -> str | Exception:
        return ModelUnavailableError("down") if request.index in failing else NONE

    model = scripted(answer, delay=lambda index: 0.2 if index in failing else 0.0)
    journal = Journal(tmp_path)
    searching = searcher(model, n=4, concurrency=4, journal=journal)
    with pytest.raises(ModelUnavailableError, match=r"^down$"):
        await searching.search(task)
    assert model.under_way == 0
    received = sorted(set(range(4)) - failing)
    assert sorted(journal.keys("sample")) == [("T/1", index) for index in received]
    journal.close()


async def test_malformed_bank_is_one_known_error(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path
) -> None:
    path = tmp_path / "bank.jsonl"
    path.write_text("no json\n")
    with pytest.raises(ModelConfigError, match="line 1: no JSON"):
        await searcher(ReplayModel(str(path)), concurrency=4).search(task)


async def test_model_without_an_answer_is_unavailable(
    searcher: MakeSearcher, task: PublicTask
) -> None:
    class Silent:
        name = "silent"

        async def complete(self, _request: ModelRequest) -> tuple[Completion, ...]:
            return ()

    with pytest.raises(ModelUnavailableError, match="silent gave no answer"):
        await searcher(Silent()).search(task)


@pytest.mark.parametrize("while_judging", [False, True])
async def test_cancelled_search_leaves_nothing_running(
    searcher: MakeSearcher,
    task: PublicTask,
    scripted: Scripted,
    tmp_path: Path,
    while_judging: bool,
) -> None:
    slow = "import time\ndef f(x):\n    time.sleep(60)\n"
    model = scripted(lambda _r: slow, delay=lambda _i: 0.0 if while_judging else 600.0)
    journal = Journal(tmp_path)
    searching = searcher(model, concurrency=8, journal=journal)
    with anyio.move_on_after(0.5) as scope:
        await searching.search(task)
    assert scope.cancelled_caught
    assert model.under_way == 0
    calls = len(model.requests)
    assert calls == 8
    await anyio.sleep(0.05)
    assert len(model.requests) == calls
    if not while_judging:
        assert journal.lost() == [("T/1", index) for index in range(8)]
    journal.close()
    after = await searching.verifier.verify(task, RIGHT + "# after a cancelled run\n")
    assert after.passed


def test_seeds_differ_by_task_and_index_and_are_stable() -> None:
    assert (sample_seed(0, "T/1", 0), sample_seed(7, "HumanEval/23", 41)) == (
        713880425,
        2052211174,
    )
    seeds = {
        sample_seed(seed, task_id, index)
        for seed in range(3)
        for task_id in ("T/1", "T/11", "T", "")
        for index in range(50)
    }
    assert len(seeds) == 600
    assert all(0 <= seed < 2**31 for seed in seeds)


async def test_each_request_has_its_own_seed_and_the_same_prompt(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted
) -> None:
    runs = []
    for concurrency in (1, 5):
        model = scripted(lambda _request: NONE)
        await searcher(model, n=5, concurrency=concurrency).search(task)
        runs.append({one.index: one.seed for one in model.requests})
        assert {one.messages for one in model.requests} == {model.requests[0].messages}
        assert {one.temperature for one in model.requests} == {0.8}
    assert runs[0] == runs[1]
    assert len(set(runs[0].values())) == 5


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_without_visible_tests_the_first_program_that_runs_is_chosen(
    searcher: MakeSearcher, task: PublicTask, tmp_path: Path, concurrency: int
) -> None:
    bare = task.model_copy(update={"visible": ()})
    model = bank(tmp_path, [NO_PYTHON, "import nothing_of_that_name\n" + RIGHT, NONE, RIGHT])
    result = await searcher(model, n=4, concurrency=concurrency).search(bare)
    assert not result.passed
    assert result.stopped == "drawn"
    assert indices(result) == [0, 1, 2, 3]
    assert result.chosen is not None
    assert result.chosen.program == NONE


@pytest.fixture(scope="module")
def flaky() -> str:
    """A program that is right under hash seed 0 only, the one that shared slots run with."""
    known = subprocess.run(
        [sys.executable, "-c", "print(hash('x'))"],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return f"def f(x):\n    return x + 1 if hash('x') == {known} else 0\n"


async def test_two_verdicts_that_disagree_are_an_incident_and_the_search_goes_on(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, flaky: str, tmp_path: Path
) -> None:
    seen: list[events.Event] = []
    model = scripted(listed([flaky, NONE, RIGHT, NONE]))
    journal = Journal(tmp_path)
    searching = searcher(
        model, n=4, confirm=Confirm.EACH, concurrency=1, listener=seen.append, journal=journal
    )
    result = await searching.search(task)
    assert indices(result) == [0, 1, 2]
    assert result.chosen is not None
    assert result.chosen.program == RIGHT
    (incident,) = result.incidents
    assert incident.message.startswith("sample 0 passed in local/")
    assert "(3 of 3 tests) and ended as failed in a fresh local/" in incident.message
    assert (incident.first.passed, incident.second.outcome) == (True, Outcome.FAILED)
    assert (incident.task_id, incident.index) == (task.id, 0)
    assert incident.program == hashlib.sha256(flaky.encode()).hexdigest()
    assert incident.first_level == incident.first.isolation
    assert [e for e in seen if isinstance(e, events.Incident)] == [incident]
    kept = journal.get("incident", task.id, 0)
    assert kept is not None
    assert Incident.model_validate(kept["incident"]) == incident
    verdicts = [e for e in seen if isinstance(e, events.VerdictReached)]
    assert [one.verdict.passed for one in verdicts] == [False, False, True]

    # A resumed run knows both verdicts and comes to the same end.
    dumb = scripted(lambda _request: AssertionError("asked again"))
    again = await searcher(dumb, n=4, confirm=Confirm.EACH, concurrency=4, journal=journal).search(
        task
    )
    assert again.incidents == result.incidents
    assert len(journal.keys("incident")) == 1
    assert indices(again) == [0, 1, 2]
    assert dumb.requests == []
    journal.close()


async def test_program_that_never_confirms_is_not_passed_off_as_proven(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, flaky: str
) -> None:
    model = scripted(lambda _request: flaky)
    result = await searcher(model, n=1, confirm=Confirm.EACH).search(task)
    assert not result.passed
    assert len(result.incidents) == 1
    assert result.chosen is None
    (candidate,) = result.candidates
    assert candidate.verdict.outcome is Outcome.FAILED


async def test_search_that_goes_on_after_a_pass_returns_none_that_was_refuted(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, flaky: str
) -> None:
    answers = [flaky, NONE, flaky + "# again\n", RIGHT]
    for count, chosen in ((4, RIGHT), (3, NONE), (1, None)):
        model = scripted(listed(answers))
        searching = searcher(model, n=count, exhaustive=True, confirm=Confirm.CHOSEN)
        result = await searching.search(task)
        assert result.passed is (chosen == RIGHT)
        assert (result.chosen.program if result.chosen else None) == chosen
        assert {one.index for one in result.incidents} == {0, 2} & set(range(count))
        if result.chosen is not None and result.passed:
            assert result.chosen.confirmed == result.chosen.verdict.isolation


class Faulty:
    """A sandbox that breaks: always, or only where a fresh one is asked for."""

    level, reduced, identity, slots = "faulty", False, "faulty", 2

    def __init__(self, inner: Sandbox, *, fresh_only: bool) -> None:
        self._inner, self._fresh_only = inner, fresh_only

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        if fresh or not self._fresh_only:
            return infra("the wire broke", self.level)
        return await self._inner.run(job, fresh=fresh)


@pytest.mark.parametrize("fresh_only", [False, True])
async def test_fault_of_the_sandbox_is_an_error_and_no_failed_candidate(
    searcher: MakeSearcher,
    task: PublicTask,
    scripted: Scripted,
    sandbox: Sandbox,
    tmp_path: Path,
    fresh_only: bool,
) -> None:
    faulty: Any = Faulty(sandbox, fresh_only=fresh_only)
    journal = Journal(tmp_path)
    searching = searcher(
        scripted(lambda _request: RIGHT),
        n=3,
        confirm=Confirm.EACH,
        concurrency=3,
        journal=journal,
        verifier=Verifier(faulty),
    )
    with pytest.raises(SandboxError, match="the wire broke"):
        await searching.search(task)
    assert ("T/1", 0) in journal.keys("sample")  # it was paid for
    assert '"infra"' not in journal.path.read_text()
    journal.close()


@pytest.mark.parametrize("concurrency", [1, 6])
async def test_events_come_in_order(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, concurrency: int
) -> None:
    seen: list[events.Event] = []
    model = scripted(listed([NONE] * 5 + [RIGHT]), delay=lambda index: (5 - index) / 100)
    await searcher(model, n=6, concurrency=concurrency, listener=seen.append).search(task)
    assert seen[0] == events.TaskStarted("T/1")
    assert seen[-1] == events.TaskFinished("T/1", True, 6, "verified")
    verdicts = [e.index for e in seen if isinstance(e, events.VerdictReached)]
    assert verdicts == list(range(6))
    kinds = [(type(event), getattr(event, "index", None)) for event in seen]
    for index in range(6):
        assert kinds.index((events.SampleReceived, index)) < kinds.index(
            (events.VerdictReached, index)
        )
    received = [e for e in seen if isinstance(e, events.SampleReceived)]
    assert {(e.usage.tokens_in, e.seconds, e.replayed) for e in received} == {(10, 0.5, False)}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("continuation", "    return x + 1\n\n\ndef other():\n    pass\n"),
        ("chat", f"Sure, here it is:\n\n```python\n{RIGHT}```\nIt adds one."),
        ("chat", RIGHT),
    ],
)
async def test_continuations_and_chat_answers_become_whole_programs(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, kind: str, text: str
) -> None:
    result = await searcher(scripted(lambda _request: text, kind=kind), n=1).search(task)
    assert result.passed
    assert result.chosen is not None
    compile(result.chosen.program, "program", "exec")
    assert "Sure" not in result.chosen.program


async def test_resumed_search_asks_for_nothing_that_it_has(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    programs = [NONE, TWO_OF_THREE, NONE, RIGHT, NONE, NONE]
    first = searcher(scripted(listed(programs)), concurrency=2, journal=journal)
    before = await first.search(task)
    journal.close()

    journal = Journal(tmp_path)
    seen: list[events.Event] = []
    dumb = scripted(lambda _request: AssertionError("asked again"))
    second = searcher(dumb, concurrency=8, journal=journal, listener=seen.append)
    after = await second.search(task)
    journal.close()
    assert dumb.requests == []
    assert after.candidates == before.candidates
    assert after.chosen == before.chosen
    received = [e for e in seen if isinstance(e, events.SampleReceived)]
    assert [(e.index, e.replayed) for e in received] == [(index, True) for index in range(4)]
    spent = second.ledger.spent
    assert (spent.samples, spent.tokens_in, spent.tokens_out) == (4, 40, 80)
    assert spent.sandbox_seconds == pytest.approx(
        sum(one.verdict.seconds for one in after.candidates if not one.verdict.cached)
    )


async def test_resumed_search_fills_the_gaps(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, tmp_path: Path
) -> None:
    def answer(request: ModelRequest) -> str | Exception:
        return ModelUnavailableError("down") if request.index in (1, 4) else NONE

    journal = Journal(tmp_path)
    model = scripted(answer, delay=lambda index: 0.3 if index in (1, 4) else 0.0)
    with pytest.raises(ModelUnavailableError):
        await searcher(model, n=6, concurrency=6, journal=journal).search(task)
    assert journal.lost() == [("T/1", 1), ("T/1", 4)]
    model = scripted(lambda _request: NONE)
    result = await searcher(model, n=6, concurrency=6, journal=journal).search(task)
    assert sorted(one.index for one in model.requests) == [1, 4]
    assert indices(result) == list(range(6))
    assert journal.lost() == []
    journal.close()


async def test_verdicts_in_the_journal_are_not_used_for_other_tests(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    model = scripted(lambda _request: TWO_OF_THREE)
    # derived tests aren't shown beside the prompt, so what is asked stays the same
    (written,) = task.visible
    strict = task.model_copy(update={"visible": (written.model_copy(update={"derived": True}),)})
    result = await searcher(model, n=1, journal=journal).search(strict)
    assert not result.passed
    easy = AssertTests(source="assert f(1) == 2", derived=True)
    eased = task.model_copy(update={"visible": (easy,)})
    result = await searcher(model, n=1, journal=journal).search(eased)
    assert result.passed
    assert len(model.requests) == 1
    journal.close()


async def test_text_that_is_no_valid_unicode_goes_all_the_way(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted, tmp_path: Path
) -> None:
    odd = "def f(x):\n    return '\ud800'  # \udfff\n"
    journal = Journal(tmp_path)
    model = scripted(listed([odd, "def f(x):\n    raise ValueError('\\ud800')\n", RIGHT]))
    result = await searcher(model, n=3, journal=journal).search(task)
    journal.close()
    assert result.passed
    assert indices(result) == [0, 1, 2]
    journal = Journal(tmp_path)
    known = journal.get("sample", "T/1", 0)
    journal.close()
    assert known is not None
    assert known["completion"]["text"] == odd


async def test_only_runs_that_took_place_are_booked(
    searcher: MakeSearcher, task: PublicTask, scripted: Scripted
) -> None:
    program = "import time\ntime.sleep(0.1)\n" + NONE
    first = searcher(scripted(lambda _request: program), n=1)
    await first.search(task)
    again = searcher(scripted(lambda _request: program), n=1)
    result = await again.search(task)
    assert first.ledger.spent.sandbox_seconds >= 0.1
    assert result.candidates[0].verdict.cached
    assert again.ledger.spent.sandbox_seconds == 0
    assert again.ledger.spent.model_seconds == 0.5
    assert again.ledger.spent.estimated is Usage().estimated
