"""Runs the recorder and the driver in the sandbox, as one more test file of the repository's.

What comes back is what a process with the repository's code in it wrote down: claims, no verdict.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.fix.validation.encoded import is_given
from agent.fix.validation.inputs import Input
from agent.fix.validation.inside.parts import PIECE, unpacked
from sandbox.jobs import Report
from verifiers.repository import Patch, RepositoryVerifier, Snapshot
from verifiers.repository.settings import read_settings

_PIECES = 160
"""Messages in which a recording comes out; what is over that is left out."""
_AT_ONCE = 40
"""Versions that one run observes."""
_INPUTS_A_PIECE = 40
"""Inputs, of which what a version gives fits into one message, packed."""
_MOST_CALLS = 3000
_MESSAGE = re.compile(r"\[\[([^\[\]\s]*)\]\]")
_NUMBER = re.compile(r"\[(\d+)\]$")
_KINDS = frozenset({"value", "raised", "hang", "strange", "unready", "lost"})


class Call(BaseModel):
    """One call that a test made of a watched function, in the old code.

    Attributes:
        function: `module:qualified name`.
        test: id of the test.
        fails: whether that is one that has to be turned.
        given: arguments, encoded.
        end: how it ended: `value`, `raised`, `hang`, or `none`, and the name of an exception.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    function: str
    test: str
    fails: bool
    given: Any
    end: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one call gave.

    Attributes:
        kind: see `inside.driver.Driver.observe`.
        digest: the same for the same result and the same state of the arguments after it.
        preview: of the result, or of the exception.
    """

    kind: str
    digest: str
    preview: str


LOST = Seen("lost", "", "")


class Harness:
    """Runs of one repository with a file of ours in it.

    Args:
        verifier: of the repository as it was.
    """

    def __init__(self, verifier: RepositoryVerifier) -> None:
        self._verifier = verifier
        self._snapshot = verifier.snapshot
        self._settings = read_settings(verifier.snapshot)
        self.seconds = 0.0
        """Of the sandbox, so far."""

    async def record(
        self,
        watched: Mapping[str, Sequence[str]],
        tests: Sequence[str],
        failing: Iterable[str],
        hanging: Iterable[str],
    ) -> tuple[Call, ...]:
        """Calls that tests make of some functions of the old code.

        Args:
            watched: paths of sources, each with qualified names of functions.
            tests: ids of those that are run.
            failing: ids of the tests that have to be turned.
            hanging: ids of those among them that don't end.
        """
        name = f"_calls_{secrets.token_hex(4)}"
        text = _program("alarm", "values", "recorder", "parts") + (
            f"\nFAILING = frozenset({sorted(failing)!r})\n"
            f"HANGING = frozenset({sorted(hanging)!r})\n_text = []\n\n"
            "def piece(number):\n    if not _text:\n        _text.append(packed(told()))\n"
            f"    return _text[0][number * {PIECE}:(number + 1) * {PIECE}]\n"
        )
        texts: dict[str, str | None] = {self._place(name): text}
        for path, names in watched.items():
            call = f"__import__({name!r}).watch(globals(), {list(names)!r})"
            texts[path] = f"{self._snapshot.text(path)}\n{call}\n"
        test = self._test_file(name, _PIECES, "piece(number)")
        files = dict.fromkeys(one.partition("::")[0] for one in tests)
        tree = self._snapshot.changed({**texts, **test})
        own = [name for path in test for name in _own(path, self._function)]
        pieces = await self._run(tree, [*files, *test], only=[*tests, *own])
        return _calls("".join(pieces.get(number, "") for number in range(_PIECES)))

    async def observe(
        self, patches: Sequence[Patch], inputs: Sequence[Input]
    ) -> list[tuple[Seen, ...]]:
        """What versions of the code do with some inputs; `LOST` where nothing is known.

        Args:
            patches: whole new texts of files by their paths, each; an empty one is the old code.
            inputs: to call functions with.
        """
        found: list[tuple[Seen, ...]] = []
        for start in range(0, len(patches), _AT_ONCE):
            found += await self._observe(patches[start : start + _AT_ONCE], inputs)
        return found

    async def _observe(
        self, patches: Sequence[Patch], inputs: Sequence[Input]
    ) -> list[tuple[Seen, ...]]:
        name = f"_calls_{secrets.token_hex(4)}"
        pieces = 1 + len(inputs) // _INPUTS_A_PIECE
        given = json.dumps([[one.function, one.given] for one in inputs])
        texts = json.dumps([dict(patch) for patch in patches])
        text = _program("alarm", "values", "driver", "parts", "variants") + (
            f"\n_variants = Variants(json.loads({texts!r}), json.loads({given!r}), {pieces})\n"
            "piece = _variants.piece\n"
        )
        test = self._test_file(name, pieces * len(patches), "piece(number)")
        # the tree is the old one: what is new stands in memory, and only in a child's
        tree = self._snapshot.changed({self._place(name): text, **test})
        told = await self._run(tree, [*test])
        rows = [
            "".join(told.get(number, "") for number in range(first, first + pieces))
            for first in range(0, pieces * len(patches), pieces)
        ]
        return [_observations(row, len(inputs)) for row in rows]

    def _place(self, name: str) -> str:
        root = (self._verifier.options.roots or self._settings.roots)[0].strip("/")
        return f"{root}/{name}.py" if root else f"{name}.py"

    @property
    def _function(self) -> str:
        return f"{self._settings.functions}_calls"

    def _test_file(self, name: str, count: int, expression: str) -> dict[str, str | None]:
        text = (
            f"import pytest\n\nimport {name}\n\n\n"
            f"@pytest.mark.parametrize('number', range({count}))\n"
            f"def {self._function}(number):\n"
            f"    pytest.fail('[[' + {name}.{expression} + ']]', pytrace=False)\n"
        )
        return {f"test{name}.py": text}

    async def _run(
        self, tree: Snapshot, files: Sequence[str], only: Sequence[str] = ()
    ) -> dict[int, str]:
        """The messages of our own tests by their numbers."""
        report = await self._verifier.report(tree, files=files, only=only)
        self.seconds += report.wall_seconds
        return _messages(report, files[-1])


def _own(file: str, function: str) -> list[str]:
    """Ids of our own tests that hand out a recording."""
    return [f"{file}::{function}[{number}]" for number in range(_PIECES)]


def _messages(report: Report, file: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for test in report.suite.tests if report.suite is not None else ():
        number, message = _NUMBER.search(test.id), _MESSAGE.search(test.detail)
        if test.id.partition("::")[0] == file and number is not None and message is not None:
            found[int(number[1])] = message[1]
    return found


def _calls(text: str) -> tuple[Call, ...]:
    """What a recording says, as far as it is one: it comes from where others' code runs."""
    try:
        found = [Call.model_validate(one) for one in unpacked(text)["calls"][:_MOST_CALLS]]
    except (ValueError, KeyError, TypeError, ValidationError):
        return ()
    return tuple(one for one in found if is_given(one.given))


def _observations(text: str, count: int) -> tuple[Seen, ...]:
    try:
        found = [Seen(*map(str, one)) for one in unpacked(text)]
    except (ValueError, TypeError):
        found = []
    found = [one if one.kind in _KINDS else LOST for one in found[:count]]
    return (*found, *[LOST] * (count - len(found)))


def _program(*names: str) -> str:
    """Modules of `inside` as one program."""
    folder = resources.files("agent.fix.validation.inside")
    lines = ["from __future__ import annotations"]
    for name in names:
        skipping = False
        for line in (folder / f"{name}.py").read_text(encoding="utf-8").splitlines():
            if line.startswith(("from __future__ ", "from .")):
                skipping = "(" in line and ")" not in line
            elif skipping:
                skipping = ")" not in line
            else:
                lines.append(line)
    return "\n".join(lines)
