"""Records samples to calibrate by: so many of each task, whatever comes of them.

They are judged by the tests that a search under the same protocol would see, and by no other: the
scorer of hidden tests isn't even at hand here. The journal keeps every sample, so a calibration
that was broken off goes on where it was. Where a search is to try free edits, a sample that one of
them mends counts as one that passes: its task ends there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio

from agent import events
from agent.budget import Budget, Ledger
from agent.loop import first_error
from agent.mending import mend
from agent.results import SearchResult
from agent.routing.features import features
from agent.routing.fitting import Recorded
from agent.routing.observed import Draw, draw_of
from agent.run import Run
from agent.search.base import Proposal, seen
from agent.session import Bench, make_searcher
from agent.settings import Settings
from agent.tiers import Tier
from tasks.model import Protocol, PublicTask, Task


class CalibrationError(Exception):
    """There is nothing to calibrate by. One line."""


TaskListener = Callable[[Recorded], None]


@dataclass(slots=True, kw_only=True)
class Calibration:
    """One calibration under way.

    Attributes:
        settings: in force; `n` samples are drawn of each task.
        protocol: which tests judge them.
        bench: an open sandbox with its verifier.
        tiers: the model that is asked.
        run: where it is recorded.
        listener: told what happens in the searches.
        recorded: told of each task when all its samples are there.
    """

    settings: Settings
    protocol: Protocol
    bench: Bench
    tiers: Sequence[Tier]
    run: Run
    listener: events.Listener = events.ignore
    recorded: TaskListener = lambda _recorded: None

    def __post_init__(self) -> None:
        if len(self.tiers) != 1:
            raise CalibrationError("a calibration is of one model: give --model, and no cascade")

    async def record(self, tasks: Sequence[Task]) -> list[Recorded]:
        """Draws and judges the samples; tasks of which nothing could be drawn are left out.

        Raises:
            CalibrationError: nothing could be drawn at all.
            ModelError: the model can't be used.
            SandboxError: the sandbox can't be had.
        """
        settings = alike(self.settings)
        ledger = Ledger(settings.budget)
        self.run.note_sandbox(self.bench.sandbox)
        found: dict[str, Recorded] = {}
        waiting = list(reversed(tasks))

        async def worker() -> None:
            while waiting:
                task = waiting.pop()
                public = task.public() if self.protocol is Protocol.HIDDEN else task.given()
                searcher = make_searcher(
                    settings,
                    self.bench,
                    self.tiers,
                    public,
                    journal=self.run.journal,
                    listener=self.listener,
                    ledger=Ledger(Budget(), ledger),
                    concurrency=1,
                )
                one = await self._recorded(public, await searcher.search(public))
                if one.draws:
                    found[task.id] = one
                    self.recorded(one)

        try:
            async with anyio.create_task_group() as group:
                for _ in range(min(settings.tasks_at_a_time(self.bench.sandbox.slots), len(tasks))):
                    group.start_soon(worker)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        if not found:
            raise CalibrationError(
                "no sample was drawn of any task: the bank has none of them, or the budget is at "
                "its end"
            )
        return [found[task.id] for task in tasks if task.id in found]

    async def _recorded(self, task: PublicTask, result: SearchResult) -> Recorded:
        draws: list[Draw] = []
        for one in result.candidates:
            draw = draw_of(
                seen(Proposal(index=one.index), one.verdict),
                thinking=one.completion.usage.tokens_thinking,
            )
            if self.settings.free_edits:
                most = self.settings.free_edits
                mending = await mend(self.bench.verifier, task, one.program, one.verdict, most)
                mended = mending.found > 0
                draw = draw.model_copy(update={"passed": draw.passed or mended, "mended": mended})
            draws.append(draw)
        return Recorded(task_id=task.id, looks=features(task), draws=tuple(draws))


def alike(settings: Settings) -> Settings:
    """The same settings with samples that are independent, all alike, and all drawn."""
    return settings.model_copy(
        update={
            "strategy": "best-of-n",
            "strategy_options": {},
            "exhaustive": True,
            "confirm": False,
            "free_edits": 0,
            "pool": None,
        }
    )
