"""Each layer of the lock-down is taken away in turn: a hack gets through then, and only then.

A layer that stops nothing would only look like one. Nothing in the product can switch these off:
here the servers get other sources, a pretended grant, or containers other arguments. Where two
layers stop the same thing, the other one is off in both runs.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from docker.models.containers import ContainerCollection

from sandbox import docker, launch, program
from sandbox.base import Sandbox
from sandbox.docker import DockerSandbox
from sandbox.errors import SandboxUnavailableError
from sandbox.guest.lockdown import DENIED
from sandbox.jobs import Job, Report
from sandbox.launch import Grant
from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome
from tests.hacks import escape, network, poisoning, resources
from tests.hacks.catalogue import ADDS_ONE, job_of
from tests.hacks.test_hacks_run import descendants
from tests.hacks.tricks import NUMBERS

NNP, LANDLOCK, SECCOMP = "no-new-privs", "landlock", "seccomp"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's sandbox has this layer")
NAMED = {
    hack.name: hack for family in (escape, network, poisoning, resources) for hack in family.HACKS
}
FINISH = "\ndef f(x): return x + 1\n"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a sandbox is opened other than usual.

    Attributes:
        layers: layers of the lock-down; all, unless given.
        identity: how programs are told apart.
        cuts: module of the guest, a text that its source has once, and what to put in its place.
        container: arguments of containers to change.
    """

    layers: tuple[str, ...] = (NNP, LANDLOCK, SECCOMP)
    identity: str = ""
    cuts: tuple[tuple[str, str, str], ...] = ()
    container: dict[str, Any] = field(default_factory=dict)

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        """Has every sandbox be opened like this, until the patch is undone."""
        changes: dict[str, Any] = {"layers": self.layers}
        if self.identity:
            changes["identity"] = self.identity
        grant = replace(launch.probe("namespaces"), **changes)
        patch.setattr(launch, "probe", lambda _: grant)
        patch.setattr(docker, "LAYERS", self.layers)
        sources = program.sources()
        # Servers try their lock-down out, and refuse to work without this layer.
        trial = ("slot", 'b"a socket can be made"', 'b"locked down"')
        for module, old, new in (*self.cuts, *([] if SECCOMP in self.layers else [trial])):
            name = f"regreen_guest.{module}"
            assert sources[name].count(old) == 1, old
            patch.setitem(sources, name, sources[name].replace(old, new))
        create = ContainerCollection.create
        configure = docker.configuration  # type: ignore[attr-defined]
        other = {"identity": self.identity} if self.identity else {}
        patch.setattr(
            docker, "configuration", lambda role, **given: configure(role, **{**given, **other})
        )

        def changed(*given: Any, **arguments: Any) -> Any:
            return create(*given, **{**arguments, **self.container})

        patch.setattr(ContainerCollection, "create", changed)


async def run(setting: Setting, job: Job, sandbox: Sandbox, times: int = 1) -> Report:
    """The report of the last of some runs, in a sandbox of this setting."""
    with pytest.MonkeyPatch.context() as patch:
        setting.apply(patch)
        async with sandbox:
            for _ in range(times):
                report = await sandbox.run(job)
    return report


def local() -> Sandbox:
    return LocalSandbox(slots=2, launcher="namespaces")


def named(name: str, canary: str = "/nowhere") -> Job:
    return job_of(NAMED[name], mark="hackmark", canary=canary)


def written(text: str, **limits: Any) -> Job:
    """A job that passes if the program comes to its end."""
    return ADDS_ONE.job(textwrap.dedent(text) + FINISH, {"wall_seconds": 8, **limits})


def without(module: str, old: str, new: str = "") -> Setting:
    return Setting(cuts=((module, old, new),))


async def compare(job: Job, whole: Setting, less: Setting, times: int = 1) -> None:
    """The hack is stopped by the whole, and gets through with a layer less."""
    held = await run(whole, job, local(), times)
    assert held.outcome not in (Outcome.PASSED, Outcome.INFRA), held
    through = await run(less, job, local(), times)
    assert through.outcome is Outcome.PASSED, through


@pytest.mark.anyio
async def test_landlock() -> None:
    await compare(named("files of another slot"), Setting(), Setting(layers=(NNP, SECCOMP)))


BY_CALL = (
    "a socket of the internet", "a socket of IPv6", "netlink", "root in a namespace",
    "a namespace with its child", "neighbours overheard", "a name nobody gave", "personality",
    "a program from memory", "shared memory of System V", "read from another process",
    "the handle of a file", "asked before every access", "a note by descriptor",
)  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("name", BY_CALL)
async def test_seccomp(name: str) -> None:
    twice = 2 if NAMED[name] in poisoning.HACKS else 1
    # Landlock would refuse to open what a ring or a namespace is for; here it is the call itself.
    await compare(named(name), Setting(layers=(NNP, SECCOMP)), Setting(layers=(NNP,)), twice)


IMPLIED = {
    "io_uring_enter": "io_uring_setup", "io_uring_register": "io_uring_setup",
    "request_key": "add_key", "move_mount": "open_tree", "fsconfig": "fsopen",
    "fsmount": "fsopen", "inotify_init": "inotify_init1", "setxattrat": "fsetxattr",
    "shmat": "shmget",
}  # fmt: skip
"""Refused calls that need what another one gives, or are another form of it."""


def test_every_refused_call_is_tried_by_a_hack() -> None:
    programs = "".join(hack.program for hack in NAMED.values())
    tried = {name for name in DENIED if name in programs.replace(str(NUMBERS), "")}
    assert {name for name in DENIED if name not in tried} <= set(IMPLIED)
    assert set(IMPLIED.values()) <= tried


@pytest.mark.anyio
async def test_seccomp_or_no_locked_memory_stops_a_ring() -> None:
    """A ring needs locked memory."""
    memory = limit("MEMLOCK")
    for whole in (replace(memory, layers=(NNP, SECCOMP)), Setting(layers=(NNP,))):
        await compare(named("io_uring"), whole, replace(memory, layers=(NNP,)))


@pytest.mark.anyio
async def test_no_new_privileges_come_first() -> None:
    with pytest.raises(SandboxUnavailableError, match="lock-down failed"):
        await run(Setting(layers=(LANDLOCK, SECCOMP)), written(""), local())


NOSUID = ("namespaces", "_ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV", "_ATTR_RDONLY | _ATTR_NODEV")


@as_root
@pytest.mark.anyio
@pytest.mark.parametrize("layer", ["no new privileges", "mounts without set-user-id"])
async def test_no_new_privileges(layer: str) -> None:
    """Either of the two stops it; without both a program is root's."""
    whole = (
        Setting(layers=(NNP,), cuts=(NOSUID,))
        if layer == "no new privileges"
        else Setting(layers=())
    )
    job = named("a program that is root's")
    await compare(job, whole, Setting(layers=(), cuts=(NOSUID,)))


@as_root
@pytest.mark.anyio
async def test_user_ids() -> None:
    """Seccomp aside, which would stop it, too."""
    whole = Setting(layers=(NNP, LANDLOCK))
    await compare(named("limits of others"), whole, replace(whole, identity="plain"))


CAPABILITIES = (
    "confine",
    "            with contextlib.suppress(OSError):\n                kernel.set_capabilities(0)",
    "            pass",
)


@as_root
@pytest.mark.anyio
async def test_capabilities() -> None:
    whole = Setting(identity="plain")
    job = written("import os\nos.setresuid(5, 5, 5)")
    await compare(job, whole, replace(whole, cuts=(CAPABILITIES,)))


@as_root
@pytest.mark.anyio
async def test_capabilities_of_root_are_gone_with_its_id() -> None:
    """Where a user id is changed, that is what takes the capabilities."""
    report = await run(Setting(cuts=(CAPABILITIES,)), named("another user"), local())
    assert report.outcome is not Outcome.PASSED


def limit(name: str) -> Setting:
    """One limit less: another one, which a program has no use for, is set in its stead."""
    return without("lockdown", f"resource.RLIMIT_{name}", "resource.RLIMIT_NICE")


LIMITS: dict[str, tuple[str, dict[str, Any]]] = {
    "CPU": (
        "import time\nwhile time.process_time() < 2.2: pass",
        {"cpu_seconds": 1, "wall_seconds": 30},
    ),
    "AS": ("kept = bytearray(1 << 28)", {"memory_mb": 64}),
    "NPROC": (
        "import threading, time\n"
        "for _ in range(20): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        {"pids": 8, "memory_mb": 1 << 13},
    ),
    "FSIZE": ("open('x', 'wb').write(bytes(2 << 20))", {"file_mb": 1}),
    "NOFILE": ("import os\nfor _ in range(99): os.dup(0)", {}),
    "MEMLOCK": (
        "import ctypes\nkept = ctypes.create_string_buffer(1 << 14)\n"
        "assert ctypes.CDLL(None).mlock(kept, 1 << 14) == 0", {},
    ),
}  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("name", LIMITS)
async def test_limits(name: str) -> None:
    text, limits = LIMITS[name]
    await compare(written(text, **limits), Setting(), limit(name))


@pytest.mark.anyio
@pytest.mark.skipif(
    Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/")),
    reason="this machine's core dumps go elsewhere",
)
async def test_limit_of_core_dumps() -> None:
    text = """
        import os
        child = os.fork()
        if child == 0:
            os.execv("/bin/sh", ["sh", "-c", "ulimit -c 9999; kill -ABRT $$"])
        assert os.WCOREDUMP(os.waitpid(child, 0)[1])
        """
    await compare(written(text), Setting(), limit("CORE"))


@as_root
@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "option", "larger"),
    [
        ("for n in range(3): open(str(n), 'wb').write(bytes(10 << 20))", "size={scratch_bytes}",
         "size=64m"),
        ("for n in range(5000): open(str(n), 'wb').close()", "nr_inodes={inodes(scratch_bytes)}",
         "nr_inodes=9999"),
    ],
)  # fmt: skip
async def test_size_of_the_slots_file_system(text: str, option: str, larger: str) -> None:
    options = 'options = f"size={scratch_bytes},nr_inodes={inodes(scratch_bytes)},mode=0777"'
    less = without("namespaces", options, options.replace(option, larger))
    await compare(written(text), Setting(), less)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file of the host that everybody may write."""
    tmp_path.chmod(0o755)
    path = tmp_path / "canary"
    path.touch()
    path.chmod(0o666)
    return path


def size(path: Path) -> int:
    return path.stat().st_size


@as_root
@pytest.mark.anyio
async def test_read_only_root(canary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Landlock aside, which would stop it, too."""
    shown = launch.layout()
    shown = replace(shown, prefixes=(*shown.prefixes, str(canary.parent)))
    monkeypatch.setattr(launch, "layout", lambda judge, site: replace(shown, judge=str(judge)))
    whole = Setting(layers=(NNP, SECCOMP))
    job = named("a file of the host is changed", str(canary))
    held = await run(whole, job, local())
    assert held.outcome is not Outcome.PASSED
    assert size(canary) == 0
    cut = ("namespaces", "    if not device:", "    if 0:")
    await run(replace(whole, cuts=(cut,)), job, local())
    assert size(canary) > 0


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of this machine that says hello."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def calls_home(port: int) -> Job:
    return written(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2).close()")


@pytest.mark.anyio
async def test_network_namespace(listener: int) -> None:
    """Seccomp and Landlock aside, each of which would stop it, too."""
    whole = Setting(layers=(NNP,))
    cut = ("namespaces", "        | kernel.CLONE_NEWNET\n", "")
    await compare(calls_home(listener), whole, replace(whole, cuts=(cut,)))


PDEATHSIG = (
    "confine",
    "kernel.die_with_parent()  # a change of user id clears it",
    "pass",
)


@pytest.mark.anyio
@pytest.mark.parametrize("cuts", [(), (PDEATHSIG,)], ids=["with", "without"])
async def test_signal_at_the_parents_death(cuts: tuple[tuple[str, str, str], ...]) -> None:
    """Where there are no namespaces, whose first process takes all with it."""
    bare = Grant("", False, "plain", missing=("namespaces",))
    job = ADDS_ONE.job("import time\ntime.sleep(600)", {"wall_seconds": 3})
    left: set[int] = set()
    with pytest.MonkeyPatch.context() as patch:
        Setting(cuts=cuts).apply(patch)
        patch.setattr(launch, "probe", lambda _: bare)
        async with LocalSandbox(slots=1, allow_reduced=True) as sandbox:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sandbox.run, job)
                await anyio.sleep(0.5)
                zygote: Any = sandbox._pool._cell._zygote  # type: ignore[union-attr]
                programs = descendants(zygote._process.pid)
                os.kill(zygote._process.pid, signal.SIGKILL)
                await anyio.sleep(0.5)
                left = {pid for pid in programs if _runs(pid)}
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
    assert programs
    assert bool(left) == bool(cuts)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def engine(open_sandbox: Callable[..., Any]) -> Iterator[None]:
    """Skips where there is no engine."""
    portal: BlockingPortal
    with start_blocking_portal() as portal, open_sandbox("docker", portal):
        yield


async def compare_in_docker(job: Job, whole: Setting, less: Setting) -> None:
    held = await run(whole, job, DockerSandbox(slots=1))
    assert held.outcome not in (Outcome.PASSED, Outcome.INFRA), held
    through = await run(less, job, DockerSandbox(slots=1))
    assert through.outcome is Outcome.PASSED, through


OPEN = Setting(layers=(NNP,))
WRITES = "open('/var/tmp/left', 'w').close()"
MANY = """
import os, time
for _ in range(150):
    if os.fork() == 0:
        time.sleep(9)
        os._exit(0)
"""
TOGETHER = """
import os, time
kept = b"x" * (170 << 20)
reader, writer = os.pipe()
for _ in range(4):
    if os.fork() == 0:
        kept = b"x" * (170 << 20)
        os.write(writer, b"!")
        os.close(writer)
        time.sleep(60)
os.close(writer)
assert b"".join(iter(lambda: os.read(reader, 1), b"")) == b"!!!!"
"""
FREE = limit("NPROC")
CONTAINERS: dict[str, tuple[Job, Setting, dict[str, Any]]] = {
    "read-only root": (written(WRITES), OPEN, {"read_only": False}),
    "pid limit": (written(MANY), FREE, {"pids_limit": None}),
    "scratch size": (
        written("for n in range(3): open(str(n), 'wb').write(bytes(10 << 20))"),
        Setting(),
        {"tmpfs": {"/slots/0": "size=64m,mode=0777"}},
    ),
    "scratch names": (
        written("for n in range(5000): open(str(n), 'wb').close()"), Setting(),
        {"tmpfs": {"/slots/0": "size=16m,mode=0777,nr_inodes=9999"}},
    ),
    "shared memory": (
        written("open('/dev/shm/left', 'wb').write(bytes(2 << 20))"), OPEN, {"shm_size": "64m"},
    ),
    "dropped capabilities": (
        written("import os\nopen('x', 'w').close()\nos.chown('x', 5, 5)"),
        replace(OPEN, identity="plain", cuts=(CAPABILITIES,)), {"cap_drop": []},
    ),
    "memory limit": (written(TOGETHER, memory_mb=450),
        Setting(), {"mem_limit": "8g", "memswap_limit": "8g"},
    ),
}  # fmt: skip


@pytest.mark.docker
@pytest.mark.anyio
@pytest.mark.parametrize("name", CONTAINERS)
async def test_containers(engine: None, name: str) -> None:
    job, whole, changes = CONTAINERS[name]
    await compare_in_docker(job, whole, replace(whole, container=changes))


@pytest.mark.docker
@pytest.mark.anyio
async def test_user_ids_in_containers(engine: None) -> None:
    """Seccomp aside, which would stop it, too."""
    whole = Setting(layers=(NNP, LANDLOCK))
    await compare_in_docker(named("limits of others"), whole, replace(whole, identity="plain"))


@as_root
@pytest.mark.docker
@pytest.mark.anyio
async def test_no_new_privileges_of_containers(engine: None, canary: Path) -> None:
    """Our own aside, for a program of root's that the engine's machine lends; images have none."""
    lent = canary.with_name("su")
    shutil.copy("/bin/cat", lent)
    lent.chmod(0o4755)
    shown = {"volumes": {str(lent): {"bind": "/usr/local/bin/su", "mode": "ro"}}}
    whole = Setting(layers=(), container=shown)
    less = replace(whole, container={**shown, "security_opt": []})
    await compare_in_docker(named("a program that is root's"), whole, less)


@pytest.mark.docker
@pytest.mark.anyio
async def test_network_of_containers(engine: None, listener: int) -> None:
    """Where the engine's network is the host's; an engine elsewhere would have its own."""
    less = replace(OPEN, container={"network_mode": "host"})
    await compare_in_docker(calls_home(listener), OPEN, less)


@pytest.mark.docker
@pytest.mark.anyio
async def test_landlock_in_containers(engine: None) -> None:
    job = named("files of another slot")
    held = await run(Setting(), job, DockerSandbox(slots=2))
    assert held.outcome not in (Outcome.PASSED, Outcome.INFRA), held
    through = await run(Setting(layers=(NNP, SECCOMP)), job, DockerSandbox(slots=2))
    assert through.outcome is Outcome.PASSED, through


@pytest.mark.docker
@pytest.mark.anyio
async def test_seccomp_in_containers(engine: None) -> None:
    whole = Setting(layers=(NNP, SECCOMP))
    await compare_in_docker(named("a socket of the internet"), whole, OPEN)
