"""The seam between a repair and whoever is asked for more patches when free edits don't do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from agent.fix.candidate import Candidate
from agent.fix.languages import PYTHON, Language
from agent.fix.suspects import Suspect
from agent.fix.targets import Targets
from verifiers.repository import RepositoryVerifier, Snapshot
from verifiers.verdict import Verdict

Verify = Callable[[Candidate], Awaitable[Verdict]]
"""Runs the suite on a patch; a patch that was judged before is not run again."""


class Answers(BaseModel):
    """What came of a model's answers.

    Attributes:
        received: in all.
        judged: patches that were run, each once.
        repeated: the same patch as an earlier answer's, but for comments and layout; not run again.
        words: no patch in it.
        unapplied: a patch that does not apply exactly.
        broken: a patch that breaks the grammar of its language.
        forbidden: changes what no patch may: tests, settings, CI and the like.
        deleting: takes a function away that is there.
        special: passes the suite, and looks for inputs of the failing tests by their values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    received: int = 0
    judged: int = 0
    repeated: int = 0
    words: int = 0
    unapplied: int = 0
    broken: int = 0
    forbidden: int = 0
    deleting: int = 0
    special: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known when a model is asked.

    Attributes:
        snapshot: the repository.
        targets: what has to be turned, and what to stay.
        suspects: functions, most suspicious first.
        verifier: whose rules say what may be changed.
        verify: what judges a patch.
        language: that of the sources.
        tried: free edits that were judged.
        best: of these, the one with the highest reward, and that.
    """

    snapshot: Snapshot
    targets: Targets
    suspects: tuple[Suspect, ...]
    verifier: RepositoryVerifier
    verify: Verify
    language: Language = PYTHON
    tried: int = 0
    best: tuple[Candidate, float] | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """A patch of a model that passes the suite.

    Attributes:
        candidate: the patch.
        verdict: on the whole suite.
        special: why it looks as if it were for the inputs of the failing tests only, or empty.
    """

    candidate: Candidate
    verdict: Verdict
    special: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking has brought.

    Attributes:
        passed: patches that pass the suite, the most believable first.
        answers: what came of the answers.
        best: of those that don't pass, the one with the highest reward, and that.
        stopped: why it ended before all was asked that might be, or empty.
        spent: whether that is since nothing more may be spent.
    """

    passed: tuple[Passed, ...] = ()
    answers: Answers = field(default_factory=Answers)
    best: tuple[Candidate, float] | None = None
    stopped: str = ""
    spent: bool = False


class Asker(Protocol):
    """Who is asked."""

    async def ask(self, situation: Situation) -> Asked:
        """Looks for patches that pass the suite.

        Raises:
            ModelError: the model can't be used, and nothing was found before.
            SandboxError: the sandbox can't be had.
        """
        ...
