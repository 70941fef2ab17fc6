"""Questions to git about a folder, asked so that nothing that the folder says is run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_SECONDS = 20
_SETTINGS = (
    "safe.directory=*",
    "core.fsmonitor=false",
    "protocol.allow=never",
    "log.showSignature=no",
)
_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}


def in_work_tree(folder: Path) -> bool:
    """Whether a folder lies in a repository of git's, as far as the file system tells."""
    top = folder.resolve()
    return any((parent / ".git").exists() for parent in (top, *top.parents))


def ask(folder: Path, *words: str) -> bytes | None:
    """What a command of git's prints that only reads objects; `None` if it can't be answered.

    No hook, filter, monitor or transport of the repository is used.
    """
    settings = [word for one in _SETTINGS for word in ("-c", one)]
    try:
        done = subprocess.run(
            ["git", *settings, *words],
            cwd=folder,
            env=os.environ | _ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return None if done.returncode else done.stdout
