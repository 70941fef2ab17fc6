"""Shows a run on standard error: live on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from stamina.instrumentation import RetryDetails, RetryHook, set_on_retry_hooks

from agent import events
from agent.cli.books import ledger_lines
from agent.cli.output import clean, short
from agent.evaluation import TaskScore
from agent.incidents import Incident
from agent.routing.fitting import Recorded
from agent.solving import Solution

_TESTS_SHOWN = 12


class Show:
    """Listens to a run's events.

    Args:
        quiet: show nothing but results.
        total: tasks in the run, for the bar.
    """

    def __init__(self, *, quiet: bool = False, total: int | None = None) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._live = sys.stderr.isatty() and not quiet and "NO_COLOR" not in os.environ
        self._quiet = quiet
        self._total = total
        self._progress: Progress | None = None
        self._bar: TaskID | None = None
        self._tokens = 0
        self._samples = 0
        self._began = time.monotonic()
        self._done = 0
        self._solved = 0

    def __enter__(self) -> Show:
        # The library would write a line of its own to standard error, or even to standard output.
        set_on_retry_hooks([cast(RetryHook, self._retrying)])
        if self._live:
            columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
            if self._total is not None:
                columns += [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
            self._progress = Progress(
                *columns, TimeElapsedColumn(), console=self._console, transient=True
            )
            self._progress.start()
            self._bar = self._progress.add_task("starting", total=self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
        set_on_retry_hooks([])

    def _retrying(self, retry: RetryDetails) -> None:
        self.step(f"retrying in {retry.wait_for:.0f} s: {retry.caused_by}")

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self._console.print(clean(text), soft_wrap=True)

    def step(self, text: str) -> None:
        """What is being done, on a terminal only."""
        if self._progress is not None and self._bar is not None:
            self._progress.update(self._bar, description=short(text, 100))

    def event(self, event: events.Event) -> None:
        """Takes in one event."""
        if isinstance(event, events.TaskStarted):
            self.step(f"{event.task_id}: asking the model")
        elif isinstance(event, events.TierChosen):
            self._routed(event)
        elif isinstance(event, events.SampleReceived):
            self._samples += 1
            self._tokens += event.usage.tokens_out
            self._describe(event.task_id)
        elif isinstance(event, events.VerdictReached):
            verdict = event.verdict
            counted = verdict.counted
            right = sum(test.outcome == "passed" for test in counted)
            tests = f", {right}/{len(counted)} tests" if counted else ""
            if self._progress is not None and self._total is None:
                kind = "" if event.kind == "sample" else f" ({event.kind})"
                self._console.print(
                    f"  sample {event.index + 1}{kind}: {verdict.outcome}{tests}"
                    + (f" — {short(verdict.detail)}" if verdict.detail else "")
                )
        elif isinstance(event, events.Incident):
            self.incident(event)

    def _routed(self, event: events.TierChosen) -> None:
        """In which tier a task stands now, where a single task is looked at live."""
        if self._progress is not None and self._total is None:
            self._console.print(f"  {event.route.tier}: {short(event.route.reason, 100)}")

    def incident(self, incident: Incident) -> None:
        """Two verdicts that disagree, in a line."""
        self.say(f"incident in {incident.task_id}: {short(incident.message, 400)}")

    def _describe(self, task_id: str) -> None:
        self.step(f"{task_id}: {self._samples} samples, {self._tokens} tokens out")

    def score(self, score: TaskScore) -> None:
        """Takes in one task of an evaluation."""
        self._done += 1
        self._solved += score.right
        if self._progress is not None and self._bar is not None:
            self._progress.update(
                self._bar,
                completed=self._done,
                description=f"{self._solved} solved, {self._samples} samples, {self._rate()}",
            )

    def recorded(self, recorded: Recorded) -> None:
        """Takes in one task of a calibration."""
        self._done += 1
        self._solved += any(draw.passed for draw in recorded.draws)
        if self._progress is not None and self._bar is not None:
            self._progress.update(
                self._bar,
                completed=self._done,
                description=f"{self._solved} solvable, {self._samples} samples, {self._rate()}",
            )

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._began, 1e-9)
        each = self._done / seconds
        return f"{each:.1f} tasks/s" if each >= 1 else f"{each * 60:.1f} tasks/min"

    def downloaded(self, done: int, total: int | None) -> None:
        """Progress of fetching a model's weights."""
        if done:
            of = f" of {total / 1e6:.0f}" if total else ""
            self.step(f"fetching the model's weights: {done / 1e6:.0f}{of} MB")
        else:
            self.step("looking for the model's weights")

    def solution(self, solution: Solution) -> None:
        """Why a program is believed, or what was tried."""
        verdict = solution.verdict
        name = solution.task_id
        if verdict is None:
            found = (
                "nothing stood up to a second verdict"
                if solution.incidents
                else "nothing was drawn"
            )
            self.say(f"{name}: not verified, {found} ({_stop(solution)})")
            return
        counted = verdict.counted
        right = [test for test in counted if test.outcome == "passed"]
        if verdict.broken:
            self.say(f"{name}: not verified, its tests can't be used: {short(verdict.broken)}")
            return
        state = "verified" if solution.solved else "not verified"
        self.say(f"{name}: {state}, {len(right)} of {len(counted)} tests passed")
        if solution.confidence is not None:
            self.say(f"  right with probability {solution.confidence:.0%}: examples don't decide")
        for test in counted[:_TESTS_SHOWN]:
            mark = "✓" if test.outcome == "passed" else "✗"
            detail = f" — {test.outcome}: {short(test.detail)}" if mark == "✗" else ""
            self.say(f"  {mark} {short(test.name, 100)}{detail}")
        if len(counted) > _TESTS_SHOWN:
            self.say(f"  … and {len(counted) - _TESTS_SHOWN} more")
        if not solution.solved and verdict.detail:
            self.say(f"  {verdict.outcome}: {short(verdict.detail)}")
        about = "about " if solution.tokens_estimated else ""
        money = "unknown, no price" if solution.cost is None else f"${solution.cost:.4f}"
        again = f" ({solution.duplicates} drawn again)" if solution.duplicates else ""
        self.say(
            f"  samples {solution.samples}{again}, tokens {about}{solution.tokens_in} in "
            f"{solution.tokens_out} out, cost {money}, model {solution.seconds:.1f} s"
            f" ({_stop(solution)})"
        )
        for line in ledger_lines(solution.ledger):
            self.say(f"    {line}")
        for route in solution.routes:
            self.say(f"  tier {route.tier}: {short(route.reason)}")
        reduced = " — LESS than full isolation" if solution.reduced else ""
        again = f", confirmed in {solution.confirmed}" if solution.confirmed else ""
        self.say(f"  isolation {solution.isolation}{reduced}{again}, trust {verdict.trust}")


def _stop(solution: Solution) -> str:
    reasons = {
        "verified": "stopped at the first verified pass",
        "drawn": "all samples drawn",
        "agreed": "stopped where another sample was not worth its price",
        "hopeless": "given up, since no sample passed",
        "bank": "the bank has no more samples",
        "budget": f"budget exhausted: {solution.detail}",
        "prompt": f"the prompt is too long: {solution.detail}",
        "pool": solution.detail,
        "given up": "given up: nothing suggests that more samples would help",
    }
    return reasons.get(solution.stopped, solution.stopped)
