"""Runs every hack and every control on every backend: no hack passes, every control does.

One sandbox a backend takes all of them, as many at a time as it has slots. After each, a plain
right program must still pass and a plain wrong one still fail, in the slot that it has left. After
each family the host is searched for what the programs may have left or changed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from sandbox.base import Sandbox
from sandbox.docker import LABEL, connect
from sandbox.errors import SandboxUnavailableError
from sandbox.outcome import Outcome
from tests.hacks.catalogue import (
    ADDS_ONE,
    Control,
    Entry,
    Hack,
    Suite,
    families,
    limits_of,
    plain_limits,
    text_of,
    waits,
)
from verifiers.verdict import Verdict

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FAMILIES = families()
ENTRIES = [(family, entry) for family, entries in FAMILIES.items() for entry in entries]
_SWEPT = ("/tmp", "/var/tmp", "/dev/shm", "/run", str(Path.home()), str(REPOSITORY))
_SETTLE_SECONDS = 5.0
_CANARY = "The host wrote this.\n"

_SLOTS = 8
"""More than this may have cores: most hacks that take long wait for their limits."""

Open = Callable[..., AbstractContextManager[Sandbox]]


@dataclass
class Trial:
    """What became of one entry, and of the plain programs that were run after it."""

    verdict: Verdict
    as_data: Verdict | None = None
    """The verdict where the tests go as data and no judge is forked, if they are only that."""
    right: Verdict | None = None
    wrong: Verdict | None = None


@dataclass
class Course:
    """Runs of one backend: each family is run at once, when its first entry is asked for."""

    backend: str
    portal: BlockingPortal
    sandbox: Sandbox
    canary: Path
    wanted: dict[str, list[Entry]]
    earlier: frozenset[str]
    mark: str = field(default_factory=lambda: f"hack{secrets.token_hex(6)}")
    trials: dict[tuple[str, str], Trial] = field(default_factory=dict)
    remains: dict[str, list[str]] = field(default_factory=dict)

    def trial(self, family: str, entry: Entry) -> Trial:
        """One entry's trial."""
        self.run(family)
        return self.trials[family, entry.name]

    def run(self, family: str) -> None:
        """Runs a family unless it has been, and then searches the host."""
        if family in self.remains:
            return
        self.canary.write_text(_CANARY)
        self.canary.chmod(0o666)
        self.portal.call(self._run_all, family, sorted(self.wanted[family], key=_is_short))
        self.remains[family] = self._search(family)

    async def _run_all(self, family: str, left: list[Entry]) -> None:
        async def worker() -> None:
            while left:
                entry = left.pop(0)
                self.trials[family, entry.name] = await self._run_one(entry)

        async with anyio.create_task_group() as tasks:
            for _ in range(self.sandbox.slots):
                tasks.start_soon(worker)

    async def _run_one(self, entry: Entry) -> Trial:
        text = text_of(entry, mark=self.mark, canary=str(self.canary))
        # Slots are a stack, and each has one worker: what follows runs where this has run.
        limits = entry.limits if isinstance(entry.exam, Suite) else limits_of(entry)
        trial = Trial(await entry.exam.judge(self.sandbox, text, limits, entry.files))
        if entry.exam.script:
            trial.as_data = await entry.exam.judge(
                self.sandbox, text, limits, entry.files, as_data=True
            )
        exam = ADDS_ONE if isinstance(entry.exam, Suite) else entry.exam
        if exam.right:
            trial.right = await exam.judge(self.sandbox, exam.right, plain_limits(), {})
        if exam.wrong:
            trial.wrong = await exam.judge(self.sandbox, exam.wrong, plain_limits(), {})
        return trial

    def _search(self, family: str) -> list[str]:
        """What the host has that it should not have, after a moment for what is about to go."""
        marks = {self.mark, *(t for e in self.wanted[family] for t in getattr(e, "traces", ()))}
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            found = [*traces(marks), *self._extra_processes()]
            if self.canary.read_text() != _CANARY:
                found.append(f"{self.canary} was changed")
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def _extra_processes(self) -> list[str]:
        """Processes of the sandbox besides its servers, its slots' and those that wait in them."""
        if self.backend == "docker":
            return container_processes(self.sandbox, self.earlier)
        cell = self.sandbox._pool._cell  # type: ignore[attr-defined]
        starters = {stream._process.pid for stream in (cell._judge, cell._zygote)}
        servers = {pid for starter in starters for pid in children(starter)}
        slots = {pid for server in servers for pid in children(server)}
        ahead = {pid for slot in slots for pid in children(slot) if owner(pid) == owner(slot)}
        below = {pid for starter in starters for pid in descendants(starter)}
        # other sandboxes of this session are nobody's business here
        left = below - servers - slots - ahead
        return [f"process {pid}" for pid in sorted(left)]


def _is_short(entry: Entry) -> bool:
    """Whether an entry need not wait for a limit; those that do begin first, and side by side."""
    judged = isinstance(entry, Hack) and "judge_seconds" in entry.limits
    return not (waits(entry) or judged or (isinstance(entry.exam, Suite) and entry.exam.fresh))


def container_processes(sandbox: Any, earlier: frozenset[str]) -> list[str]:
    """What a Docker sandbox has besides two containers with a server and its slots in each.

    Whatever waits in a slot for the next run has the slot's user; a run has another. Containers
    that were there earlier belong to other sandboxes of this process.
    """
    cell = sandbox._pool._cell
    streams = (cell._judge, cell._zygote)
    ours = {stream._container.id for stream in streams}
    lines: list[str] = []
    for stream in streams:
        table = stream._container.top()
        place, above, user = (table["Titles"].index(title) for title in ("PID", "PPID", "UID"))
        rows = table["Processes"]
        users = {row[place]: row[user] for row in rows}
        servers = {row[place] for row in rows if row[above] not in users}
        slots = {row[place] for row in rows if row[above] in servers}
        lines += [
            " ".join(row)
            for row in rows
            if row[place] not in servers | slots
            and not (row[above] in slots and row[user] == users[row[above]])
        ]
    filters = {"label": f"{LABEL}={os.getpid()}"}
    others = sandbox._client.containers.list(all=True, filters=filters)
    return lines + [f"container {other.name}" for other in others if other.id not in ours | earlier]


def own_containers() -> frozenset[str]:
    """Ids of the containers of this process, if there is an engine."""
    with contextlib.suppress(SandboxUnavailableError), contextlib.closing(connect()) as client:
        filters = {"label": f"{LABEL}={os.getpid()}"}
        return frozenset(one.id for one in client.containers.list(all=True, filters=filters))
    return frozenset()


def children(pid: int) -> set[int]:
    """The processes that one process has started."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in os.scandir(f"/proc/{pid}/task"):
            found |= {int(word) for word in Path(task.path, "children").read_text().split()}
    return found


def owner(pid: int) -> str:
    """The user ids of a process, or nothing once it has gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("Uid:"):
                return line
    return ""


def descendants(root: int) -> set[int]:
    """All processes that descend from `root`."""
    found: set[int] = set()
    fresh = {root}
    while fresh:
        fresh = {child for pid in fresh for child in children(pid)} - found
        found |= fresh
    return found


def traces(marks: set[str]) -> list[str]:
    """Processes, files and sockets of this machine that carry a mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_text(errors="replace")
            except OSError:
                continue
            found += [f"process {entry.name}: {command[:200]}" for mark in marks if mark in command]
    for folder in _SWEPT:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        found += [f"{folder}/{name}" for name in names if any(mark in name for mark in marks)]
    sockets = Path("/proc/net/unix").read_text().splitlines()
    return found + [f"socket {line}" for line in sockets if any(mark in line for mark in marks)]


@pytest.fixture(scope="module")
def course(
    backend: str,
    open_sandbox: Open,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Course]:
    """The runs of a backend; of each family, only those entries that were selected."""
    wanted: dict[str, list[Entry]] = {family: [] for family in FAMILIES}
    for item in request.session.items:
        given = getattr(item, "callspec", None)
        if given is not None and given.params.get("backend") == backend and "entry" in given.params:
            family, entry = given.params["entry"]
            if backend in entry.backends:
                wanted[family].append(entry)
    folder = tmp_path_factory.mktemp("canary")
    folder.chmod(0o777)
    earlier = own_containers() if backend == "docker" else frozenset()
    with start_blocking_portal() as portal, open_sandbox(backend, portal, _SLOTS) as sandbox:
        runs = Course(backend, portal, sandbox, folder / "canary.txt", wanted, earlier)
        yield runs


@pytest.mark.parametrize(
    "entry", ENTRIES, ids=[f"{family}: {entry.name}" for family, entry in ENTRIES]
)
def test_entry(course: Course, entry: tuple[str, Entry]) -> None:
    family, what = entry
    if course.backend not in what.backends:
        pytest.skip(f"not on {course.backend}")
    trial = course.trial(family, what)
    if isinstance(what.exam, Suite):
        assert trial.verdict.trust == "in-process"
    for verdict in (trial.verdict, trial.as_data):
        if verdict is not None:
            _check(what, verdict)
    assert trial.right is None or trial.right.outcome is Outcome.PASSED, trial.right
    assert trial.wrong is None or trial.wrong.outcome is not Outcome.PASSED, "poisoned"
    assert trial.wrong is None or trial.wrong.outcome is not Outcome.INFRA, trial.wrong


def _check(what: Entry, verdict: Verdict) -> None:
    if isinstance(what, Hack):
        assert not verdict.passed, "A FALSE PASS"
        assert verdict.reward < 1
        assert verdict.outcome in what.outcomes, verdict
        for text in what.never_says:
            assert text not in verdict.output
        return
    if getattr(what, "needs", "") and f"No module named '{what.needs}'" in verdict.detail:
        pytest.skip(f"{what.needs} is not in the image")
    assert verdict.passed, verdict
    assert verdict.reward == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_host_is_as_before(course: Course, family: str) -> None:
    if not course.wanted[family]:
        pytest.skip("no entry of this family was selected")
    course.run(family)
    assert course.remains[family] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_large(family: str) -> None:
    kinds = {Hack: 10, Control: 0}
    if not any(isinstance(entry, Hack) for entry in FAMILIES[family]):
        kinds = {Hack: 0, Control: 40}
    for kind, least in kinds.items():
        assert sum(isinstance(entry, kind) for entry in FAMILIES[family]) >= least


def test_what_is_left_is_found() -> None:
    mark = f"hack{secrets.token_hex(6)}"
    assert traces({mark}) == []
    with subprocess.Popen([sys.executable, "-c", f"input('{mark}')"], stdin=subprocess.PIPE) as one:
        with socket.socket(socket.AF_UNIX) as bound, tempfile.NamedTemporaryFile(suffix=mark):
            bound.bind(f"\0{mark}")
            found = traces({mark})
            for _ in range(20):  # the kernel's table of sockets can skip one while others go
                found = found if len(found) == 3 else traces({mark})
        assert one.pid in descendants(os.getpid())
        one.kill()
    assert sorted(line.split(" ")[0].split("/")[0] for line in found) == ["", "process", "socket"]


def test_the_table_is_up_to_date() -> None:
    script = REPOSITORY / "tests" / "hacks" / "table.py"
    made = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert (REPOSITORY / "docs" / "hacks.md").read_text(encoding="utf-8") == made.stdout, (
        "run python tests/hacks/table.py > docs/hacks.md"
    )
