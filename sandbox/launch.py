"""How the servers of the local sandbox are started, and what this machine grants them.

What a machine grants is found out by doing it: a server is started each way in turn, the best
first, and has to say that its trial lock-down held.

    namespaces, `uids`      as root: namespaces of our own, and a user id for each program.
                            bubblewrap has one user only, and the kernel lets root's programs
                            have as many processes as they like.
    bubblewrap, `userns`    where it is installed; some systems let no other program of an
                            ordinary user make a user namespace
    namespaces, `userns`    a user namespace of our own, and one in it for each program
    bubblewrap, `plain`     where bubblewrap's programs may make none in turn: a bubblewrap for
                            each program
    nothing                 reduced: only user ids (as root), limits and the lock-down
"""

# Paths are text here: most go into a command or a frame, for a machine that is not this one.
# ruff: noqa: PTH101, PTH110, PTH112, PTH114, PTH115, PTH116, PTH118

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .folders import PACKAGES
from .guest.lockdown import LAYERS, landlock_abi
from .program import boot_text, first_frame
from .servers import (
    JUDGE_PACKAGES,
    PYTHON_OPTIONS,
    SITE_PACKAGES,
    ServerPaths,
    configuration,
    guest_environment,
)

LAUNCHERS = ("auto", "bubblewrap", "namespaces")

# Not /usr as a whole: a project may lie in /usr/src or /usr/local.
_SYSTEM = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec",
           "/usr/share", "/usr/local/bin", "/usr/local/lib", "/usr/local/lib64", "/bin", "/sbin",
           "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime",
           "/etc/alternatives")  # fmt: skip
_PACKAGES = ("site-packages", "dist-packages")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_PROBE_SECONDS = 20.0
_HEADER = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Grant:
    """What this machine grants the local sandbox.

    Attributes:
        launcher: `bubblewrap`, `namespaces`, or empty where there is no namespace to be had.
        own_users: whether our own namespaces begin with one of users.
        identity: how programs are told apart; see `sandbox.guest.confine`.
        layers: layers of the lock-down that the kernel has.
        missing: what full isolation would need besides, in words.
    """

    launcher: str
    own_users: bool
    identity: str
    layers: tuple[str, ...] = LAYERS
    missing: tuple[str, ...] = ()

    @property
    def level(self) -> str:
        """A name for the level, e.g. `local/userns` or `local/reduced`."""
        if self.missing:
            return "local/reduced"
        return "local/bubblewrap" if self.launcher == "bubblewrap" else f"local/{self.identity}"

    @property
    def one_each(self) -> bool:
        """Whether servers can serve one program only, for want of namespaces within."""
        return bool(self.launcher) and self.identity == "plain"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where on the host everything lies that the servers need.

    Attributes:
        python: the interpreter.
        prefixes: folders of the interpreter that are none of the system's.
        judge: folder of the judge's libraries, or empty.
        site: folder of the task's requirements, or empty.
    """

    python: str
    prefixes: tuple[str, ...]
    judge: str = ""
    site: str = ""


def layout(judge: Path | None = None, site: Path | None = None) -> Layout:
    """Where the running interpreter and the layers given lie."""
    prefix = os.path.realpath(sys.base_prefix)
    parts = [os.path.join(prefix, name) for name in ("bin", "lib", "lib64")]
    prefixes = [part for part in parts if os.path.isdir(part) and not _is_system(part)]
    python = interpreter()
    if not any(_lies_in(python, part) for part in prefixes) and not _is_system(python):
        prefixes.append(python)
    return Layout(
        python=python,
        prefixes=tuple(prefixes),
        judge=str(judge) if judge else "",
        site=str(site) if site else "",
    )


def interpreter() -> str:
    """The running Python itself, not a virtual environment's copy of it or link to it."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _is_system(path: str) -> bool:
    return any(_lies_in(path, folder) for folder in _SYSTEM)


def packages_folders(prefixes: tuple[str, ...]) -> list[str]:
    """Folders of installed packages, which a program must not see: suites' answers lie there."""
    found = {os.path.realpath(sysconfig.get_path("stdlib"))}
    for base in ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64", *prefixes):
        if os.path.isdir(base):
            found |= {entry.path for entry in os.scandir(base) if entry.name.startswith("python")}
    folders = {os.path.join(folder, name) for folder in found for name in _PACKAGES}
    return sorted(folder for folder in folders if os.path.isdir(folder))


def start_server(
    grant: Grant,
    places: Layout,
    role: str,
    *,
    link_fd: int,
    slots: int,
    scratch_mb: int,
    slot_root: str = "",
) -> tuple[list[str], bytes]:
    """The command that starts a server and the first frame for it.

    Args:
        grant: the way to start it.
        places: where everything lies.
        role: `judge` or `zygote`.
        link_fd: the inherited socket to the other server.
        slots: how many programs at a time.
        scratch_mb: MiB of scratch space for each.
        slot_root: folder of the host for scratch space, where there are no namespaces.
    """
    hidden = packages_folders(places.prefixes)
    judge = places.judge
    read = (*_SYSTEM, *places.prefixes)
    extra: dict[str, Any] = {"link_fd": link_fd}
    command = [places.python, *PYTHON_OPTIONS, boot_text()]
    if grant.launcher:
        shown = [(judge, JUDGE_PACKAGES), (places.site, SITE_PACKAGES)]
        layers = [(source, target) for source, target in shown if source]
        binds, links = _shown(read)
        binds += layers
        paths = ServerPaths(
            judge=JUDGE_PACKAGES if judge else "",
            site=SITE_PACKAGES if places.site else "",
            read=read,
        )
        if grant.launcher == "bubblewrap":
            size = scratch_mb << 20 if grant.one_each else 0
            command = [*_bubblewrap(binds, links, hidden, size), *command]
            extra["slots_folder"] = True
        else:
            extra["namespaces"] = {
                "own_users": grant.own_users,
                "binds": binds,
                "links": links,
                "masked": hidden,
                "slots": slots,
                "scratch_bytes": scratch_mb << 20,
            }
    else:
        granted, listed = without(read, hidden)
        paths = ServerPaths(judge=judge, site=places.site, read=granted)
        extra |= {"slots_folder": True, "slot_root": slot_root, "listed": listed}
    config = configuration(
        role,
        own_network=bool(grant.launcher),
        slots=slots,
        identity=grant.identity,
        paths=paths,
        scratch_mb=scratch_mb,
        layers=grant.layers,
        **extra,
    )
    return command, first_frame(config)


def environment(hash_seed: int) -> dict[str, str]:
    """A server's environment: nothing of ours."""
    return {"PATH": "/usr/bin:/bin", **guest_environment(hash_seed)}


def _shown(paths: tuple[str, ...]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Binds and symbolic links that show these paths inside as they are outside."""
    binds, links = [], []
    for path in paths:
        if os.path.islink(path):
            links.append((path, os.readlink(path)))
        elif os.path.exists(path):
            binds.append((path, path))
    return binds, links


def _bubblewrap(
    binds: list[tuple[str, str]],
    links: list[tuple[str, str]],
    hidden: list[str],
    scratch_bytes: int,
) -> list[str]:
    """bubblewrap's part of a command; `scratch_bytes` only where the programs mount nothing."""
    command = [shutil.which("bwrap") or "bwrap", "--die-with-parent"]
    command += ["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc"]
    # Root of its own user namespace: programs get one each in turn.
    command += ["--unshare-uts", "--uid", "0", "--gid", "0", "--cap-add", "ALL"]
    command += ["--proc", "/proc", "--tmpfs", "/tmp"]
    command += [*(["--size", str(scratch_bytes)] if scratch_bytes else []), "--tmpfs", "/slots"]
    for source, target in binds:
        command += ["--ro-bind", source, target]
    for path, points_to in links:
        command += ["--symlink", points_to, path]
    for folder in hidden:
        command += ["--tmpfs", folder, "--remount-ro", folder]
    for name in _DEVICES:
        command += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    return [*command, "--remount-ro", "/", "--"]


def without(paths: tuple[str, ...], hidden: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Grants for all beneath `paths` but what lies in `hidden`, for rules that know no exception.

    Returns:
        The paths to grant one by one, and the folders on the way to what is hidden, of which only
        the lists of names may be read: an import has to find what lies in them.
    """
    avoid = [os.path.realpath(folder) for folder in hidden]
    granted: list[str] = []
    listed: list[str] = []

    def grant(path: str) -> None:
        real = os.path.realpath(path)
        if any(_lies_in(real, folder) for folder in avoid):
            return
        if not any(_lies_in(folder, real) for folder in avoid):
            granted.append(path)
            return
        listed.append(path)
        for entry in sorted(os.scandir(path), key=lambda found: found.name):
            # a link is granted with what it points to, by that path
            if not entry.is_symlink():
                grant(entry.path)
            elif not any(_lies_in(folder, os.path.realpath(entry.path)) for folder in avoid):
                granted.append(entry.path)

    for path in paths:
        if os.path.exists(path):
            grant(path)
    return tuple(granted), tuple(listed)


def staged(places: Layout, folder: Path) -> Layout:
    """Copies into `folder` what programs under another user id could not reach where it lies."""

    def reachable(path: str) -> bool:
        above = all(os.stat(folder).st_mode & 0o1 for folder in Path(path).parents)
        return above and os.stat(path).st_mode & 0o5 == 0o5

    changed: dict[str, str] = {}
    for name in ("judge", "site"):
        path = getattr(places, name)
        if path and not reachable(path):
            changed[name] = str(shutil.copytree(path, folder / name / PACKAGES))
    moved = replace(places, **changed)  # type: ignore[arg-type]
    if places.prefixes and not all(map(reachable, places.prefixes)):
        moved = _stage_python(moved, folder / "python")
    return moved


def _stage_python(places: Layout, prefix: Path) -> Layout:
    stdlib = Path(sysconfig.get_path("stdlib"))
    ignored = shutil.ignore_patterns(*_PACKAGES, "test", "idlelib", "ensurepip", "config-*")
    shutil.copytree(stdlib, prefix / "lib" / stdlib.name, ignore=ignored)
    (prefix / "bin").mkdir()
    python = shutil.copy(places.python, prefix / "bin")
    for library in stdlib.parent.glob("libpython*.so*"):
        shutil.copy(library, prefix / "lib")
    return replace(places, python=str(python), prefixes=(str(prefix),))


@functools.cache
def probe(launcher: str = "auto") -> Grant:
    """Finds out, by starting servers, the best that this machine grants. Blocks up to seconds.

    Args:
        launcher: one of `LAUNCHERS`; other than `auto`, the only one that is tried.
    """
    layers: tuple[str, ...] = LAYERS
    missing: list[str] = []
    if landlock_abi() < 1:
        layers = tuple(name for name in LAYERS if name != "landlock")
        missing.append("no Landlock: the kernel is older than 5.13 or it is switched off")
    reason = ""
    for way in _ways(launcher):
        lacks = [*missing]
        if os.geteuid() == 0 and way.identity != "uids":
            lacks.append("no limit on processes: the kernel doesn't count root's")
        way = replace(way, layers=layers, missing=tuple(lacks))
        refusal = _attempt(way)
        if not refusal:
            return way
        reason = reason or refusal.rstrip(".")
    missing.append(f"no namespaces: {reason or 'bubblewrap is not installed'}")
    bare = Grant("", False, "plain", layers, tuple(missing))
    by_user = replace(bare, identity="uids")
    return by_user if os.geteuid() == 0 and not _attempt(by_user) else bare


def _ways(launcher: str) -> Iterator[Grant]:
    bubblewrap = launcher != "namespaces" and shutil.which("bwrap") is not None
    if launcher != "bubblewrap" and os.geteuid() == 0:
        yield Grant("namespaces", False, "uids")
    if bubblewrap:
        yield Grant("bubblewrap", True, "userns")
    if launcher != "bubblewrap":
        yield Grant("namespaces", True, "userns")
    if bubblewrap:
        yield Grant("bubblewrap", True, "plain")


def _attempt(way: Grant) -> str:
    """Starts a zygote this way; says why it can't be, or nothing."""
    ours, theirs = socket.socketpair()
    with ours, theirs, contextlib.ExitStack() as stack:
        folder = ""
        if not way.launcher:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="regreen-"))
            os.chmod(folder, 0o711)
        command, frame = start_server(
            way, layout(), "zygote", link_fd=theirs.fileno(), slots=1, scratch_mb=1,
            slot_root=f"{folder}/slots",
        )  # fmt: skip
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment(0),
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        ) as process:
            watchdog = threading.Timer(_PROBE_SECONDS, process.kill)
            watchdog.start()
            try:
                hello = _first_words(process, frame)
            finally:
                watchdog.cancel()
                process.kill()
    return "" if "hello" in hello else str(hello.get("refused"))


def _first_words(process: subprocess.Popen[bytes], frame: bytes) -> dict[str, Any]:
    """What a server answers to its first frame. Its input stays open: it would end with that."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(frame)
        process.stdin.flush()
    header = process.stdout.read(_HEADER.size)
    if len(header) < _HEADER.size:
        lines = process.stderr.read().decode("utf-8", "replace").strip().splitlines()
        return {"refused": lines[-1] if lines else "the server ended without a word"}
    answer: dict[str, Any] = json.loads(process.stdout.read(*_HEADER.unpack(header)))
    return answer
