"""The embedded sandbox for Linux: namespaces, no container engine.

Two servers, each in user, mount, pid, network and ipc namespaces with a root that holds only the
system's libraries and the running Python's standard library, read-only. Inside, every program
gets namespaces or a user id of its own, and the lock-down. `sandbox.launch` finds out what this
machine grants; with less than all of it, the sandbox refuses unless it is told to go on.

No cgroup is made, so memory is limited for each process, not for all of a program's together. At
a reduced level the scratch space as a whole has no limit either, and names of files outside can
be asked for, though nothing be read.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import Process, TaskGroup

from . import launch
from .base import Indexes
from .cell import Cell
from .errors import SandboxUnavailableError, UnknownRuntimeError
from .jobs import Isolation, Job, Limits, Report
from .launch import Grant, Layout
from .layers import judge_layer, requirements_layer
from .pool import Pool, default_slots
from .program import guest_version

if TYPE_CHECKING:
    from .registry import SandboxOptions

REDUCED_FLAG = "--allow-reduced-isolation"

_CLOSE_SECONDS = 5.0
_PACKAGE_ROOT = str(Path(__file__).resolve().parent.parent)
# Outlives a controller that is killed, and tries for a while: the servers are ending, too.
_JANITOR = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from sandbox.guest.confine import empty_folder
os.setsid()
sys.stdin.buffer.read()
for _ in range(100):
    empty_folder(sys.argv[2])
    try:
        os.rmdir(sys.argv[2])
        break
    except FileNotFoundError:
        break
    except OSError:
        time.sleep(0.05)
"""


class LocalSandbox:
    """Runs jobs in processes of this machine; see the module's docstring.

    Args:
        slots: programs at a time; `None` for one a core.
        spares: cells kept ready for fresh runs.
        isolation: `container` gives each program a pair of servers of its own.
        limits: the largest limits that jobs will ask for; sizes the scratch space.
        allow_reduced: go on with less than full isolation, and say so in every verdict.
        requirements: pip requirements that programs and tests may import; wheels only.
        launcher: `auto`, `bubblewrap` or `namespaces`; see `sandbox.launch`.
        indexes: what setup commands may ask.

    Raises:
        ValueError: there is no such launcher.
    """

    def __init__(
        self,
        *,
        slots: int | None = None,
        spares: int = 0,
        isolation: Isolation = Isolation.SLOT,
        limits: Limits | None = None,
        allow_reduced: bool = False,
        requirements: tuple[str, ...] = (),
        launcher: str = "auto",
        indexes: Indexes | None = None,
    ) -> None:
        if launcher not in launch.LAUNCHERS:
            raise ValueError(f"launcher {launcher!r}: allowed are {', '.join(launch.LAUNCHERS)}")
        self._slots = slots or default_slots()
        self._spares = spares
        self._isolation = isolation
        self._scratch_mb = max(1, (limits or Limits()).file_mb)
        self._allow_reduced = allow_reduced
        self._requirements = requirements
        self._launcher = launcher
        self._indexes = indexes
        self._grant = Grant("namespaces", True, "userns")
        self._layout = Layout(python="", prefixes=())
        self._scratch: _Scratch | None = None
        self._pool: Pool | None = None

    @property
    def level(self) -> str:
        """The isolation level reached."""
        return self._grant.level

    @property
    def reduced(self) -> bool:
        """Whether something of full isolation is missing."""
        return bool(self._grant.missing)

    @property
    def identity(self) -> str:
        """Backend, interpreter, requirements and guest, for cache keys."""
        site = Path(self._layout.site).name
        return f"{self.level} {sys.version.split()[0]} {guest_version()} {site}"

    @property
    def slots(self) -> int:
        """Programs at a time."""
        return self._slots

    async def __aenter__(self) -> LocalSandbox:
        if sys.platform != "linux":
            raise SandboxUnavailableError(
                "the local sandbox needs Linux; start a Docker engine and use --sandbox docker"
            )
        self._grant = await anyio.to_thread.run_sync(launch.probe, self._launcher)
        if self._grant.missing and not self._allow_reduced:
            raise SandboxUnavailableError(
                f"this machine grants no full isolation ({'; '.join(self._grant.missing)}): "
                f"use --sandbox docker, or accept `{self._grant.level}` with {REDUCED_FLAG}"
            )
        try:
            await anyio.to_thread.run_sync(self._lay_out)
            isolation = Isolation.CONTAINER if self._grant.one_each else self._isolation
            self._pool = Pool(
                self._start,
                slots=self._slots,
                isolation=isolation,
                level=self.level,
                spares=self._spares,
                indexes=self._indexes,
            )
            await self._pool.__aenter__()
        except BaseException:
            await self._remove_scratch()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._pool is not None:
                await self._pool.__aexit__(kind, error, trace)
        finally:
            await self._remove_scratch()

    def _lay_out(self) -> None:
        """Makes the folders that servers will see. Blocks."""
        site = requirements_layer(self._requirements)
        self._layout = launch.layout(judge_layer(), site)
        if not self._grant.launcher:
            self._scratch = _Scratch()
            if self._grant.identity == "uids":
                self._layout = launch.staged(self._layout, self._scratch.folder)

    async def _remove_scratch(self) -> None:
        if self._scratch is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._scratch.remove)
            self._scratch = None

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        """Runs one job; see `sandbox.base.Sandbox.run`."""
        if self._pool is None:
            raise SandboxUnavailableError("the local sandbox is not open")
        return await self._pool.run(job, fresh=fresh)

    async def _start(self, tasks: TaskGroup, slots: int, hash_seed: int) -> Cell:
        ours, theirs = socket.socketpair()
        streams: list[ProcessStream] = []
        try:
            with ours, theirs:
                judge, judge_frame = await self._server("judge", ours, slots, hash_seed)
                streams.append(judge)
                zygote, zygote_frame = await self._server("zygote", theirs, slots, hash_seed)
                streams.append(zygote)
            cell = Cell(judge, zygote, slots=slots)
            await cell.start(tasks, judge_frame, zygote_frame)
        except BaseException:
            with anyio.CancelScope(shield=True):
                for stream in streams:
                    await stream.aclose()
            raise
        return cell

    async def _server(
        self, role: str, link: socket.socket, slots: int, hash_seed: int
    ) -> tuple[ProcessStream, bytes]:
        command, frame = launch.start_server(
            self._grant,
            self._layout,
            role,
            link_fd=link.fileno(),
            slots=slots,
            scratch_mb=self._scratch_mb,
            slot_root=self._scratch.new_folder() if self._scratch else "",
        )
        process = await anyio.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=launch.environment(hash_seed),
            pass_fds=(link.fileno(),),
            start_new_session=True,
        )
        return ProcessStream(process), frame


class _Scratch:
    """A temporary folder of the host, where servers have no file system of their own.

    A process of its own removes it when this one closes it, or is killed.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="regreen-"))
        self.folder.chmod(0o711)
        self._janitor = subprocess.Popen(
            [launch.interpreter(), "-I", "-S", "-B", "-c", _JANITOR, _PACKAGE_ROOT, self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )

    def new_folder(self) -> str:
        """A folder in it for one server."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        folder.chmod(0o711)
        return str(folder)

    def remove(self) -> None:
        """Removes it and waits for that."""
        self._janitor.communicate()


class ProcessStream:
    """The two pipes of a server that is a process of this machine."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def send(self, data: bytes) -> None:
        """Writes to its standard input."""
        assert self._process.stdin is not None
        await self._process.stdin.send(data)

    async def receive(self) -> bytes:
        """Reads from its standard output."""
        assert self._process.stdout is not None
        try:
            return await self._process.stdout.receive()
        except anyio.EndOfStream:
            return b""

    async def settled(self, hello: dict[str, Any]) -> None:
        """Nothing changes: its pipes lead to the server itself."""

    async def complaint(self) -> str:
        """What is left of its standard error."""
        assert self._process.stderr is not None
        said = b""
        with anyio.move_on_after(1.0):
            try:
                while len(said) < 10_000:
                    said += await self._process.stderr.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
                pass
        return said.decode("utf-8", "replace")

    async def aclose(self) -> None:
        """Closes its input, at which it ends, and makes sure of it. Idempotent."""
        if self._process.stdin is not None:
            await self._process.stdin.aclose()
        with anyio.move_on_after(_CLOSE_SECONDS):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.aclose()


def build(options: SandboxOptions) -> LocalSandbox:
    """From what the user set.

    Raises:
        UnknownRuntimeError: a runtime was asked for, and only an engine has any.
    """
    if options.runtime is not None:
        raise UnknownRuntimeError(
            f"the local sandbox has no runtime {options.runtime!r}, only an engine has any: use "
            "the docker sandbox, or leave the runtime out"
        )
    return LocalSandbox(
        slots=options.slots,
        spares=options.spares,
        isolation=options.isolation,
        limits=options.limits,
        allow_reduced=options.allow_reduced,
        indexes=options.indexes,
        requirements=options.requirements,
    )
