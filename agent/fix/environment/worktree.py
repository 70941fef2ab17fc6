"""Whether git keeps a file as it is, so that a change to it can be undone. Nothing is written."""

from __future__ import annotations

import hashlib
from pathlib import Path

from agent.fix.environment.git import ask, in_work_tree


def uncommitted(folder: Path, path: str, content: bytes) -> str:
    """Why a file's content would be lost if it were changed; empty if it would not.

    The content is compared with the one of the last commit. git is only asked for that one, so that
    no hook, filter or monitor of the repository is run. Outside of a repository of git's, nothing
    is kept anyway, and nothing is said.

    Args:
        folder: the top that `path` starts from.
        path: of the file, `/` between the parts.
        content: that it has now.
    """
    if not in_work_tree(folder):
        return ""
    file = folder / path  # asked beside it: it may lie in a submodule, which has its own commits
    said = ask(file.parent, "ls-tree", "-z", "HEAD", "--", f":(literal){file.name}")
    words = (said or b"").partition(b"\t")[0].split()
    if len(words) != 3:
        return f"{path} is not committed"
    committed = words[2].decode("ascii", "replace")
    # a checkout may have made other line ends of those that are kept
    forms = {content, content.replace(b"\r\n", b"\n")}
    if any(_blob(form, committed) == committed for form in forms):
        return ""
    return f"{path} has uncommitted changes"


def _blob(content: bytes, like: str) -> str:
    """git's name for a file's content, by the hash that is used in this repository."""
    kind = hashlib.sha256 if len(like) == 64 else hashlib.sha1
    return kind(b"blob %d\0" % len(content) + content).hexdigest()
