"""Fetches, on the host, the wheels that the network-less build of a sandbox image copies in.

Only wheels are taken: pip runs in a process that can't start another one, so neither the setup
code of a requirement nor that of anything it depends on is ever run.

    WheelError
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import RequirementError
from sandbox.folders import cache_folder

# What the judge imports; their dependencies follow from the metadata.
_JUDGE = ("hypothesis", "pytest")

# name, extras, then versions and markers. No `@`, `/` or leading dot or dash: a URL, a path or an
# option would let pip take something else than a wheel of the index.
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
    r"\s*(?:\[[A-Za-z0-9._,\s-]*\])?\s*(?:[<>=!~(;][^@/\\\n]*)?"
)

# `--only-binary` binds the index but not a dependency given by URL, which pip would build. A
# build, like a checkout, needs a subprocess; fetching a wheel does not.
RUN_PIP = """
import runpy, sys
def refuse(event, args):
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"):
        raise PermissionError("only wheels are taken, nothing is built")
sys.addaudithook(refuse)
sys.path[:0] = filter(None, [sys.argv.pop(1)])
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""

_UNSATISFIED = re.compile(
    r"Could not find a version that satisfies the requirement (?P<name>[A-Za-z0-9._-]+)"
    r"[^\n]*?(?:\(from (?!versions)(?P<parent>[A-Za-z0-9._-]+)[^\n]*)?(?:\n|$)"
)
_CONFLICT = re.compile(r"Cannot install [^\n]*|ResolutionImpossible[^\n]*")
_UNREACHABLE = re.compile(r"connection|timed out|name resolution|SSLError|ProxyError", re.I)


class WheelError(Exception):
    """A wheel can't be had. The message is one line that says which and what to do.

    Attributes:
        name: of the requirement that it is about, if it is one of those that were asked for.
        conflict: whether there are wheels, but of versions that don't go together.
        reason: pip's own line.
    """

    def __init__(
        self, message: str, *, name: str = "", conflict: bool = False, reason: str = ""
    ) -> None:
        super().__init__(message)
        self.name = name
        self.conflict = conflict
        self.reason = reason

    def requirement(self) -> RequirementError:
        """The same to whoever wanted a sandbox."""
        return RequirementError(
            str(self), name=self.name, conflict=self.conflict, reason=self.reason
        )


@dataclass(frozen=True)
class Target:
    """The Python of an image, as far as the choice of wheels depends on it.

    Attributes:
        python: major and minor version, e.g. `3.12`.
        machine: the architecture as Linux calls it, e.g. `x86_64`.
        libc: `glibc-2.36` or `musl-1.2`: its name, major and minor version.
    """

    python: str
    machine: str
    libc: str

    def platforms(self) -> list[str]:
        """Platform tags that this Python can load, newest first (PEP 600, PEP 656)."""
        name, _, version = self.libc.partition("-")
        major, _, minor = version.partition(".")
        family = "musllinux" if name == "musl" else "manylinux"
        tags = [f"{family}_{major}_{n}_{self.machine}" for n in range(int(minor), -1, -1)]
        if family == "manylinux":
            tags += [f"manylinux{year}_{self.machine}" for year in ("2014", "2010", "1")]
        return [*tags, f"linux_{self.machine}"]

    def __str__(self) -> str:
        return f"Python {self.python} on {self.machine}, {self.libc}"


def judge_libraries() -> tuple[str, ...]:
    """What the judge imports, pinned to this installation's versions, as `name==version`.

    The versions are those of the host, so a verdict doesn't depend on where it was reached, and
    an image's name can be known without asking an index.

    Raises:
        WheelError: the host lacks one of them.
    """
    pins: dict[str, str] = {}
    queue = list(_JUDGE)
    while queue:
        name = queue.pop().lower()
        if name in pins:
            continue
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name in _JUDGE:
                raise WheelError(
                    f"{name} is not installed beside Regreen: reinstall it (pip install regreen)"
                ) from None
            continue  # for another platform or an older Python
        pins[name] = found.version
        for line in found.requires or ():
            if "extra ==" not in line and (match := re.match(r"[A-Za-z0-9._-]+", line)):
                queue.append(match.group())
    return tuple(f"{name}=={version}" for name, version in sorted(pins.items()))


def is_judge_root(pin: str) -> bool:
    """Whether a pin of `judge_libraries` is asked for, and not just a dependency."""
    return pin.partition("==")[0] in _JUDGE


def normalise(requirements: Iterable[str]) -> tuple[str, ...]:
    """Sorts requirements and drops doubles, so that equal sets share one image.

    Raises:
        WheelError: one is no `name`, `name[extra]` or `name==version`, with or without a marker.
    """
    cleaned = sorted({" ".join(line.split()) for line in requirements})
    for line in cleaned:
        if not _REQUIREMENT.fullmatch(line):
            raise WheelError(
                f"requirement {line!r}: allowed are a name with extras, versions and markers, "
                "such as 'numpy>=2'; no option, path or URL"
            )
    return tuple(cleaned)


def fetch(
    requirements: Iterable[str],
    target: Target,
    *,
    constraints: Iterable[str] = (),
    fresh: bool = False,
) -> list[Path]:
    """Wheels of some requirements and all they depend on, from the cache or by way of pip.

    Args:
        requirements: as `normalise` returns them.
        target: the Python they must fit.
        constraints: `name==version` for whatever gets pulled in.
        fresh: ask the index even if these very requirements were fetched before.

    Raises:
        WheelError: pip can't be run, the index can't be reached, or it has no such wheel.
    """
    wanted, bounds = sorted(requirements), sorted(constraints)
    key = hashlib.sha256(json.dumps([wanted, bounds, str(target)]).encode()).hexdigest()[:24]
    root = cache_folder() / "wheels"
    folder = root / key
    if fresh or not folder.is_dir():
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=root, prefix="part-") as part:
                _download(wanted, bounds, target, Path(part))
                _publish(Path(part) / "wheels", folder)
        except OSError as error:
            raise WheelError(
                f"can't keep wheels in {root}: {error.strerror or error}; "
                "free space there or set REGREEN_CACHE_DIR"
            ) from error
    return sorted(folder.glob("*.whl"))


def _publish(part: Path, folder: Path) -> None:
    """Renames a complete download into place; a folder of the cache is never half filled."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        part.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster, with the same content
            raise


def _download(wanted: list[str], bounds: list[str], target: Target, work: Path) -> None:
    (work / "wanted.txt").write_text("\n".join(wanted))
    (work / "bounds.txt").write_text("\n".join(bounds))
    (work / "empty").mkdir()
    command = [sys.executable, "-c", RUN_PIP, pip_path(), "download", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--only-binary=:all:"]
    command += ["--implementation=cp", f"--python-version={target.python}"]
    command += [f"--abi=cp{target.python.replace('.', '')}"]
    command += [f"--platform={tag}" for tag in target.platforms()]
    command += [f"--dest={work / 'wheels'}", f"--requirement={work / 'wanted.txt'}"]
    command += [f"--constraint={work / 'bounds.txt'}"]
    done = subprocess.run(
        command,
        cwd=work / "empty",  # pip takes an archive that lies here for the requirement it names
        env=os.environ | {"PIP_REQUIRE_VIRTUALENV": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise _explain(done.stdout, wanted, target)


def pip_path() -> str:
    """Where pip is imported from: empty for an installed one, else the wheel in ensurepip.

    Environments made by uv have no pip.

    Raises:
        WheelError: there is neither.
    """
    if importlib.util.find_spec("pip"):
        return ""
    if spec := importlib.util.find_spec("ensurepip"):
        for folder in spec.submodule_search_locations or ():
            for wheel in Path(folder, "_bundled").glob("pip-*.whl"):
                return str(wheel)
    raise WheelError(f"there is no pip for {sys.executable}: install it beside Regreen")


def last_error(output: str) -> str:
    """The line of pip's output that says what went wrong: its last `ERROR`, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pip failed without a word"])[-1].removeprefix("ERROR: ")


def _explain(output: str, wanted: list[str], target: Target) -> WheelError:
    if "No space left on device" in output:
        return WheelError(
            f"the disk of {cache_folder()} is full: free space or set REGREEN_CACHE_DIR"
        )
    conflict = _CONFLICT.search(output)
    reason = conflict[0] if conflict else last_error(output)
    unreachable = _UNREACHABLE.search(output)
    if unreachable:
        reason += " (the package index did not answer: check the network and pip's settings)"
    return WheelError(
        f"no wheels of {', '.join(wanted)} for {target}: {reason}; nothing is built from source",
        name="" if unreachable else _culprit(output, wanted),
        conflict=conflict is not None,
        reason=reason,
    )


def _culprit(output: str, wanted: list[str]) -> str:
    """The name of the requirement that pip could not satisfy, or of the one that needs that."""
    found = _UNSATISFIED.search(output)
    if found is None:
        return ""
    asked = {canonical(found["name"])}
    if found["parent"]:
        asked.add(canonical(found["parent"]))
    names = {canonical(re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]) for line in wanted}
    return next(iter(sorted(asked & names)), "")


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
