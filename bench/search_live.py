"""Every strategy on a model that really runs, at equal tokens a task, tests given.

Each strategy may have the model generate so many tokens for each task; the answer that would
exceed them is cut short. Tokens in are counted and shown: the embedded server keeps what it has
read, so they cost it little, but a server that bills them is another matter. What is finished
stands in a file, a line a task, and a run that was broken off goes on behind it; so the command
can be given as often as one likes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio

from agent.budget import Budget, Ledger
from agent.drawing import Sampling
from agent.llm.base import BankExhaustedError, Completion, Model, ModelRequest
from agent.loop import Confirm, Searcher
from agent.run import runs_folder
from agent.search.base import StrategyOptions
from agent.search.registry import create_strategy, strategy_names
from agent.session import Bench, open_bench
from agent.statistics import wilson_interval
from agent.tiers import open_tiers
from bench.search_common import SearchOptions, Section, report
from tasks import load_suite
from tasks.model import Task

_BASE = "best-of-n"
_WITH_EDITS = "best-of-n+edits"
_EDITS = 50
_SAMPLES = 50
_MAX_TOKENS = 200
_ROUNDS = 2_000
_MEANS = ("reward", "samples", "tokens_out", "tokens_in", "sandbox_seconds")


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy.

    Attributes:
        strategy: by name.
        tasks: that were searched.
        solved: of them.
        interval: Wilson's 95 % interval of the share solved.
        reward: mean of the best reward.
        samples: completions a task.
        tokens_out: a task.
        tokens_in: a task.
        seconds: of the sandbox, a task.
        over_base: tasks solved more than by best-of-n, as a share, with a 95 % bootstrap interval
            over tasks.
    """

    strategy: str
    tasks: int
    solved: int
    interval: tuple[float, float]
    reward: float
    samples: float
    tokens_out: float
    tokens_in: float
    seconds: float
    over_base: tuple[float, float, float]


def run(asked: SearchOptions) -> Section:
    """The section."""
    found = anyio.run(_measured, asked)
    rows = compare(found, asked.seed)
    return Section(_lines(rows, asked), [asdict(row) for row in rows])


class _Measured:
    """A model that generates so many tokens, and then no more."""

    def __init__(self, model: Model, tokens: int) -> None:
        self._model = model
        self._left = tokens

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    async def complete(self, request: ModelRequest) -> Sequence[Completion]:
        """An answer, cut short where it would exceed what is left.

        Raises:
            BankExhaustedError: nothing is left.
        """
        if self._left <= 0:
            raise BankExhaustedError("the tokens of this task are used up")
        limit = min(request.max_tokens, self._left)
        answers = await self._model.complete(request.model_copy(update={"max_tokens": limit}))
        self._left -= sum(answer.usage.tokens_out for answer in answers)
        return answers

    async def aclose(self) -> None:
        """Nothing: the model is shared."""


async def _measured(asked: SearchOptions) -> list[dict[str, Any]]:
    suite = list(load_suite("humaneval"))
    step = max(1, len(suite) // asked.tasks)
    tasks = suite[::step][: asked.tasks]
    settings = asked.settings(model=asked.model, runs=asked.runs, cache=False)
    names = asked.strategies or known_strategies()
    # what is compared is part of the name, so that no other run is taken for this one
    model_name = asked.model.rpartition("/")[2]
    folder = runs_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"bench-live-{model_name}-{asked.tokens}-{asked.seed}.jsonl"
    known = {(row["strategy"], row["task_id"]): row for row in _rows(path)}
    report(f"{path}: {len(known)} searches are done")
    left = [(task, name) for task in tasks for name in names if (name, task.id) not in known]
    if left:
        async with open_tiers(settings) as tiers, open_bench(settings, tasks) as bench:
            for number, (task, name) in enumerate(left):
                searcher = Searcher(
                    model=_Measured(tiers[0].model, asked.tokens),
                    price=tiers[0].price,
                    verifier=bench.verifier,
                    strategy=create_strategy(*_strategy(name, asked.seed)),
                    ledger=Ledger(Budget()),
                    sampling=Sampling(max_tokens=_MAX_TOKENS, seed=asked.seed),
                    concurrency=1,
                    confirm=Confirm.NONE,
                )
                row = await _search(searcher, task, name, bench)
                known[name, task.id] = row
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                report(f"{number + 1} of {len(left)}: {name}, {task.id}: {row['solved']}")
    return [known[name, task.id] for name in names for task in tasks]


def known_strategies() -> tuple[str, ...]:
    """What is compared unless only some are asked for: all, and best-of-n with free edits."""
    return tuple(sorted({*strategy_names(), _WITH_EDITS}))


def _rows(path: Path) -> list[dict[str, Any]]:
    """What was finished before; a line that was broken off is not."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def _strategy(name: str, seed: int) -> tuple[str, StrategyOptions]:
    edits = _EDITS if name == _WITH_EDITS else 0
    plain = _BASE if edits else name
    return plain, StrategyOptions(n=_SAMPLES, seed=seed, edits=edits)


async def _search(searcher: Searcher, task: Task, name: str, bench: Bench) -> dict[str, Any]:
    result = await searcher.search(task.given())
    spent = searcher.ledger.spent
    return {
        "strategy": name,
        "task_id": task.id,
        "solved": result.passed,
        "reward": result.chosen.verdict.reward if result.chosen is not None else 0.0,
        "samples": spent.samples,
        "tokens_out": spent.tokens_out,
        "tokens_in": spent.tokens_in,
        "sandbox_seconds": spent.sandbox_seconds,
        "stopped": result.stopped,
        "isolation": bench.sandbox.level,
    }


def compare(found: Sequence[dict[str, Any]], seed: int) -> list[Row]:
    """The strategies, best first, each against best-of-n on the same tasks."""
    by_name: dict[str, dict[str, dict[str, Any]]] = {}
    for row in found:
        by_name.setdefault(row["strategy"], {})[row["task_id"]] = row
    base = by_name.get(_BASE, {})
    rows: list[Row] = []
    for name, searches in by_name.items():
        count = len(searches)
        solved = sum(bool(row["solved"]) for row in searches.values())
        paired = [
            float(bool(row["solved"])) - float(bool(base[task]["solved"]))
            for task, row in searches.items()
            if task in base
        ]
        means = {key: sum(float(row[key]) for row in searches.values()) / count for key in _MEANS}
        rows.append(
            Row(
                strategy=name,
                tasks=count,
                solved=solved,
                interval=wilson_interval(solved, count),
                reward=means["reward"],
                samples=means["samples"],
                tokens_out=means["tokens_out"],
                tokens_in=means["tokens_in"],
                seconds=means["sandbox_seconds"],
                over_base=_difference(paired, seed),
            )
        )
    return sorted(rows, key=lambda row: (-row.solved, -row.reward))


def _difference(paired: Sequence[float], seed: int) -> tuple[float, float, float]:
    if not paired:
        return 0.0, 0.0, 0.0
    draw = random.Random(seed)
    size = len(paired)
    means = sorted(sum(draw.choices(paired, k=size)) / size for _ in range(_ROUNDS))
    low, high = means[int(0.025 * _ROUNDS)], means[int(0.975 * _ROUNDS)]
    return sum(paired) / size, low, high


def _lines(rows: Sequence[Row], asked: SearchOptions) -> list[str]:
    lines = [
        f"Strategies on {asked.model}, {asked.tokens} tokens generated a task, tests given;",
        "95 % intervals: Wilson's of the share solved, and a bootstrap of the difference in tasks",
        "",
        f"{'solved':>10}{'':18}{'over best-of-n':>26}{'reward':>8}{'samples':>9}{'out':>7}{'in':>7}"
        f"{'sandbox s':>11}  strategy",
    ]
    for row in rows:
        low, high = row.interval
        more, least, most = row.over_base
        pays = "" if row.strategy == _BASE or least > 0 else "  (does not pay here)"
        lines.append(
            f"{row.solved:>4} of {row.tasks:<3}[{low:6.1%}, {high:6.1%}]"
            f"{more:>+8.1%} [{least:+6.1%}, {most:+6.1%}]{row.reward:>8.2f}{row.samples:>9.1f}"
            f"{row.tokens_out:>7.0f}{row.tokens_in:>7.0f}{row.seconds:>11.2f}  {row.strategy}{pays}"
        )
    return lines
