"""Evaluations: which protocol, what a search can't see, which numbers are reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.evaluation import EvalReport, Evaluation, ProtocolError, TaskScore, choose_protocol
from agent.llm.base import ModelRequest, ModelUnavailableError
from agent.llm.prices import Price
from agent.llm.replay import ReplayModel
from agent.run import Run
from agent.search.base import Proposal, SearchState
from agent.search.best_of_n import BestOfN
from agent.session import Bench
from agent.settings import Settings
from agent.tiers import Tier
from sandbox.base import Sandbox
from sandbox.errors import SandboxError
from sandbox.jobs import Job, Report, infra
from tasks import load_suite
from tasks.model import Protocol, PublicTask, Task
from verifiers.cache import VerdictCache
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier

pytestmark = pytest.mark.anyio
Scripted = Callable[..., Any]
Evaluate = Callable[..., Any]

RIGHT = "def f(x):\n    return x + 1\n"
EXAMPLES_ONLY = "def f(x):\n    return 2\n"  # passes the visible test alone
HIDDEN_ONLY = "def f(x):\n    return x + 1 if x > 3 else 0\n"  # the other way round
WRONG = "def f(x):\n    return None\n"
MARK = "quokka_6f1d"


def write_suite(folder: Path, count: int = 1, *, mark: str = "hidden") -> Path:
    """Tasks `a0`, `a1`, ...: f(1) == 2 is visible, f(5) == 6 is hidden."""
    for number in range(count):
        task = folder / f"a{number}"
        (task / "hidden").mkdir(parents=True)
        (task / "task.toml").write_text('prompt = "def f(x):\\n    ...\\n"\n')
        (task / "test_v.py").write_text("from solution import f\nassert f(1) == 2\n")
        (task / "hidden" / "test_h.py").write_text(
            f"from solution import f\nassert f(5) == 6  # {mark}\n"
        )
    return folder


@pytest.fixture
def evaluate(sandbox: Sandbox, tmp_path: Path) -> Evaluate:
    """Runs tasks with a model in a run folder of their own, or goes on with one."""

    async def run(
        tasks: list[Task], model: Any, protocol: Protocol = Protocol.HIDDEN, **given: Any
    ) -> EvalReport:
        verifier = given.pop("verifier", None) or Verifier(sandbox, cache=VerdictCache())
        price = given.pop("price", None)
        resume, scored = given.pop("resume", None), given.pop("scored", lambda _score: None)
        defaults = {"model": "openai/x", "runs": tmp_path / "runs", "n": 4, "confirm": False}
        chosen = Settings(**{**defaults, **given})
        what = {"command": "eval", "protocol": str(protocol)}
        one = Run.resume(chosen, what, resume) if resume else Run.start(chosen, what)
        try:
            return await Evaluation(
                settings=chosen,
                protocol=protocol,
                bench=Bench(verifier.sandbox, "for tests", verifier),
                tiers=(Tier(model, price),),
                run=one,
                scored=scored,
            ).evaluate(tasks)
        finally:
            one.close()

    return run


def bank(folder: Path, programs: dict[str, list[str]]) -> ReplayModel:
    path = folder / "bank.jsonl"
    rows = [{"task_id": name, "solution": one} for name, many in programs.items() for one in many]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ReplayModel(str(path))


# Which protocol


PUBLIC = PublicTask(id="a", prompt="")
WITH_HIDDEN = Task(PUBLIC, load_hidden=lambda: ())
WITHOUT = Task(PUBLIC)
REFUSED = Task(PUBLIC, load_hidden=lambda: (), hidden_refused="the examples repeat the tests")


def test_hidden_is_the_default_where_there_are_hidden_tests() -> None:
    assert choose_protocol(None, "", [WITHOUT, WITH_HIDDEN]) is Protocol.HIDDEN
    assert choose_protocol(None, "", [WITHOUT]) is Protocol.GIVEN
    assert choose_protocol(None, "", [REFUSED]) is Protocol.GIVEN
    assert choose_protocol(None, "repeats", [WITH_HIDDEN]) is Protocol.GIVEN


def test_given_can_always_be_asked_for() -> None:
    for task in (WITH_HIDDEN, WITHOUT, REFUSED):
        assert choose_protocol(Protocol.GIVEN, "", [task]) is Protocol.GIVEN


@pytest.mark.parametrize(
    ("refused", "task", "reason"),
    [
        ("suite: in 3 of 3 tasks the examples", WITH_HIDDEN, "in 3 of 3 tasks"),
        ("", WITHOUT, "no hidden tests"),
        ("", REFUSED, "no hidden tests"),
    ],
)
def test_hidden_is_refused_where_nothing_is_hidden(refused: str, task: Task, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason) as caught:
        choose_protocol(Protocol.HIDDEN, refused, [task])
    assert "use --protocol given" in str(caught.value)
    assert "\n" not in str(caught.value)


def repeating_row(name: str, *, repeats: bool) -> dict[str, str]:
    """A row in HumanEval's form whose docstring shows all of its tests, or one of two."""
    more = "" if repeats else "    assert candidate(5) == 6\n"
    return {
        "task_id": name,
        "prompt": 'def f(x):\n    """One more.\n    >>> f(1)\n    2\n    """\n',
        "entry_point": "f",
        "test": f"def check(candidate):\n    assert candidate(1) == 2\n{more}",
    }


async def test_suite_that_shows_its_tests_is_refused_and_single_tasks_are_not(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [repeating_row(f"R/{number}", repeats=True) for number in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = load_suite(str(path))
    assert choose_protocol(None, suite.hidden_refused, list(suite)) is Protocol.GIVEN
    with pytest.raises(ProtocolError, match="in 3 of 3 tasks"):
        choose_protocol(Protocol.HIDDEN, suite.hidden_refused, list(suite))

    rows = [repeating_row(f"R/{number}", repeats=number == 0) for number in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = load_suite(str(path))
    assert not suite.get("R/0").has_hidden
    assert choose_protocol(None, suite.hidden_refused, list(suite)) is Protocol.HIDDEN
    model = bank(tmp_path, {f"R/{number}": [EXAMPLES_ONLY] for number in range(3)})
    report = await evaluate(list(suite), model)
    assert [score.visible_passed for score in report.scores] == [True, True, True]
    assert [score.right for score in report.scores] == [True, False, False]


# What a search can't see


async def test_hidden_tests_reach_nothing_before_the_search_has_ended(
    evaluate: Evaluate,
    scripted: Scripted,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_suite(tmp_path / "suite", mark=MARK)
    hidden = folder / "a0" / "hidden" / "test_h.py"
    told: list[str] = []
    judged: list[str] = []

    class Recording(BestOfN):
        def start(self, task: PublicTask) -> SearchState:
            told.append(task.model_dump_json())
            return super().start(task)

        def tell(self, state: SearchState, proposal: Proposal, verdict: Verdict) -> SearchState:
            told.append(verdict.model_dump_json() + proposal.model_dump_json())
            return super().tell(state, proposal, verdict)

    class Watching:
        level, reduced, identity, slots = sandbox.level, False, "watching", 2

        async def run(self, job: Job, *, fresh: bool = False) -> Report:
            judged.append(job.model_dump_json())
            return await sandbox.run(job, fresh=fresh)

    def answer(request: ModelRequest) -> str:
        told.append(request.model_dump_json())
        # what scores is read after the search: by the file as it stands, the program is wrong
        hidden.write_text(hidden.read_text().replace("== 6", "== 2").replace(MARK, MARK + "_2"))
        return [WRONG, RIGHT][request.index]

    monkeypatch.setattr("agent.session.make_strategy", lambda _settings: Recording(n=4))
    watching: Any = Watching()
    path = tmp_path / "verdicts.sqlite"
    cache = VerdictCache(path)
    report = await evaluate(
        list(load_suite(str(folder))),
        scripted(answer),
        verifier=Verifier(watching, cache=cache),
        confirm=True,
    )
    assert report.protocol is Protocol.HIDDEN
    assert [(s.visible_passed, s.right) for s in report.scores] == [(True, False)]
    assert report.scores[0].detail == "f(5) == 2: got 6, expected 2"
    assert len(told) == 5
    # two programs, each judged by the visible tests and then by the hidden ones, one confirmed
    assert [MARK + "_2" in job for job in judged] == [False, False, False, True, True]
    cache.close()
    run = tmp_path / "runs" / report.run
    kept = [run / "journal.jsonl", run / "index.sqlite", run / "manifest.json"]
    kept += [run / "samples.jsonl", path]
    for one in kept:
        assert one.stat().st_size > 0
        assert MARK.encode() not in one.read_bytes(), one
    assert MARK not in "".join(told)


async def test_a_search_can_t_use_what_the_hidden_tests_say(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite"))))
    samples = [HIDDEN_ONLY, EXAMPLES_ONLY, RIGHT, WRONG]
    report = await evaluate(tasks, bank(tmp_path, {"a0": samples}), strategy="best-of-n")
    (score,) = report.scores
    assert score.program == EXAMPLES_ONLY
    assert (score.visible_passed, score.right) == (True, False)
    assert (score.samples, score.right_samples) == (2, 1)
    assert (report.solved, report.oracle, report.visible_passed) == (0, 1.0, 1.0)

    report = await evaluate(tasks, bank(tmp_path, {"a0": samples}), Protocol.GIVEN)
    (score,) = report.scores
    assert score.program == RIGHT
    assert (score.samples, score.right_samples, score.right) == (3, 1, True)
    assert report.protocol is Protocol.GIVEN


# Numbers


async def test_exhaustive_run_reports_pass_at_k(evaluate: Evaluate, tmp_path: Path) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite", 3))))
    programs = {
        "a0": [RIGHT, WRONG, RIGHT + "#", WRONG, WRONG + "#"],
        "a1": [WRONG, EXAMPLES_ONLY, WRONG, WRONG, RIGHT],
        "a2": [WRONG] * 5,
    }
    scored: list[TaskScore] = []
    report = await evaluate(
        tasks, bank(tmp_path, programs), n=5, exhaustive=True, scored=scored.append
    )
    assert [(s.task_id, s.samples, s.right_samples) for s in report.scores] == [
        ("a0", 5, 2),
        ("a1", 5, 1),
        ("a2", 5, 0),
    ]
    assert set(report.pass_at_k) == {"1", "5"}
    assert report.pass_at_k["1"] == pytest.approx((0.4 + 0.2 + 0) / 3)
    assert report.pass_at_k["5"] == pytest.approx(2 / 3)
    for k, value in report.pass_at_k.items():
        low, high = report.pass_at_k_interval[k]
        assert low <= value <= high
    assert report.oracle == pytest.approx(2 / 3)
    # of the chosen programs: the first that passes what is visible, which for a1 is wrong
    assert (report.solved, report.pass_at_1) == (1, pytest.approx(1 / 3))
    assert report.pass_at_1_interval[0] < 1 / 3 < report.pass_at_1_interval[1]
    assert report.mean_samples == 5
    assert {score.task_id for score in scored} == {"a0", "a1", "a2"}

    folder = tmp_path / "runs" / report.run
    assert json.loads((folder / "report.json").read_text()) == report.model_dump(mode="json")
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert [(row["task_id"], row["solution"]) for row in rows] == [
        (score.task_id, score.program) for score in report.scores
    ]


async def test_stopping_run_reports_no_pass_at_k(evaluate: Evaluate, tmp_path: Path) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite", 2))))
    model = bank(tmp_path, {"a0": [RIGHT] * 4, "a1": [WRONG] * 2 + [RIGHT] * 2})
    report = await evaluate(tasks, model, n=4, strategy="best-of-n")
    assert report.pass_at_k == {}
    assert report.mean_samples == 2
    assert report.stopped == {"verified": 2}
    single = await evaluate(tasks, model, n=1)
    assert single.pass_at_k == {"1": 0.5}
    assert single.pass_at_1 == 0.5


async def test_tokens_cost_and_stops_are_added_up(
    evaluate: Evaluate, scripted: Scripted, tmp_path: Path
) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite", 3))))
    price = Price(input=1.0, output=2.0)
    report = await evaluate(
        tasks, scripted(lambda _r: WRONG), price=price, n=4, budget_samples=7, concurrency=2
    )
    assert sum(score.samples for score in report.scores) == 7
    assert (report.tokens_in, report.tokens_out) == (70, 140)
    assert report.cost == pytest.approx(7 * 50 / 1e6)
    assert report.cost == pytest.approx(sum(score.cost for score in report.scores))
    assert report.stopped["budget"] >= 1
    assert sum(report.stopped.values()) == 3
    unpriced = await evaluate(tasks, scripted(lambda _r: WRONG), n=1)
    assert unpriced.cost is None


async def test_dry_bank_and_no_samples_at_all_are_reported(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite", 2))))
    report = await evaluate(tasks, bank(tmp_path, {"a0": [WRONG]}), exhaustive=True)
    assert report.stopped == {"bank": 2}
    assert [(s.samples, s.program == WRONG, s.outcome) for s in report.scores] == [
        (1, True, "failed"),
        (0, False, ""),
    ]
    assert report.pass_at_k == {}
    assert report.solved == 0


async def test_incidents_and_odd_text_are_in_the_report(
    evaluate: Evaluate, scripted: Scripted, tmp_path: Path
) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite"))))
    report = await evaluate(tasks, scripted(lambda _r: "def f(x):\n    '\ud800'\n"), n=1)
    text = (tmp_path / "runs" / report.run / "report.json").read_text()
    assert json.loads(text)["scores"][0]["program"] == report.scores[0].program


# Faults and resuming


async def test_model_that_is_down_is_one_error_and_the_run_can_be_resumed(
    evaluate: Evaluate, scripted: Scripted, tmp_path: Path
) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite", 4))))
    programs = [WRONG, RIGHT]

    def breaking(request: ModelRequest) -> str | Exception:
        if request.task_id in ("a2", "a3") and request.index == 1:
            return ModelUnavailableError("down")
        return programs[request.index]

    with pytest.raises(ModelUnavailableError, match=r"^down$"):
        await evaluate(tasks, scripted(breaking), concurrency=4, strategy="best-of-n")
    model = scripted(lambda request: programs[request.index])
    report = await evaluate(tasks, model, resume="last", strategy="best-of-n")
    assert report.solved == 4
    assert report.replayed == 8 - len(model.requests)
    assert report.replayed >= 2
    assert {(r.task_id, r.index) for r in model.requests} >= {("a2", 1), ("a3", 1)}
    assert report.lost
    assert set(report.lost) <= {"a0#1", "a1#1", "a2#1", "a3#1"}
    assert report.mean_samples == 2

    silent = scripted(lambda _request: AssertionError("asked again"))
    again = await evaluate(tasks, silent, resume=report.run, strategy="best-of-n")
    assert silent.requests == []
    assert again.lost == ()
    assert again.replayed == 8
    timed: Any = {"wall_seconds": True, "ledger": {"__all__": {"sandbox_seconds"}}}
    assert [s.model_dump(exclude=timed) for s in again.scores] == [
        s.model_dump(exclude=timed) for s in report.scores
    ]


async def test_fault_of_the_sandbox_is_no_wrong_answer(
    evaluate: Evaluate, scripted: Scripted, sandbox: Sandbox, tmp_path: Path
) -> None:
    class Faulty:
        """Breaks when the hidden tests are run."""

        level, reduced, identity, slots = "faulty", False, "faulty", 1

        async def run(self, job: Job, *, fresh: bool = False) -> Report:
            if "f(5)" in str(job.tests):
                return infra("the wire broke", self.level)
            return await sandbox.run(job, fresh=fresh)

    tasks = list(load_suite(str(write_suite(tmp_path / "suite"))))
    faulty: Any = Faulty()
    with pytest.raises(SandboxError, match="the wire broke"):
        await evaluate(tasks, scripted(lambda _r: RIGHT), verifier=Verifier(faulty))


# Tiers and pools


async def test_every_task_has_its_tiers_with_reasons(tmp_path: Path, evaluate: Evaluate) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite", 2))))
    model = bank(tmp_path, {"a0": [RIGHT], "a1": [WRONG] * 30})
    report = await evaluate(tasks, model, n=30)
    solved, failed = report.scores
    assert [route.samples for route in solved.routes] == [30]
    assert failed.routes[0].chance > failed.routes[-1].chance
    assert failed.routes[-1].tier != failed.routes[0].tier
    assert "failed in 1 way" in failed.routes[-1].reason
    assert len({route.tier for route in failed.routes}) == len(failed.routes)


async def test_a_task_is_given_up_when_its_tier_is_spent(
    tmp_path: Path, evaluate: Evaluate
) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite"))))
    model = bank(tmp_path, {"a0": [WRONG] * 60})
    report = await evaluate(tasks, model, n=60, tier_samples=(60, 60, 60, 25))
    (score,) = report.scores
    assert score.samples < 60
    assert (score.stopped, report.stopped) == ("given up", {"given up": 1})


async def test_a_pool_is_dealt_out_to_whoever_is_likeliest(
    tmp_path: Path, evaluate: Evaluate
) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite", 3))))
    model = bank(tmp_path, {"a0": [WRONG] * 20, "a1": [WRONG] * 3 + [RIGHT], "a2": [RIGHT]})
    report = await evaluate(tasks, model, Protocol.GIVEN, n=20, pool=12, concurrency=1)
    assert [score.right for score in report.scores] == [False, True, True]
    assert sum(score.samples for score in report.scores) == 12
    assert [score.stopped for score in report.scores] == ["pool", "verified", "verified"]


async def test_a_pooled_run_resumes_and_draws_no_more_than_the_pool(
    tmp_path: Path, evaluate: Evaluate, scripted: Scripted
) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite", 3))))

    def breaks(request: ModelRequest) -> str | Exception:
        if len(model.requests) > 5:
            return ModelUnavailableError("gone")
        return f"```python\n{WRONG}# {request.index}\n```"

    model = scripted(breaks)
    with pytest.raises(ModelUnavailableError):
        await evaluate(tasks, model, n=20, pool=9, concurrency=1)
    goes_on = scripted(lambda request: f"```python\n{WRONG}# {request.index}\n```")
    report = await evaluate(tasks, goes_on, n=20, pool=9, concurrency=1, resume="last")
    assert report.replayed == 5
    assert len(goes_on.requests) == 4
    assert sum(score.samples for score in report.scores) == 9


async def test_a_tiers_seconds_are_a_tasks_budget(
    tmp_path: Path, evaluate: Evaluate, scripted: Scripted
) -> None:
    tasks = list(load_suite(str(write_suite(tmp_path / "suite"))))
    profile = tmp_path / "p.toml"
    tiers = ("easy", "medium", "hard", "very_hard")
    profile.write_text(
        "".join(
            f"[tiers.{name}]\nchance = {chance}\nseconds = 0.001\n"
            for name, chance in zip(tiers, (0.3, 0.1, 0.02, 0), strict=True)
        )
    )
    model = scripted(lambda _request: WRONG, delay=lambda _index: 0.05)
    report = await evaluate(tasks, model, n=20, profile=profile)
    assert report.scores[0].stopped == "budget"
    assert report.scores[0].samples < 20
