"""What a sandbox is asked to do and what it answers, independent of the backend."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .guest.probes import COMPARED
from .outcome import BREACHES, Outcome
from .suite import SuiteReport


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Frozen):
    """What one program may use.

    Attributes:
        cpu_seconds: cpu time of the program, rounded up to whole seconds by the kernel.
        wall_seconds: time the program may take to answer in all; the judge's time isn't counted.
        memory_mb: MiB of address space on top of the preloaded interpreter, per process.
        pids: processes and threads.
        output_bytes: bytes written to standard output and standard error together.
        file_mb: MiB of one file; the scratch space as a whole has the same size.
        reply_bytes: bytes of one reply to the judge.
        judge_seconds: time that the tests themselves may take, the program's time not counted.
    """

    cpu_seconds: float = Field(default=3.0, gt=0)
    wall_seconds: float = Field(default=15.0, gt=0)
    memory_mb: int = Field(default=512, ge=16)
    pids: int = Field(default=32, ge=1)
    output_bytes: int = Field(default=1 << 20, ge=1)
    file_mb: int = Field(default=16, ge=0)
    reply_bytes: int = Field(default=16 << 20, ge=1024)
    judge_seconds: float = Field(default=60.0, gt=0)


class Isolation(StrEnum):
    """How far candidates are kept apart: a slot of a warm container, or a container each."""

    SLOT = "slot"
    CONTAINER = "container"


class Job(_Frozen):
    """One program and the tests to judge it by.

    Attributes:
        program: complete source.
        tests: JSON-able tests, as `tasks.model` dumps them; they go to the judge only.
        prelude: the prompt's source; names that tests use besides the entry point come from it.
        entry_point: the function or class that the tests call.
        kind: what the program is; for a class, objects may stay on the candidate's side. A
            `repository`, a `files` and a `setup` have no program; their one test is an order of
            `sandbox.suite`.
        module: module name under which tests import it.
        language: of the program.
        limits: see `Limits`.
        seed: for the judge's random numbers and Hypothesis.
        mutates: whether changed arguments are part of the answer.
        requirements: pip requirements, present in the image or layer that runs the job.
        script: the tests once more as data, if they are nothing else; see `guest.literal`.
        probes: calls that are made after the tests and only written down, as texts of requests;
            for functions.
        probe_failures: make them also where a test didn't pass.
    """

    program: str
    tests: tuple[dict[str, Any], ...]
    prelude: str = ""
    entry_point: str = ""
    kind: Literal["function", "class", "program", "repository", "files", "setup"] = "function"
    module: str = "solution"
    language: str = "python"
    limits: Limits = Limits()
    seed: int = 0
    mutates: bool = False
    requirements: tuple[str, ...] = ()
    script: str = ""
    probes: tuple[str, ...] = ()
    probe_failures: bool = False

    def message(
        self,
        run: int,
        prepared: dict[str, str] | None = None,
        *,
        as_data: bool = False,
    ) -> dict[str, Any]:
        """The frame for the judge's server: what it has to know, and two texts that it passes on.

        `public` goes to the candidates' side, `private` to the judge, and with it `prepared`, what
        an earlier judge of the same tests has made of them. With `as_data`, tests that have a
        script go as that, and no judge is needed.
        """
        limits = {name: getattr(self.limits, name) for name in Limits.model_fields}
        public = {
            "program": self.program,
            "module": self.module,
            "language": self.language,
            "kind": self.kind,
            "limits": limits,
        }
        script = self.script if as_data else ""
        private = (
            {}
            if script
            else {
                "tests": self.tests,
                "prelude": self.prelude,
                "entry_point": self.entry_point,
                "module": self.module,
                "kind": self.kind,
                "limits": limits,
                "seed": self.seed,
                "mutates": self.mutates,
                "prepared": prepared,
                "probes": self.probes,
                "probe_failures": self.probe_failures,
            }
        )
        cases = sum(len(test.get("cases", ())) for test in self.tests)
        return {
            "run": run,
            "kind": self.kind,
            "heavy": any(test["kind"] == "pytest" for test in self.tests),
            "limits": limits,
            "judge_seconds": limits["judge_seconds"] + limits["wall_seconds"] * max(1, cases),
            "public": json.dumps(public),
            "private": json.dumps(private),
            "script": script and self._order(script),
        }

    def _order(self, script: str) -> str:
        """What the slot's process is told: a script is JSON already."""
        told = {
            "wall_seconds": self.limits.wall_seconds,
            "reply_bytes": self.limits.reply_bytes,
            "probes": self.probes,
            "probe_failures": self.probe_failures,
        }
        return f'{json.dumps(told)[:-1]},"script":{script}}}'


class TestReport(_Frozen):
    """One test: an assertion, a test function, or a case."""

    name: str
    outcome: Outcome
    detail: str = ""
    line: int = 0
    file: int = 0
    counts: bool = True
    vouched: bool = False
    """Whether it rests on nothing but the word of the candidate's own objects."""


COMMON_BITS = 3 * COMPARED
"""How many bits `Observation.common` has."""


class Observation(_Frozen):
    """What a program did on one probe.

    Attributes:
        kind: a builtin value came back, an exception, something that is no builtin value, nothing
            in time, or nothing at all, after which the others have no answer either.
        digest: the same for equal values, and for exceptions of the same name.
        preview: the beginning of the value, or the exception's name.
        changed: whether the program changed an argument in place.
        common: what the value has in common with the arguments, as bits; see
            `sandbox.guest.probes.common`.
        steady: whether it gave the same value when asked once more; `None` where it wasn't.
        idempotent: whether it makes of that value what it is; `None` where nobody asked.
    """

    kind: Literal["value", "raised", "foreign", "timeout", "lost"]
    digest: str
    preview: str = ""
    changed: bool = False
    common: int = 0
    steady: bool | None = None
    idempotent: bool | None = None

    @property
    def answer(self) -> str:
        """What two programs share that did the same; equal only within a kind."""
        return f"{self.kind}:{self.digest}"


class Report(_Frozen):
    """How one run ended.

    Attributes:
        outcome: of the run as a whole.
        detail: the reason, in a line or a few.
        tests: each test that was reached.
        broken: why the tests themselves can't be used, or empty.
        cpu_seconds: of the program.
        wall_seconds: from its start to its end, the judge's time included.
        memory_bytes: largest resident size of the program.
        output: the tail of what it printed.
        calls: how often the judge asked it for anything.
        isolation: the level at which it ran, e.g. `docker/slot`.
        suite: what became of each test of a repository; `outcome` says then how the run as such
            ended, `passed` for a complete one, whatever its tests did.
        probes: what was seen of each probe that was made.
        archive: of a setup that ended well, the tree that it left, compressed, in base 64.
        installed: of the same, name and version of what it installed from wheels of an index.
        gated: whether a setup could ask package indexes.
    """

    outcome: Outcome
    detail: str = ""
    tests: tuple[TestReport, ...] = ()
    broken: str = ""
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    memory_bytes: int = 0
    output: str = ""
    calls: int = 0
    isolation: str = ""
    suite: SuiteReport | None = None
    probes: tuple[Observation, ...] = ()
    archive: str = ""
    installed: tuple[tuple[str, str], ...] = ()
    gated: bool = False


def infra(detail: str, isolation: str = "") -> Report:
    """A report of a fault that is not the program's."""
    return Report(outcome=Outcome.INFRA, detail=detail, isolation=isolation)


def judge_broke(reply: dict[str, Any]) -> bool:
    """Whether the judge's process ended without a word, for no reason that its server knows of."""
    program = reply.get("program") or {}
    fault = reply.get("infra") or program.get("infra") or reply.get("judge_timed_out")
    return not fault and reply.get("judge") is None


def read_reply(reply: dict[str, Any], isolation: str) -> Report:
    """Merges what the judge said with how the program's process ended."""
    program = reply.get("program") or {}
    fault = reply.get("infra") or program.get("infra")
    if fault:
        return infra(str(fault), isolation)
    judge = reply.get("judge")
    if judge is not None and "suite" in judge:
        return _read_suite(judge, program, isolation)
    if judge is not None and "setup" in judge:
        return _read_setup(judge["setup"]["end"] or {}, program, isolation)
    breaches: dict[str, str] = dict(program.get("breaches", {}))
    tests: tuple[TestReport, ...] = ()
    broken, calls = "", 0
    if judge is None:
        if judge_broke(reply):
            return infra("the judge ended without a report", isolation)
        outcome, detail = Outcome.TIMEOUT, "the tests did not end in time"
    else:
        tests = tuple(_test(item) for item in judge["results"] if item["outcome"] != "skipped")
        broken, calls = judge["broken"], judge["calls"]
        outcome, detail = _outcome(tests, breaches | judge["breaches"], breaches, broken, program)
    return Report(
        outcome=outcome,
        detail=detail,
        tests=tests,
        broken=broken,
        cpu_seconds=float(program.get("cpu", 0.0)),
        wall_seconds=float(program.get("seconds", 0.0)),
        memory_bytes=int(program.get("rss", 0)),
        output=str(program.get("tail", "")),
        calls=calls,
        isolation=isolation,
        probes=tuple(_observation(item) for item in (judge or {}).get("probes", ())),
    )


def _observation(item: list[Any]) -> Observation:
    kind, digest, preview, changed, common, steady, idempotent = item
    return Observation(
        kind=kind,
        digest=digest,
        preview=preview,
        changed=changed,
        common=common,
        steady=steady,
        idempotent=idempotent,
    )


def _read_suite(judge: dict[str, Any], program: dict[str, Any], isolation: str) -> Report:
    """The run of a repository's suite; what its tests amount to is for the verifier to say."""
    fields = dict(judge["suite"])
    end: dict[str, Any] = fields.pop("end") or {}
    if fault := fields.pop("fault"):
        return infra(fault, isolation)
    suite = SuiteReport.model_validate(fields)
    breaches: dict[str, str] = dict(program.get("breaches", {})) | judge["breaches"]
    outcome, detail = Outcome.PASSED, ""
    if judge["gone"]:
        outcome, detail = Outcome.CRASH, "the suite's supervisor ended without a word"
    elif suite.foul:
        outcome, detail = Outcome.PROTOCOL, suite.foul
        said = str(end.get("tail", "")).strip().splitlines()
        if said and not suite.tests:  # it did not even begin; pytest says why
            errors = [line for line in said if "rror" in line]
            detail = f"{detail}: {(errors or said)[-1]}"
    for breach in BREACHES:
        if breach in breaches:
            at = f" in {suite.running}" if suite.running else ""
            outcome, detail = breach, breaches[breach] + at
            break
    return Report(
        outcome=outcome,
        detail=detail,
        cpu_seconds=float(end.get("cpu", 0.0)),
        wall_seconds=float(end.get("seconds", 0.0)),
        memory_bytes=int(end.get("rss", 0)),
        output=str(end.get("tail", "")),
        isolation=isolation,
        suite=suite,
    )


def _read_setup(end: dict[str, Any], program: dict[str, Any], isolation: str) -> Report:
    """The run of a setup command: passed if it ended with status 0 and its tree came back."""
    if "fault" in end:
        return infra(str(end["fault"]), isolation)
    breaches: dict[str, str] = dict(program.get("breaches", {}))
    if end.get("breach"):
        breaches |= dict([end["breach"]])
    outcome, detail = Outcome.PASSED, ""
    if not end:
        outcome, detail = Outcome.CRASH, "the command's supervisor ended without a word"
    elif end["code"]:
        outcome, detail = Outcome.FAILED, f"it ended with status {end['code']}"
    elif not end["archive"]:
        outcome, detail = Outcome.CRASH, "its tree could not be packed"
    for breach in BREACHES:
        if breach in breaches:
            outcome, detail = breach, breaches[breach]
            break
    return Report(
        outcome=outcome,
        detail=detail,
        wall_seconds=float(end.get("seconds", 0.0)),
        output=str(end.get("tail", "")),
        isolation=isolation,
        archive=str(end.get("archive", "")) if outcome is Outcome.PASSED else "",
        installed=tuple((str(name), str(version)) for name, version in end.get("installed", ())),
        gated=bool(end.get("gated")),
    )


def _test(item: dict[str, Any]) -> TestReport:
    return TestReport.model_validate(item)


def _outcome(
    tests: tuple[TestReport, ...],
    breaches: dict[str, str],
    certain: dict[str, str],
    broken: str,
    program: dict[str, Any],
) -> tuple[Outcome, str]:
    """The run's outcome: a breach that the guest saw names it, then what the tests say."""
    if broken:
        return Outcome.ERROR, broken
    missed = [test for test in tests if test.outcome is not Outcome.PASSED]
    for outcome in BREACHES:
        if outcome in certain or (missed and outcome in breaches):
            return outcome, breaches[outcome]
    if not missed:
        if any(test.counts for test in tests):
            return Outcome.PASSED, ""
        return Outcome.FAILED, "no test consults the candidate"
    for test in missed:
        if test.name == "import" and test.detail.startswith(("SyntaxError", "IndentationError")):
            return Outcome.SYNTAX, test.detail
        if test.outcome is Outcome.CRASH and program.get("early"):
            return Outcome.CRASH, f"{test.detail} ({_ending(program)})"
    first = next((test for test in missed if test.outcome is Outcome.FAILED), missed[0])
    return (
        first.outcome,
        f"{first.name}: {first.detail}" if first.name != "import" else first.detail,
    )


def _ending(program: dict[str, Any]) -> str:
    code = int(program.get("code", 0))
    return f"killed by signal {-code}" if code < 0 else f"exit status {code}"
