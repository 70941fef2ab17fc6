"""The embedded sandbox for Linux: namespaces of its own, no container engine.

Two servers, each in user, mount, pid, network and ipc namespaces with a root that holds only the
system's libraries and the running Python's standard library, read-only. Inside, every program
gets namespaces or a user id of its own, and the lock-down. What this machine grants is found out
by doing it; with less than all of it, the sandbox refuses unless it is told to go on.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import socket
import sys
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path
from types import TracebackType

import anyio
from anyio.abc import Process, TaskGroup
from platformdirs import user_cache_dir

from .cell import Cell
from .errors import SandboxUnavailableError
from .guest.lockdown import LAYERS, landlock_abi
from .jobs import Isolation, Job, Limits, Report
from .pool import Pool, default_slots
from .program import boot_text, first_frame, guest_version
from .servers import PYTHON_OPTIONS, ServerPaths, configuration

JUDGE_DISTRIBUTIONS = ("pytest", "hypothesis")
REDUCED_FLAG = "--allow-reduced-isolation"

_SYSTEM_READ = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache",
                "/etc/localtime", "/etc/alternatives")  # fmt: skip
_CLOSE_SECONDS = 5.0


class LocalSandbox:
    """Runs jobs in processes of this machine; see the module's docstring.

    Args:
        slots: programs at a time; `None` for one a core.
        isolation: `container` gives each program a pair of servers of its own.
        limits: the largest limits that jobs will ask for; sizes the scratch space.
        allow_reduced: go on with less than full isolation, and say so in every verdict.
        site: a folder with the tasks' requirements, or `None`.
    """

    def __init__(
        self,
        *,
        slots: int | None = None,
        isolation: Isolation = Isolation.SLOT,
        limits: Limits | None = None,
        allow_reduced: bool = False,
        site: Path | None = None,
    ) -> None:
        self._slots = slots or default_slots()
        self._isolation = isolation
        self._scratch_mb = max(1, (limits or Limits()).file_mb)
        self._allow_reduced = allow_reduced
        self._site = site
        self._grant = Grant(namespaces=True, identity="", layers=LAYERS, missing=())
        self._scratch: Path | None = None
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
        """Backend, interpreter and guest, for cache keys."""
        site = self._site.name if self._site else ""
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
        self._grant = await anyio.to_thread.run_sync(probe)
        if self._grant.missing and not self._allow_reduced:
            raise SandboxUnavailableError(
                f"this machine grants no full isolation ({'; '.join(self._grant.missing)}): "
                f"use --sandbox docker, or accept `{self._grant.level}` with {REDUCED_FLAG}"
            )
        self._pool = Pool(
            self._start, slots=self._slots, isolation=self._isolation, level=self.level
        )
        if not self._grant.namespaces:
            self._scratch = Path(tempfile.mkdtemp(prefix="regreen-"))
        try:
            await self._pool.__aenter__()
        except BaseException:
            self._remove_scratch()
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
            self._remove_scratch()

    def _remove_scratch(self) -> None:
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        """Runs one job; see `sandbox.base.Sandbox.run`."""
        if self._pool is None:
            raise SandboxUnavailableError("the local sandbox is not open")
        return await self._pool.run(job, fresh=fresh)

    async def _start(self, tasks: TaskGroup, slots: int, hash_seed: int) -> Cell:
        libraries = await anyio.to_thread.run_sync(judge_libraries)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            judge = await self._server("judge", ours, slots, libraries, hash_seed)
            zygote = await self._server("zygote", theirs, slots, libraries, hash_seed)
        cell = Cell(judge[0], zygote[0], slots=slots)
        try:
            await cell.start(tasks, judge[1], zygote[1])
        except BaseException:
            await cell.aclose()
            raise
        return cell

    async def _server(
        self, role: str, link: socket.socket, slots: int, libraries: Path, hash_seed: int
    ) -> tuple[ProcessStream, bytes]:
        python = interpreter()
        site = str(self._site) if self._site else ""
        stdlib = sysconfig.get_path("stdlib", vars={"base": sys.base_prefix})
        inside = "/opt/regreen"
        paths = ServerPaths(
            site=f"{inside}/site" if site else "",
            judge=f"{inside}/judge",
            read=(*_SYSTEM_READ, *outside_usr(sys.base_prefix)),
        )
        extra: dict[str, object] = {"link_fd": link.fileno()}
        if self._grant.namespaces:
            binds = [[path, path] for path in outside_usr(sys.base_prefix)]
            if role == "judge":
                binds.append([str(libraries), f"{inside}/judge"])
            if site:
                binds.append([site, f"{inside}/site"])
            extra["namespaces"] = {
                "binds": binds,
                "masked": packages_folders(stdlib),
                "slots": slots,
                "scratch_bytes": self._scratch_mb << 20,
            }
        else:
            paths = ServerPaths(site=site, judge=str(libraries), read=paths.read)
            folder = Path(tempfile.mkdtemp(dir=self._scratch))
            folder.chmod(0o755)
            extra |= {"slots_folder": True, "slot_root": str(folder)}
        frame = first_frame(
            configuration(
                role,
                slots=slots,
                identity=self._grant.identity,
                paths=paths,
                scratch_mb=self._scratch_mb,
                layers=self._grant.layers,
                **extra,
            )
        )
        process = await anyio.open_process(
            [python, *PYTHON_OPTIONS, boot_text()],
            stdin=-1,
            stdout=-1,
            stderr=-1,
            cwd="/",
            env={"PYTHONHASHSEED": str(hash_seed), "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            pass_fds=(link.fileno(),),
            start_new_session=True,
        )
        return ProcessStream(process), frame


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

    async def complaint(self) -> str:
        """What is left of its standard error."""
        assert self._process.stderr is not None
        said = b""
        with anyio.move_on_after(1.0):
            try:
                while len(said) < 10_000:
                    said += await self._process.stderr.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                pass
        return said.decode("utf-8", "replace")

    async def aclose(self) -> None:
        """Closes its input, at which it ends, and makes sure of it."""
        if self._process.stdin is not None:
            await self._process.stdin.aclose()
        with anyio.move_on_after(_CLOSE_SECONDS):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.aclose()


class Grant:
    """What this machine grants the local sandbox.

    Attributes:
        namespaces: whether servers get namespaces of their own.
        identity: how programs are told apart; see `sandbox.guest.confine`.
        layers: layers of the lock-down that the kernel has.
        missing: what full isolation would need besides, in words.
    """

    def __init__(
        self, *, namespaces: bool, identity: str, layers: tuple[str, ...], missing: tuple[str, ...]
    ) -> None:
        self.namespaces = namespaces
        self.identity = identity
        self.layers = layers
        self.missing = missing

    @property
    def level(self) -> str:
        """A name for the level, e.g. `local/userns` or `local/reduced`."""
        return f"local/{self.identity}" if not self.missing else "local/reduced"


@functools.cache
def probe() -> Grant:
    """Finds out, in processes of their own, what the kernel grants."""
    missing = []
    root = os.geteuid() == 0
    namespaces = can_make_namespaces()
    if not namespaces:
        missing.append("no namespaces: the kernel or a container's policy refuses them")
    layers = tuple(name for name in LAYERS if name != "landlock" or landlock_abi() > 0)
    if "landlock" not in layers:
        missing.append("no Landlock: the kernel is older than 5.13 or it is switched off")
    identity = "uids" if root else "userns" if namespaces else "plain"
    return Grant(namespaces=namespaces, identity=identity, layers=layers, missing=tuple(missing))


def can_make_namespaces() -> bool:
    """Whether a process of ours may have user, mount, pid, network and ipc namespaces."""
    import subprocess

    text = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from sandbox.guest import kernel as k\n"
        "flags = k.CLONE_NEWNS | k.CLONE_NEWPID | k.CLONE_NEWNET | k.CLONE_NEWIPC\n"
        "import os\n"
        "uid = os.getuid()\n"
        "k.unshare(flags if uid == 0 else flags | k.CLONE_NEWUSER)\n"
        "if uid: open('/proc/self/setgroups', 'w').write('deny')\n"
        "if uid: open('/proc/self/uid_map', 'w').write(f'0 {uid} 1')\n"
        "k.mount('none', '/', '', k.MS_REC | k.MS_PRIVATE)\n"
        "k.mount('tmpfs', '/mnt', 'tmpfs', 0, 'size=4k')\n"
        "if os.fork() == 0:\n"
        "    k.mount('proc', '/mnt', 'proc')\n"
        "    os._exit(0)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    done = subprocess.run(
        [interpreter(), "-c", text, str(Path(__file__).resolve().parent.parent)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=30,
    )
    return done.returncode == 0


def interpreter() -> str:
    """The running Python itself, not a virtual environment's link to it."""
    return os.path.realpath(sys.executable)


def outside_usr(prefix: str) -> list[str]:
    """The running Python's folder, where the system's folders don't hold it."""
    found = {os.path.realpath(prefix), prefix}
    return sorted(path for path in found if not path.startswith("/usr") or not os.path.isdir(path))


def packages_folders(stdlib: str) -> list[str]:
    """Folders of installed packages, which a program must not see: suites' answers lie there."""
    names = ("site-packages", "dist-packages")
    folders = {os.path.realpath(os.path.join(stdlib, name)) for name in names}
    for base in ("/usr/lib", "/usr/local/lib"):
        if os.path.isdir(base):
            for entry in os.scandir(base):
                if entry.name.startswith("python"):
                    folders |= {os.path.join(entry.path, name) for name in names}
    return sorted(folder for folder in folders if os.path.isdir(folder))


@functools.cache
def judge_libraries() -> Path:
    """A folder with pytest, Hypothesis and what they need, copied from this installation.

    Only the judge sees it. Cached by the versions in it.
    """
    distributions = _closure(JUDGE_DISTRIBUTIONS)
    names = sorted(f"{found.name}=={found.version}" for found in distributions)
    key = hashlib.sha256(" ".join([*names, sys.version]).encode()).hexdigest()[:12]
    root = Path(os.environ.get("REGREEN_CACHE_DIR") or user_cache_dir("regreen")) / "judge"
    target = root / key
    if target.is_dir():
        return target
    root.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=root))
    for distribution in distributions:
        for file in distribution.files or ():
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            copy = building / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(distribution.locate_file(file)), copy)
    import compileall

    compileall.compile_dir(building, quiet=2, workers=1)
    building.chmod(0o755)
    try:
        building.rename(target)
    except OSError:
        shutil.rmtree(building, ignore_errors=True)  # another process was first
    return target


def _closure(names: tuple[str, ...]) -> list[metadata.Distribution]:
    """The distributions named and all that they require here."""
    from packaging.requirements import Requirement

    found: dict[str, metadata.Distribution] = {}
    todo = list(names)
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found[name] = distribution
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                todo.append(requirement.name)
    return list(found.values())
