"""Folders of installed packages that servers of the local sandbox get to see, made once.

Two kinds: the judge's own libraries, copied from this installation, and a task's requirements,
fetched as wheels. Both are made before a server starts, never while a program runs, and both are
named by their content, so a folder that exists is never changed again.
"""

from __future__ import annotations

import compileall
import functools
import hashlib
import json
import platform
import shutil
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path, PurePosixPath

from .errors import SandboxUnavailableError
from .folders import PACKAGES, cache_folder
from .wheels import Target, WheelError, fetch, normalise
from .wheels import judge_libraries as judge_pins


@functools.cache
def judge_layer() -> Path:
    """A folder with pytest, Hypothesis and what they need, copied from this installation.

    Only the judge sees it. Cached by the versions in it.

    Raises:
        SandboxUnavailableError: one of them is not installed, or the cache can't be written.
    """
    try:
        pins = judge_pins()
    except WheelError as error:
        raise SandboxUnavailableError(str(error)) from None

    def fill(folder: Path) -> None:
        for pin in pins:
            distribution = metadata.distribution(pin.partition("==")[0])
            for file in distribution.files or ():
                if ".." in file.parts or "__pycache__" in file.parts:
                    continue
                copy = folder / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(distribution.locate_file(file)), copy)

    return _layer("judge", [*pins, sys.version], fill)


def requirements_layer(requirements: tuple[str, ...]) -> Path | None:
    """A folder with a task's requirements, for the running Python; `None` if there are none.

    Only wheels are taken and nothing of them is run. Blocks: up to minutes where the folder
    doesn't exist yet.

    Args:
        requirements: pip requirements such as `numpy>=2`; no option, path or URL.

    Raises:
        RequirementError: a requirement is malformed or has no wheel.
        SandboxUnavailableError: the cache can't be written.
    """
    try:
        wanted = normalise(requirements)
        if not wanted:
            return None
        wheels = fetch(wanted, running_target())
    except WheelError as error:
        raise error.requirement() from None
    names = [f"{wheel.name} {wheel.stat().st_size}" for wheel in wheels]

    def fill(folder: Path) -> None:
        for wheel in wheels:
            _unpack(wheel, folder)

    return _layer("site", [*names, sys.version], fill)


def running_target() -> Target:
    """The running Python, as far as the choice of wheels depends on it."""
    libc = "-".join(platform.libc_ver(sys.executable))
    if "musl" in str(sysconfig.get_config_var("SOABI")):
        libc = "musl-1.2"
    version = ".".join(map(str, sys.version_info[:2]))
    return Target(python=version, machine=platform.machine(), libc=libc)


def _layer(kind: str, parts: list[str], fill: Callable[[Path], None]) -> Path:
    """The cached folder for this content, filled if it isn't there yet."""
    key = hashlib.sha256(json.dumps([PACKAGES, *parts]).encode()).hexdigest()[:16]
    root = cache_folder() / "layers"
    target = root / f"{kind}-{key}"
    if target.is_dir():
        return target / PACKAGES
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix="part-") as part:
            building = Path(part) / "layer"
            packages = building / PACKAGES
            packages.mkdir(parents=True)
            fill(packages)
            compileall.compile_dir(building, quiet=2, workers=1)
            _open_to_all(building)
            try:
                building.rename(target)
            except OSError:
                if not target.is_dir():  # else another process was first, with the same content
                    raise
    except OSError as error:
        raise SandboxUnavailableError(
            f"can't write {error.filename or root}: {error.strerror or error}; "
            "free space there or set REGREEN_CACHE_DIR"
        ) from None
    return target / PACKAGES


def _unpack(wheel: Path, folder: Path) -> None:
    """Puts a wheel's modules into `folder`; scripts, headers and data have no use there."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            parts = PurePosixPath(entry.filename).parts
            if parts and parts[0].endswith(".data"):
                if len(parts) < 3 or parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            if entry.is_dir() or not parts:
                continue
            if ".." in parts or parts[0] == "/":
                raise SandboxUnavailableError(f"{wheel.name} has a file outside of its folder")
            copy = folder.joinpath(*parts)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target)
            if entry.external_attr >> 16 & 0o100:  # a program, such as a runtime in a wheel
                copy.chmod(0o755)


def _open_to_all(folder: Path) -> None:
    """Readable by the user ids that programs run under, whatever the umask was."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
