"""Whether a change to a file could be undone by git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.fix.environment.worktree import uncommitted


def git(folder: Path, *words: str) -> None:
    settings = (
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b.test",
        "-c",
        "protocol.file.allow=always",
    )
    subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")


def test_what_git_keeps_may_be_changed(tmp_path: Path) -> None:
    odd = "pkg/[a] *ü.py"
    commit(tmp_path, {"a.py": b"x = 1\n", odd: b"x = 2\n", ".gitignore": b"kept.py\n"})
    assert uncommitted(tmp_path, "a.py", b"x = 1\n") == ""
    assert uncommitted(tmp_path, "a.py", b"x = 1\r\n") == ""  # a checkout with other line ends
    assert uncommitted(tmp_path, odd, b"x = 2\n") == ""
    assert uncommitted(tmp_path / "pkg", "[a] *ü.py", b"x = 2\n") == ""
    assert "uncommitted changes" in uncommitted(tmp_path, "a.py", b"x = 3\n")
    git(tmp_path, "add", "-A")
    assert "uncommitted changes" in uncommitted(tmp_path, "a.py", b"x = 3\n")  # staged is no commit
    assert "is not committed" in uncommitted(tmp_path, "kept.py", b"")


def test_without_git_and_before_the_first_commit(tmp_path: Path) -> None:
    plain, new = tmp_path / "plain", tmp_path / "new"
    plain.mkdir()
    new.mkdir()
    assert uncommitted(plain, "a.py", b"") == ""
    git(new, "init", "-q")
    (new / "a.py").write_bytes(b"")
    assert "is not committed" in uncommitted(new, "a.py", b"")


def test_a_submodule_has_its_own_commits(tmp_path: Path) -> None:
    commit(tmp_path / "inner", {"b.py": b"y = 1\n"})
    commit(tmp_path / "outer", {"a.py": b"x = 1\n"})
    git(tmp_path / "outer", "submodule", "add", "-q", str(tmp_path / "inner"), "sub")
    assert uncommitted(tmp_path / "outer", "sub/b.py", b"y = 1\n") == ""
    assert "uncommitted" in uncommitted(tmp_path / "outer", "sub/b.py", b"y = 2\n")


def test_nothing_of_the_repository_is_run(tmp_path: Path) -> None:
    commit(tmp_path, {"a.py": b"x = 1\n", ".gitattributes": b"*.py filter=mine\n"})
    mark = tmp_path / "mark"
    for name in ("filter.mine.clean", "filter.mine.smudge", "core.fsmonitor", "core.pager"):
        git(tmp_path, "config", name, f"touch {mark}")
    assert "uncommitted" in uncommitted(tmp_path, "a.py", b"x = 2\n")
    assert not mark.exists()


def test_a_machine_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tmp_path, {"a.py": b"x = 1\n"})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert uncommitted(tmp_path, "a.py", b"x = 1\n")
