"""What a process gives up before the first byte of a stranger's code runs in it.

Order matters: identity, resource limits, no new privileges, Landlock, seccomp. Each step is a
layer with a name (`LAYERS`), so that a probe can say which of them this kernel grants.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from . import kernel

LAYERS = ("no-new-privs", "landlock", "seccomp")
"""The layers that `restrict` applies, in order."""

# Landlock access rights, from linux/landlock.h.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_NEWEST = (1 << 16) - 1
_SPECIAL_FILES = (1 << 6) | (1 << 9) | (1 << 11)  # character devices, sockets, block devices
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | (1 << 14) | (1 << 15)
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_SCOPE_ABSTRACT_AND_SIGNAL = 0b11
_RULE_PATH_BENEATH, _RULE_NET_PORT = 1, 2

DENIED = (
    "socket", "bind", "connect", "listen", "ptrace", "process_vm_readv", "process_vm_writev",
    "pidfd_getfd", "kcmp", "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf",
    "perf_event_open", "userfaultfd", "add_key", "request_key", "keyctl", "unshare", "setns",
    "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr", "name_to_handle_at", "open_by_handle_at", "fanotify_init",
    "inotify_init", "inotify_init1", "setxattr", "lsetxattr", "fsetxattr", "setxattrat",
    "memfd_create", "memfd_secret", "shmget", "shmat", "semget", "msgget", "mq_open", "personality",
    "modify_ldt",
)  # fmt: skip
"""System calls refused with EPERM: ways to the network, to other processes, to kernel interfaces
with a long record of holes, and to memory that outlives its process or escapes its limits. Also
ways to hear of files that Landlock hides, to write notes on folders, which it doesn't control, and
to give a socket that one holds another peer."""

_NAMESPACE_FLAGS = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWCGROUP
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
)
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38
_NEWEST_KNOWN = 470
_X32_BIT = 0x40000000
_TYPE_MASK, _STREAM = 0xF, 1  # of a socket
_INET, _TCP = 2, 6


@dataclass(frozen=True, slots=True)
class Rlimits:
    """Kernel-enforced limits of one process. Units: seconds, bytes, counts."""

    cpu_seconds: int
    address_space: int
    processes: int
    file_bytes: int
    descriptors: int = 64

    def amounts(self) -> tuple[int, int, int, int, int]:
        """As `apply_limits` takes them."""
        return (
            self.cpu_seconds,
            self.address_space,
            self.processes,
            self.file_bytes,
            self.descriptors,
        )


_LIMITS = (
    resource.RLIMIT_CPU,
    resource.RLIMIT_AS,
    resource.RLIMIT_NPROC,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_NOFILE,
)


def apply_limits(amounts: Sequence[int]) -> None:
    """Sets limits on this process, hard and soft alike, so that nothing in it can raise them.

    Args:
        amounts: from `Rlimits.amounts`.
    """
    for what, amount in zip(_LIMITS, amounts):  # noqa: B905
        try:
            resource.setrlimit(what, (amount, amount))
        except ValueError:  # a lower hard limit is in force already
            continue


def forbid_leftovers() -> None:
    """No core files, and no memory that is locked: the same for all runs."""
    for what in (resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK):
        resource.setrlimit(what, (0, 0))


def landlock_abi() -> int:
    """The kernel's Landlock version, 0 where there is none."""
    try:
        return kernel.syscall(
            "landlock_create_ruleset", None, ctypes.c_size_t(0), ctypes.c_uint32(1)
        )
    except OSError:
        return 0


class _RulesetAttr(ctypes.Structure):
    _fields_ = [
        ("handled_fs", ctypes.c_uint64),
        ("handled_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _NetPort(ctypes.Structure):
    _fields_ = [("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def landlock_ruleset(
    read: tuple[str, ...], write: tuple[str, ...], listed: tuple[str, ...] = (), port: int = 0
) -> int:
    """A ruleset's descriptor: read and execute beneath `read`, all but special files in `write`.

    Beneath `listed` there are lists of names to be had and nothing else. Everything else in the
    file system is refused, and so are TCP but to `port` where that isn't 0, abstract sockets of
    others and signals to processes outside, as far as the kernel's version goes.

    Raises:
        OSError: no Landlock here.
    """
    abi = landlock_abi()
    if abi < 1:
        raise OSError(_ENOSYS, "no Landlock")
    handled = _ALL_BY_ABI.get(abi, _ALL_NEWEST)
    attr = _RulesetAttr(
        handled,
        _BIND_TCP | _CONNECT_TCP if abi >= 4 else 0,
        _SCOPE_ABSTRACT_AND_SIGNAL if abi >= 6 else 0,
    )
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = kernel.syscall(
        "landlock_create_ruleset", ctypes.byref(attr), ctypes.c_size_t(size), ctypes.c_uint32(0)
    )
    rules = [(path, _EXECUTE | _READ_FILE | _READ_DIR) for path in read]
    rules += [(path, _READ_DIR) for path in listed]
    rules += [(path, handled & ~_SPECIAL_FILES) for path in write]
    rules += [("/dev/null", _READ_FILE | _WRITE_FILE)]
    rules += [(f"/dev/{name}", _READ_FILE) for name in ("zero", "urandom", "random")]
    for path, rights in rules:
        try:
            parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if not os.path.isdir(path):
                rights &= _FILE_RIGHTS
            rule = _PathBeneath(rights & handled, parent)
            kernel.syscall(
                "landlock_add_rule",
                ctypes.c_int(ruleset),
                ctypes.c_int(_RULE_PATH_BENEATH),
                ctypes.byref(rule),
                ctypes.c_uint32(0),
            )
        finally:
            os.close(parent)
    if port and abi >= 4:
        allowed = _NetPort(_CONNECT_TCP, port)
        kernel.syscall(
            "landlock_add_rule",
            ctypes.c_int(ruleset),
            ctypes.c_int(_RULE_NET_PORT),
            ctypes.byref(allowed),
            ctypes.c_uint32(0),
        )
    return ruleset


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def seccomp_program(*, tcp: bool = False) -> bytes:
    """The BPF program that refuses `DENIED`, and by their arguments some calls more.

    Those are socket pairs that could be given another peer, limits of other processes, and new
    namespaces. It is empty on an unknown machine.

    Args:
        tcp: leave sockets of TCP over IPv4, and connections; where to, the caller has to see to.
    """
    if not kernel.NUMBERS:
        return b""
    load, equal, at_least, any_bit, mask, give = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
    left = ("socket", "connect") if tcp else ()
    denied = sorted(
        kernel.NUMBERS[name] for name in DENIED if name in kernel.NUMBERS and name not in left
    )
    code: list[tuple[int, int, int, int]] = [
        (load, 0, 0, 4),
        (equal, 1, 0, _AUDIT_ARCH[kernel.MACHINE]),
        (give, 0, 0, _KILL),
        (load, 0, 0, 0),
        (at_least, 0, 1, _X32_BIT),
        (give, 0, 0, _ERRNO | _ENOSYS),
        (at_least, 0, 1, _NEWEST_KNOWN),
        (give, 0, 0, _ERRNO | _ENOSYS),
        (equal, 0, 1, kernel.NUMBERS["clone3"]),
        (give, 0, 0, _ERRNO | _ENOSYS),  # libc falls back to clone, whose flags can be read
    ]
    for number in denied:
        code += [(equal, 0, 1, number), (give, 0, 0, _ERRNO | _EPERM)]
    if tcp:
        code += [
            (equal, 0, 10, kernel.NUMBERS["socket"]),
            (load, 0, 0, 16),
            (equal, 0, 7, _INET),
            (load, 0, 0, 24),
            (mask, 0, 0, _TYPE_MASK),
            (equal, 0, 4, _STREAM),
            (load, 0, 0, 32),
            (equal, 1, 0, 0),
            (equal, 0, 1, _TCP),
            (give, 0, 0, _ALLOW),
            (give, 0, 0, _ERRNO | _EPERM),
        ]
    code += [
        (equal, 0, 5, kernel.NUMBERS["socketpair"]),
        (load, 0, 0, 24),
        (mask, 0, 0, _TYPE_MASK),
        (equal, 1, 0, _STREAM),
        (give, 0, 0, _ERRNO | _EPERM),
        (give, 0, 0, _ALLOW),
        (equal, 0, 4, kernel.NUMBERS["prlimit64"]),
        (load, 0, 0, 16),
        (equal, 1, 0, 0),
        (give, 0, 0, _ERRNO | _EPERM),
        (give, 0, 0, _ALLOW),
        (equal, 0, 3, kernel.NUMBERS["clone"]),
        (load, 0, 0, 16),
        (any_bit, 0, 1, _NAMESPACE_FLAGS),
        (give, 0, 0, _ERRNO | _EPERM),
        (give, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in code)


def apply_seccomp(program: bytes) -> None:
    """Puts the filter on this process; needs no-new-privs first. Raises `OSError`."""
    buffer = ctypes.create_string_buffer(program, len(program))
    filters = _Filter(len(program) // 8, ctypes.addressof(buffer))
    kernel.syscall("seccomp", ctypes.c_uint(1), ctypes.c_uint(0), ctypes.byref(filters))


def restrict(ruleset: int | None, program: bytes, layers: tuple[str, ...] = LAYERS) -> None:
    """Applies the layers named. Whatever is named and can't be had raises `OSError`."""
    if "no-new-privs" in layers:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if "landlock" in layers and ruleset is not None:
        kernel.syscall("landlock_restrict_self", ctypes.c_int(ruleset), ctypes.c_uint32(0))
    if "seccomp" in layers and program:
        apply_seccomp(program)
