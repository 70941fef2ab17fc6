"""Gives a server a machine of its own: namespaces and a file system with only what it needs.

Used by the local backend where neither a container engine nor bubblewrap does it. The new root
holds the folders asked for, read-only; what lies in `masked` is hidden; and there is no device,
network or process of the host in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
from typing import Any, NoReturn

from . import kernel
from .limits import inodes

_BASE = "/tmp"  # any folder that every machine has: what lies in it is seen below `_OLD`
_OLD, _NEW = "/old", "/new"
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LOCKED = {0x1: kernel.MS_RDONLY, 0x2: kernel.MS_NOSUID, 0x4: kernel.MS_NODEV,
           0x8: kernel.MS_NOEXEC, 0x400: 1024, 0x800: 2048, 0x1000: 1 << 21}  # fmt: skip
_SAFE = kernel.MS_NOSUID | kernel.MS_NODEV
_SET_FLAGS, _UP = 0x8914, 1
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4


class _MountAttr(ctypes.Structure):
    _fields_ = [
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


def enter(config: dict[str, Any]) -> None:
    """Moves this process into namespaces and a root of its own; returns in the new first process.

    Args:
        config: `own_users`, whether to make a user namespace too; `binds`, pairs of host path and
            path inside; `links`, pairs of path inside and what it points to; `masked`, folders
            inside to hide; `slots` and `scratch_bytes`, how many scratch folders and how large.

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
    if not config["own_users"]:
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
    _raise_loopback()
    _build_root(config)


def _raise_loopback() -> None:
    """Switches on the one interface of the network namespace; it leads nowhere else."""
    request = bytearray(struct.pack("16sh22x", b"lo", _UP))
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_one:
        fcntl.ioctl(any_one, _SET_FLAGS, request)


def _wait_for(pid: int) -> NoReturn:
    """The outer process lives as long as the inner one, holding nothing open."""
    os.closerange(0, 2)
    os.closerange(3, 1 << 16)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _build_root(config: dict[str, Any]) -> None:
    # A path that leads over links is followed here, where they still point to what they mean.
    binds = [(os.path.realpath(source), target) for source, target in config["binds"]]
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", _BASE, "tmpfs", _SAFE, "size=1m,mode=0755")
    for folder in (_OLD, _NEW):
        os.mkdir(_BASE + folder)
    os.chdir(_BASE)
    # The host's root goes aside first, so that nothing of it is hidden by what is put in place.
    kernel.pivot_root(_BASE, _BASE + _OLD)
    os.chdir("/")
    kernel.mount(_NEW, _NEW, "", kernel.MS_BIND | kernel.MS_REC)
    for source, target in binds:
        _bind(_OLD + source, _NEW + target)
    for link, points_to in config["links"]:
        os.makedirs(os.path.dirname(_NEW + link), exist_ok=True)
        os.symlink(points_to, _NEW + link)
    for folder in config["masked"]:
        if os.path.isdir(_NEW + folder):
            kernel.mount("tmpfs", _NEW + folder, "tmpfs", kernel.MS_RDONLY, "size=4k,mode=0755")
    for name in _DEVICES:
        _bind(f"{_OLD}/dev/{name}", f"{_NEW}/dev/{name}", device=True)
    for folder in ("proc", "tmp", "slots"):
        os.makedirs(f"{_NEW}/{folder}", exist_ok=True)
    kernel.mount("proc", f"{_NEW}/proc", "proc", _SAFE | kernel.MS_NOEXEC)
    if not os.listdir(f"{_NEW}/tmp"):
        kernel.mount("tmpfs", f"{_NEW}/tmp", "tmpfs", _SAFE, "size=4k")
    make_slots(f"{_NEW}/slots", config["slots"], config["scratch_bytes"])
    kernel.unmount(_OLD)
    os.chdir(_NEW)
    kernel.pivot_root(".", ".")  # the old root ends up on top of the new one
    kernel.unmount(".")
    os.chdir("/")
    kernel.mount("none", "/", "", kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | _SAFE)


def make_slots(root: str, count: int, scratch_bytes: int) -> None:
    """A small file system of its own for each slot, so that none can fill another's."""
    for slot in range(count):
        folder = f"{root}/{slot}"
        os.makedirs(folder, exist_ok=True)
        options = f"size={scratch_bytes},nr_inodes={inodes(scratch_bytes)},mode=0777"
        kernel.mount("tmpfs", folder, "tmpfs", _SAFE, options)


def _bind(source: str, target: str, *, device: bool = False) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount(source, target, "", kernel.MS_BIND | kernel.MS_REC)
    if not device:
        _make_read_only(target)


def _make_read_only(target: str) -> None:
    """Read-only all the way down; a kernel before 5.12 can do it for the topmost mount alone."""
    attr = _MountAttr(_ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV, 0, 0, 0)
    try:
        kernel.syscall(
            "mount_setattr",
            ctypes.c_int(_AT_FDCWD),
            ctypes.c_char_p(target.encode()),
            ctypes.c_uint(_AT_RECURSIVE),
            ctypes.byref(attr),
            ctypes.c_size_t(ctypes.sizeof(attr)),
        )
    except OSError:
        given = os.statvfs(target).f_flag
        flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | _SAFE
        for bit, flag in _LOCKED.items():
            if given & bit:
                flags |= flag
        kernel.mount("none", target, "", flags)
