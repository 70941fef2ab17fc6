"""What one answer of a model comes to: a patch that may be tried, or why there is none."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from agent.fix.candidate import Candidate, Origin, Place
from agent.fix.functions import Functions
from agent.fix.languages import PYTHON, Language
from agent.fix.patches.base import Answer, PatchError, Texts
from agent.fix.patches.registry import DeletingError, NoPatchError, check_kept, read_patch
from verifiers.repository import RepositoryVerifier, Snapshot


class AttemptKind(StrEnum):
    """How far an answer came; the words are those of `Answers`."""

    PATCH = "patch"
    WORDS = "words"
    UNAPPLIED = "unapplied"
    BROKEN = "broken"
    FORBIDDEN = "forbidden"
    DELETING = "deleting"


class Attempt(BaseModel):
    """An answer that was read.

    Attributes:
        kind: how far it came.
        candidate: the patch, if it may be tried.
        reason: why not, for the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: AttemptKind
    candidate: Candidate | None = None
    reason: str = ""


def read_attempt(
    answer: Answer,
    verifier: RepositoryVerifier,
    tests: frozenset[str],
    language: Language = PYTHON,
) -> Attempt:
    """Reads an answer and applies its patch to the repository as it was.

    Args:
        answer: a model's.
        verifier: whose repository and rules they are.
        tests: files with tests that have to pass.
        language: that of the sources.
    """
    grammar = language.grammar
    try:
        written = read_patch(answer, Texts(verifier.snapshot, verifier.sources), grammar)
    except NoPatchError as error:
        return Attempt(kind=AttemptKind.WORDS, reason=str(error))
    except PatchError as error:
        return Attempt(kind=AttemptKind.UNAPPLIED, reason=str(error))
    reason = verifier.runner.check(written.texts)
    if held := sorted(tests & written.texts.keys()):
        reason = reason or f"{held[0]} holds tests that have to pass"
    if reason:
        return Attempt(kind=AttemptKind.FORBIDDEN, reason=reason)
    if reason := verifier.runner.syntax(written.texts):
        return Attempt(kind=AttemptKind.BROKEN, reason=f"no valid {language.title}: {reason}")
    try:
        if grammar is not None:
            check_kept(written.texts, verifier.snapshot, grammar)
    except DeletingError as error:
        return Attempt(kind=AttemptKind.DELETING, reason=str(error))
    candidate = Candidate(
        texts=written.texts,
        places=_places(
            language.functions(verifier.snapshot, written.texts), written.texts, verifier.snapshot
        ),
        origin=Origin.MODEL,
        kind=written.format,
    )
    return Attempt(kind=AttemptKind.PATCH, candidate=candidate)


def _places(
    functions: Functions, texts: Mapping[str, str], snapshot: Snapshot
) -> tuple[Place, ...]:
    """Where a patch changes something: a place for each function, or line outside of one."""
    found: dict[tuple[str, str], Place] = {}
    for path, text in sorted(texts.items()):
        for line in _changed(snapshot.text(path) or "", text):
            around = functions.at(path, line)
            name = around.name if around is not None else ""
            found.setdefault((path, name), Place(path=path, name=name, line=line))
    return tuple(found.values())


def _changed(old: str, new: str) -> list[int]:
    """The lines, from 1, at which a text changes."""
    matcher = difflib.SequenceMatcher(None, old.split("\n"), new.split("\n"), autojunk=False)
    return [start + 1 for kind, start, *_ in matcher.get_opcodes() if kind != "equal"]
