"""Requirements in TOML: `pyproject.toml` of every builder, and `Pipfile`."""

from __future__ import annotations

import tomllib
from typing import Any

from agent.fix.environment.constraints import dependency
from agent.fix.environment.sheet import TEST_EXTRAS, Sheet
from verifiers.repository import RepositoryError

Table = dict[str, Any]


def load(name: str, text: str) -> Table:
    """A TOML file's content.

    Raises:
        RepositoryError: it is no TOML.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RepositoryError(f"{name} can't be read ({error}): mend it") from None


def table(data: Table, *names: str) -> Table:
    """A table in tables; empty where there is none."""
    found: Any = data
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def strings(found: Any) -> list[str]:
    """The texts of a list; none where there is no list."""
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def read_pyproject(text: str, sheet: Sheet) -> None:
    """PEP 621 and PEP 735, and what Poetry, PDM, Hatch, uv and Flit have of their own."""
    data = load("pyproject.toml", text)
    where = "pyproject.toml"
    project = table(data, "project")
    sheet.name = sheet.name or str(project.get("name", ""))
    sheet.add(strings(project.get("dependencies")), f"{where} [project]")
    for name, lines in table(project, "optional-dependencies").items():
        sheet.add_extra(name, strings(lines), f"{where} [project.optional-dependencies]")
    groups = table(data, "dependency-groups")
    for name in TEST_EXTRAS:
        sheet.add(_group(groups, name, set()), f"{where} [dependency-groups]", optional=True)
    _poetry(table(data, "tool", "poetry"), sheet)
    for name, lines in table(data, "tool", "pdm", "dev-dependencies").items():
        if name in TEST_EXTRAS:
            sheet.add(strings(lines), f"{where} [tool.pdm]", optional=True)
    for environment in ("default", "test", "tests", "hatch-test"):
        found = table(data, "tool", "hatch", "envs", environment)
        for name in ("dependencies", "extra-dependencies"):
            sheet.add(strings(found.get(name)), f"{where} [tool.hatch.envs]", optional=True)
        sheet.wanted += strings(found.get("features"))
    developing = strings(table(data, "tool", "uv").get("dev-dependencies"))
    sheet.add(developing, f"{where} [tool.uv]", optional=True)
    flit = table(data, "tool", "flit", "metadata")
    sheet.name = sheet.name or str(flit.get("dist-name", flit.get("module", "")))
    sheet.add(strings(flit.get("requires")), f"{where} [tool.flit]")
    for name, lines in table(flit, "requires-extra").items():
        sheet.add_extra(name, strings(lines), f"{where} [tool.flit]")


def build_requirements(text: str | None) -> list[str]:
    """What building the project needs (PEP 518); setuptools where nothing is said."""
    system = table(load("pyproject.toml", text or ""), "build-system")
    return strings(system["requires"]) if "requires" in system else ["setuptools", "wheel"]


def _poetry(poetry: Table, sheet: Sheet) -> None:
    where = "pyproject.toml [tool.poetry]"
    sheet.name = sheet.name or str(poetry.get("name", ""))
    main = {name: one for name, one in table(poetry, "dependencies").items() if name != "python"}
    for name, value in main.items():
        needless = isinstance(value, dict) and value.get("optional")
        if not needless:
            _add(sheet, name, value, where, optional=False)
    for extra, names in table(poetry, "extras").items():
        lines = [dependency(name, main[name]) for name in strings(names) if name in main]
        sheet.add_extra(extra, [line for line in lines if line], f"{where} extra")
    developing = [table(poetry, "dev-dependencies")]
    developing += [table(poetry, "group", name, "dependencies") for name in TEST_EXTRAS]
    for found in developing:
        for name, value in found.items():
            _add(sheet, name, value, where, optional=True)


def read_pipfile(text: str, sheet: Sheet) -> None:
    """The packages of a `Pipfile`."""
    data = load("Pipfile", text)
    for section, optional in (("packages", False), ("dev-packages", True)):
        for name, value in table(data, section).items():
            _add(sheet, name, value, f"Pipfile [{section}]", optional=optional)


def _add(sheet: Sheet, name: str, value: Any, where: str, *, optional: bool) -> None:
    line = dependency(name, value)
    if line is None:
        own = isinstance(value, dict) and str(value.get("path", "")).rstrip("/") == "."
        if not own:
            sheet.notes.append(f"{where}: {name} is not to be had from an index")
        return
    sheet.add([line], where, optional=optional)


def _group(groups: Table, name: str, seen: set[str]) -> list[str]:
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
