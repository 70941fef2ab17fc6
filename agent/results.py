"""What a search hands back: the candidates that it saw, and the one that it chose."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.incidents import Incident
from agent.llm.base import Completion
from agent.routing.route import Route
from verifiers.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Candidate:
    """One complete program, with its cost and its origin.

    Attributes:
        index: of its proposal.
        program: complete source.
        completion: that it was read from; empty if no model was asked.
        cost: dollars.
        verdict: by the tests that the search may see.
        confirmed: the level at which it passed a second time; empty if it did not, or was not
            asked to.
        kind: of its proposal: `sample`, `repair`, ...
        parent: the proposal that it goes on from.
        tier: which model of a cascade wrote it, from 0.
    """

    index: int
    program: str
    completion: Completion
    cost: float
    verdict: Verdict
    confirmed: str = ""
    kind: str = "sample"
    parent: int | None = None
    tier: int = 0


@dataclass(slots=True)
class SearchResult:
    """What a search found.

    Attributes:
        task_id: of the task.
        chosen: the candidate to return, `None` if nothing was drawn, or nothing stood up to the
            second verdict.
        candidates: all that were settled, in the order of their indices.
        pieces: plans, helpers and partial programs that were settled besides, and proposals of
            which nothing came.
        duplicates: candidates that are an earlier one over again, but for comments and layout;
            they were paid for, and not run again.
        confidence: the probability that the chosen program is right by tests that the search never
            saw, from what it saw; `None` where the visible tests decide or nothing is known.
        stopped: why it ended: `verified`, `drawn`, `given up`, `bank`, `budget`, `prompt` (too
            long), `tests` (they can't be run), `agreed` (no further sample was worth its price),
            or `hopeless` (none passed, and none was likely to).
        detail: a sentence for `budget`, `prompt` and `tests`.
        incidents: disagreements between two verdicts on the same program.
        routes: the tiers that the task stood in, each as it came there; the last is the present
            one with what is believed at the end.
    """

    task_id: str
    chosen: Candidate | None = None
    candidates: list[Candidate] = field(default_factory=list)
    pieces: int = 0
    duplicates: int = 0
    confidence: float | None = None
    stopped: str = "drawn"
    detail: str = ""
    incidents: list[Incident] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the chosen candidate passed every test that the search could see."""
        return self.chosen is not None and self.chosen.verdict.passed
