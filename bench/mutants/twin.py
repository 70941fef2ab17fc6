"""Whether a function does what another version of it does: on the tests' inputs, and on others.

The file of one version gets the other one put beside it, so that both have the same surroundings;
whenever a test comes to the function, both run on copies of what it was called with.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from agent.fix.functions import Functions
from bench.mutants.twin_guest import MARK
from sandbox.base import Sandbox
from verifiers.repository import File, RepositoryVerifier, Snapshot, SuiteOptions

_GUEST = Path(__file__).with_name("twin_guest.py")
_MODULE = "regreen_twin"
_TEST = "zz_regreen_twin_test.py"
_TOLD = "import regreen_twin\n\n\ndef test_twin():\n    regreen_twin.tell()\n"
_OTHER = "_regreen_other"


class Call(BaseModel):
    """A call on which two versions differ.

    Attributes:
        arguments: as the text of a pair, positional and named ones; empty where they have none.
        bound: whether the first argument, an object, is left out of that.
        result: of the right version, as a literal; empty where it has none, or raised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arguments: str = ""
    bound: bool = False
    result: str = ""


class Compared(BaseModel):
    """What two versions did.

    Attributes:
        calls: of the tests that were compared.
        generated: further calls with changed inputs.
        skipped: calls whose inputs can't be copied or that don't repeat.
        differ: whether any of them differs, and how the first does.
        tests: the calls of tests that differ, the first few; empty if they are more.
        reason: why there is no comparison, or empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int = 0
    generated: int = 0
    skipped: int = 0
    differ: str = ""
    tests: tuple[Call, ...] = ()
    reason: str = ""

    @property
    def same(self) -> bool:
        """Whether they were compared, and no call differs."""
        return not self.reason and not self.differ and self.calls > 0


async def compare(
    sandbox: Sandbox,
    snapshot: Snapshot,
    options: SuiteOptions,
    *,
    path: str,
    function: str,
    right: str,
    tests: Sequence[str],
) -> Compared:
    """Runs tests on a version of a file, with the right version of one function beside it.

    Args:
        sandbox: open.
        snapshot: the repository with the version in question.
        options: how its suite is run.
        path: of the file.
        function: its qualified name, the same in both versions.
        right: the file with the version that it is compared with.
        tests: ids of the tests that are run; how they end means nothing.
    """
    text = snapshot.text(path) or ""
    both = beside(text, right, function)
    if both is None:
        return Compared(reason="the function can't be put beside itself")
    guest = File(content=_GUEST.read_bytes())
    files = {f"{_MODULE}.py": guest, _TEST: File(content=_TOLD.encode())}
    tree = Snapshot(files={**snapshot.files, **files})
    verdict = await RepositoryVerifier(sandbox, tree, options).verify(
        {path: both}, fail_to_pass=[f"{_TEST}::test_twin"], pass_to_pass=tests
    )
    said = next((one.detail for one in verdict.tests if one.name.startswith(_TEST)), "")
    found = _read(said)
    if found is None:
        return Compared(reason=f"the comparison did not end: {verdict.detail[:200]}")
    return found


def beside(text: str, right: str, function: str) -> str | None:
    """A file in which a function is compared with its right version whenever it is called."""
    own, other = _function(text, function), _function(right, function)
    if own is None or other is None or isinstance(own, ast.AsyncFunctionDef):
        return None
    lines, right_lines = text.splitlines(keepends=True), right.splitlines(keepends=True)
    indent = " " * own.col_offset
    body = right_lines[other.lineno - 1 : other.end_lineno]
    if other.col_offset != own.col_offset or body[0][: own.col_offset].strip():
        return None
    body[0] = body[0].replace(f"def {own.name}", f"def {_OTHER}", 1)
    first = min([own.lineno, *(one.lineno for one in own.decorator_list)])
    begin = lines[: first - 1]
    return "".join([
        *begin,
        *_ended(body),
        *lines[first - 1 : own.lineno - 1],
        f'{indent}@__import__("{_MODULE}").twin({_OTHER})\n',
        *_ended(lines[own.lineno - 1 : own.end_lineno]),
        f"{indent}del {_OTHER}\n",
        *lines[own.end_lineno or 0 :],
    ])  # fmt: skip


def _ended(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-1] if lines[-1].endswith("\n") else f"{lines[-1]}\n"]


def _function(text: str, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The function of that name, if there is one and no more."""
    snapshot = Snapshot(files={"one.py": File(content=text.encode())})
    found = [one for one in Functions(snapshot, ["one.py"]) if one.name == name]
    if len(found) != 1:
        return None
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if first == found[0].first and node.end_lineno == found[0].last:
                return node
    return None


def _read(said: str) -> Compared | None:
    """What the last test told."""
    at = said.find(MARK)
    if at < 0:
        return None
    text = said[at + len(MARK) :].splitlines()[0]
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        return Compared(calls=1, differ="more than can be told")
    calls, others = found["differ"], found["differ_generated"]
    differ = ""
    if calls or others:
        shown, first, other, _ = (calls or others)[0]
        differ = f"{shown}: {first}, and not {other}"
    complete = calls and all(call[0] is not None and call[3] is not None for call in calls)
    return Compared(
        calls=found["compared"],
        generated=found["generated"],
        skipped=found["skipped"],
        differ=differ,
        tests=tuple(
            Call(arguments=call[0][1], bound=call[0][0], result=call[3])
            for call in (calls if complete else ())
        ),
    )
