"""The sandbox over a Docker engine: two warm containers, driven over one attached stream each.

Both are started from the sandbox image with no network, a read-only root, no capabilities but
those to change user and to kill, and sized memory file systems. They share nothing but one small
memory file system, in which their servers meet once. A container ends when its stream ends, and
the engine then removes it; what has no stream yet is removed by `sandbox.watcher`. So nothing is
left even after `kill -9` of the controller.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

from .base import Indexes
from .cell import Cell
from .errors import SandboxUnavailableError, UnknownRuntimeError
from .guest.limits import inodes
from .guest.lockdown import LAYERS
from .jobs import Isolation, Job, Limits, Report
from .line import FOLDER, NAME, Line
from .pool import Pool, default_slots
from .program import boot_text, first_frame, guest_version
from .servers import (
    JUDGE_PACKAGES,
    PYTHON_OPTIONS,
    SITE_PACKAGES,
    ServerPaths,
    configuration,
    guest_environment,
)
from .watcher import LABEL as LABEL
from .watcher import Watcher, has_ended, labels

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

    from .registry import SandboxOptions

_DEFAULT_HOST = "unix:///var/run/docker.sock"
_KNOCK_SECONDS = 10
_CALL_SECONDS = 120
_LINK = "/dev/shm/link"
_READ = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime",
         "/etc/alternatives")  # fmt: skip
_SERVER_MB = 256
_CONTAINERD = "io.containerd."
_STDERR = 2
_HEADER = 8
_READERS_SECONDS = 5.0
_IDLE = frozenset({"created", "exited", "dead"})
_STALE_SECONDS = 120.0
"""Between creation and start of a container, or end and removal, there are never so many."""


class DockerSandbox:
    """Runs jobs in containers; see the module's docstring.

    Args:
        slots: programs at a time; `None` for one a core.
        spares: cells kept ready for fresh runs.
        isolation: `container` gives each program a pair of containers of its own, at its price.
        limits: the largest limits that jobs will ask for; sizes memory and scratch space.
        image: an image with Python to use as it is; `None` builds the sandbox image if needed.
        base: the base of the image that is built; `None` for the default.
        requirements: pip requirements that the image has to hold.
        runtime: an engine's runtime such as `runsc`, passed through.
        indexes: what setup commands may ask.
    """

    def __init__(
        self,
        *,
        slots: int | None = None,
        spares: int = 0,
        isolation: Isolation = Isolation.SLOT,
        limits: Limits | None = None,
        image: str | None = None,
        base: str | None = None,
        requirements: tuple[str, ...] = (),
        runtime: str | None = None,
        indexes: Indexes | None = None,
    ) -> None:
        self._slots = slots or default_slots()
        self._spares = spares
        self._isolation = isolation
        self._limits = limits or Limits()
        self._image = image
        self._base = base
        self._requirements = requirements
        self._runtime = runtime
        self._indexes = indexes
        self._client: docker.DockerClient | None = None
        self._watcher: Watcher | None = None
        self._folder: Path | None = None
        self._lines: Iterator[int] | None = itertools.count()
        self._image_id = ""
        self._has_landlock = True
        self._pool: Pool | None = None

    @property
    def level(self) -> str:
        """The isolation level reached."""
        return self._level(self._isolation)

    def _level(self, isolation: Isolation) -> str:
        runtime = f"+{self._runtime}" if self._runtime else ""
        kernel = "" if self._has_landlock else "-landlock"
        return f"docker/{isolation}{runtime}{kernel}"

    @property
    def reduced(self) -> bool:
        """Containers are full isolation, with or without the extra layer of Landlock."""
        return False

    @property
    def identity(self) -> str:
        """Backend, image and guest, for cache keys."""
        return f"{self.level} {self._image_id} {guest_version()}"

    @property
    def slots(self) -> int:
        """Programs at a time."""
        return self._slots

    async def __aenter__(self) -> DockerSandbox:
        client = await anyio.to_thread.run_sync(connect)
        self._client = client
        try:
            await anyio.to_thread.run_sync(self._find_runtime)
            await anyio.to_thread.run_sync(self._sweep)
            self._folder = Path(tempfile.mkdtemp(prefix="regreen-"))
            self._watcher = await anyio.to_thread.run_sync(Watcher, self._folder)
            await anyio.to_thread.run_sync(self._find_image)
            self._pool = Pool(
                self._start,
                slots=self._slots,
                isolation=self._isolation,
                level=self.level,
                spares=self._spares,
                indexes=self._indexes,
            )
            await self._pool.__aenter__()
        except BaseException:
            await self._hang_up()
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
            await self._hang_up()

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        watcher, self._watcher = self._watcher, None
        with anyio.CancelScope(shield=True):
            if client is not None:
                client.close()
            if watcher is not None:
                await anyio.to_thread.run_sync(watcher.close)
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        """Runs one job; see `sandbox.base.Sandbox.run`."""
        if self._pool is None:
            raise SandboxUnavailableError("the Docker sandbox is not open")
        report = await self._pool.run(job, fresh=fresh)
        if fresh:
            return report.model_copy(update={"isolation": self._level(Isolation.CONTAINER)})
        return report

    def _sweep(self) -> None:
        """Removes containers whose controller has ended, and old ones that do not run.

        The controller was killed together with its watcher, or ended while the engine was away.
        """
        assert self._client is not None
        found: list[dict[str, Any]] = []
        with contextlib.suppress(Exception):
            found = self._client.api.containers(all=True, filters={"label": LABEL})
        for container in found:
            idle = container["State"] in _IDLE
            old = time.time() - container["Created"] > _STALE_SECONDS
            with contextlib.suppress(Exception):  # marked by nobody of ours, or swept by others
                if has_ended(container["Labels"]) or (idle and old):
                    self._client.api.remove_container(container["Id"], v=True, force=True)

    def _find_runtime(self) -> None:
        assert self._client is not None
        if self._runtime is None:
            return
        known = list(self._client.info().get("Runtimes") or {})
        # containerd's own names need no entry in the engine's list; a container's start will tell
        if self._runtime not in known and not self._runtime.startswith(_CONTAINERD):
            raise UnknownRuntimeError(
                f"the Docker engine has no runtime {self._runtime!r}: it has {', '.join(known)}"
            )

    def _find_image(self) -> None:
        from .image import ImageError, ensure_image
        from .wheels import WheelError

        assert self._client is not None
        try:
            if self._image is None:
                self._image = ensure_image(
                    self._client, base=self._base, requirements=self._requirements
                )
            self._image_id = self._client.images.get(self._image).id or ""
        except ImageError as error:
            cause = error.__cause__
            if isinstance(cause, WheelError):
                raise cause.requirement() from None
            raise SandboxUnavailableError(str(error)) from None
        except Exception as error:
            raise SandboxUnavailableError(
                f"the image {self._image} can't be used ({_reason(error)}): pull it, or leave "
                "--image out to have the sandbox image built"
            ) from None

    async def _start(self, tasks: TaskGroup, slots: int, hash_seed: int) -> Cell:
        try:
            judge, zygote = await anyio.to_thread.run_sync(self._create, slots, hash_seed)
        except SandboxUnavailableError:
            raise
        except Exception as error:
            raise SandboxUnavailableError(
                f"the Docker engine can't start a container: {_reason(error)}"
            ) from None
        cell = Cell(judge, zygote, slots=slots)
        frames = []
        for role in ("judge", "zygote"):
            paths = ServerPaths(
                site=SITE_PACKAGES,
                judge=JUDGE_PACKAGES,
                read=_READ,
            )
            config = configuration(
                role,
                slots=slots,
                identity="uids",
                paths=paths,
                scratch_mb=max(1, self._limits.file_mb),
                layers=LAYERS if self._has_landlock else tuple(set(LAYERS) - {"landlock"}),
                own_network=True,
                link_path=_LINK,
                line_path=f"{FOLDER}/{NAME}" if role == "judge" and judge.line else "",
            )
            frames.append(first_frame(config))
        try:
            await cell.start(tasks, frames[0], frames[1])
        except SandboxUnavailableError as error:
            await cell.aclose()
            if self._has_landlock and "andlock" in str(error):
                self._has_landlock = False  # an old kernel; users, caps and seccomp remain
                return await self._start(tasks, slots, hash_seed)
            raise
        except BaseException:
            await cell.aclose()
            raise
        return cell

    def _create(self, slots: int, hash_seed: int) -> tuple[AttachedStream, AttachedStream]:
        assert self._client is not None
        scratch_mb = max(1, self._limits.file_mb)
        entries = inodes(scratch_mb << 20)
        scratch = f"size={scratch_mb}m,mode=0777,nosuid,nodev,nr_inodes={entries}"
        memory_mb = slots * self._limits.memory_mb + _SERVER_MB
        common: dict[str, Any] = {
            "image": self._image,
            "command": ["python3", *PYTHON_OPTIONS, boot_text()],
            "entrypoint": [],
            "stdin_open": True,
            "network_mode": "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "cap_add": ["SETUID", "SETGID", "KILL"],
            "security_opt": ["no-new-privileges"],
            "pids_limit": slots * (self._limits.pids + 8) + 64,
            "mem_limit": f"{memory_mb}m",
            "memswap_limit": f"{memory_mb}m",
            "tmpfs": {f"/slots/{slot}": scratch for slot in range(slots)},
            "environment": guest_environment(hash_seed),
            "labels": labels(),
            "user": "0:0",
            "working_dir": "/",
            "auto_remove": True,
            "stop_signal": "SIGKILL",  # an engine that restarts needn't wait for our servers
            "log_config": {"Type": "none"},
            "runtime": self._runtime,
            "oom_score_adj": 500,
        }
        created: list[AttachedStream] = []
        line = self._new_line()
        try:
            wide = {**common, "mem_limit": f"{memory_mb + 2048}m", "memswap_limit": -1}
            judge, line = self._make_judge(line, ipc_mode="shareable", shm_size="1m", **wide)
            created.append(self._attach(judge, line))
            zygote = self._make(**common, ipc_mode=f"container:{judge.id}")
            created.append(self._attach(zygote))
        except BaseException:
            for stream in created:
                stream.close_now()
            if line is not None:
                line.close()
            raise
        return created[0], created[1]

    def _make_judge(self, line: Line | None, **given: Any) -> tuple[Container, Line | None]:
        """The judge's container, with the line's folder in it unless the engine has no such folder.

        Its socket may have been lent to a container in which we are, or lead to another machine.
        """
        from docker.errors import APIError
        from docker.types import Mount

        if line is None:
            return self._make(**given), None
        mount = Mount(FOLDER, str(line.folder), type="bind", read_only=True)
        try:
            return self._make(mounts=[mount], **given), line
        except APIError as error:
            if "mount" not in str(error):
                raise
            line.close()
            self._lines = None
            return self._make(**given), None

    def _new_line(self) -> Line | None:
        """A socket for the judge's server, where the engine is on this machine."""
        if not (os.environ.get("DOCKER_HOST") or _DEFAULT_HOST).startswith("unix://"):
            return None
        if self._lines is None or self._folder is None:
            return None
        with contextlib.suppress(OSError):
            return Line(self._folder / str(next(self._lines)))
        return None

    def _make(self, **given: Any) -> Container:
        assert self._client is not None
        assert self._watcher is not None
        with self._watcher.making():
            return self._client.containers.create(**given)

    def _attach(self, container: Container, line: Line | None = None) -> AttachedStream:
        """Attaches before the start, so that the container ends with this very stream."""
        assert self._client is not None
        attached = self._client.api.attach_socket(
            container.id, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        )
        stream = AttachedStream(attached, container, line)
        try:
            container.start()
        except BaseException:
            stream.close_now()
            raise
        return stream


def build(options: SandboxOptions) -> DockerSandbox:
    """From what the user set."""
    return DockerSandbox(
        slots=options.slots,
        spares=options.spares,
        isolation=options.isolation,
        limits=options.limits,
        image=options.image,
        base=options.base,
        requirements=options.requirements,
        runtime=options.runtime,
        indexes=options.indexes,
    )


class AttachedStream:
    """The stream of one container, its two outputs told apart."""

    def __init__(self, attached: Any, container: Container, line: Line | None = None) -> None:
        self.line = line
        self._direct: socket.socket | None = None
        self._attached = attached
        self._socket: socket.socket = getattr(attached, "_sock", attached)
        self._plain = isinstance(self._socket, socket.socket) and not hasattr(
            self._socket, "pending"
        )
        if self._plain:
            self._socket.setblocking(False)
        self._container = container
        self._raw = bytearray()
        self._errors = bytearray()
        self._readers = 0
        self._closed = False

    async def send(self, data: bytes) -> None:
        """Writes to the container's standard input, or over the line."""
        if self._direct is not None:
            await _send(self._direct, data)
            return
        if not self._plain:
            await anyio.to_thread.run_sync(self._socket.sendall, data)
            return
        await _send(self._socket, data)

    async def settled(self, hello: dict[str, Any]) -> None:
        """From here on the line is used, if the server has taken it."""
        if self.line is not None:
            connection = self.line.accept()
            if hello.get("line") and connection is not None:
                self._direct = connection
            elif connection is not None:
                connection.close()

    async def receive(self) -> bytes:
        """Reads from its standard output; what it writes to standard error is kept aside."""
        if self._direct is not None:
            return await self._read_from(self._direct)
        while True:
            output = self._demultiplex()
            if output:
                return output
            data = await self._read()
            if not data:
                return b""
            self._raw += data

    async def _read(self) -> bytes:
        if not self._plain:
            return await anyio.to_thread.run_sync(
                self._socket.recv, 1 << 18, abandon_on_cancel=True
            )
        return await self._read_from(self._socket)

    async def _read_from(self, source: socket.socket) -> bytes:
        self._readers += 1
        try:
            while not self._closed:
                await anyio.wait_readable(source)
                try:
                    return source.recv(1 << 18)
                except BlockingIOError:
                    continue
            return b""
        finally:
            self._readers -= 1

    def _demultiplex(self) -> bytes:
        """The engine's frames: a byte that names the output, three of nothing, a length."""
        output = bytearray()
        while len(self._raw) >= _HEADER:
            length = int.from_bytes(self._raw[4:_HEADER], "big")
            if len(self._raw) < _HEADER + length:
                break
            body = self._raw[_HEADER : _HEADER + length]
            if self._raw[0] == _STDERR:
                self._errors += body[-4096:]
                del self._errors[:-8192]
            else:
                output += body
            del self._raw[: _HEADER + length]
        return bytes(output)

    async def complaint(self) -> str:
        """What it wrote to standard error, as far as it came before the stream broke."""
        with anyio.move_on_after(1.0), contextlib.suppress(OSError):
            while data := await self._read():
                self._raw += data
                self._demultiplex()
        return self._errors.decode("utf-8", "replace")

    async def aclose(self) -> None:
        """Hangs up, at which the container ends, and makes sure that it is gone."""
        if self._closed:
            return
        self._hang_up()
        # Who waits for the socket sees its end now. Closed under them, they would wait for ever.
        with anyio.move_on_after(_READERS_SECONDS):
            while self._plain and self._readers:  # noqa: ASYNC110 - a tick, in most cases
                await anyio.sleep(0.001)
        await anyio.to_thread.run_sync(self.close_now)

    def _hang_up(self) -> None:
        for open_socket in (self._socket if self._plain else None, self._direct):
            if open_socket is not None:
                with contextlib.suppress(OSError):
                    open_socket.shutdown(socket.SHUT_RDWR)

    def close_now(self) -> None:
        """As `aclose`, for code that can't wait."""
        if self._closed:
            return
        self._closed = True
        self._hang_up()
        # The wrapper that came with the socket, and the response that it came with, keep the
        # descriptor open, too.
        response = getattr(self._attached, "_response", None)
        for holder in (response, self._attached, self._socket, self._direct, self.line):
            if holder is not None:
                holder.close()
        with contextlib.suppress(Exception):  # it is going, or gone, or its engine is
            self._container.remove(force=True)


async def _send(target: socket.socket, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[target.send(view) :]
        except BlockingIOError:
            await anyio.wait_writable(target)


def connect() -> docker.DockerClient:
    """A client of the engine that the environment names.

    Raises:
        SandboxUnavailableError: none answers.
    """
    import docker

    try:
        _knock(os.environ.get("DOCKER_HOST") or _DEFAULT_HOST)
        client = docker.from_env(timeout=_KNOCK_SECONDS)  # it asks for the engine's version
        client.api.timeout = _CALL_SECONDS
    except Exception as error:
        raise SandboxUnavailableError(
            f"no Docker engine answers ({_reason(error)}): start one, or use --sandbox local"
        ) from None
    return client


def _knock(host: str) -> None:
    """Raises `OSError` if nobody listens. The docker package finds out too, but leaks a socket."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as trial:
            trial.settimeout(_KNOCK_SECONDS)
            trial.connect(host.removeprefix("unix://"))


def _reason(error: Exception) -> str:
    text = str(getattr(error, "explanation", None) or error).strip()
    if "FileNotFoundError" in text or "No such file" in text:
        return "there is no socket"
    if "PermissionError" in text or "Permission denied" in text:
        return "this user may not use its socket"
    if "ConnectionRefused" in text or "Connection refused" in text:
        return "the connection was refused"
    return " ".join(text.split())[:300]
