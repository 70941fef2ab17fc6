"""Runs a pytest or unittest file in the judge, one result per test function.

The file imports the solution as any test would; what it gets is the candidate's proxy. Hypothesis
runs here with the job's seed, no database and no deadline, out of the candidate's reach.
"""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING, Any

from . import asserts, identity
from .remote import Lost

if TYPE_CHECKING:
    from .judge import Bench

_DETAIL_LIMIT = 3000


def run(bench: Bench, number: int, test: dict[str, Any]) -> None:
    """Runs the file and adds its results to the bench's report."""
    import pytest

    bench.install_module()
    if bench.is_class:
        identity.teach_runners()
    folder = os.path.abspath(f"tests{number}")
    os.mkdir(folder)
    os.chdir(folder)
    filename = os.path.basename(test["filename"])
    if not filename.endswith(".py"):
        filename += ".py"
    with open(filename, "w", encoding="utf-8") as file:
        file.write(test["source"])
    collector = _Collector(bench, number, _tainted_tests(test["source"], bench))
    _set_up_hypothesis()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    status = pytest.main(
        [
            filename,
            "-c", os.devnull,
            "--rootdir", folder,
            "--confcutdir", folder,
            "-p", "no:cacheprovider",
            "-p", "no:terminal",
            "-p", "no:faulthandler",
            "-p", "_hypothesis_pytestplugin",
            f"--hypothesis-seed={bench.job['seed']}",
            "--import-mode=importlib",
        ],
        plugins=[collector],
    )  # fmt: skip
    if collector.broken:
        bench.report.broken = f"{filename} can't be collected: {collector.broken}"
    elif status not in (0, 1) and collector.collected:
        bench.report.broken = f"{filename}: pytest ended with status {int(status)}"


def _set_up_hypothesis() -> None:
    from hypothesis import settings

    settings.register_profile("regreen", database=None, deadline=None, print_blob=False)
    settings.load_profile("regreen")


def _tainted_tests(source: str, bench: Bench) -> frozenset[str]:
    """Functions of the file that can reach the candidate, fixtures included."""
    try:
        return asserts.taint(ast.parse(source), bench.entries)
    except SyntaxError:
        return frozenset()


class _Collector:
    """The plug-in that listens to pytest."""

    def __init__(self, bench: Bench, number: int, tainted: frozenset[str]) -> None:
        self._bench = bench
        self._number = number
        self._tainted = tainted
        self._calls_before = 0
        self._word_before = (0, 0)
        self._failed: set[str] = set()
        self.broken = ""
        self.collected = True

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and self._bench.candidate.calls > 0:
            # the file asks the candidate while it is imported, so this is the candidate's doing
            from .judge import Result

            results = self._bench.report.results
            results.append(Result("collection", "error", str(report.longrepr)[-500:], 0, 0, False))
            self.collected = False
        elif report.failed:
            text = str(report.longrepr).strip()
            lines = [line for line in text.splitlines() if line.startswith("E  ")]
            self.broken = (lines[-1][2:].strip() if lines else text)[:300]

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        self._calls_before = self._bench.candidate.calls
        self._word_before = self._bench.candidate.word()
        self._bench.candidate.swallowed = None

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        from .judge import Result

        if call.when == "setup" and call.excinfo is None:
            return
        if call.when == "teardown" and call.excinfo is None:
            return
        name = item.nodeid.partition("::")[2] or item.nodeid
        if name in self._failed:
            return
        line = (item.reportinfo()[1] or 0) + 1
        consulted = self._bench.candidate.calls > self._calls_before
        counts = (
            consulted
            or getattr(item, "originalname", item.name) in self._tainted
            or any(fixture in self._tainted for fixture in getattr(item, "fixturenames", ()))
            or any(part.name in self._tainted for part in item.listchain())
        )
        outcome, detail = "passed", ""
        swallowed = self._bench.candidate.swallowed
        if call.excinfo is None and swallowed is not None:
            outcome, detail = self._bench.explain(swallowed)
            detail = f"in a call back from the candidate: {detail}"
            self._failed.add(name)
        elif call.excinfo is not None:
            import pytest

            if item.get_closest_marker("xfail") is not None:
                outcome, counts = "skipped", False
            elif call.excinfo.errisinstance(pytest.skip.Exception):
                outcome, counts = "skipped", False
                if consulted:  # it must not be the candidate who has a test left out
                    outcome, detail, counts = "failed", "skipped after a call", True
                    self._failed.add(name)
            else:
                outcome, detail = self._explain(call.excinfo)
                self._failed.add(name)
        claims, told = self._bench.candidate.word()
        vouched = claims > self._word_before[0] and told == self._word_before[1]
        self._bench.report.results.append(
            Result(name, outcome, detail, line, self._number, counts, vouched)
        )

    def _explain(self, excinfo: Any) -> tuple[str, str]:
        error = excinfo.value
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        outcome, detail = self._bench.explain(error)
        notes = [str(note) for note in getattr(error, "__notes__", ())]
        if not isinstance(error, Lost):
            place = excinfo.traceback[-1]
            if outcome == "failed":
                detail = detail or f"assert on line {place.lineno + 1}"
        return outcome, "\n".join([detail, *notes])[:_DETAIL_LIMIT]
