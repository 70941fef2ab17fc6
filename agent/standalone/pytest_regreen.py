"""pytest plug-in: after a red run, asks the command `regreen fix` for a proven patch.

It runs in the environment of its user, beside modules that may be called `agent` or `tasks`. So it
is one module by itself: it imports pytest and the standard library, and talks to an installation
of Regreen, which may be anywhere, as a command. Without `--regreen` it does nothing.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_PLUGIN = "regreen-repair"
_PATCHED = ("fixed", "partly-fixed")
_CLOSING_SECONDS = 20
"""For the command to close its sandbox in, once it was interrupted."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_OURS = ("PYTEST_", "COV_CORE_", "PYTHONPATH", "PYTHONHOME")
"""What the environment holds for this run of pytest; another installation must not see it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    group = parser.getgroup("regreen", "repair by the command `regreen fix`")
    group.addoption(
        "--regreen",
        action="store_true",
        help="After a red run, look for a proven patch that turns the tests that failed.",
    )
    group.addoption(
        "--regreen-apply", action="store_true", help="The same, and write it into the files."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watches the run, if that is wanted; of a run by pytest-xdist, its controller does."""
    apply = bool(config.getoption("regreen_apply", default=False))
    wanted = apply or bool(config.getoption("regreen", default=False))
    if wanted and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Repair(config, apply=apply), _PLUGIN)


class _Repair:
    """Notes what failed, and asks for a patch when all else is over."""

    def __init__(self, config: pytest.Config, *, apply: bool) -> None:
        self._config, self._apply = config, apply
        self._failed: dict[str, None] = {}  # in order, each once

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed[report.nodeid] = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failed[report.nodeid] = None

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Iterator[None]:
        """Around all others, so that pytest has said its own. Its status stays as it is."""
        yield
        if int(exitstatus) != int(pytest.ExitCode.TESTS_FAILED) or not self._failed:
            return
        try:
            self._offer()
        except KeyboardInterrupt:
            self._say("interrupted: no patch was sought to the end")
        except Exception as error:  # whatever is wrong here is no matter of the tests
            self._say(f"no patch: {type(error).__name__}: {error}")

    def _offer(self) -> None:
        command = _command()
        if not command:
            self._say(
                "no command `regreen` was found: install it on its own (uv tool, pipx), or name it"
                " in REGREEN_COMMAND"
            )
            return
        many = len(self._failed)
        self._say(f"looking for a patch for {many} failing test{'s' if many != 1 else ''}")
        with tempfile.TemporaryDirectory(prefix="pytest-regreen-") as folder:
            named = Path(folder, "failed")
            lines = "".join(f"FAILED {test}\n" for test in self._failed)
            named.write_text(lines, encoding="utf-8", errors="replace")
            words = ["fix", ".", "--json", "--failed-from", str(named)]
            words += ["--apply"] if self._apply else []
            code, out = self._run([*command, *words])
        result = _read(out)
        if result is None:
            self._say(f"no patch: {command[0]} ended with {code} and no result")
        elif result.get("status") in _PATCHED and result.get("diff"):
            self._show(result)
        else:
            self._say(f"no patch: {result.get('status')}: {result.get('reason')}")

    def _run(self, words: list[str]) -> tuple[int, str]:
        """Runs the command in the root folder; what it says meanwhile goes to the terminal."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        process = subprocess.Popen(
            words,
            cwd=self._config.rootpath,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        try:
            out, _ = process.communicate()
        except BaseException:
            process.terminate()  # Ctrl-C at a terminal has reached it already
            try:
                process.communicate(timeout=_CLOSING_SECONDS)
            except BaseException:
                process.kill()
                process.communicate()
            raise
        return process.returncode, out

    def _show(self, result: dict[str, Any]) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None:
            return
        diff = str(result["diff"])
        reporter.section("regreen", sep="=", bold=True)
        for line in _clean(diff).removesuffix("\n").split("\n"):
            reporter.write_line(line, green=line.startswith("+"), red=line.startswith("-"))
        self._say(f"{result.get('reason')} ({result.get('confidence')})")
        why = result.get("why")
        for line in why if isinstance(why, list) else ():
            reporter.write_line(f"  {_line(line)}")
        if self._apply:
            self._say("the patch is applied")
            return
        try:
            patch = self._keep(diff)
        except OSError:
            self._say("apply it with: pytest --regreen-apply")
        else:
            self._say(f"apply it with: git apply {shlex.quote(str(patch))}")

    def _keep(self, diff: str) -> Path:
        """Writes the patch where pytest keeps things from run to run."""
        cache = getattr(self._config, "cache", None)
        folder = cache.mkdir("regreen") if cache is not None else Path(tempfile.mkdtemp())
        patch = Path(folder, "fix.patch")
        patch.write_bytes(diff.encode("utf-8", "surrogatepass"))
        root = self._config.rootpath
        at_home = Path.cwd() == root and patch.is_relative_to(root)
        return patch.relative_to(root) if at_home else patch

    def _say(self, text: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"regreen: {_line(text)}")


def _command() -> list[str]:
    """How Regreen is called: by REGREEN_COMMAND, on PATH, or beside this Python; empty if not."""
    named = os.environ.get("REGREEN_COMMAND", "")
    if named:
        return shlex.split(named)
    beside = Path(sys.executable).parent
    found = shutil.which("regreen") or shutil.which("regreen", path=str(beside))
    return [found] if found else []


def _read(out: str) -> dict[str, Any] | None:
    """The object that `--json` prints; `None` if there is none."""
    try:
        found = json.loads(out.strip().rpartition("\n")[2] or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _clean(text: str) -> str:
    """Code and names of a repository, without anything that could steer a terminal."""
    return _CONTROLS.sub("\ufffd", text)


def _line(text: object) -> str:
    return " ".join(_clean(str(text)).split())
