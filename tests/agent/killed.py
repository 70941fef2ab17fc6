"""Starts the same run again and again and kills each start at a random moment, but the last.

Arguments: the run's folder, how many starts to kill, a seed, a strategy. Prints a JSON object: the
chosen programs, the number of starts that were really killed, calls lost at each start.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

from agent.budget import Budget, Ledger
from agent.journal import Journal
from agent.llm.base import Completion, ModelRequest, Usage
from agent.loop import Searcher
from agent.search.base import StrategyOptions
from agent.search.registry import create_strategy
from sandbox.jobs import Job, Report, TestReport
from sandbox.outcome import Outcome
from tasks.model import AssertTests, PublicTask
from verifiers.verifier import Verifier

STUB = 'def {0}(x):\n    """A number.\n\n    >>> {0}(1)\n    7\n    """\n\n\n'
TASKS = 8
SAMPLES = 6


def number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


class SlowModel:
    """Takes a moment for every answer, which depends on task, index and chat only."""

    name = "slow/1"

    async def complete(self, request: ModelRequest) -> Sequence[Completion]:
        await anyio.sleep(0.002 + random.random() * 0.004)
        drawn = number(f"{request.task_id}/{request.index}/{request.messages}")
        text = f"def f(x):\n    return {drawn}\n"
        if "numbered plan" in request.messages[-1].content:
            text = f"1. Return {drawn}."
        elif "has a stub of each" in request.messages[-1].content:
            text = "```python\n" + "".join(STUB.format(name) for name in "gh") + "```"
        elif (
            asked := re.search(r"whole function `(\w)`", request.messages[0].content)
        ) is not None:
            text = f"def {asked[1]}(x):\n    return {drawn}\n"
        usage = Usage(tokens_in=1, tokens_out=1)
        return [Completion(text=text, usage=usage, finish="stop", model="slow", seconds=0.0)]

    async def aclose(self) -> None:
        pass


class Arithmetic:
    """Judges by the number that a program returns, so that starts are quick."""

    level, reduced, identity, slots = "none", True, "none", 2

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        await anyio.sleep(0.002)
        value = int(job.program.split("return ")[-1])
        right = value % 7 == 0
        outcome = Outcome.PASSED if right else Outcome.FAILED
        tests = [
            TestReport(name=str(i), outcome=Outcome.PASSED if i <= value % 7 else outcome)
            for i in range(7)
        ]
        return Report(outcome=outcome, tests=tuple(tests), wall_seconds=0.001)


async def search_all(folder: Path, strategy: str) -> dict[str, Any]:
    journal = Journal(folder)
    lost = journal.lost()
    sandbox: Any = Arithmetic()
    searcher = Searcher(
        model=SlowModel(),
        verifier=Verifier(sandbox),
        strategy=create_strategy(strategy, StrategyOptions(n=SAMPLES)),
        ledger=Ledger(Budget()),
        journal=journal,
        concurrency=3,
    )
    chosen = {}
    for one in range(TASKS):
        tests = AssertTests(source="assert f(1)")
        task = PublicTask(id=f"T/{one}", prompt="def f(x):", entry_point="f", visible=(tests,))
        result = await searcher.search(task)
        assert result.chosen is not None
        chosen[task.id] = [result.chosen.index, result.chosen.program, len(result.candidates)]
    journal.close()
    return {"chosen": chosen, "lost": lost}


def start_and_kill(folder: Path, strategy: str, seconds: float) -> bool:
    """Whether it was still at work when it was killed."""
    child = os.fork()
    if child == 0:
        anyio.run(search_all, folder, strategy)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main() -> None:
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    strategy = sys.argv[4]
    draw = random.Random(seed)
    killed = sum(start_and_kill(folder, strategy, draw.uniform(0.002, 0.06)) for _ in range(kills))
    print(json.dumps({"killed": killed, **anyio.run(search_all, folder, strategy)}))


if __name__ == "__main__":
    main()
