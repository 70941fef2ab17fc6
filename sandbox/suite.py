"""The run of a repository's suite, as the controller orders it and is told of it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from .folders import PACKAGES

BUILT_PACKAGES = f".regreen/{PACKAGES}"
"""Folder of a tree with what a setup command built from an index's source archives."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Status(StrEnum):
    """What became of one test of a suite, closed set."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"
    UNFINISHED = "unfinished"
    NOT_RUN = "not run"


class SuiteTest(_Frozen):
    """One collected test.

    Attributes:
        id: pytest's node id.
        status: what became of it.
        detail: the end of its traceback, or why it has that status.
        seconds: of setup, call and teardown.
        reached: in a traced run, for each file: the first lines of the functions that it entered
            and the lines that it executed, both as `3-5,9`. The suite's process says so.
    """

    id: str
    status: Status
    detail: str = ""
    seconds: float = 0.0
    reached: dict[str, tuple[str, str]] = {}


class SuiteReport(_Frozen):
    """How one run of a suite went.

    Attributes:
        tests: every test that was collected, in the suite's order.
        uncollected: what could not be collected, with the error.
        twice: ids that were collected more than once.
        foul: the first thing that should not have been, or empty; if so, nothing here is believed.
        running: the test that was running when the process ended, or empty.
        complete: whether the suite ran to its end.
    """

    tests: tuple[SuiteTest, ...] = ()
    uncollected: dict[str, str] = {}
    twice: tuple[str, ...] = ()
    foul: str = ""
    running: str = ""
    complete: bool = False


def order(
    archive: bytes,
    *,
    arguments: Sequence[str],
    roots: Sequence[str],
    changed: Sequence[str],
    hash_seed: int = 0,
    name: str = "",
    version: str = "0",
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    trace: Sequence[str] = (),
    installed: bool = False,
) -> dict[str, Any]:
    """The one test of a job of kind `repository`.

    Args:
        archive: a tar file of the tree.
        arguments: pytest's.
        roots: folders of the tree to import from, the first one first; empty for its top.
        changed: files of the tree that are the candidate's.
        hash_seed: of the suite's Python.
        name: of the project; if not empty, it counts as installed.
        version: of the project.
        only: ids of the tests to run; empty for all.
        without: ids of tests that are not run.
        trace: files of the tree of which is told what each test executes.
        installed: whether the plug-ins that requirements announce are loaded.
    """
    return {
        "kind": "repository",
        "archive": packed(archive),
        "arguments": list(arguments),
        "roots": list(roots),
        "changed": list(changed),
        "hash_seed": hash_seed,
        "name": name,
        "version": version,
        "only": list(only),
        "without": list(without),
        "trace": list(trace),
        "installed": installed,
    }


def setup_order(
    archive: bytes,
    command: str,
    *,
    indexes: Mapping[str, int] | None = None,
    constraints: str = "",
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The one test of a job of kind `setup`.

    Args:
        archive: a tar file of the tree.
        command: for the shell.
        indexes: how many there are of each kind to ask, as `PackageIndexes.counts` gives it; a job
            with any is run with the same indexes.
        constraints: lines of a file of constraints for pip.
        environment: variables of the command, besides the usual ones.
    """
    return {
        "kind": "setup",
        "archive": packed(archive),
        "command": command,
        "indexes": dict(indexes or {}),
        "constraints": constraints,
        "environment": dict(environment or {}),
        "built": BUILT_PACKAGES,
    }


def packed(archive: bytes) -> str:
    """A tar file as it travels."""
    return base64.b64encode(zlib.compress(archive, 6)).decode()


def unpacked(text: str, limit: int) -> bytes:
    """What `packed` has packed, or a stranger.

    Raises:
        ValueError: it is nothing of the kind, or has more than `limit` bytes.
    """
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(base64.b64decode(text), limit)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if inflater.unconsumed_tail or not inflater.eof:
        raise ValueError(f"it has more than {limit} bytes")
    return data


def files_order(
    archive: bytes,
    *,
    program: str,
    wheel: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    meta: Mapping[str, str],
    files: Sequence[str],
    settings: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The one test of a job of kind `files`, which runs a process for each test file.

    Args:
        archive: a tar file of the tree.
        program: name of what runs a file, as it lies in a folder of the system's.
        wheel: where it lies in a wheel among the requirements, which goes first; empty for nowhere.
        arguments: of it, before the file; `{meta}` stands for the folder that has `meta`.
        environment: of its process.
        meta: texts of files of ours that it loads, by their names.
        files: of the tree, to run.
        settings: what the process of a file finds on its standard input, by the file.
    """
    return {
        "kind": "files",
        "archive": packed(archive),
        "program": program,
        "wheel": wheel,
        "arguments": list(arguments),
        "environment": dict(environment),
        "meta": dict(meta),
        "files": list(files),
        "settings": {file: dict(found) for file, found in settings.items()},
    }
