"""Versions that a build makes of git's tags: a copy without history has to have them, too."""

from __future__ import annotations

import ast
import configparser
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from packaging.version import InvalidVersion, Version

from agent.fix.environment.git import ask
from agent.fix.environment.setup_script import read_setup_script
from agent.fix.environment.tables import Table, load, table
from verifiers.repository import Snapshot
from verifiers.syntax import python_module

_MODULES = frozenset({"_version", "version", "__version__", "_scm_version", "_version_info"})
"""Names of modules that builds write versions to."""
_USUAL = ("__version__", "version", "__version_tuple__", "version_tuple")
_ASSIGNED = re.compile(
    r"""^(?:__version__|VERSION|version)(?:\s*:\s*\w+)?\s*=\s*(["'])(?P<version>[^"']+)\1""", re.M
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def with_versions(snapshot: Snapshot, folder: Path | None = None) -> dict[str, str]:
    """The files that a build would have made to tell a version, where they are missing.

    That is a module that `setuptools_scm`, `hatch-vcs`, PDM or versioningit are told to write, or
    that a package imports from beside itself, and `PKG-INFO`, by which the project counts as
    installed.

    Args:
        snapshot: the repository.
        folder: where it lies, to ask git for its newest tag.
    """
    name, version = _named(snapshot)
    missing = {path: frozenset[str]() for path in _written(snapshot) if path not in snapshot.files}
    for path, names in _imported(snapshot):
        missing[path] = missing.get(path, frozenset()) | names
    if not version:
        version = (_tag(folder) if folder is not None else "") or "0"
    found = {path: _module(version, names) for path, names in missing.items()}
    if name and "PKG-INFO" not in snapshot.files:
        found["PKG-INFO"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    return found


def _named(snapshot: Snapshot) -> tuple[str, str]:
    """Name and version as far as they are written down; empty where they are not."""
    data = load("pyproject.toml", snapshot.text("pyproject.toml") or "")
    tables = [table(data, "project"), table(data, "tool", "poetry")]
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(snapshot.text("setup.cfg") or "")
    except configparser.Error:
        parser.clear()  # said where requirements are read
    if parser.has_section("metadata"):
        tables.append(dict(parser.items("metadata")))
    tables.append(dict(read_setup_script(snapshot.text("setup.py") or "")))
    kept = dict(re.findall(r"^(Name|Version): (.+)$", snapshot.text("PKG-INFO") or "", re.M))
    names = [str(found["name"]) for found in tables if isinstance(found.get("name"), str)]
    versions = [str(found["version"]) for found in tables if isinstance(found.get("version"), str)]
    versions += _assigned(snapshot, data)
    name = next((one for one in names if _PLAIN_NAME.fullmatch(one)), "")
    known = [one for one in (*versions, kept.get("Version", "")) if _is_version(one)]
    return name, next(iter(known), "")


def _assigned(snapshot: Snapshot, data: Table) -> Iterator[str]:
    """The version that a module assigns, where setuptools, Hatch or Flit are told to look there."""
    named = table(data, "tool", "setuptools", "dynamic", "version").get("attr")
    places = [str(table(data, "tool", "hatch", "version").get("path", ""))]
    if isinstance(named, str) and "." in named:
        place = named.rpartition(".")[0].replace(".", "/")
        places += [
            f"{root}{place}{end}" for root in ("", "src/") for end in (".py", "/__init__.py")
        ]
    for place in places:
        found = _ASSIGNED.search(snapshot.text(place) or "")
        if found is not None:
            yield found["version"]


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _written(snapshot: Snapshot) -> Iterator[str]:
    """The files that tools are told to write a version to."""
    data = load("pyproject.toml", snapshot.text("pyproject.toml") or "")
    script = read_setup_script(snapshot.text("setup.py") or "").get("use_scm_version")
    named = [
        table(data, "tool", "setuptools_scm").get("version_file"),
        table(data, "tool", "setuptools_scm").get("write_to"),
        table(data, "tool", "hatch", "build", "hooks", "vcs").get("version-file"),
        table(data, "tool", "pdm", "version").get("write_to"),
        table(data, "tool", "versioningit", "write").get("file"),
        script.get("write_to") if isinstance(script, dict) else None,
    ]
    for path in named:
        if isinstance(path, str) and path.endswith(".py"):
            plain = posixpath.normpath(path)
            if not plain.startswith(("/", "..")):
                yield plain


def _imported(snapshot: Snapshot) -> Iterator[tuple[str, frozenset[str]]]:
    """Modules for versions that a package imports from beside itself and that are not there."""
    for path, file in snapshot.files.items():
        if not path.endswith(".py") or b"version" not in file.content:
            continue
        for module, names in _imports(path, snapshot.text(path) or ""):
            place = module.rpartition("/")[2]
            if place in _MODULES and not _is_there(snapshot, module):
                yield f"{module}.py", names


def _imports(path: str, text: str) -> Iterator[tuple[str, frozenset[str]]]:
    """The modules of its own package that a file imports names from, as paths without ending."""
    tree = python_module(text)
    if tree is None:
        return
    folder = posixpath.dirname(path)
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        names = frozenset(alias.name for alias in node.names)
        if node.level == 1 and node.module:
            yield posixpath.join(folder, node.module.replace(".", "/")), names
        elif node.level == 1:
            for name in names & _MODULES:
                yield posixpath.join(folder, name), frozenset()
        elif not node.level and node.module and node.module.count(".") == 1:
            package, _, module = node.module.partition(".")
            if posixpath.basename(folder) == package:
                yield posixpath.join(folder, module), names


def _is_there(snapshot: Snapshot, module: str) -> bool:
    inside = f"{module}/"
    return f"{module}.py" in snapshot.files or any(
        path.startswith(inside) or path.startswith(f"{module}.") for path in snapshot.files
    )


def _module(version: str, names: frozenset[str]) -> str:
    parts = tuple(int(part) if part.isdigit() else part for part in re.split(r"[.+-]", version))
    values = {name: repr(parts) if "tuple" in name else repr(version) for name in _USUAL}
    values |= {name: repr(version) for name in sorted(names) if name not in values and name != "*"}
    return "".join(f"{name} = {value}\n" for name, value in values.items())


def _tag(folder: Path) -> str:
    """The version in git's newest tag; empty where there is none. No hook and no filter is run."""
    said = ask(folder, "describe", "--tags", "--abbrev=0")
    found = re.search(r"\d[\w.+!-]*$", said.decode("utf-8", "replace").strip()) if said else None
    return found[0] if found and _is_version(found[0]) else ""
