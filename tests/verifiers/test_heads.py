"""Heads of programs: what nothing can complete is told, and what something can is let be."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import load_suite
from verifiers.heads import breaks

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = sorted((REPOSITORY / "verifiers").glob("*.py")) + sorted(
    (REPOSITORY / "tests" / "verifiers").glob("*.py")
)

OPEN = [
    "",
    "def f(a,\n",
    "def f(a):\n",
    "def f(a):\n    # to do\n",
    "x = (1,\n",
    "x = [i for i in\n",
    'x = """abc\n',
    'def f():\n    """Doc.\n  >>> f(1\n',
    "x = 'abc\\\n",
    "x \\\n",
    "with open(x) as f, \\\n",
    "@decorated\n",
    "try:\n    f()\n",
    "if x:\n    pass\n",
    "match x:\n    case 1:\n",
    "lambda x: (\n",
    "from x import (\n",
    "class A:\n\n",
    "print(1)\nx = 1\n",
    "# -*- coding: latin-1 -*-\n",
]
HOPELESS = [
    "def f(:\n",
    "def f(a)\n    return a\n",
    "def f(a=1, b):\n",
    "x = [1 2\n",
    "x = 'abc\n",
    "x = 0777\n",
    "x = “a”\n",
    "f(a=1, 2)\n",
    "if x = 3:\n",
    "if x:\nelse:\n",
    "while True print(1)\n",
    "print 'x'\n",
    "}\n",
    "def f():\n    if x:\n        y\n  z\n",
    "def f():\n\tx\n        y\n",
    "Here is the code:\n",
    "try:\n    f()\nx = 1\n",
    "f() = 1\n",
]
NEWER = [
    "a = f'{x['k']}'\n",
    "a = f'{x\n",
    "a = t'{x}'\n",
    "def f[T](a: T) -> T:\n",
    "class A[T]:\n",
    "type X = int\n",
    "try:\n    f()\nexcept A, B:\n",
]


@pytest.mark.parametrize("head", OPEN)
def test_heads_that_can_go_on(head: str) -> None:
    assert breaks(head) is None


@pytest.mark.parametrize("head", HOPELESS)
def test_heads_that_nothing_completes(head: str) -> None:
    assert breaks(head) is not None
    for tail in ("", ")\n", '"""\n', "    pass\n", "]\n", "'\n", "finally:\n    pass\n"):
        with pytest.raises(SyntaxError):
            ast.parse(head + tail)


@pytest.mark.parametrize("head", NEWER)
def test_syntax_of_another_python_is_let_be(head: str) -> None:
    assert breaks(head) is None


def test_no_head_of_a_right_program_breaks() -> None:
    tasks = list(load_suite("humaneval"))
    assert len(tasks) == 164
    for task in tasks[::4]:
        lines = task.public().prompt.splitlines(keepends=True)
        for count in range(len(lines) + 1):
            assert breaks("".join(lines[:count])) is None, (task.id, count)


@settings(max_examples=60)
@given(path=st.sampled_from(SOURCES), share=st.floats(0, 1))
def test_no_head_of_a_source_breaks(path: Path, share: float) -> None:
    lines = path.read_text().splitlines(keepends=True)
    assert breaks("".join(lines[: int(share * len(lines))])) is None


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            ["def f(", "a, b", "):", "\n", "    ", "return ", "x = ", "(", ")", "[", "]", "'",
             '"""', "if x:", "else:", "for i in ", "1", " + ", "# c", "\\", "lambda: ", "try:",
             "except:", "pass", "@", "class A:", ":", ",", "=", "print ", "é", "\t"]
        ),
        max_size=12,
    )
)  # fmt: skip
def test_what_breaks_stays_broken(parts: list[str]) -> None:
    head = "".join(parts) + "\n"
    if breaks(head) is None:
        return
    for tail in itertools.chain(("",), (")\n", "]\n", "'\n", '"""\n', "    pass\n", "\\\n1\n")):
        with pytest.raises((SyntaxError, ValueError)):
            ast.parse(head + tail)


@pytest.mark.parametrize(
    "head", ["(" * 5000, "x = " + "-" * 100_000, "a\0b\n", "\ud800\n", "[" * 90]
)
def test_hostile_heads_are_answered(head: str) -> None:
    breaks(head)
