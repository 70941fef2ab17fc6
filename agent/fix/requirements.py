"""What a repository needs besides pytest: read from its files, of which nothing is run."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from verifiers.repository import RepositoryError, Snapshot

_EXTRAS = ("test", "tests", "testing", "dev")
"""Names under which projects list what their tests need."""
_FILES = (
    "requirements.txt", "requirements-test.txt", "requirements-tests.txt", "requirements-dev.txt",
    "test-requirements.txt", "dev-requirements.txt", "requirements/test.txt",
    "requirements/tests.txt", "tests/requirements.txt",
)  # fmt: skip
_GIVEN = frozenset({"pytest", "hypothesis"})
"""In every sandbox."""
_TOOLS = frozenset({
    "black", "build", "coverage", "flake8", "isort", "mypy", "nox", "pip", "pre-commit", "pylint",
    "pyright", "pytest-cov", "pytest-sugar", "pytest-xdist", "ruff", "setuptools", "sphinx", "tox",
    "twine", "uv", "wheel",
})  # fmt: skip
"""What no test imports: checkers, builders, and plug-ins that only report or spread the tests."""
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")


def read_requirements(snapshot: Snapshot) -> tuple[str, ...]:
    """The pip requirements of the code and of its tests, each once, sorted.

    They come from `pyproject.toml` (dependencies; extras and groups named after tests),
    `setup.cfg` and requirements files. Paths, addresses and options among them are left out.

    Raises:
        RepositoryError: one of the files can't be read.
    """
    project, found = "", list[str]()
    if (text := snapshot.text("pyproject.toml")) is not None:
        project, found = _pyproject(text)
    if (text := snapshot.text("setup.cfg")) is not None:
        found += _setup_cfg(text)
    for name in _FILES:
        found += (snapshot.text(name) or "").splitlines()
    return tuple(sorted({line for raw in found if (line := _requirement(raw, project))}))


def _pyproject(text: str) -> tuple[str, list[str]]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RepositoryError(f"pyproject.toml can't be read ({error}): mend it") from None
    project = _table(data, "project")
    found = _strings(project.get("dependencies"))
    extras = _table(project, "optional-dependencies")
    groups = _table(data, "dependency-groups")
    for name in _EXTRAS:
        found += _strings(extras.get(name))
        found += _group(groups, name, set())
    return str(project.get("name", "")), found


def _group(groups: dict[str, Any], name: str, seen: set[str]) -> list[str]:
    """A dependency group with those that it includes (PEP 735)."""
    if name in seen or not isinstance(groups.get(name), list):
        return []
    seen.add(name)
    found: list[str] = []
    for one in groups[name]:
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, dict):
            found += _group(groups, str(one.get("include-group", "")), seen)
    return found


def _setup_cfg(text: str) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise RepositoryError(
            f"setup.cfg can't be read ({str(error).splitlines()[0]}): mend it"
        ) from None
    found = parser.get("options", "install_requires", fallback="").splitlines()
    for name in _EXTRAS:
        found += parser.get("options.extras_require", name, fallback="").splitlines()
    return found


def _requirement(raw: str, project: str) -> str:
    """One requirement as pip takes it; empty if it is none, or nothing that tests need."""
    line = raw.split(" #")[0].strip()
    named = _NAME.match(line)
    if named is None or "://" in line or line.startswith("."):
        return ""
    name = canonical(named[0])
    if name in _GIVEN | _TOOLS or name == canonical(project):
        return ""
    return "" if PurePosixPath(line).suffix in (".whl", ".txt") else line


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _table(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _strings(found: Any) -> list[str]:
    items: Iterable[Any] = found if isinstance(found, list) else ()
    return [one for one in items if isinstance(one, str)]
