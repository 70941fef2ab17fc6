"""The bundled examples: a right program passes all their tests, a wrong one does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks import Task, load_suite
from tasks.model import PytestTests, StdioTests, Tests

RIGHT = {
    "counter": """
class Counter:
    def __init__(self):
        self.count = 0
    def increment(self):
        self.count += 1
    def reset(self):
        self.count = 0
    def value(self):
        return self.count
""",
    "greet": "print(f'Hello, {input()}!')\n",
    "is_even": "def is_even(n):\n    return n % 2 == 0\n",
    "largest": "def largest(numbers):\n    return max(numbers)\n",
    "longest_run": """
from itertools import groupby
def longest_run(items):
    return max((len(list(group)) for _, group in groupby(items)), default=0)
""",
    "median": """
def median(numbers):
    ordered, middle = sorted(numbers), len(numbers) // 2
    return ordered[middle] if len(numbers) % 2 else sum(ordered[middle - 1 : middle + 1]) / 2
""",
}
WRONG = {
    "counter": RIGHT["counter"].replace("self.count", "Counter.count"),
    "greet": "print('Hello, Ada!')\n",
    "is_even": "def is_even(n):\n    return n in (0, 4)\n",
    "largest": "def largest(numbers):\n    return numbers[0]\n",
    "longest_run": "def longest_run(items):\n    return max(map(items.count, items), default=0)\n",
    "median": "",
}

TASKS = {task.id: task for task in load_suite("examples")}


def passes(tests: Sequence[Tests], program: str, folder: Path) -> bool:
    """Runs the tests as a developer would; the programs here are this file's own."""
    folder.mkdir()
    solution = folder / "solution.py"
    solution.write_text(program)
    cases = [case for one in tests if isinstance(one, StdioTests) for case in one.cases]
    for case in cases:
        done = subprocess.run(
            [sys.executable, "-X", "utf8", str(solution)],
            input=case.stdin.encode(),
            capture_output=True,
            timeout=240,
            check=True,
        )
        if done.stdout.decode().rstrip() != case.stdout.rstrip():
            return False
    files = [one for one in tests if isinstance(one, PytestTests)]
    for one in files:
        (folder / one.filename).write_text(one.source)
    if not files:
        return True
    arguments = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    # Without the plug-ins it starts twice as fast; the examples need none.
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, timeout=120, check=False
    )
    assert done.returncode in {0, 1}, done.stdout.decode()
    return done.returncode == 0


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_right_program_passes_and_wrong_one_fails(task: Task, tmp_path: Path) -> None:
    tests = [*task.public().visible, *(task.scoring() if task.has_hidden else ())]
    wrong = task.public().start or WRONG[task.id]
    assert passes(tests, RIGHT[task.id], tmp_path / "right")
    assert not passes(tests, wrong, tmp_path / "wrong")


def test_each_kind_of_task_is_among_them() -> None:
    kinds = {task.public().entry_kind for task in TASKS.values()}
    assert kinds == {"function", "class", "program"}
    assert any(task.public().start for task in TASKS.values())
    sources = [
        tests.source
        for task in TASKS.values()
        for tests in task.public().visible
        if isinstance(tests, PytestTests)
    ]
    assert any("hypothesis" in source for source in sources)
    assert sum(task.has_hidden for task in TASKS.values()) >= 2
    assert not any(task.hidden_refused for task in TASKS.values())


def test_readme_tells_of_each() -> None:
    folder = Path(TASKS["is_even"].public().source).parent.parent
    readme = (folder / "README.md").read_text()
    assert [name for name in TASKS if f"## {name}\n" not in readme] == []
