"""Starts a locked-down child for one program, and sees to it that nothing of it remains.

Three ways to tell programs apart, by what the machine grants:

    uids     a user id of its own for each run, never used twice (a container, or root)
    userns   user, mount, pid and ipc namespaces of its own for each run (an ordinary user)
    plain    neither: same user, same processes; only limits and the layers of `lockdown`
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import contextlib
import gc
import itertools
import os
import signal
import stat
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NoReturn

from . import kernel, lockdown
from .limits import inodes
from .lockdown import Rlimits

UID_SPAN = 20_000
"""User ids that one server may use before it has to be replaced."""

_INNER_UID = 1000
_LOWEST_UID = 10_000
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_KILL_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Furnishing:
    """What one child finds in its folder, in place of an empty folder that is all its own.

    Attributes:
        fill: puts it there, in the child, before that gives up its identity; called with the
            folder and the user id that the child will have.
        read: paths that the child may read besides.
        write: paths that it may write to, in place of its folder.
    """

    fill: Callable[[str, int], None]
    read: tuple[str, ...]
    write: tuple[str, ...]


@dataclass(slots=True)
class Confinement:
    """How this server confines its children.

    Attributes:
        identity: `uids`, `userns` or `plain`; see the module's docstring.
        uid_base: first user id of this server's range (`uids` only).
        slot_root: folder with one folder for each slot.
        read: paths that children may read and execute from.
        listed: folders of which children may read the list of names only.
        layers: which of `lockdown.LAYERS` to apply.
        scratch_bytes: size of a slot's file system where this server mounts it itself.
    """

    identity: str
    uid_base: int
    slot_root: str
    read: tuple[str, ...]
    layers: tuple[str, ...] = lockdown.LAYERS
    scratch_bytes: int = 64 << 20
    listed: tuple[str, ...] = ()
    _uids_used: int = 0
    _rulesets: dict[int, int] = field(default_factory=dict)
    _filter: bytes = b""
    _pid_namespace: int = -1
    _first: dict[int, int] = field(default_factory=dict)
    """Child to the first process of its namespace (`userns` only)."""

    def prepare(self) -> None:
        """Builds once what every child needs. Call it before the first fork."""
        self._filter = lockdown.seccomp_program()
        os.environ.clear()
        os.environ.update(_ENVIRONMENT)
        if self.identity == "userns":
            self._pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)

    def slot_folder(self, slot: int) -> str:
        """Where the slot's program may write."""
        return f"{self.slot_root}/{slot}"

    def next_uid(self) -> int:
        """A user id that no earlier run of this server had; 0 where ids can't be switched.

        Raises:
            RuntimeError: the range is used up, and the server has to be replaced.
        """
        if self.identity != "uids":
            return 0
        if self._uids_used >= UID_SPAN:
            raise RuntimeError("this server has used up its user ids")
        self._uids_used += 1
        return self.uid_base + self._uids_used

    def fork(
        self,
        slot: int,
        uid: int,
        limits: Rlimits,
        keep: Iterable[int],
        stdio: tuple[int, int, int],
        body: Callable[[], None],
        furnishing: Furnishing | None = None,
    ) -> int:
        """Forks a child that locks itself down and then runs `body`.

        Args:
            slot: whose folder the child may write to.
            uid: from `next_uid`.
            limits: put on the child before `body`.
            keep: descriptors that stay open in the child, besides `stdio`.
            stdio: descriptors to become 0, 1 and 2; -1 for /dev/null, opened for this child alone:
                who shares an open file shares its flags, too.
            body: runs locked down; the child ends with status 0 when it returns.
            furnishing: of the child's folder; empty and writable if not given.

        Returns:
            The child's process id.

        Raises:
            OSError: no process could be had.
        """
        if self.identity == "plain":
            limits = replace(limits, processes=limits.processes + _tasks_of_this_user())
        pid = self._fork_namespaced() if self.identity == "userns" else os.fork()
        if pid:
            return pid
        status = 70
        try:
            self._enter(slot, uid, limits, keep, stdio, furnishing)
            status = 71
            body()
            status = 0
        except BaseException:
            with contextlib.suppress(BaseException):
                os.write(2, traceback.format_exc()[-2000:].encode("utf-8", "replace"))
        finally:
            os._exit(status)

    def _fork_namespaced(self) -> int:
        """Forks into a new process id namespace, behind a first process that only reaps.

        The child must not be the first process itself: signals that would end any other process
        pass that one by. When the first process ends, the kernel ends all the others.
        """
        kernel.unshare(kernel.CLONE_NEWPID)
        try:
            first = os.fork()
            if first == 0:
                _reap_for_ever()
            try:
                pid = os.fork()
            except OSError:
                os.kill(first, signal.SIGKILL)
                os.waitpid(first, 0)
                raise
            if pid == 0:
                return 0
        except OSError:
            kernel.setns(self._pid_namespace, kernel.CLONE_NEWPID)
            raise
        kernel.setns(self._pid_namespace, kernel.CLONE_NEWPID)
        self._first[pid] = first
        return pid

    def _enter(
        self,
        slot: int,
        uid: int,
        limits: Rlimits,
        keep: Iterable[int],
        stdio: tuple[int, int, int],
        furnishing: Furnishing | None,
    ) -> None:
        # the plain functions: `signal.signal` makes enumerations, which costs a tenth of a fork
        for number in (signal.SIGCHLD, signal.SIGINT):
            _signal.signal(number, _signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for target, source in enumerate(stdio):
            os.dup2(null if source < 0 else source, target)
        ruleset = None if furnishing else self._rulesets.get(slot)
        kept = sorted({*keep, *(() if ruleset is None else (ruleset,))})
        first = 3
        for descriptor in kept:
            os.closerange(first, descriptor)
            first = descriptor + 1
        os.closerange(first, 1 << 16)
        folder = self.slot_folder(slot)
        if self.identity == "userns":
            self._own_namespaces(folder)
        if furnishing is not None:
            furnishing.fill(folder, uid)
        if self.identity == "uids":
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        if self.identity != "uids":
            with contextlib.suppress(OSError):
                kernel.set_capabilities(0)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user id clears it
        os.chdir(folder)
        os.umask(0o077)
        os.environ["HOME"] = os.environ["TMPDIR"] = folder
        limits.apply()
        if "landlock" in self.layers:
            if furnishing is not None:
                read = (*self.read, *furnishing.read)
                ruleset = lockdown.landlock_ruleset(read, furnishing.write, self.listed)
            elif ruleset is None:
                ruleset = lockdown.landlock_ruleset(self.read, (folder,), self.listed)
            lockdown.restrict(ruleset, self._filter, self.layers)
            os.close(ruleset)
        else:
            lockdown.restrict(None, self._filter, self.layers)
        gc.enable()

    def _own_namespaces(self, folder: str) -> None:
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{_INNER_UID} {uid} 1"),
            ("gid_map", f"{_INNER_UID} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        kernel.mount(
            "none",
            folder,
            "tmpfs",
            kernel.MS_NOSUID | kernel.MS_NODEV,
            f"size={self.scratch_bytes},nr_inodes={inodes(self.scratch_bytes)},mode=0700",
        )

    def reuse_ruleset(self, slot: int) -> None:
        """Keeps one Landlock ruleset for the slot; only where its folder is the same each time."""
        if self.identity != "userns" and "landlock" in self.layers:
            self._rulesets[slot] = lockdown.landlock_ruleset(
                self.read, (self.slot_folder(slot),), self.listed
            )

    def clean(self, slot: int, uid: int, known: Iterable[int]) -> bool:
        """Ends what a run left behind and empties its folder, after its first process has ended.

        Args:
            slot: the run's slot.
            uid: the run's user id.
            known: this server's own running children, to be spared.

        Returns:
            Whether nothing is left; if not, the server has to be replaced.
        """
        folder = self.slot_folder(slot)
        spared = set(known)
        self._first = {pid: first for pid, first in self._first.items() if pid in spared}
        spared.update(self._first.values())
        for _round in range(_KILL_ROUNDS):
            strays = [
                pid
                for pid in children()
                if pid not in spared and (self.identity != "uids" or _owner(pid) == uid)
            ]
            # In namespaces of its own a run's files went with its mount.
            if not strays and (self.identity == "userns" or _is_empty(folder)):
                return True
            for pid in strays:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self._sweep_as(uid, folder)
            for pid in strays:
                with contextlib.suppress(OSError):
                    os.waitpid(pid, 0)
        return False

    def end_all(self) -> None:
        """Ends all that this server started. For a first process the kernel does that."""
        while os.getpid() != 1 and (left := children()):
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                # whichever comes: the first process of a namespace waits for the others in it
                os.waitpid(-1, 0)

    def _sweep_as(self, uid: int, folder: str) -> None:
        """Kills every process of `uid` and empties `folder`, acting as that user."""
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            return
        try:
            if self.identity == "uids":
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                with contextlib.suppress(OSError):
                    os.kill(-1, signal.SIGKILL)
            empty_folder(folder)
        finally:
            os._exit(0)


def usable_uids(wanted: int) -> int:
    """The start of a range of `UID_SPAN` user ids that this user namespace has.

    That is `wanted`, unless the machine is a container which was given few ids.

    Raises:
        OSError: there are too few.
    """
    with open("/proc/self/uid_map") as file:
        ranges = [(int(line.split()[0]), int(line.split()[2])) for line in file]
    if any(first <= wanted and wanted + UID_SPAN < first + count for first, count in ranges):
        return wanted
    first, count = max(ranges, key=lambda found: found[1])
    lowest = max(first, _LOWEST_UID)
    choices = first + count - UID_SPAN - 1 - lowest
    if choices < 1:
        raise OSError("this machine has too few user ids")
    return lowest + (wanted >> 16) % choices


def _reap_for_ever() -> NoReturn:
    """What the first process of a namespace does: orphans become its children and are let go."""
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        os.closerange(0, 1 << 16)
        while True:
            signal.pause()
    finally:
        os._exit(0)


def _tasks_of_this_user() -> int:
    """How many processes and threads the kernel counts for this user before any of a run's."""
    uid, count = os.getuid(), 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == uid or _owner(int(name)) == uid:
                    count += len(os.listdir(f"/proc/{name}/task"))
    return count


def _is_empty(folder: str) -> bool:
    try:
        return not os.listdir(folder)
    except OSError:
        return False  # a program that owns it has changed its mode


def empty_folder(folder: str) -> None:
    """Removes all that is in `folder`: hostile modes, symbolic links and any depth included.

    What lies deeper is moved up first, so that no path and no recursion grows with the depth.
    """
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o700 | stat.S_IMODE(os.stat(folder).st_mode))
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        left = os.listdir(top)
        taken = frozenset(left)
        fresh = (name for name in map(str, itertools.count()) if name not in taken)
        while left:
            name = left.pop()
            with contextlib.suppress(OSError):
                if not _unlink(name, top):
                    left += _bring_up(name, top, fresh)
    finally:
        os.close(top)


def _bring_up(name: str, top: int, fresh: Iterator[str]) -> list[str]:
    """Removes a folder; the folders in it become folders of `top`, whose new names it returns."""
    moved = []
    os.chmod(name, 0o700, dir_fd=top)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        for entry in os.listdir(inner):
            with contextlib.suppress(OSError):
                if not _unlink(entry, inner):
                    os.chmod(entry, 0o700, dir_fd=inner)
                    moved.append(next(fresh))
                    os.rename(entry, moved[-1], src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=top)
    return moved


def _unlink(name: str, folder: int) -> bool:
    """Removes what is no folder; says whether it was that."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return False
    return True


def children() -> list[int]:
    """Process ids of this process's direct children, orphans handed to it included."""
    pid = os.getpid()
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return [child for child, parent in _scan() if parent == pid]


def _owner(pid: int) -> int:
    """The real user id of a process, -1 if it is gone. (A folder's owner would not do: the
    kernel hands the folder of a process that changed its user id to root.)"""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("Uid:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return -1


def _scan() -> list[tuple[int, int]]:
    """Pairs of process and parent, where the kernel has no list of children."""
    pairs = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                with open(f"/proc/{name}/stat") as file:
                    pairs.append((int(name), int(file.read().rpartition(")")[2].split()[1])))
    return pairs
