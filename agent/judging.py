"""Judges programs for one search: from the journal, from a twin, else in the sandbox.

Two programs whose syntax trees are the same are twins; the first of them to be judged is run, and
its verdict counts for both.
"""

from __future__ import annotations

import hashlib
import json
from typing import Protocol

import anyio

from agent.accounts import Account
from agent.budget import Ledger
from agent.journal import Journal
from agent.reward.code import code_size
from sandbox.errors import SandboxError
from sandbox.outcome import Outcome
from tasks.model import PublicTask
from verifiers.gate import normalised_hash
from verifiers.verdict import Verdict


class Verifying(Protocol):
    """What turns a program into a verdict; `verifiers.verifier.Verifier` does."""

    @property
    def second_place(self) -> str:
        """Where fresh verdicts come from, if that is another place."""
        ...

    async def verify(self, task: PublicTask, program: str, *, fresh: bool = False) -> Verdict:
        """The verdict on a program.

        Raises:
            sandbox.errors.SandboxError: the sandbox can't be had.
        """
        ...


class Judging:
    """The verdicts of one search.

    Args:
        task: of the search, under whose id they are recorded.
        verifier: what judges.
        ledger: where runs are booked.
        journal: where verdicts are recorded; `None` records nothing.
    """

    def __init__(
        self, task: PublicTask, verifier: Verifying, ledger: Ledger, journal: Journal | None
    ) -> None:
        self._task = task
        self._verifier = verifier
        self._ledger = ledger
        self._journal = journal
        # a verdict is on the program and on the task with its tests, which are hashed only once
        self._task_hash = _hash(task)
        self._twins: dict[tuple[bytes, str], Verdict | anyio.Event] = {}
        self._identities: dict[str, str] = {}

    async def judge(
        self,
        index: int,
        task: PublicTask,
        program: str,
        *,
        fresh: bool = False,
        on: Account | None = None,
    ) -> Verdict:
        """The verdict on a program.

        Args:
            index: of the sample.
            task: whose visible tests judge.
            program: complete source.
            fresh: in a sandbox of its own; never a twin's verdict.
            on: what the run is booked on.

        Raises:
            SandboxError: the sandbox can't be had, or failed again and again.
        """
        kind, digest = "confirmation" if fresh else "verdict", self._digest(task, program)
        place = self._verifier.second_place if fresh else ""
        known = self._journal.get(kind, self._task.id, index) if self._journal else None
        if known is not None and (known["program"], known.get("place", "")) == (digest, place):
            verdict = Verdict.model_validate(known["verdict"])
            if not fresh:
                self._twins[self._twin_key(task, program)] = verdict
        else:
            verdict = await (self._run(task, program) if fresh else self._once(task, program))
            if task.probes is not None:  # whoever compares answers may compare lengths, too
                verdict = verdict.model_copy(update={"size": code_size(program)})
            data = {"index": index, "program": digest, "verdict": verdict.model_dump(mode="json")}
            if self._journal is not None:
                data |= {"place": place} if place else {}
                self._journal.append(kind, {"task": self._task.id, **data})
        if not verdict.cached:
            self._ledger.ran(verdict.seconds, on=on)
        return verdict

    def identity(self, program: str) -> str:
        """What twins share; it is found out once for each text."""
        if program not in self._identities:
            self._identities[program] = program_identity(program, self._task.language)
        return self._identities[program]

    async def _once(self, task: PublicTask, program: str) -> Verdict:
        """The verdict of a twin, which may still be under way; else a run of its own."""
        key = self._twin_key(task, program)
        while isinstance(found := self._twins.get(key), anyio.Event):
            await found.wait()
        if found is not None:
            return found.model_copy(update={"cached": True})
        self._twins[key] = done = anyio.Event()
        try:
            verdict = await self._run(task, program, shared=True)
            self._twins[key] = verdict
        finally:
            if self._twins[key] is done:  # cancelled or failed: the next one runs
                del self._twins[key]
            done.set()
        return verdict

    async def _run(self, task: PublicTask, program: str, *, shared: bool = False) -> Verdict:
        verdict = await self._verifier.verify(task, program, fresh=not shared)
        if verdict.outcome is Outcome.INFRA:
            raise SandboxError(f"the sandbox failed three times: {verdict.detail}")
        return verdict

    def _twin_key(self, task: PublicTask, program: str) -> tuple[bytes, str]:
        return self._hash(task), self.identity(program)

    def _digest(self, task: PublicTask, program: str) -> str:
        """What a verdict in the journal is on: the program, and the task with its tests."""
        digest = hashlib.sha256(self._hash(task))
        digest.update(json.dumps(program).encode())
        return digest.hexdigest()[:16]

    def _hash(self, task: PublicTask) -> bytes:
        return self._task_hash if task is self._task else _hash(task)


def program_identity(program: str, language: str) -> str:
    """What twins share: the digest of the syntax tree, in Python; else of the text."""
    if language.strip().lower() in ("python", "python3", "py"):
        return normalised_hash(program)
    return hashlib.sha256(program.encode("utf-8", "surrogatepass")).hexdigest()


def _hash(task: PublicTask) -> bytes:
    text = json.dumps(task.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).digest()
