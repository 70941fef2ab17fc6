"""What the code and the tests of a repository need, read from its files; nothing of it is run."""

from __future__ import annotations

import ast
import sys
from pathlib import PurePosixPath
from typing import Any

from packaging.requirements import Requirement
from pydantic import BaseModel, ConfigDict

from agent.fix.environment.sections import read_files, read_setup_cfg, read_tox
from agent.fix.environment.setup_script import read_setup_script
from agent.fix.environment.sheet import Line, Sheet, own_extras, parse, plain
from agent.fix.environment.tables import read_pipfile, read_pyproject
from sandbox.wheels import canonical
from verifiers.repository import Snapshot
from verifiers.syntax import python_module

GIVEN = frozenset({"pytest", "hypothesis"})
"""In every sandbox."""
_TOOLS = frozenset({
    "black", "build", "bumpversion", "codecov", "commitizen", "coverage", "coveralls", "flake8",
    "flit", "hatch", "hatchling", "isort", "mypy", "nox", "pip", "pip-tools", "poetry",
    "pre-commit", "pylint", "pyright", "pytest-cov", "pytest-randomly", "pytest-random-order",
    "pytest-repeat",
    "pytest-rerunfailures", "pytest-sugar", "pytest-timeout", "pytest-xdist", "ruff", "setuptools",
    "sphinx", "sphinx-rtd-theme", "tox", "twine", "uv", "virtualenv", "wheel",
})  # fmt: skip
"""What no test imports: checkers, builders, and plug-ins that only report, repeat or spread."""
_MODULES = {
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Distributions that don't bear the name of the module that they bring."""
_READ_FOR_IMPORTS = 3000


class Need(BaseModel):
    """One requirement, as pip takes it.

    Attributes:
        requirement: with extras, versions and marker.
        name: canonical, of the distribution.
        source: the file and table that ask for it.
        optional: whether only tests or extras ask for it: without it, some tests may still run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    requirement: str
    name: str
    source: str
    optional: bool = False


class Needs(BaseModel):
    """All that a repository needs besides pytest and Hypothesis.

    Attributes:
        needs: each requirement once, sorted.
        notes: what was left out, and why, in lines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    needs: tuple[Need, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def requirements(self) -> tuple[str, ...]:
        """As pip takes them."""
        return tuple(need.requirement for need in self.needs)


def read_needs(snapshot: Snapshot) -> Needs:
    """The requirements of a repository's code and of its tests.

    They come from `pyproject.toml` (PEP 621, PEP 735, Poetry, PDM, Hatch, uv, Flit), `setup.cfg`,
    `setup.py` (by its syntax), `Pipfile`, `tox.ini` and requirements files. Extras and groups named
    after tests are part of them, and of other extras what the code or the tests import. Paths,
    addresses and options are left out, and noted.

    Raises:
        RepositoryError: one of the files can't be read.
    """
    sheet = Sheet()
    for name, read in (
        ("pyproject.toml", read_pyproject),
        ("setup.cfg", read_setup_cfg),
        ("Pipfile", read_pipfile),
    ):
        if (text := snapshot.text(name)) is not None:
            read(text, sheet)
    if (text := snapshot.text("setup.py")) is not None:
        _setup_script(text, sheet)
    if (text := snapshot.text("tox.ini")) is not None:
        read_tox(snapshot, text, sheet)
    read_files(snapshot, sheet)
    return _sorted_out(sheet, _imported(snapshot))


def _setup_script(text: str, sheet: Sheet) -> None:
    found = read_setup_script(text)
    if isinstance(found.get("name"), str):
        sheet.name = sheet.name or found["name"]
    sheet.add(_lines(found.get("install_requires")), "setup.py install_requires")
    sheet.add(_lines(found.get("tests_require")), "setup.py tests_require", optional=True)
    extras = found.get("extras_require")
    for name, lines in extras.items() if isinstance(extras, dict) else ():
        sheet.add_extra(str(name), _lines(lines), "setup.py extras_require")


def _lines(found: Any) -> list[str]:
    """A list of texts, or one text with a requirement a line."""
    parts = found.splitlines() if isinstance(found, str) else found
    texts = [one for one in parts if isinstance(one, str)] if isinstance(parts, list) else []
    return [one for text in texts if (one := plain(text))]


def _sorted_out(sheet: Sheet, imported: frozenset[str]) -> Needs:
    found: dict[str, Need] = {}
    notes = list(sheet.notes)
    queue = list(sheet.lines)
    taken: set[str] = set()
    wanted = list(sheet.wanted)
    while queue or wanted:
        if not queue:
            extra = canonical(wanted.pop())
            if extra not in taken:
                taken.add(extra)
                queue += sheet.extras.get(extra, [])
            continue
        line = queue.pop()
        if (extras := own_extras(line.text)) is not None:
            wanted += extras
            continue
        parsed = parse(line.text)
        if isinstance(parsed, str):
            notes.append(f"{line.source}: {parsed}")
        elif canonical(parsed.name) == canonical(sheet.name):
            wanted += sorted(parsed.extras)
        else:
            _keep(parsed, line, found)
    for extra, lines in sheet.extras.items():
        for line in lines if extra not in taken else ():
            parsed = parse(line.text)
            if not isinstance(parsed, str) and canonical(parsed.name) in imported:
                _keep(parsed, line, found)
    return Needs(
        needs=tuple(found[text] for text in sorted(found)), notes=tuple(dict.fromkeys(notes))
    )


def _keep(parsed: Requirement, line: Line, found: dict[str, Need]) -> None:
    name = canonical(parsed.name)
    if name in GIVEN | _TOOLS:
        return
    text = str(parsed)
    optional = line.optional and (text not in found or found[text].optional)
    found[text] = Need(requirement=text, name=name, source=line.source, optional=optional)


def _imported(snapshot: Snapshot) -> frozenset[str]:
    """Names of distributions that may bring what the repository's files import."""
    found: set[str] = set()
    paths = [path for path in snapshot.files if path.endswith(".py")]
    for path in paths[:_READ_FOR_IMPORTS]:
        found |= imported_modules(snapshot.text(path) or "")
    tops = {PurePosixPath(path).stem for path in paths} | set(sys.stdlib_module_names)
    return frozenset(canonical(_MODULES.get(name, name)) for name in found - tops)


def imported_modules(text: str) -> set[str]:
    """Top names of the modules that a source imports, wherever in it."""
    tree = python_module(text)
    if tree is None:
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found
