"""What a repair has to know of a language: one entry for each runner of tests.

Others come by the entry-point group `regreen.languages`, under the name of their runner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from agent.fix.candidate import Candidate
from agent.fix.coverage import Coverage
from agent.fix.edits import edits
from agent.fix.environment.needs import Need
from agent.fix.functions import Functions
from agent.fix.patches.grammar import Grammar
from agent.fix.patches.outline import Spot
from agent.fix.patches.python import PYTHON_GRAMMAR
from agent.fix.spectrum import FormulaName
from agent.fix.suspects import Suspect, find_suspects
from agent.fix.targets import Targets
from verifiers.repository import RepositoryError, Snapshot, take_snapshot


@dataclass(frozen=True, slots=True)
class Language:
    """How faults are found and edited in the sources of one language, and how a model is asked.

    What has a default is as it is for Python.

    Attributes:
        runtime: what a sandbox needs to run the language at all; the other argument says whether
            programs of this machine are to be had in it, or those of an image that was named.
        suspects: the functions that failing tests may come to, most suspicious first.
        edits: as `agent.fix.edits.edits`.
        is_traced: whether the runner tells what each test executes.
        packages: the folder with what a repository has installed for itself, or empty.
        title: its name, as a model is told it.
        fence: what a block of it is marked with in Markdown.
        kept: a file that no patch may change, as an example for a model; or empty.
        functions: the functions of some files, to be looked up by places and tests.
        grammar: what the reading of code in answers has to know; `None` where only search/replace
            blocks and diffs can be read.
        is_compared: whether patches that pass can be compared by their syntax and by calls of
            functions, as those of Python can.
    """

    runtime: Callable[[Snapshot, bool], tuple[Need, ...]]
    suspects: Callable[
        [Snapshot, Iterable[str], Targets, Coverage, FormulaName], tuple[Suspect, ...]
    ]
    edits: Callable[[Snapshot, Sequence[Suspect], Mapping[str, str]], Iterator[Candidate]]
    is_traced: bool = False
    packages: str = ""
    title: str = "Python"
    fence: str = "python"
    kept: str = "conftest.py"
    functions: Callable[[Snapshot, Iterable[str]], Functions] = Functions
    grammar: Grammar | None = PYTHON_GRAMMAR
    is_compared: bool = True

    def with_packages(self, path: Path, snapshot: Snapshot) -> Snapshot:
        """A repository with what it has installed for itself, where that is not too much."""
        if self.packages and (path / self.packages).is_dir():
            with suppress(RepositoryError):
                return take_snapshot(path, leave_out=lambda _: None, keep=(self.packages,))
        return snapshot

    def outline(self, text: str) -> tuple[Spot, ...]:
        """The functions and classes of a text; none where there is no grammar."""
        return self.grammar.outline(text) if self.grammar is not None else ()


PYTHON = Language(
    lambda _snapshot, _has_programs: (),
    lambda snapshot, sources, targets, seen, by: find_suspects(
        snapshot, sources, targets, seen, by=by
    ),
    edits,
    is_traced=True,
)

ENTRY_POINT_GROUP = "regreen.languages"
LANGUAGES = {
    "pytest": "agent.fix.languages:PYTHON",
    "node": "agent.fix.javascript:JAVASCRIPT",
}
"""By the runner's name."""


def language_of(runner: str) -> Language:
    """The language of a runner's repositories.

    Raises:
        RepositoryError: there is a runner of that name, and no language.
    """
    if runner in LANGUAGES:
        module, _, attribute = LANGUAGES[runner].partition(":")
        return cast(Language, getattr(import_module(module), attribute))
    for point in entry_points(group=ENTRY_POINT_GROUP, name=runner):
        return cast(Language, point.load())
    raise RepositoryError(
        f"the runner {runner!r} has no language: its package has to name one in the entry-point "
        f"group {ENTRY_POINT_GROUP}"
    )
