"""pytest plug-ins that installed requirements announce, read from their metadata.

pytest itself is told to load no plug-in by what is installed: a tree could bring such metadata.
These come from the requirements' folder, which no candidate can write to, and are asked for by
name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

_GROUP = "[pytest11]"
_NOT_LOADED = frozenset({
    "_hypothesis_pytestplugin", "pytest_cov", "xdist", "pytest_randomly", "pytest_random_order",
    "pytest_rerunfailures", "pytest_timeout", "pytest_sugar", "pytest_repeat", "pytest_flakefinder",
    "pytest_parallel", "pytest_html", "pytest_metadata", "pytest_jsonreport", "pytest_instafail",
})  # fmt: skip
"""What is loaded already, and what reports, repeats, reorders, spreads or ends tests itself."""


def plugin_arguments(folders: Iterable[str], given: Iterable[str]) -> list[str]:
    """Arguments that have pytest load the plug-ins of installed packages.

    Args:
        folders: where packages are installed.
        given: pytest's other arguments; what they name is not named again.
    """
    named = {word[2:] for word in given if word.startswith("-p") and not word.startswith("--")}
    found: dict[str, str] = {}
    for folder in folders:
        for name, module in _announced(folder):
            if module.partition(".")[0] not in _NOT_LOADED and not {name, module} & named:
                found.setdefault(name, module)
    return [f"-p{name}" for name in sorted(found)]


def _announced(folder: str) -> Iterator[tuple[str, str]]:
    with contextlib.suppress(OSError):
        for entry in sorted(os.listdir(folder)):
            if entry.endswith(".dist-info"):
                yield from _entries(os.path.join(folder, entry, "entry_points.txt"))


def _entries(path: str) -> Iterator[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    inside = False
    for line in map(str.strip, lines):
        if line.startswith("["):
            inside = line == _GROUP
        elif inside and "=" in line and not line.startswith(("#", ";")):
            name, _, place = line.partition("=")
            yield name.strip(), place.partition(":")[0].partition("[")[0].strip()
