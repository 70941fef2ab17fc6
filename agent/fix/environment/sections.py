"""Requirements in INI files and in lists: `setup.cfg`, `tox.ini`, requirements files."""

from __future__ import annotations

import configparser
import posixpath
import re

from agent.fix.environment.sheet import Sheet, own_extras, plain
from sandbox.wheels import canonical
from verifiers.repository import RepositoryError, Snapshot

_FILES = (
    "requirements.txt", "requirements.in", "requirements/base.txt", "requirements/main.txt",
)  # fmt: skip
_TEST_FILES = (
    "requirements-test.txt", "requirements-tests.txt", "requirements-dev.txt",
    "requirements_test.txt", "requirements_tests.txt", "requirements_dev.txt",
    "test-requirements.txt", "test_requirements.txt", "dev-requirements.txt",
    "requirements/test.txt", "requirements/tests.txt", "requirements/testing.txt",
    "requirements/dev.txt", "tests/requirements.txt", "test/requirements.txt",
)  # fmt: skip
_INCLUDE = re.compile(r"^(?:-r|--requirement)[ =]?\s*(?P<path>\S+)$")
_FACTOR = re.compile(r"^[\w!,{}.-]+:\s+\S")
_OPTION = re.compile(r"^-")


def read_setup_cfg(text: str, sheet: Sheet) -> None:
    """What setuptools takes from `setup.cfg`."""
    parser = _sections("setup.cfg", text)
    sheet.name = sheet.name or parser.get("metadata", "name", fallback="")
    lines = parser.get("options", "install_requires", fallback="").splitlines()
    sheet.add(_some(lines), "setup.cfg [options]")
    tests = parser.get("options", "tests_require", fallback="").splitlines()
    sheet.add(_some(tests), "setup.cfg [options] tests_require", optional=True)
    if parser.has_section("options.extras_require"):
        for name, value in parser.items("options.extras_require"):
            sheet.add_extra(name, _some(value.splitlines()), "setup.cfg [options.extras_require]")


def read_tox(snapshot: Snapshot, text: str, sheet: Sheet) -> None:
    """The `deps` and `extras` of tox's environment for tests; lines for one factor are left out."""
    parser = _sections("tox.ini", text)
    lines = parser.get("testenv", "deps", fallback="").splitlines()
    for line in _some(lines):
        if "{" in line or _FACTOR.match(line):
            continue
        _take(snapshot, line, "tox.ini [testenv]", "", sheet, optional=True, seen=set())
    extras = parser.get("testenv", "extras", fallback="")
    sheet.wanted += [canonical(name) for name in re.split(r"[\s,]+", extras) if name.isidentifier()]


def read_files(snapshot: Snapshot, sheet: Sheet) -> None:
    """The requirements files that have a usual name, and those that they include."""
    for names, optional in ((_FILES, False), (_TEST_FILES, True)):
        for name in names:
            read_file(snapshot, name, sheet, optional=optional, seen=set())


def read_file(
    snapshot: Snapshot, name: str, sheet: Sheet, *, optional: bool, seen: set[str]
) -> None:
    """One requirements file with those that it includes; nothing where there is none."""
    text = snapshot.text(name)
    if text is None or name in seen:
        return
    seen.add(name)
    joined = re.sub(r"\\\r?\n\s*", " ", text.removeprefix("\ufeff"))
    for line in joined.splitlines():
        _take(snapshot, line, name, posixpath.dirname(name), sheet, optional=optional, seen=seen)


def _take(
    snapshot: Snapshot,
    raw: str,
    source: str,
    folder: str,
    sheet: Sheet,
    *,
    optional: bool,
    seen: set[str],
) -> None:
    line = plain(raw)
    if included := _INCLUDE.match(line):
        path = posixpath.normpath(posixpath.join(folder, included["path"]))
        read_file(snapshot, path, sheet, optional=optional, seen=seen)
    elif (extras := own_extras(line)) is not None:
        sheet.wanted += extras
    elif line and not _OPTION.match(line):
        sheet.add([line], source, optional=optional)
    elif line.startswith(("-e", "--editable", "-c", "--constraint")):
        sheet.notes.append(f"{source}: {line!r} is not followed")


def _sections(name: str, text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text.removeprefix("\ufeff"))
    except configparser.Error as error:
        reason = str(error).splitlines()[0]
        raise RepositoryError(f"{name} can't be read ({reason}): mend it") from None
    return parser


def _some(lines: list[str]) -> list[str]:
    return [found for line in lines if (found := plain(line))]
