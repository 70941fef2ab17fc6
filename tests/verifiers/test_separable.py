"""Which trust a task gets, and what becomes of one whose tests need the program's own process."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome
from tasks import load_suite
from tasks.model import AssertTests, PublicTask, PytestTests
from verifiers.separable import why_in_process
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier

pytestmark = pytest.mark.anyio

STACK = """
import sys
class Stack:
    def __init__(self): self.items = []
    def push(self, item): self.items.append(item)
    def pop(self): return self.items.pop()
    def show(self): print(self.items)
"""
SUBCLASSED = """
from solution import Stack
import pytest

class Loud(Stack):
    def push(self, item):
        super().push(item * 2)

@pytest.mark.parametrize("n", [1, 2])
def test_subclass(n):
    s = Loud()
    s.push(n)
    assert s.pop() == n * 2

def test_plain():
    s = Stack()
    s.push(5)
    assert s.pop() == 5
"""


def task(source: str, kind: str = "class", **fields: Any) -> PublicTask:
    """A task whose tests are this file."""
    text = textwrap.dedent(source)
    given = {"entry_point": "Stack" if kind == "class" else "f", **fields}
    if "def test_" in text:
        tests: Any = PytestTests(source=text)
    else:
        tests = AssertTests(source=text)
    return PublicTask(id="T/1", prompt="", entry_kind=kind, visible=(tests,), **given)


APART = [
    ("a subclass", "class", SUBCLASSED, "line 5: subclasses the candidate's Stack"),
    (
        "a patched name",
        "class",
        "from unittest import mock\nfrom solution import Stack\n\ndef test_it():\n"
        "    with mock.patch('solution.print'):\n        Stack().push(1)\n",
        "line 5: patches names in the program's process (mock.patch)",
    ),
    (
        "monkeypatch",
        "function",
        "from solution import f\n\ndef test_it(monkeypatch):\n    assert f(1) == 2\n",
        "line 3: patches names in the program's process (monkeypatch)",
    ),
    (
        "the source",
        "function",
        "import inspect\nfrom solution import f\n\ndef test_it():\n"
        "    assert 'for' not in inspect.getsource(f)\n",
        "line 5: inspects the program's own objects (inspect.getsource)",
    ),
    (
        "the file",
        "function",
        "from solution import f\n\ndef test_it():\n"
        "    assert open('solution.py').read() and f(1)\n",
        "line 4: reads the program's file",
    ),
    (
        "what is printed",
        "class",
        "from solution import Stack\n\ndef test_it(capsys):\n    Stack().show()\n"
        "    assert capsys.readouterr().out == '[]\\n'\n",
        "line 3: reads what the program prints, logs or warns (capsys)",
    ),
    (
        "a pickle",
        "class",
        "import pickle\ns = Stack()\nassert pickle.loads(pickle.dumps(s)).items == []\n",
        "line 3: serialises an object of the program's (pickle.dumps)",
    ),
    (
        "the module",
        "function",
        "import solution\n\ndef test_it():\n    solution.LIMIT = 3\n"
        "    assert solution.f(1) == 3\n",
        "line 4: changes the program's module",
    ),
    (
        "a builtin kin",
        "class",
        "from solution import Stack\n\ndef test_it():\n    assert issubclass(Stack, list)\n",
        "line 4: asks whether the candidate's class is a list",
    ),
    (
        "a weak reference",
        "class",
        "import weakref\nfrom solution import Stack\n\ndef test_it():\n    s = Stack()\n"
        "    assert weakref.ref(s)() is s\n",
        "line 6: looks at an object's place in the program's memory (weakref.ref)",
    ),
    (
        "a function's attribute",
        "function",
        "from solution import f\n\ndef test_it():\n    f(1)\n    assert f.cache_info().hits == 0\n",
        "line 5: uses the function's attribute cache_info",
    ),
    (
        "round the class",
        "class",
        "s = Stack()\nobject.__setattr__(s, 'x', 1)\nassert s.x == 1\n",
        "line 2: goes round the class's own methods (object.__setattr__)",
    ),
]


@pytest.mark.parametrize(("kind", "source", "reason"), [row[1:] for row in APART],
                         ids=[row[0] for row in APART])  # fmt: skip
def test_what_needs_the_programs_process_is_named(kind: str, source: str, reason: str) -> None:
    given = task(source, kind)
    name = given.visible[0].filename  # type: ignore[union-attr]
    assert why_in_process(given, given.visible) == f"{name}, {reason}"


@pytest.mark.parametrize(
    "source",
    [
        "import copy, inspect\nfrom solution import Stack\n\nclass Own: pass\n\ndef test_it():\n"
        "    assert inspect.isclass(Own) and copy.copy(Stack()).items == []\n"
        "    assert isinstance(Stack(), Stack) and type(Stack()) is Stack\n",
        "import pickle\nassert pickle.loads(pickle.dumps([1])) == [1] and Stack().items == []\n",
        "def test_it(mine=1):\n    from solution import Stack\n    assert Stack().items == []\n",
    ],
)
def test_what_does_not_is_left_apart(source: str) -> None:
    given = task(source)
    assert why_in_process(given, given.visible) == ""


def test_no_task_of_the_suites_needs_it() -> None:
    for name in ("humaneval", "examples"):
        for found in load_suite(name):
            assert why_in_process(found.public(), found.all_tests()) == "", found.id


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[LocalSandbox]:
    async with LocalSandbox(slots=1) as opened:
        yield opened


async def judged(
    sandbox: LocalSandbox, source: str, program: str = STACK, *, allow: bool = True, **fields: Any
) -> Verdict:
    return await Verifier(sandbox, allow_in_process=allow).verify(task(source, **fields), program)


async def test_it_is_refused_unless_it_is_allowed(sandbox: LocalSandbox) -> None:
    verdict = await judged(sandbox, SUBCLASSED, allow=False)
    assert (verdict.outcome, verdict.reward, verdict.trust) == (Outcome.ERROR, 0.0, "in-process")
    assert verdict.broken.startswith("test_solution.py, line 5: subclasses the candidate's Stack")
    assert "--allow-in-process" in verdict.broken
    assert verdict.tests == ()


async def test_a_subclass_is_judged_in_the_programs_process(sandbox: LocalSandbox) -> None:
    verdict = await judged(sandbox, SUBCLASSED)
    assert (verdict.outcome, verdict.reward, verdict.trust) == (Outcome.PASSED, 1, "in-process")
    assert [test.name for test in verdict.tests] == [
        "test_subclass[1]", "test_subclass[2]", "test_plain"
    ]  # fmt: skip
    wrong = await judged(sandbox, SUBCLASSED, STACK.replace("self.items.pop()", "2"))
    assert wrong.outcome is Outcome.FAILED
    assert wrong.trust == "in-process"
    assert wrong.reward == pytest.approx(1 / 3)


async def test_asserts_are_judged_there_too(sandbox: LocalSandbox) -> None:
    source = "import weakref\ns = Stack()\nassert weakref.ref(s)() is s\nassert s.items == []\n"
    assert (await judged(sandbox, source)).passed
    assert not (await judged(sandbox, source, STACK.replace("= []", "= [1]"))).passed


@pytest.mark.parametrize(
    "line",
    [
        "import os; os._exit(0)",
        "raise SystemExit(0)",
        "import pytest; pytest.skip('no', allow_module_level=True)",
    ],
)
async def test_leaving_early_is_no_pass_there(sandbox: LocalSandbox, line: str) -> None:
    verdict = await judged(sandbox, SUBCLASSED, f"{line}\n{STACK}")
    assert not verdict.passed
    assert verdict.reward == 0
    assert verdict.trust == "in-process"


async def test_every_test_by_name_has_to_pass(sandbox: LocalSandbox) -> None:
    skips = STACK.replace("return self.items.pop()", "import pytest; pytest.skip('not now')")
    verdict = await judged(sandbox, SUBCLASSED, skips)
    assert not verdict.passed
    assert verdict.reward == 0


async def test_the_rest_stays_isolated(sandbox: LocalSandbox) -> None:
    verdict = await judged(sandbox, "s = Stack()\ns.push(1)\nassert s.pop() == 1\n")
    assert verdict.passed
    assert verdict.trust == "isolated"
