"""The conformance suite: every backend holds it, and a backend with a fault is told by name."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from types import TracebackType

import anyio
import pytest

from sandbox import launch
from sandbox.base import Sandbox
from sandbox.conformance import (
    GROUPS,
    CheckResult,
    ConformanceReport,
    all_checks,
    conform,
    promises,
    suite,
)
from sandbox.conformance.ways import WALLS
from sandbox.errors import SandboxError, SandboxUnavailableError
from sandbox.jobs import Isolation, Job, Limits, Report
from sandbox.launch import Grant
from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome
from sandbox.registry import SandboxBuilder, SandboxOptions, create_sandbox
from tests.hacks.test_hacks_layers import (
    CAPABILITIES,
    LANDLOCK,
    NNP,
    SECCOMP,
    Setting,
    limit,
)

TWO = SandboxOptions(slots=2)
docker = pytest.mark.docker
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's sandbox has this layer")


def local(options: SandboxOptions) -> Sandbox:
    return LocalSandbox(slots=options.slots, allow_reduced=options.allow_reduced)


def namespaces(options: SandboxOptions) -> Sandbox:
    return LocalSandbox(slots=options.slots, launcher="namespaces")


def names(report: ConformanceReport) -> set[str]:
    return {result.name for result in report.failed}


@pytest.mark.anyio
@pytest.mark.timeout(900)  # a container for each program takes its time where others work, too
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("backend", "isolation"),
    [
        ("local", Isolation.SLOT),
        pytest.param("docker", Isolation.SLOT, marks=docker),
        pytest.param("docker", Isolation.CONTAINER, marks=docker),
    ],
)
async def test_every_backend_holds_all_of_it(backend: str, isolation: Isolation) -> None:
    options = SandboxOptions(slots=2, isolation=isolation)
    told: list[tuple[str, int, int]] = []

    def listener(result: CheckResult, done: int, total: int) -> None:
        told.append((result.name, done, total))

    try:
        report = await conform(
            lambda given: create_sandbox(backend, given), options, listener=listener
        )
    except SandboxUnavailableError as error:
        if backend == "docker" and os.environ.get("REGREEN_REQUIRE_DOCKER") != "1":
            pytest.skip(str(error))
        raise
    assert report.ok, report.summary()
    assert [result.name for result in report.results] == [check.name for check in all_checks()]
    assert {name for name, _, _ in told} == {check.name for check in all_checks()}
    assert [done for _, done, _ in told] == list(range(1, len(told) + 1))
    assert {total for _, _, total in told} == {len(told)}
    assert report.level.startswith(backend)
    assert (report.reduced, report.slots) == (False, 2)
    assert ConformanceReport.model_validate(report.model_dump(exclude={"ok"})) == report


CLEAN = (
    "confine",
    "        for _round in range(_KILL_ROUNDS):\n",
    "        return True\n        for _round in ():\n",
)
LESS: dict[str, tuple[Setting, set[str], set[str]]] = {
    # setting, groups that are run, checks that have to fail
    "seccomp": (
        Setting(layers=(NNP, LANDLOCK)),
        {"walls"},
        {"network", "namespaces", "kernel interfaces", "memory that outlives"},
    ),
    "Landlock": (
        Setting(layers=(NNP, SECCOMP)),
        {"walls"},
        {"files of the host", "files of other slots"},
    ),
    "cleaning up": (
        Setting(cuts=(CLEAN,)),
        {"cleanup"},
        {"a daemon", "files left behind", "a full scratch space"},
    ),
    "the limit of cpu time": (
        limit("CPU"),
        {"wrong", "walls", "cleanup"},
        {"cpu time", "cpu burnt", "limits raised"},
    ),
    "the limit of memory": (
        limit("AS"),
        {"wrong", "walls"},
        {"one large allocation", "many small allocations", "limits raised"},
    ),
    "the limit of processes": (limit("NPROC"), {"wrong"}, {"processes"}),
    "the limit of files": (limit("FSIZE"), {"wrong"}, {"a large file"}),
}
BESIDE: dict[str, set[str]] = {
    # what may fail too: whether it does depends on where Python and this checkout lie, and on what
    # the kernel leaves to a process of another user
    "seccomp": {"memory of others"},
    "Landlock": {"other processes", "writing elsewhere", "installed packages"},
}


@as_root
@pytest.mark.anyio
@pytest.mark.parametrize("layer", LESS)
async def test_a_layer_that_is_missing_is_told(layer: str) -> None:
    setting, groups, expected = LESS[layer]
    with pytest.MonkeyPatch.context() as patch:
        setting.apply(patch)
        report = await conform(namespaces, TWO, groups=groups)
    assert names(report) >= expected, report.summary()
    # whatever else fails, does so for the same reason
    assert {result.group for result in report.failed} <= groups
    assert names(report) - expected <= BESIDE.get(layer, set()), report.summary()


@as_root
@pytest.mark.anyio
async def test_where_there_are_no_walls_each_of_them_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that no wall's check only looks like one."""
    Setting(layers=(NNP,), cuts=(CAPABILITIES,)).apply(monkeypatch)
    bare = Grant("", False, "plain", layers=(NNP,), missing=("namespaces",))
    monkeypatch.setattr(launch, "probe", lambda _: bare)
    options = SandboxOptions(slots=2, allow_reduced=True)
    report = await conform(local, options, groups={"walls"})
    assert report.reduced
    assert names(report) == {*WALLS, "files of other slots"} - {"limits raised"}, report.summary()
    found = {result.name: result.detail for result in report.failed}
    assert all(detail.startswith("open: ") for detail in found.values()), found
    assert "a file for everybody, changing a file for everybody" in found["files of the host"]
    assert "package hypothesis" in found["installed packages"]
    assert "ptrace of others" in found["memory of others"]


class Wrapper:
    """A sandbox that is right in all it does; the ones below are wrong in one thing each."""

    def __init__(self, options: SandboxOptions) -> None:
        self.inner: Sandbox = local(options)

    @property
    def level(self) -> str:
        return self.inner.level

    @property
    def reduced(self) -> bool:
        return self.inner.reduced

    @property
    def identity(self) -> str:
        return self.inner.identity

    @property
    def slots(self) -> int:
        return self.inner.slots

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        return await self.inner.run(job, fresh=fresh)

    async def __aenter__(self) -> Wrapper:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.inner.__aexit__(kind, error, trace)


class PassesAll(Wrapper):
    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        report = await super().run(job, fresh=fresh)
        passed = [test.model_copy(update={"outcome": Outcome.PASSED}) for test in report.tests]
        return report.model_copy(
            update={"outcome": Outcome.PASSED, "detail": "", "tests": tuple(passed)}
        )


class FailsAll(Wrapper):
    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        report = await super().run(job, fresh=fresh)
        return report.model_copy(update={"outcome": Outcome.FAILED})


class IgnoresFresh(Wrapper):
    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        return await super().run(job)


class Swaps(Wrapper):
    """Of two jobs at the same time, each may get the report of the other."""

    running = 0
    ended: Report | None = None

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        self.running += 1
        try:
            report = await super().run(job, fresh=fresh)
        finally:
            self.running -= 1
        other, self.ended = self.ended, report if self.running else None
        return other or report


class OneAtATime(Wrapper):
    def __init__(self, options: SandboxOptions) -> None:
        super().__init__(options)
        self._lock = anyio.Lock()

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        async with self._lock:
            return await super().run(job, fresh=fresh)


class OneSlotOnly(Wrapper):
    def __init__(self, options: SandboxOptions) -> None:
        super().__init__(options.model_copy(update={"slots": 1}))


class Uncancellable(Wrapper):
    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        with anyio.CancelScope(shield=True):
            report = await super().run(job, fresh=fresh)
        return report.model_copy()


class LosesSlots(Wrapper):
    """A run that is cancelled keeps its slot for ever."""

    def __init__(self, options: SandboxOptions) -> None:
        super().__init__(options)
        self._places = anyio.Semaphore(options.slots or 1)

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        await self._places.acquire()
        report = await super().run(job, fresh=fresh)
        self._places.release()
        return report


class CallsItInfra(Wrapper):
    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        report = await super().run(job, fresh=fresh)
        if "os.getppid()" in job.program and report.outcome is Outcome.CRASH:
            return report.model_copy(update={"outcome": Outcome.INFRA})
        return report


class MeasuresNothing(Wrapper):
    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        report = await super().run(job, fresh=fresh)
        return report.model_copy(update={"cpu_seconds": 0.0})


class NeverTheSame(Wrapper):
    @property
    def identity(self) -> str:
        return f"{self.inner.identity} {time.monotonic()}"


class SaysMore(Wrapper):
    """Its reports are at a level that it has not reached."""

    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        report = await super().run(job, fresh=fresh)
        return report.model_copy(update={"isolation": "bunker/sealed"})


class NeverCloses(Wrapper):
    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        try:
            return await super().run(job, fresh=fresh)
        except SandboxError as error:
            return Report(outcome=Outcome.INFRA, detail=str(error))


class IgnoresSeeds(Wrapper):
    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        return await super().run(job.model_copy(update={"seed": 0}), fresh=fresh)


class IgnoresLimits(Wrapper):
    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        limits = Limits(output_bytes=1 << 30, wall_seconds=job.limits.wall_seconds)
        return await super().run(job.model_copy(update={"limits": limits}), fresh=fresh)


class IgnoresMutation(Wrapper):
    async def run(self, job: Job, *, fresh: bool = False) -> Report:
        return await super().run(job.model_copy(update={"mutates": False}), fresh=fresh)


FAULTS: dict[SandboxBuilder, tuple[Sequence[str], set[str]]] = {
    # backend: groups that are run, and exactly the checks that fail
    Wrapper: (("right", "promises"), set()),
    IgnoresFresh: (("promises",), {"a sandbox of its own"}),
    Swaps: (("promises",), {"reports and their jobs"}),
    OneAtATime: (("promises",), {"jobs at a time"}),
    OneSlotOnly: (("promises",), {"jobs at a time"}),
    Uncancellable: (("promises",), {"a cancelled run"}),
    CallsItInfra: (("promises",), {"a killed server"}),
    MeasuresNothing: (("promises",), {"what a run used"}),
    NeverTheSame: (("promises",), {"what it says of itself"}),
    SaysMore: (("promises",), {"what it says of itself"}),
    NeverCloses: (("promises",), {"what is closed"}),
    IgnoresSeeds: (("right",), {"a property's seed"}),
    IgnoresMutation: (("right",), {"changed arguments"}),
    FailsAll: (("right",), {check.name for check in all_checks() if check.group == "right"}),
    IgnoresLimits: (("wrong",), {"a large file", "output"}),
}
PARTLY: dict[SandboxBuilder, set[str]] = {
    Swaps: {check.name for check in all_checks() if check.group == "promises" and not check.alone}
}
"""What else may fail: it depends on what happens to run at the same time."""


@pytest.mark.anyio
@pytest.mark.parametrize("build", FAULTS, ids=lambda build: build.__name__)
async def test_a_fault_is_told_by_name(build: SandboxBuilder) -> None:
    groups, expected = FAULTS[build]
    report = await conform(build, TWO, groups=groups)
    assert expected <= names(report) <= expected | PARTLY.get(build, set()), report.summary()
    assert report.ok == (not expected)


@pytest.mark.anyio
async def test_lost_slots_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "_WAITS", 14)
    monkeypatch.setattr(suite, "_CHECK_SECONDS", 15.0)  # what comes after it hangs
    report = await conform(LosesSlots, TWO, groups=("promises",))
    assert "a cancelled run" in names(report)
    found = {result.name: result.detail for result in report.failed}
    assert found["a cancelled run"] == "after it, no verdict came within 4 s"


@pytest.mark.anyio
async def test_one_that_passes_all_is_told_by_every_wrong_program() -> None:
    report = await conform(PassesAll, TWO, groups=("wrong", "cheats"))
    assert names(report) == {
        check.name for check in all_checks() if check.group in ("wrong", "cheats")
    }


@pytest.mark.anyio
async def test_one_that_hangs_or_breaks_fails_its_checks_and_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Hangs(Wrapper):
        async def run(self, job: Job, *, fresh: bool = False) -> Report:
            if job.kind == "class":
                await anyio.sleep(3600)
            if job.mutates:
                raise RuntimeError("the backend's own fault")
            return await super().run(job, fresh=fresh)

    monkeypatch.setattr(suite, "_CHECK_SECONDS", 20.0)
    report = await conform(Hangs, TWO, groups=["right"])
    found = {result.name: result.detail for result in report.failed}
    assert found == {
        "a class": "no end within 20 s",
        "changed arguments": "RuntimeError: the backend's own fault",
    }
    assert "right: a class: no end within 20 s" in report.summary()


@pytest.mark.anyio
async def test_one_that_can_not_be_opened_is_an_error() -> None:
    class Closed(Wrapper):
        async def __aenter__(self) -> Wrapper:
            raise SandboxUnavailableError("no such machine")

    with pytest.raises(SandboxUnavailableError, match="no such machine"):
        await conform(Closed, TWO)


@pytest.mark.anyio
async def test_a_group_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="unknown group 'wall': known are right, wrong, cheats"):
        await conform(local, TWO, groups=["walls", "wall"])


@pytest.mark.anyio
async def test_nothing_tried_is_nothing_held() -> None:
    report = await conform(local, TWO, groups=[])
    assert report.results == ()
    assert not report.ok


@pytest.mark.anyio
async def test_a_closed_sandbox_says_so() -> None:
    sandbox = local(TWO)
    job = Job(program="", tests=())
    async with sandbox:
        pass
    for fresh in (False, True):
        with pytest.raises(SandboxError, match="not open"):
            await sandbox.run(job, fresh=fresh)


def test_checks_have_names_of_their_own_and_say_what_they_prove() -> None:
    checks = all_checks()
    assert len({check.name for check in checks}) == len(checks)
    assert {check.group for check in checks} == set(GROUPS)
    for check in checks:
        assert check.proves[0].isupper() or check.proves.startswith("`")
        assert check.proves.endswith(".")
    groups = [check.group for check in checks]
    assert groups == sorted(groups, key=list(GROUPS).index)
