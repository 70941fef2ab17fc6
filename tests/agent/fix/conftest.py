"""`regreen fix` in this process: a run costs no start of Python, and what it says is at hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.cli.commands import run
from agent.cli.errors import known_error


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: what the shell sees.
        found: of `--json`; empty where there was no report.
        line: the one line of a mistake, or empty.
        said: all of standard error.
    """

    code: int
    found: dict[str, Any]
    line: str
    said: str


Fix = Callable[..., Ended]


@pytest.fixture
def fix(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Fix:
    """Runs the command on a folder; it gives back its code, its report and what it says."""
    monkeypatch.setenv("REGREEN_SANDBOX", "local")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    def fix(folder: Path, *words: str) -> Ended:
        line = ""
        try:
            code = int(run(["fix", str(folder), "--json", *words]))
        except Exception as error:
            known = known_error(error)
            if known is None:  # it would have been a traceback
                raise
            code, line = int(known[1]), str(known[0])
            assert "\n" not in line
        out, said = capsys.readouterr()
        assert "Traceback" not in said
        return Ended(code, json.loads(out) if out.strip() else {}, line, said)

    return fix


Write = Callable[[dict[str, str | bytes]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Makes a repository of texts by their paths, and gives back its folder."""

    def write(files: dict[str, str | bytes]) -> Path:
        folder = tmp_path / "shop"
        for path, text in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder

    return write
