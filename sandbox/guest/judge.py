"""The judge: one locked-down process for each verdict, which holds the tests and compares.

It talks to the candidate over a socket and reports to its server through a pipe. What it reports
is one object: a list of results, the breaches it saw, and whether the tests themselves are sound.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import random
import re
import socket
import sys
import traceback
import types
from dataclasses import asdict, dataclass, field
from typing import Any, TypeGuard

from . import asserts, buffers, identity, proxies, remote

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

    def as_message(self) -> dict[str, Any]:
        """As JSON-able data."""
        return asdict(self)


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
        self.prelude = _prelude(job["prelude"])
        self.names = [job["entry_point"], *_stubs(job["prelude"], is_class)]
        self.entries: dict[str, Any] = {}
        if not is_class:
            self.entries = {
                name: proxies.RemoteFunction(self.candidate, name) for name in self.names if name
            }
        self.theirs = proxies.RemoteModule(self.candidate, values=is_class)
        self.candidate.know_exceptions(self.prelude)

    def meet(self) -> None:
        """Waits for the program, and looks at its classes where they are what is tested."""
        self.candidate.ready()
        if self.is_class:
            found = {name: self._find(name) for name in dict.fromkeys(self.names) if name}
            self.entries = {name: value for name, value in found.items() if value is not None}

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

    def namespace(self, name: str) -> dict[str, Any]:
        """A module namespace with the prompt's names and the entry point in it."""
        return {"__name__": name, "__builtins__": __builtins__, **self.prelude, **self.entries}

    def install_module(self) -> None:
        """Makes `from MODULE import entry_point` in a test file yield the candidate's proxy."""
        module = types.ModuleType(self.job["module"])
        module.__dict__.update({**self.prelude, **self.entries})
        module.__dict__["__getattr__"] = self._their_name
        module.__file__ = f"{self.job['module']}.py"
        sys.modules[self.job["module"]] = module

    def _their_name(self, name: str) -> Any:
        """A name that tests import and the prompt lacks: the candidate's own."""
        named = self.is_class or re.search(rf"\b{re.escape(name)}\b", self.job["prelude"])
        if name.startswith("__") or not named:
            raise AttributeError(f"the prompt says nothing of {name!r}")
        return self.theirs.get(name)

    def fill(self, namespace: dict[str, Any], source: str) -> None:
        """Adds the candidate's classes and functions that tests of a class use by bare name."""
        for name in asserts.unbound(source) if self.is_class else ():
            if name not in namespace and not hasattr(builtins, name):
                with contextlib.suppress(Exception):
                    namespace[name] = self.theirs.get(name)

    def explain(self, error: BaseException) -> tuple[str, str]:
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


def _prelude(source: str) -> dict[str, Any]:
    """The names that the prompt defines: imports, helpers, constants."""
    namespace: dict[str, Any] = {"__name__": "prompt"}
    try:
        exec(compile(source, "<prompt>", "exec", dont_inherit=True), namespace)
    except Exception:
        return {}
    return {name: value for name, value in namespace.items() if not name.startswith("__")}


def _stubs(source: str, classes: bool) -> list[str]:
    """What the prompt leaves without a body, so that the program has to define it."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    return [
        node.name
        for node in tree.body
        if _is_stub(node)
        or (classes and isinstance(node, ast.ClassDef) and any(map(_is_stub, node.body)))
    ]


def _is_stub(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and all(
        _says_nothing(statement) for statement in node.body
    )


def _says_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):
        return "NotImplementedError" in ast.dump(statement)
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _run_asserts(bench: Bench, number: int, test: dict[str, Any]) -> None:
    candidate = bench.candidate
    recorder = asserts.Recorder(calls=lambda: candidate.calls, explain=bench.explain)
    bench.install_module()
    namespace = bench.namespace("tests")
    prepare = None
    if bench.is_class:
        identity.install()
        prepare = identity.rewrite
        bench.fill(namespace, test["source"])
        recorder.word = candidate.word
    try:
        asserts.run(
            test["source"],
            test["filename"],
            function=test["function"],
            candidate=bench.entry,
            entry_names=bench.entries,
            namespace=namespace,
            recorder=recorder,
            mutates=bench.job["mutates"],
            prepare=prepare,
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


def judge(job: dict[str, Any], sock: socket.socket) -> dict[str, Any]:
    """Runs every test of the job against the candidate behind `sock`."""
    random.seed(job["seed"])
    if job["kind"] == "repository":
        from . import repository_judge

        return repository_judge.judge(job, sock)
    bench = Bench(job, sock)
    report = bench.report
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
    return _close(bench)


def _examine(bench: Bench) -> None:
    """Takes the candidate's objects at their word only where that word tells things apart."""
    results = bench.report.results
    if bench.report.broken or any(
        result.outcome not in ("passed", "skipped") for result in results
    ):
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
    """The report, with what the conversation as a whole says."""
    report = bench.report
    if bench.is_class and bench.candidate.lost is None:
        _examine(bench)
    lost = bench.candidate.lost
    report.breaches.update(bench.candidate.breaches)
    if lost is not None and lost.reason == "gone":
        report.gone = True
    elif lost is not None:
        report.breaches.setdefault(lost.reason, lost.detail)
    report.calls = bench.candidate.calls
    return report.as_message()
