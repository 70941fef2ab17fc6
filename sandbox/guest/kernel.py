"""The few system calls that Python's standard library lacks, by architecture.

Numbers are from the kernel's own tables (`include/uapi/asm-generic/unistd.h`, and
`arch/x86/entry/syscalls/syscall_64.tbl`).
"""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

MACHINE = os.uname().machine.replace("arm64", "aarch64")

_COMMON = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
    "memfd_secret": 447,
    "setxattrat": 463,
}
_X86_64 = {
    "shmget": 29, "shmat": 30, "socket": 41, "connect": 42, "bind": 49, "listen": 50,
    "socketpair": 53, "clone": 56, "semget": 64, "msgget": 68, "ptrace": 101, "capset": 126,
    "personality": 135, "modify_ldt": 154, "pivot_root": 155, "chroot": 161, "mount": 165,
    "umount2": 166, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "mq_open": 240,
    "add_key": 248, "request_key": 249, "keyctl": 250, "inotify_init": 253, "unshare": 272,
    "inotify_init1": 294, "perf_event_open": 298, "fanotify_init": 300, "prlimit64": 302,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "kcmp": 312, "seccomp": 317, "memfd_create": 319, "bpf": 321,
    "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = {
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "inotify_init1": 26, "umount2": 39, "mount": 40,
    "pivot_root": 41, "chroot": 51, "capset": 91, "personality": 92, "unshare": 97, "ptrace": 117,
    "mq_open": 180, "msgget": 186, "semget": 190, "shmget": 194, "shmat": 196, "socket": 198,
    "socketpair": 199, "bind": 200, "listen": 201, "connect": 203, "add_key": 217,
    "request_key": 218, "keyctl": 219, "clone": 220, "perf_event_open": 241, "prlimit64": 261,
    "fanotify_init": 262, "name_to_handle_at": 264, "open_by_handle_at": 265, "setns": 268,
    "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "seccomp": 277,
    "memfd_create": 279, "bpf": 280, "userfaultfd": 282,
}  # fmt: skip

NUMBERS: dict[str, int] = {
    "x86_64": _X86_64 | _COMMON,
    "aarch64": _AARCH64 | _COMMON,
}.get(MACHINE, {})
"""System call numbers of this machine; empty on an architecture that isn't known."""

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_SET_CHILD_SUBREAPER = 36
PR_CAP_AMBIENT = 47

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2


def _raise() -> None:
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code))


def syscall(name: str, *arguments: object) -> int:
    """Makes a system call by name.

    Raises:
        OSError: it failed, or this architecture's number isn't known (`ENOSYS`).
    """
    number = NUMBERS.get(name)
    if number is None:
        raise OSError(38, f"no number known for {name} on {MACHINE}")
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        _raise()
    return result


def prctl(option: int, *arguments: int) -> int:
    """`prctl(2)`; raises `OSError` on failure."""
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    result = int(_libc.prctl(ctypes.c_int(option), *padded))
    if result < 0:
        _raise()
    return result


_DIE_WITH_PARENT = (ctypes.c_int(PR_SET_PDEATHSIG), *map(ctypes.c_ulong, (9, 0, 0, 0)))


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent ends; made ready, since each run calls it.

    Raises:
        OSError: it can't be had.
    """
    if _libc.prctl(*_DIE_WITH_PARENT) < 0:
        _raise()


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """`mount(2)`; raises `OSError` on failure."""
    if (
        _libc.mount(
            source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()
        )
        < 0
    ):
        _raise()


def unmount(target: str) -> None:
    """Detaches a mount and all beneath it; raises `OSError` on failure."""
    syscall("umount2", ctypes.c_char_p(target.encode()), ctypes.c_int(MNT_DETACH))


def pivot_root(new: str, old: str) -> None:
    """`pivot_root(2)`; raises `OSError` on failure."""
    syscall("pivot_root", ctypes.c_char_p(new.encode()), ctypes.c_char_p(old.encode()))


def unshare(flags: int) -> None:
    """`unshare(2)`; raises `OSError` on failure."""
    syscall("unshare", ctypes.c_ulong(flags))


def setns(descriptor: int, kind: int) -> None:
    """`setns(2)`; raises `OSError` on failure."""
    syscall("setns", ctypes.c_int(descriptor), ctypes.c_int(kind))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def set_capabilities(mask: int) -> None:
    """Sets the permitted and effective capabilities to `mask`, the inheritable ones to none."""
    header = _CapabilityHeader(0x20080522, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    syscall("capset", ctypes.byref(header), ctypes.byref(data))
