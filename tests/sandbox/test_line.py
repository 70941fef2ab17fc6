"""The socket past the engine: used where it can be, and done without where it can't."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from sandbox.docker import DockerSandbox
from sandbox.errors import SandboxUnavailableError
from sandbox.line import FOLDER, NAME, Line
from sandbox.outcome import Outcome
from tests.sandbox.conftest import unavailable

LOOKS = f"""
import os
def f(x):
    return x + 1 if not os.path.exists({FOLDER!r}) else -1
"""


def test_one_connection_and_then_no_trace(tmp_path: Path) -> None:
    line = Line(tmp_path / "0")
    path = line.folder / NAME
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(str(path))
        connection = line.accept()
        assert connection is not None
        with connection:
            server.sendall(b"word")
            connection.setblocking(True)
            assert connection.recv(9) == b"word"
    assert not line.folder.exists()
    assert line.accept() is None
    line.close()


def test_nobody_connects(tmp_path: Path) -> None:
    line = Line(tmp_path / "0")
    assert line.accept() is None
    assert not line.folder.exists()


@pytest.mark.docker
@pytest.mark.anyio
@pytest.mark.parametrize("fault", ["none", "no folder at the engine", "no way in"])
async def test_containers_work_with_it_and_without(
    fault: str, make_job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Line.__init__

    def elsewhere(line: Line, folder: Path) -> None:
        make(line, folder)
        line.folder = Path("/nowhere/that/the/engine/knows")

    def locked(line: Line, folder: Path) -> None:
        make(line, folder)
        (line.folder / NAME).unlink()

    if fault != "none":
        replacement = elsewhere if "folder" in fault else locked
        monkeypatch.setattr(Line, "__init__", replacement)
    sandbox = DockerSandbox(slots=1)
    try:
        await sandbox.__aenter__()
    except SandboxUnavailableError as error:
        unavailable(str(error))
    try:
        cell: Any = sandbox._pool._cell  # type: ignore[union-attr]
        assert (cell._judge._direct is not None) == (fault == "none")
        folder = sandbox._folder
        assert folder is not None
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert fault == "no folder at the engine" or not list(folder.iterdir())
        for fresh in (False, True):
            report = await sandbox.run(make_job(LOOKS), fresh=fresh)
            assert report.outcome is Outcome.PASSED, report
    finally:
        await sandbox.__aexit__(None, None, None)
    assert not folder.exists()
