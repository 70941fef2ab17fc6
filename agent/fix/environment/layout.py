"""Where a repository's packages are imported from, where that is neither its top nor `src`."""

from __future__ import annotations

import configparser
import posixpath
from typing import Any

from agent.fix.environment.setup_script import read_setup_script
from agent.fix.environment.tables import load, strings, table
from verifiers.repository import Snapshot


def import_roots(snapshot: Snapshot) -> tuple[str, ...]:
    """Folders to import from, the first one first; empty for the verifier's own choice.

    They come from `package_dir` and `where` of setuptools, `packages` of Poetry and Hatch, and
    `package-dir` of PDM; only folders that hold sources count.

    Raises:
        RepositoryError: `pyproject.toml` can't be read.
    """
    named = [*_pyproject(snapshot), *_setup_cfg(snapshot), *_setup_py(snapshot)]
    found = [root for raw in named if (root := posixpath.normpath(raw)) not in (".", "")]
    usual = ["src"] if _holds_sources(snapshot, "src") else []
    roots = [root for root in dict.fromkeys([*found, *usual]) if _holds_sources(snapshot, root)]
    return (*roots, "") if roots and roots != usual else ()


def _holds_sources(snapshot: Snapshot, folder: str) -> bool:
    inside = f"{folder}/"
    return any(path.startswith(inside) and path.endswith(".py") for path in snapshot.files)


def _pyproject(snapshot: Snapshot) -> list[str]:
    data = load("pyproject.toml", snapshot.text("pyproject.toml") or "")
    setuptools = table(data, "tool", "setuptools")
    found = strings(table(setuptools, "packages", "find").get("where"))
    found += _package_dir(setuptools.get("package-dir"))
    poetry = table(data, "tool", "poetry").get("packages")
    for one in poetry if isinstance(poetry, list) else ():
        if isinstance(one, dict) and isinstance(one.get("from"), str):
            found.append(one["from"])
    wheel = table(data, "tool", "hatch", "build", "targets", "wheel")
    found += strings(wheel.get("sources"))
    found += [posixpath.dirname(path) for path in strings(wheel.get("packages"))]
    return found + _package_dir(table(data, "tool", "pdm", "build").get("package-dir"))


def _package_dir(value: Any) -> list[str]:
    """The folder that stands for all packages."""
    if isinstance(value, str):
        return [value]
    whole = value.get("") if isinstance(value, dict) else None
    return [whole] if isinstance(whole, str) else []


def _setup_cfg(snapshot: Snapshot) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(snapshot.text("setup.cfg") or "")
    except configparser.Error:
        return []  # said where requirements are read
    lines = parser.get("options", "package_dir", fallback="").splitlines()
    pairs = [line.partition("=") for line in lines]
    found = [value.strip() for name, sign, value in pairs if sign and not name.strip()]
    return [*found, *parser.get("options.packages.find", "where", fallback="").split()]


def _setup_py(snapshot: Snapshot) -> list[str]:
    return _package_dir(read_setup_script(snapshot.text("setup.py") or "").get("package_dir"))
