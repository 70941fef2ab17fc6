"""Gives a server a machine of its own: namespaces and a file system with only what it needs.

Used by the local backend where neither a container engine nor bubblewrap does it. The new root
holds the system's libraries, the Python that runs, and the folders asked for, all read-only; what
lies in `masked` is hidden; and there is no device, network or process of the host in it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any, NoReturn

from . import kernel

_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc/ld.so.cache",
           "/etc/localtime", "/etc/alternatives")  # fmt: skip
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LOCKED = {0x1: kernel.MS_RDONLY, 0x2: kernel.MS_NOSUID, 0x4: kernel.MS_NODEV,
           0x8: kernel.MS_NOEXEC, 0x400: 1024, 0x800: 2048, 0x1000: 1 << 21}  # fmt: skip


def enter(config: dict[str, Any]) -> None:
    """Moves this process into namespaces and a root of its own; returns in the new first process.

    Args:
        config: `binds`, pairs of host path and path inside; `masked`, folders to hide; `slots`.

    Raises:
        OSError: the kernel grants too little. Nothing has changed for the caller to undo but its
            own process, which should end.
    """
    uid, gid = os.getuid(), os.getgid()
    flags = (
        kernel.CLONE_NEWNS
        | kernel.CLONE_NEWPID
        | kernel.CLONE_NEWNET
        | kernel.CLONE_NEWIPC
        | kernel.CLONE_NEWUTS
    )
    if uid == 0:
        kernel.unshare(flags)
    else:
        kernel.unshare(flags | kernel.CLONE_NEWUSER)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"0 {uid} 1"),
            ("gid_map", f"0 {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    pid = os.fork()
    if pid:
        _wait_for(pid)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    _build_root(config)


def _wait_for(pid: int) -> NoReturn:
    """The outer process lives as long as the inner one, holding nothing open."""
    os.closerange(0, 2)
    os.closerange(3, 1 << 16)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _build_root(config: dict[str, Any]) -> None:
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    base = "/mnt" if os.path.isdir("/mnt") else "/media"  # nothing shown inside lies there
    kernel.mount("tmpfs", base, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=0755")
    for source, target in [*((path, path) for path in _SYSTEM), *config["binds"]]:
        if os.path.islink(source):
            os.makedirs(os.path.dirname(base + target), exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.symlink(os.readlink(source), base + target)
        elif os.path.exists(source):
            _bind(source, base + target)
    for folder in config["masked"]:
        if os.path.isdir(base + folder):
            kernel.mount("tmpfs", base + folder, "tmpfs", kernel.MS_RDONLY, "size=4k,mode=0755")
    os.makedirs(f"{base}/dev", exist_ok=True)
    for name in _DEVICES:
        _bind(f"/dev/{name}", f"{base}/dev/{name}", read_only=False)
    for folder in ("proc", "tmp", "slots", ".old"):
        os.makedirs(f"{base}/{folder}", exist_ok=True)
    kernel.mount("proc", f"{base}/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV)
    kernel.mount("tmpfs", f"{base}/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=4k")
    make_slots(f"{base}/slots", config["slots"], config["scratch_bytes"])
    os.chdir(base)
    kernel.pivot_root(base, f"{base}/.old")
    os.chdir("/")
    kernel.unmount("/.old")
    os.rmdir("/.old")
    kernel.mount("none", "/", "", kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY)


def make_slots(root: str, count: int, scratch_bytes: int) -> None:
    """A small file system of its own for each slot, so that none can fill another's."""
    for slot in range(count):
        folder = f"{root}/{slot}"
        os.makedirs(folder, exist_ok=True)
        kernel.mount(
            "tmpfs",
            folder,
            "tmpfs",
            kernel.MS_NOSUID | kernel.MS_NODEV,
            f"size={scratch_bytes},nr_inodes=4096,mode=0777",
        )


def _bind(source: str, target: str, *, read_only: bool = True) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount(source, target, "", kernel.MS_BIND | kernel.MS_REC)
    if read_only:
        given = os.statvfs(target).f_flag
        flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID
        for bit, flag in _LOCKED.items():
            if given & bit:
                flags |= flag
        kernel.mount("none", target, "", flags | kernel.MS_NODEV)
