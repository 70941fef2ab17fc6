"""What happens during a run, for whoever shows or records it. Listeners never change a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.incidents import Incident as Incident
from agent.llm.base import Usage
from agent.routing.route import Route as Route
from verifiers.verdict import Verdict


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """The search for one task begins."""

    task_id: str


@dataclass(frozen=True, slots=True)
class TierChosen:
    """A task stands in a tier: at its beginning, and when verdicts have moved it to another."""

    task_id: str
    route: Route


@dataclass(frozen=True, slots=True)
class SampleReceived:
    """The model has answered; `replayed` when the answer came from the journal."""

    task_id: str
    index: int
    usage: Usage
    cost: float
    seconds: float
    replayed: bool


@dataclass(frozen=True, slots=True)
class VerdictReached:
    """A candidate has been judged by the tests that the search may see.

    `kind` is what was asked for; the verdict on a plan or another piece is a `PieceVerdict`.
    """

    task_id: str
    index: int
    verdict: Verdict
    kind: str = "sample"


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """The search for one task has ended; `passed` by the tests it could see."""

    task_id: str
    passed: bool
    samples: int
    stopped: str


Event = TaskStarted | TierChosen | SampleReceived | VerdictReached | Incident | TaskFinished
Listener = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """A listener that listens to nothing."""
