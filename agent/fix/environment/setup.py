"""A setup command of the user's, run in the sandbox over a copy of the tree, once for each tree."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from sandbox.base import Sandbox
from sandbox.folders import cache_folder
from sandbox.jobs import Job, Limits, Report
from sandbox.outcome import Outcome
from sandbox.suite import setup_order, unpacked
from sandbox.wheels import WheelError, normalise
from verifiers.repository import RepositoryError, Snapshot, SnapshotLimits, read_archive

if TYPE_CHECKING:
    from sandbox.indexes import PackageIndexes

_SHOWN = 300
_ASIDES = ("note: ", "hint: ", "[notice]", "[end of output]")
_RAISED = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception)\b: ")
_VERSION = re.compile(r"^Version: (\S+)$", re.M)
_NO_INDEX = "no package index is within reach at this isolation level"
_LIMITS = SnapshotLimits()
_MOST_BYTES = 2 * (_LIMITS.total_mb << 20)
"""Of a tar file whose files have `total_mb`: what is between them takes less than they do."""


class SetupError(Exception):
    """The setup command failed. The message is one line.

    Attributes:
        output: the end of what it printed.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


@dataclass(frozen=True, slots=True)
class Setup:
    """What a setup command left.

    Attributes:
        tree: the repository's, as it is now.
        pins: what it installed from wheels of an index, as `name==version`, the name canonical.
    """

    tree: Snapshot
    pins: tuple[str, ...] = ()


async def set_up(
    sandbox: Sandbox,
    snapshot: Snapshot,
    command: str,
    limits: Limits,
    *,
    packages: str = "",
    indexes: PackageIndexes | None = None,
    constraints: str = "",
) -> Setup:
    """What a command makes of a repository.

    It runs in the sandbox with what that has for requirements, and has no network but the package
    indexes. What came of it is kept in the cache, by tree, command and sandbox.

    Args:
        sandbox: open.
        snapshot: the tree that it starts with; only the result is another one.
        command: for the shell.
        limits: what it may use.
        packages: the tree's folder of what it has installed for itself, if it has one.
        indexes: those that the sandbox was opened with.
        constraints: lines of pip's constraints.

    Raises:
        SetupError: it failed, or what it left can't be taken.
        SandboxError: the sandbox can't be had.
    """
    archive = await anyio.to_thread.run_sync(snapshot.archive)
    kept = _place(archive, command, sandbox.identity, constraints)
    if (text := await anyio.to_thread.run_sync(_read, kept)) is not None:
        try:
            return _setup(text, packages)
        except RepositoryError:
            pass  # somebody has changed it: made again
    counts = indexes.counts if indexes is not None else {}
    order = setup_order(
        archive, command, indexes=counts, constraints=constraints, environment=_versions(snapshot)
    )
    job = Job(program="", kind="setup", limits=limits, tests=(order,))
    report = await sandbox.run(job)
    if report.outcome is not Outcome.PASSED:
        without = "" if report.gated or indexes is None else f" ({_NO_INDEX})"
        raise SetupError(f"setup command {command!r}: {_explained(report)}{without}", report.output)
    pins = indexes.pins(report.installed) if indexes is not None else ()
    text = json.dumps({"tree": report.archive, "pins": pins})
    try:
        made = _setup(text, packages)
    except RepositoryError as error:
        raise SetupError(f"setup command {command!r}: {error}") from None
    await anyio.to_thread.run_sync(_keep, kept, text)
    return made


def _setup(text: str, packages: str) -> Setup:
    """What was kept, or a stranger has said.

    Raises:
        RepositoryError: it can't be taken.
    """
    try:
        found = json.loads(text)
        kept = (packages,) if packages else ()
        tree = read_archive(unpacked(found["tree"], _MOST_BYTES), _LIMITS, keep=kept)
        return Setup(tree, normalise(found["pins"]))
    except (ValueError, KeyError, TypeError, WheelError) as error:
        raise RepositoryError(f"the tree can't be read: {error}") from None


def _explained(report: Report) -> str:
    """The reason, and the line of the output that tells most: the last exception's, if any."""
    lines = [line.strip() for line in report.output.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(_ASIDES)]
    raised = [line for line in lines if _RAISED.match(line)]
    said = f": {(raised or lines)[-1][:_SHOWN]}" if lines else ""
    return f"{report.detail}{said}"


def _versions(snapshot: Snapshot) -> dict[str, str]:
    """What tells a build the project's version where it looks for neither tags nor `PKG-INFO`."""
    found = _VERSION.search(snapshot.text("PKG-INFO") or "")
    return {"PDM_BUILD_SCM_VERSION": found[1]} if found else {}


def _place(archive: bytes, command: str, identity: str, constraints: str) -> Path:
    words = json.dumps([hashlib.sha256(archive).hexdigest(), command, identity, constraints])
    return cache_folder() / "trees" / hashlib.sha256(words.encode()).hexdigest()[:24]


def _read(path: Path) -> str | None:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None


def _keep(path: Path, text: str) -> None:
    """Writes it under another name first: half a tree is never found. A full disk is no matter."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix="part-", delete=False) as part:
            part.write(text.encode("ascii"))
        Path(part.name).replace(path)
    except OSError:
        return
