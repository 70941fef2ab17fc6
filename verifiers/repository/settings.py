"""How a repository wants its suite run: read from its pristine files, never from a candidate's."""

from __future__ import annotations

import configparser
import re
import shlex
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict

from .snapshot import RepositoryError, Snapshot

# In the order in which pytest looks for them; the tables that it takes its settings from.
_FILES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("pytest.toml", ("pytest",)),
    (".pytest.toml", ("pytest",)),
    ("pytest.ini", ("pytest",)),
    (".pytest.ini", ("pytest",)),
    ("pyproject.toml", ("tool", "pytest", "ini_options")),
    ("pyproject.toml", ("tool", "pytest")),
    ("tox.ini", ("pytest",)),
    ("setup.cfg", ("tool:pytest",)),
)
# Options that a run sets itself, that want a plug-in which is not loaded, or that cut a run short.
# Those in the first set take a value.
_DROPPED_WITH_VALUE = frozenset({
    "-n", "--numprocesses", "--dist", "--maxfail", "--tb", "--color", "--durations", "-c",
    "--rootdir", "--confcutdir", "--basetemp", "--junitxml", "--junit-xml", "--log-file", "-o",
    "--override-ini", "--timeout", "--timeout-method", "--reruns", "--html", "--deselect",
    "--cov-report", "--cov-config", "--cov-fail-under", "--cov-context", "--hypothesis-seed",
    "--hypothesis-profile", "--debug",
})  # fmt: skip
_DROPPED = frozenset({
    "-x", "--exitfirst", "--lf", "--last-failed", "--ff", "--failed-first", "--nf", "--new-first",
    "--sw", "--stepwise", "--sw-skip", "--stepwise-skip", "--pdb", "--trace", "--strict",
    "--strict-config", "-q", "--quiet", "-v", "--verbose", "-s", "-l", "--showlocals",
    "--no-header", "--no-summary", "--cov", "--no-cov", "--no-cov-on-fail", "--cov-append",
    "--cov-branch", "--cov-reset", "--self-contained-html", "--cache-clear",
    "--collect-only", "--co", "--pyargs", "--setup-only", "--setup-plan", "--runxfail",
})  # fmt: skip
TEST_FOLDERS = frozenset({"test", "tests"})
_CAPTURE = "--capture=fd"


class SuiteSettings(BaseModel):
    """What of a repository's settings a run needs to know.

    Attributes:
        file: the file that pytest reads its settings from, or empty.
        arguments: its `addopts`, without those that a run sets itself.
        files: patterns of the names of test files.
        functions: what the names of test functions begin with, the first of it.
        test_paths: folders and files that tests are collected from; empty for everywhere.
        packages: those of them that are no folders of tests, but have some within.
        roots: folders to import from.
        plugins: plug-ins that it asks for by name.
        name: of the project, or empty.
        version: of the project, `0` where it is made at build time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = ""
    arguments: tuple[str, ...] = ()
    files: tuple[str, ...] = ("test_*.py", "*_test.py")
    functions: str = "test"
    test_paths: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    roots: tuple[str, ...] = ("",)
    plugins: tuple[str, ...] = ()
    name: str = ""
    version: str = "0"

    def is_test_file(self, path: str) -> bool:
        """Whether pytest takes a file of this name for one with tests."""
        name = PurePosixPath(path).name
        return any(fnmatch(path if "/" in glob else name, glob) for glob in self.files)


def read_settings(snapshot: Snapshot) -> SuiteSettings:
    """The settings of a pristine repository.

    Raises:
        RepositoryError: its settings file can't be read.
    """
    file, found = _find(snapshot)
    arguments, plugins = split_options(_options(file, found.get("addopts", "")))
    roots = [""]
    if any(path.startswith("src/") and path.endswith(".py") for path in snapshot.files):
        roots.insert(0, "src")
    defaults = SuiteSettings()
    test_paths = tuple(_words(found.get("testpaths")))
    name, version = _project(snapshot)
    return SuiteSettings(
        name=name,
        version=version,
        file=file,
        arguments=tuple(arguments),
        files=tuple(_words(found.get("python_files"))) or defaults.files,
        functions=next(iter(_words(found.get("python_functions"))), "test").rstrip("*"),
        test_paths=test_paths,
        packages=tuple(top for top in test_paths if _has_tests_within(top.rstrip("/"), snapshot)),
        roots=tuple(roots),
        plugins=tuple(plugins),
    )


def _options(file: str, raw: object) -> list[str]:
    if isinstance(raw, list):
        return [str(part) for part in raw]
    try:
        return shlex.split(str(raw))
    except ValueError as error:
        raise RepositoryError(f"{file}: addopts can't be read ({error}): mend it") from None


def _find(snapshot: Snapshot) -> tuple[str, Mapping[str, Any]]:
    for name, tables in _FILES:
        text = snapshot.text(name)
        if text is None:
            continue
        try:
            table = _table(name, text, tables)
        except (tomllib.TOMLDecodeError, configparser.Error) as error:
            reason = str(error).splitlines()[0]
            raise RepositoryError(f"{name} can't be read ({reason}): mend it") from None
        if table is not None or name in ("pytest.ini", ".pytest.ini"):
            return name, table or {}
    return "", {}


def _has_tests_within(top: str, snapshot: Snapshot) -> bool:
    """Whether a folder is a package with a folder of tests in it."""
    within = {
        part
        for path in snapshot.files
        if path.startswith(f"{top}/") and path.endswith(".py")
        for part in path.removeprefix(f"{top}/").split("/")[:-1]
    }
    return f"{top}/__init__.py" in snapshot.files and bool(TEST_FOLDERS & within)


def _project(snapshot: Snapshot) -> tuple[str, str]:
    """What the project calls itself; nothing where that isn't written down plainly.

    A source archive has a `PKG-INFO` that says what a build had made of it.
    """
    kept = dict(re.findall(r"^(Name|Version): (.+)$", snapshot.text("PKG-INFO") or "", re.M))
    try:
        project = tomllib.loads(snapshot.text("pyproject.toml") or "").get("project", {})
        name = str(project.get("name", kept.get("Name", "")))
        version = str(project.get("version", kept.get("Version", "0")))
    except (tomllib.TOMLDecodeError, AttributeError):
        return "", "0"
    name, version = name.strip(), version.strip()
    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)
    return (name if plain else "", version if re.fullmatch(r"[A-Za-z0-9.+!-]+", version) else "0")


def _table(name: str, text: str, tables: tuple[str, ...]) -> Mapping[str, Any] | None:
    if name.endswith(".toml"):
        found: Any = tomllib.loads(text)
        for table in tables:
            found = found.get(table) if isinstance(found, dict) else None
        return found if isinstance(found, dict) and "ini_options" not in found else None
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return dict(parser[tables[0]]) if parser.has_section(tables[0]) else None


def _words(value: object) -> list[str]:
    if value is None:
        return []
    return [str(part) for part in value] if isinstance(value, list) else str(value).split()


def split_options(options: list[str]) -> tuple[list[str], list[str]]:
    """Of pytest's options those to keep, and the plug-ins that are asked for among them."""
    kept: list[str] = []
    plugins: list[str] = []
    rest = iter(options)
    for option in rest:
        name, equals, _ = option.partition("=")
        if name == "-p" or (option.startswith("-p") and not option.startswith("--")):
            plugin = next(rest, "") if option == "-p" else option[2:]
            if plugin and not plugin.startswith("no:"):
                plugins.append(plugin)
        elif name in _DROPPED_WITH_VALUE:
            if not equals:
                next(rest, "")
        elif name not in _DROPPED and not _is_short_noise(option) and option != _CAPTURE:
            kept.append(option)
    return kept, plugins


def _is_short_noise(option: str) -> bool:
    """`-ra`, `-vv`, `-n4`: how a report looks, or how many run at once."""
    short = option.startswith("-") and not option.startswith("--")
    return short and (option[1:2] in ("r", "n") or set(option[1:]) <= set("qvslx"))
