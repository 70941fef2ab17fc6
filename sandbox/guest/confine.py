"""Starts a locked-down child for one run, and sees to it that nothing of it remains.

Three ways to tell programs apart, by what the machine grants:

    uids     a user id of its own for each run, never used twice (a container, or root)
    userns   user, mount, pid and ipc namespaces of its own for each run (an ordinary user)
    plain    neither: same user, same processes; only limits and the layers of `lockdown`
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import mmap
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from . import kernel, lockdown
from .limits import inodes

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
_TICKS, _TICK_SECONDS = 100, 0.001


@dataclass(frozen=True, slots=True)
class Furnishing:
    """What one child finds in its folder, in place of an empty folder that is all its own.

    Attributes:
        fill: puts it there, in the child, before that gives up its identity; called with the
            folder and the user id that the child will have.
        read: paths that the child may read besides.
        write: paths that it may write to, in place of its folder.
        port: of the loopback, that it may connect to; 0 for none.
    """

    fill: Callable[[str, int], None]
    read: tuple[str, ...]
    write: tuple[str, ...]
    port: int = 0


@dataclass(slots=True)
class Confinement:
    """How this server confines what it runs.

    A process that waits in a slot calls `plan` and `settle` once and then `fork` for each run: what
    all runs of a slot give up alike is given up ahead of them, where the identity allows it.

    Attributes:
        identity: `uids`, `userns` or `plain`; see the module's docstring.
        uid_base: first user id of this server's range (`uids` only).
        slot_root: folder with one folder for each slot.
        read: paths that programs may read and execute from.
        listed: folders of which programs may read the list of names only.
        layers: which of `lockdown.LAYERS` to apply.
        scratch_bytes: size of a slot's file system where this server mounts it itself.
        own_network: whether this server is in a network namespace that has nothing but a loopback.
    """

    identity: str
    uid_base: int
    slot_root: str
    read: tuple[str, ...]
    layers: tuple[str, ...] = lockdown.LAYERS
    scratch_bytes: int = 64 << 20
    listed: tuple[str, ...] = ()
    own_network: bool = False
    _uids_used: int = 0
    _folder: str = ""
    _ruleset: int | None = None
    _restricted: bool = False
    _first: int = 0
    _is_furnished: bool = False
    _filter: bytes = b""
    _has_first: bool = False
    """Whether the server is the first process of its namespace, whose end ends all the others."""

    def prepare(self) -> None:
        """Builds once what every slot needs. Call it before the first of them."""
        self._filter = lockdown.seccomp_program()
        self._has_first = os.getpid() == 1
        os.environ.clear()
        os.environ.update(_ENVIRONMENT)
        adopt_orphans()

    def slot_folder(self, slot: int) -> str:
        """Where the slot's program may write."""
        return f"{self.slot_root}/{slot}"

    @property
    def folder(self) -> str:
        """Where the runs of this process may write."""
        return self._folder

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

    def plan(self, slot: int, *, furnished: bool = False) -> None:
        """Says which slot this process will wait in.

        Args:
            slot: its number.
            furnished: whether its runs find something in their folder; see `Furnishing`.
        """
        self._folder = self.slot_folder(slot)
        self._is_furnished = furnished

    def settle(self) -> None:
        """Gives up what the runs of this process need not have.

        With a user id for each run, the layers of the lock-down are put on this process and all
        runs inherit them: that saves each run a third of its start. Otherwise a run has yet to
        make namespaces, its limits depend on what /proc says, or its folder has to be furnished,
        and it locks itself down.

        Raises:
            OSError: a layer can't be had.
        """
        adopt_orphans()
        os.environ["HOME"] = os.environ["TMPDIR"] = self._folder
        os.umask(0o077)
        lockdown.forbid_leftovers()
        if self.identity == "userns":
            return
        os.chdir(self._folder)
        if self.identity == "uids":
            os.setgroups([])
        if not self._is_furnished:
            self._make_ruleset(self.read, (self._folder,))
        if self.identity == "uids" and not self._is_furnished:
            self._restrict()
            self._restricted = True

    def begin_anew(self) -> None:
        """Forgets descriptors, in a process that has closed all that it was not told to keep."""
        self._ruleset = None

    def _make_ruleset(self, read: tuple[str, ...], write: tuple[str, ...], port: int = 0) -> None:
        if "landlock" in self.layers:
            self._ruleset = lockdown.landlock_ruleset(read, write, self.listed, port)

    def _restrict(self) -> None:
        lockdown.restrict(self._ruleset, self._filter, self.layers)
        if self._ruleset is not None:
            os.close(self._ruleset)
            self._ruleset = None

    def fork(
        self,
        uid: int,
        limits: Sequence[int],
        keep: list[int],
        stdio: tuple[int, int, int],
        body: Callable[[bytes, list[int]], None],
        text: bytes = b"",
        *,
        page: mmap.mmap | None = None,
        furnishing: Furnishing | None = None,
    ) -> int:
        """Forks a locked-down child that runs `body(text, keep)`. Call `settle` first.

        Args:
            uid: from `next_uid`.
            limits: put on the child before `body`, as `Rlimits.amounts` gives them.
            keep: descriptors that stay open in the child, besides `stdio`.
            stdio: descriptors to become 0, 1 and 2; -1 for /dev/null, opened for this child alone:
                who shares an open file shares its flags, too.
            body: runs locked down; the child ends with status 0 when it returns.
            text: for `body`.
            page: shared memory that the child must not have.
            furnishing: of the child's folder; empty and writable if not given.

        Returns:
            The child's process id.

        Raises:
            OSError: no process could be had.
        """
        if self.identity == "plain":
            cpu, memory, processes, *others = limits
            limits = (cpu, memory, processes + _tasks_of_this_user(), *others)
        pid = self._fork_namespaced() if self.identity == "userns" else os.fork()
        if pid:
            return pid
        with contextlib.suppress(BaseException):
            if page is not None:
                page.close()
            self.be(uid, limits, keep, stdio, body, text, furnishing)
        os._exit(70)

    def be(
        self,
        uid: int,
        limits: Sequence[int],
        keep: list[int],
        stdio: tuple[int, int, int],
        body: Callable[[bytes, list[int]], None],
        text: bytes = b"",
        furnishing: Furnishing | None = None,
    ) -> NoReturn:
        """Locks this process down and runs `body(text, keep)` in it, to its end; see `fork`."""
        status = 70
        try:
            self._enter(uid, limits, keep, stdio, furnishing)
            status = 71
            body(text, keep)
            status = 0
        except BaseException:
            with contextlib.suppress(BaseException):
                import traceback

                os.write(2, traceback.format_exc()[-2000:].encode("utf-8", "replace"))
        finally:
            os._exit(status)

    def _fork_namespaced(self) -> int:
        """Forks into a new process id namespace, behind a first process that only reaps.

        The child must not be the first process itself: signals that would end any other process
        pass that one by. When the first process ends, the kernel ends all the others.
        """
        own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        pid = -1
        try:
            kernel.unshare(kernel.CLONE_NEWPID)
            try:
                pid = self._fork_behind_first()
            finally:
                if pid:
                    kernel.setns(own, kernel.CLONE_NEWPID)
        finally:
            if pid:  # the child closes all that it has, and need not do this by itself
                os.close(own)
        return pid

    def _fork_behind_first(self) -> int:
        self._first = os.fork()
        if self._first == 0:
            _reap_for_ever()
        try:
            return os.fork()
        except OSError:
            self._end_first()
            raise

    def _end_first(self) -> None:
        """Ends the first process of a run's namespace, and with it all others in there."""
        if self._first:
            os.kill(self._first, signal.SIGKILL)
            os.waitpid(self._first, 0)
            self._first = 0

    def _enter(
        self,
        uid: int,
        limits: Sequence[int],
        keep: list[int],
        stdio: tuple[int, int, int],
        furnishing: Furnishing | None,
    ) -> None:
        os.setsid()
        self._descriptors(keep, stdio)
        if self.identity == "userns":
            self._own_namespaces()
        if furnishing is not None:
            furnishing.fill(self._folder, uid)
        if self.identity == "uids":
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        else:
            with contextlib.suppress(OSError):
                kernel.set_capabilities(0)
        if not self._has_first:
            kernel.die_with_parent()  # a change of user id clears it
        lockdown.apply_limits(limits)
        if not self._restricted:
            if furnishing is not None:
                self._make_ruleset(
                    (*self.read, *furnishing.read), furnishing.write, furnishing.port
                )
                if furnishing.port:
                    self._filter = lockdown.seccomp_program(tcp=True)
            elif self._ruleset is None:
                self._make_ruleset(self.read, (self._folder,))
            self._restrict()
        gc.enable()

    def _descriptors(self, keep: list[int], stdio: tuple[int, int, int]) -> None:
        """Puts `stdio` in place and closes all else but `keep` and the ruleset."""
        null = os.open("/dev/null", os.O_RDWR)
        for target in (0, 1, 2):
            source = stdio[target]
            os.dup2(null if source < 0 else source, target)
        kept = keep if self._ruleset is None else [*keep, self._ruleset]
        first = 3
        for descriptor in sorted(kept):
            os.closerange(first, descriptor)
            first = descriptor + 1
        os.closerange(first, 1 << 16)

    def _own_namespaces(self) -> None:
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
            self._folder,
            "tmpfs",
            kernel.MS_NOSUID | kernel.MS_NODEV,
            f"size={self.scratch_bytes},nr_inodes={inodes(self.scratch_bytes)},mode=0700",
        )
        os.chdir(self._folder)

    def clean(self, uid: int) -> bool:
        """Ends what a run left behind and empties its folder, after its first process has ended.

        All that is left of this process's children belongs to the run: orphans come to it.

        Args:
            uid: the run's user id.

        Returns:
            Whether nothing is left; if not, the server has to be replaced.
        """
        self._end_first()
        for _round in range(_KILL_ROUNDS):
            # In namespaces of its own a run's files went with its mount.
            if not _reap() and (self.identity == "userns" or _is_empty(self._folder)):
                return True
            if self.identity != "uids":
                _kill_children()
            self._sweep_as(uid)
            # what was killed takes a moment to be gone, and what was missed is not waited for
            for _tick in range(_TICKS):
                if not _reap():
                    break
                time.sleep(_TICK_SECONDS)
        return False

    def end_all(self) -> None:
        """Ends all that this server started. For a first process the kernel does that."""
        while os.getpid() != 1 and _kill_children():
            with contextlib.suppress(OSError):
                # whichever comes: the first process of a namespace waits for the others in it
                os.waitpid(-1, 0)

    def _sweep_as(self, uid: int) -> None:
        """Kills every process of `uid` and empties the slot's folder, acting as that user."""
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            return
        try:
            if self.identity == "uids":
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                with contextlib.suppress(OSError):
                    os.kill(-1, signal.SIGKILL)
            empty_folder(self._folder)
        finally:
            os._exit(0)


def adopt_orphans() -> None:
    """Makes this process the one that orphans below it come to."""
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)


def _reap() -> bool:
    """Takes note of children that have ended; says whether others are left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _kill_children() -> bool:
    """Kills this process's direct children; says whether there were any."""
    found = children()
    for pid in found:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return bool(found)


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
        kernel.die_with_parent()
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
