"""The sandboxes, the real command, and a suite whose samples end in every way."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.journal import Journal
from sandbox.outcome import Outcome
from tests.agent.cli.conftest import Command, cache, regreen
from tests.sandbox.conftest import backend, let_others_in, open_sandbox

__all__ = ["backend", "cache", "open_sandbox", "regreen"]

TASKS = 3
PROGRAMS = (
    ("def f(n): return n - 1", Outcome.FAILED),
    ("def f(n): raise ValueError(n)", Outcome.ERROR),
    ("import os\ndef f(n): os._exit(0)", Outcome.CRASH),
    (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    os.closerange(0, 64)\n"
        '    os.execv("/bin/sleep", ["sleep", "{nonce}"])\n'
        'open("left", "w").write("behind")\ntime.sleep(0.05)\ndef f(n): return 0',
        Outcome.FAILED,
    ),
    ("import time\ndef f(n):\n    time.sleep(0.1)\n    return n + {k}", Outcome.PASSED),
    ("def f(n): return [0] * (1 << 40)", Outcome.MEMORY),
)
"""What each task's samples are, and how each has to end."""


@dataclass(frozen=True)
class Suite:
    """A suite with its recorded samples."""

    words: tuple[str, ...]
    nonce: str

    def verdicts(self, run: Path) -> dict[tuple[str, int], tuple[str, float, tuple[str, ...]]]:
        """What a run's journal holds of each sample: outcome, reward, the tests' outcomes."""
        journal = Journal(run)
        found = {}
        for task, index in journal.keys("verdict"):
            data = journal.get("verdict", task, index)
            assert data is not None
            verdict: Any = data["verdict"]
            tests = tuple(test["outcome"] for test in verdict["tests"])
            found[task, index] = (verdict["outcome"], verdict["reward"], tests)
        journal.close()
        return found

    def is_right(self, run: Path) -> None:
        """Fails unless each sample was received once and has the verdict that it must have."""
        journal = Journal(run)
        records = [(record["kind"], record["data"]) for record in journal]
        journal.close()
        paid = [(data["task"], data["index"]) for kind, data in records if kind == "sample"]
        assert sorted(paid) == sorted(set(paid)), "a sample was paid for twice"
        outcomes = {key: verdict[0] for key, verdict in self.verdicts(run).items()}
        assert outcomes == {
            (f"add/{k}", index): str(outcome)
            for k in range(TASKS)
            for index, (_, outcome) in enumerate(PROGRAMS)
        }
        report = json.loads((run / "report.json").read_text())
        assert (report["solved"], report["tasks"]) == (TASKS, TASKS)
        assert [score["samples"] for score in report["scores"]] == [len(PROGRAMS)] * TASKS
        assert [score["incidents"] for score in report["scores"]] == [[]] * TASKS


@pytest.fixture
def faulty(tmp_path: Path, backend: str) -> Suite:
    """`regreen eval` on a suite of which every sample's verdict is known."""
    tasks = [
        {
            "task_id": f"add/{k}",
            "prompt": f'def f(n):\n    """Return n plus {k}."""\n',
            "entry_point": "f",
            "tests": f"assert f(1) == {1 + k}\nassert f(7) == {7 + k}\n",
        }
        for k in range(TASKS)
    ]
    nonce = f"{secrets.randbelow(10**9) + 10**9}"
    samples = [
        {"task_id": f"add/{k}", "solution": text.replace("{k}", f"{k}").replace("{nonce}", nonce)}
        for k in range(TASKS)
        for text, _ in PROGRAMS
    ]
    for name, rows in (("suite", tasks), ("bank", samples)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    words = ("eval", str(tmp_path / "suite.jsonl"), "-m", f"replay/{tmp_path}/bank.jsonl",
             "-n", f"{len(PROGRAMS)}", "--exhaustive", "--protocol", "given", "-q", "--no-cache",
             "--slots", "2", "--wall-seconds", "60", "--sandbox", backend)  # fmt: skip
    return Suite(words, nonce)


@pytest.fixture
def scratch(tmp_path: Path, regreen: Command) -> Path:
    """The folder for temporary files of the commands under test, open to all as /tmp is."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    let_others_in(folder)
    regreen.environment["TMPDIR"] = str(folder)
    return folder
