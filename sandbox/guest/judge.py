"""The judge: one locked-down process for each verdict, which holds the tests and compares.

It talks to the candidate over a socket and reports to its server through a pipe. What it reports
is one object: a list of results, the breaches it saw, and whether the tests themselves are sound.
"""

from __future__ import annotations

import base64
import builtins
import contextlib
import random
import re
import socket
import sys
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import asserts, buffers, identity, probes, proxies, remote
from .prompt import Prompt

Keep = Callable[[dict[int, str]], None]

_DETAIL_LIMIT = 1500


@dataclass(slots=True)
class Result:
    """What became of one test: an assertion, a test function, or a case."""

    name: str
    outcome: str
    detail: str = ""
    line: int = 0
    file: int = 0
    counts: bool = True
    vouched: bool = False
    """Whether it rests on nothing but the word of the candidate's own objects."""


@dataclass(slots=True)
class Report:
    """All that one judge has to say."""

    results: list[Result] = field(default_factory=list)
    breaches: dict[str, str] = field(default_factory=dict)
    broken: str = ""
    """Why the tests themselves can't be used, if they can't."""
    calls: int = 0
    gone: bool = False
    """Whether the program's process hung up before the tests were done with it."""
    probes: list[list[Any]] = field(default_factory=list)
    """What was seen of each probe; see `guest.probes`."""

    @property
    def sound(self) -> bool:
        """Whether every test passed."""
        return not self.broken and all(
            result.outcome in ("passed", "skipped") for result in self.results
        )

    def as_message(self) -> dict[str, Any]:
        """As JSON-able data."""
        return {
            "results": [
                {name: getattr(result, name) for name in Result.__slots__}
                for result in self.results
            ],
            "breaches": self.breaches,
            "broken": self.broken,
            "calls": self.calls,
            "gone": self.gone,
            "probes": self.probes,
        }


class Bench:
    """What every kind of test needs: the candidate, the prompt's own names, the seed."""

    def __init__(self, job: dict[str, Any], sock: socket.socket) -> None:
        limits = job["limits"]
        self.job = job
        self.report = Report()
        is_class = job["kind"] == "class"
        self.candidate = remote.Remote(
            sock,
            wall_seconds=limits["wall_seconds"],
            reply_bytes=limits["reply_bytes"],
            handles=is_class,
            mutates=job["mutates"],
        )
        self.is_class = is_class
        self.prompt = Prompt(job["prelude"], classes=is_class)
        self.theirs = proxies.RemoteModule(self.candidate, values=is_class)
        self.entries: dict[str, Any] = {}
        self.prepared: dict[int, asserts.Prepared] = {}
        self._has_prompt = False
        if job["entry_point"] and not is_class:
            self._open(job["entry_point"])

    def meet(self) -> None:
        """Waits for the program, and looks at its classes where they are what is tested."""
        self.candidate.ready()
        if self.is_class:
            self.take_prompt()

    def take_prompt(self) -> None:
        """Executes the prompt, for what tests use of it; does nothing if that has been done."""
        if self._has_prompt:
            return
        self._has_prompt = True
        self.candidate.know_exceptions(self.prompt.names)
        for name in dict.fromkeys([self.job["entry_point"], *self.prompt.open]):
            if name and name not in self.entries:
                self._open(name)

    def _open(self, name: str) -> None:
        """Takes a name that the prompt leaves open from the program."""
        if not self.is_class:
            self.entries[name] = proxies.RemoteFunction(self.candidate, name)
        elif (found := self._find(name)) is not None:
            self.entries[name] = found

    def _find(self, name: str) -> Any:
        try:
            return self.theirs.get(name)
        except AttributeError:
            if name == self.job["entry_point"]:
                raise
            return None

    @property
    def entry(self) -> Any:
        """The proxy of the entry point."""
        return self.entries.get(self.job["entry_point"])

    def namespace(self, used: set[str]) -> dict[str, Any]:
        """A namespace for tests that use these names: the prompt's and the entry point in it."""
        namespace = {"__name__": "tests", "__builtins__": __builtins__}
        if self.job["module"] in used or self.prompt.matters(used, self.job["entry_point"]):
            self.install_module()
            namespace |= self.prompt.names
        return namespace | self.entries

    def install_module(self) -> None:
        """Makes `from MODULE import entry_point` in a test file yield the candidate's proxy."""
        self.take_prompt()
        module = types.ModuleType(self.job["module"])
        module.__dict__.update({**self.prompt.names, **self.entries})
        module.__dict__["__getattr__"] = self._their_name
        module.__file__ = f"{self.job['module']}.py"
        sys.modules[self.job["module"]] = module

    def _their_name(self, name: str) -> Any:
        """A name that tests import and the prompt lacks: the candidate's own."""
        named = self.is_class or re.search(rf"\b{re.escape(name)}\b", self.job["prelude"])
        if name.startswith("__") or not named:
            raise AttributeError(f"the prompt says nothing of {name!r}")
        return self.theirs.get(name)

    def fill(self, namespace: dict[str, Any], source: str) -> dict[str, Any]:
        """Adds the candidate's classes and functions that tests of a class use by bare name."""
        for name in asserts.unbound(source) if self.is_class else ():
            if name not in namespace and not hasattr(builtins, name):
                with contextlib.suppress(Exception):
                    namespace[name] = self.theirs.get(name)
        return namespace

    @staticmethod
    def explain(error: BaseException) -> tuple[str, str]:
        """Outcome and detail of an exception that ended a test."""
        return explain(error)


def _forget(_kept: dict[int, str]) -> None:
    pass


def explain(error: BaseException) -> tuple[str, str]:
    """Outcome and detail of an exception that ended a test."""
    if isinstance(error, remote.Lost):
        return {"timeout": "timeout", "protocol": "protocol"}.get(
            error.reason, "crash"
        ), error.detail
    if isinstance(error, (remote.NotBuiltinError, buffers.NoNumpyError)):
        return "failed", str(error)
    if isinstance(error, AssertionError) and not hasattr(error, "__remote__"):
        return "failed", _comparison(error)
    return "error", describe(error)


def describe(error: BaseException) -> str:
    """An exception in a line, with the candidate's own lines of the traceback under it."""
    told = getattr(error, "__remote__", None)
    name = told["type"] if told else type(error).__name__
    text = str(error)
    head = f"{name}: {text}" if text and not text.startswith(name) else text or name
    lines = [head, *(f"  {line}" for line in told["trace"])] if told else [head]
    return "\n".join(lines)[:_DETAIL_LIMIT]


def _comparison(error: AssertionError) -> str:
    text = str(error)
    return text[:_DETAIL_LIMIT]


def _prepare(bench: Bench, keep: Keep) -> None:
    """Makes assert-style tests ready, or takes them as an earlier judge of them has made them.

    Before the program is heard of: what is kept can't depend on it.
    """
    change = identity.rewrite if bench.is_class else None
    kept: dict[int, bytes] = {}
    given = bench.job.get("prepared") or {}
    for number, test in enumerate(bench.job["tests"]):
        if test["kind"] != "asserts":
            continue
        if data := given.get(str(number)):
            bench.prepared[number] = asserts.Prepared.load(base64.b64decode(data))
            continue
        try:
            prepared = asserts.prepare(
                test["source"], test["filename"], function=test["function"], change=change
            )
        except Exception as error:
            bench.report.broken = f"{test['filename']} can't be run: {describe(error)}"
            continue
        bench.prepared[number] = prepared
        kept[number] = prepared.dump()
    if kept:
        keep({number: base64.b64encode(data).decode() for number, data in kept.items()})


def _run_asserts(bench: Bench, number: int, test: dict[str, Any]) -> None:
    candidate = bench.candidate
    recorder = asserts.Recorder(calls=lambda: candidate.calls, explain=bench.explain)
    if bench.is_class:
        identity.install()
        recorder.word = candidate.word
    if number not in bench.prepared:
        return
    try:
        asserts.run(
            bench.prepared[number],
            test["source"],
            test["filename"],
            function=test["function"],
            candidate=bench.entry,
            entry_names=bench.entries,
            namespace=lambda used: bench.fill(bench.namespace(used), test["source"]),
            recorder=recorder,
            mutates=bench.job["mutates"],
        )
    except Exception as error:
        bench.report.broken = f"{test['filename']} can't be run: {describe(error)}"
        return
    results = bench.report.results
    for line, outcome, detail in recorder.errors:
        text = f"line {line}: {detail}" if line else detail
        results.append(Result(f"statement, line {line}", outcome, text, line, number, False))
    for place in recorder.places:
        if place.runs == 0 and not recorder.errors:
            continue
        outcome = place.outcome or "error"
        detail = place.detail or ("" if place.outcome else "not reached")
        results.append(
            Result(
                place.text, outcome, detail, place.line, number, place.counts, bool(place.vouched)
            )
        )


def _run_stdio(bench: Bench, number: int, test: dict[str, Any]) -> None:
    for case in test["cases"]:
        reply = bench.candidate.request({"stdin": case["stdin"], "args": case["args"]})
        outcome, detail = "crash", "the runner ended"
        if reply is not None:
            outcome, detail = reply["outcome"], reply["detail"]
            if outcome == "passed" and not same_output(case["stdout"], reply["stdout"]):
                outcome = "failed"
                detail = f"expected {_short(case['stdout'])}, got {_short(reply['stdout'])}"
        bench.report.results.append(Result(case["name"], outcome, detail, 0, number))


def same_output(expected: str, got: str) -> bool:
    """Whether two texts agree, blanks at the ends of lines and of the text aside."""

    def lines(text: str) -> list[str]:
        # not splitlines, to which a form feed or a separator of records is as good as a new line
        return [line.rstrip() for line in text.rstrip().split("\n")]

    return lines(expected) == lines(got)


def _short(text: str) -> str:
    return repr(text if len(text) <= 200 else text[:200] + "…")


def judge(job: dict[str, Any], sock: socket.socket, keep: Keep = _forget) -> dict[str, Any]:
    """Runs every test of the job against the candidate behind `sock`.

    `keep` is called at most once, before anything is read from `sock`, with what the next judge of
    the same tests can be given as `prepared`.
    """
    random.seed(job["seed"])
    if job["kind"] == "repository":
        from . import repository_judge

        return repository_judge.judge(job, sock)
    if job["kind"] == "setup":
        from . import workshop_judge

        return workshop_judge.judge(job, sock)
    if job["kind"] == "files":
        from . import repository_files_judge

        return repository_files_judge.judge(job, sock)
    bench = Bench(job, sock)
    report = bench.report
    _prepare(bench, keep)
    if job["kind"] != "program":
        try:
            bench.meet()
        except BaseException as error:
            outcome, detail = bench.explain(error)
            report.results.append(Result("import", outcome, detail, 0, 0, False))
            return _close(bench)
    for number, test in enumerate(job["tests"]):
        try:
            if test["kind"] == "asserts":
                _run_asserts(bench, number, test)
            elif test["kind"] == "stdio":
                _run_stdio(bench, number, test)
            else:
                from . import pytest_tests

                pytest_tests.run(bench, number, test)
        except BaseException as error:
            report.broken = f"the judge failed: {traceback.format_exception_only(error)[-1]}"
    if job.get("probes") and (report.sound or job["probe_failures"]):
        report.probes = probes.observe(bench.candidate, job["probes"])
    return _close(bench)


def _examine(bench: Bench) -> None:
    """Takes the candidate's objects at their word only where that word tells things apart."""
    results = bench.report.results
    if not bench.report.sound:
        return
    counted = [result for result in results if result.counts and result.outcome == "passed"]
    vouched = [result for result in counted if result.vouched]
    if not vouched and not bench.candidate.witness.was_believed:
        return
    try:
        why = bench.candidate.witness.examine()
    except BaseException as error:
        why = f"asked whether its objects equal others, it gave no answer: {error}"
    if not why and vouched == counted and not bench.candidate.witness.discerning:
        why = "every assertion rests on the word of the candidate's own objects"
    if why:
        results.append(Result("objects", "failed", why, 0, 0, False))


def _close(bench: Bench) -> dict[str, Any]:
    """The report, once the candidate's objects have been examined."""
    if bench.is_class and bench.candidate.lost is None:
        _examine(bench)
    return close(bench.report, bench.candidate)


def close(report: Report, candidate: remote.Remote) -> dict[str, Any]:
    """The report, with what the conversation as a whole says."""
    lost = candidate.lost
    report.breaches.update(candidate.breaches)
    if lost is not None and lost.reason == "gone":
        report.gone = True
    elif lost is not None:
        report.breaches.setdefault(lost.reason, lost.detail)
    report.calls = candidate.calls
    return report.as_message()
