"""The projects that get a fault: their sources come through pip, pinned by version and digest."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict

from verifiers.repository import Snapshot, SnapshotLimits, take_snapshot

TABLE = "projects.toml"
_LIMITS = SnapshotLimits(total_mb=24)


class ProjectError(Exception):
    """A project can't be had. The message is one line that says what to do."""


class Project(BaseModel):
    """One release of a project, with its tests.

    Attributes:
        name: on the package index.
        version: of the release.
        sha256: of its source archive.
        sources: patterns of the files that faults are put into.
        tests: patterns of the files with tests that are kept; others are left out.
        deselect: ids of tests that don't pass in a sandbox, with the project as it is.
        requirements: what the tests need besides pytest and Hypothesis.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    sha256: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]
    deselect: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """pytest's, for its suite."""
        return tuple(f"--deselect={name}" for name in self.deselect)

    def is_source(self, path: str) -> bool:
        """Whether a fault may be put into a file."""
        return any(fnmatch(path, glob) for glob in self.sources)


def read_projects(table: Path) -> dict[str, Project]:
    """The projects of a table by name, in its order."""
    found = tomllib.loads(table.read_text(encoding="utf-8"))
    return {name: Project(name=name, **fields) for name, fields in found.items()}


def sources_folder() -> Path:
    """Where archives are kept unless it is said otherwise."""
    return user_cache_path("regreen") / "bench-mutants"


def fetch(projects: Sequence[Project], folder: Path) -> dict[str, Path]:
    """The source archives of some projects; pip is asked for those that are not there yet.

    pip prepares the metadata of what it downloads, so the build backends of these projects run, as
    they do whenever one of them is installed from source.

    Raises:
        ProjectError: pip can't get one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [one for one in projects if _archive(one, folder) is None]
    if missing:
        lines = [f"{one.name}=={one.version} --hash=sha256:{one.sha256}\n" for one in missing]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
            wanted.writelines(lines)
            wanted.flush()
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                    *("--no-binary", ":all:", "--require-hashes", "--dest", str(folder)),
                    *("--requirement", wanted.name),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ProjectError(f"pip can't download the projects: {last}")
    found = {one.name: _archive(one, folder) for one in projects}
    for name, path in found.items():
        if path is None:
            raise ProjectError(f"{folder} has no archive of {name} with the digest in the table")
    return {name: path for name, path in found.items() if path is not None}


def unpack(project: Project, archive: Path) -> Snapshot:
    """The repository in a source archive, without its one outer folder.

    Raises:
        ProjectError: the archive is not the one in the table, or has no such folder.
    """
    if _digest(archive) != project.sha256:
        raise ProjectError(f"{archive} is not {project.name} {project.version}: remove it")
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(archive) as packed:
        packed.extractall(scratch, filter="data")
        tops = [path for path in Path(scratch).iterdir() if path.is_dir()]
        if len(tops) != 1:
            raise ProjectError(f"{archive} has {len(tops)} folders at its top, and not one")
        found = take_snapshot(tops[0], _LIMITS)
    return Snapshot(files={path: one for path, one in found.files.items() if _kept(project, path)})


def _kept(project: Project, path: str) -> bool:
    """Whether a file is part of the repository: all but tests of other sources, and settings.

    Settings of pytest ask for plug-ins and for tests in the documentation.
    """
    name = path.rpartition("/")[2]
    if fnmatch(name, "test_*.py"):
        return any(fnmatch(path, glob) for glob in project.tests)
    return name not in (".pytest.ini", "pytest.ini", "tox.ini", "setup.cfg")


def _archive(project: Project, folder: Path) -> Path | None:
    return next((one for one in folder.glob("*.tar.gz") if _digest(one) == project.sha256), None)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
