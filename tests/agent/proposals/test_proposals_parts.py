"""Open functions of a prompt, and answers that are put in their place."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.proposals.parts import (
    bound_names,
    fill,
    hoisted,
    imports,
    joined,
    open_parts,
    stub,
    without_names,
)
from tasks.model import PublicTask
from tests.agent.author import PROMPT, RIGHT_PARTS, TASK

STACK = '''class Stack:
    """A stack."""

    def __init__(self):
        """Empty."""

    def push(self, item):
        """Puts an item on top."""
        raise NotImplementedError

    def size(self):
        return len(self.items)

    @property
    def top(self):
        ...
'''


def task(prompt: str, entry: str = "f") -> PublicTask:
    kind = "class" if entry == "Stack" else "function"
    return PublicTask.model_validate(
        {"id": "t", "prompt": prompt, "entry_point": entry, "entry_kind": kind}
    )


@pytest.mark.parametrize(
    ("prompt", "entry", "parts"),
    [
        (PROMPT, "f", ("twice", "shift", "f")),
        ("def f(x):\n    '''Uses g.'''\n\ndef g(x):\n    pass\n", "f", ("g", "f")),
        ("def g(x):\n    return x\n\ndef f(x):\n    ...\n", "f", ("f",)),
        (STACK, "Stack", ("Stack.__init__", "Stack.push", "Stack.top")),
        ("Write f, please.", "f", ("f",)),
        ("def f(x):\n", "f", ("f",)),
        ("def f(x):\n    return 1\n", "f", ("f",)),
    ],
)
def test_open_parts_in_the_order_to_write_them(
    prompt: str, entry: str, parts: tuple[str, ...]
) -> None:
    assert open_parts(task(prompt, entry)) == parts


def test_other_languages_have_one_part() -> None:
    shell = PublicTask(id="t", prompt=PROMPT, entry_point="f", language="bash")
    assert open_parts(shell) == ("f",)


def run(source: str) -> dict[str, object]:
    namespace: dict[str, object] = {}
    exec(compile(source, "<test>", "exec"), namespace)
    return namespace


def test_program_grows_part_by_part() -> None:
    source = PROMPT
    for name in open_parts(TASK):
        filled = fill(source, name, RIGHT_PARTS[name])
        assert filled is not None
        source = filled
    f = run(source)["f"]
    assert callable(f)
    assert [f(0), f(1), f(5)] == [3, 5, 13]
    assert open_parts(TASK.model_copy(update={"prompt": source})) == ("f",)


@pytest.mark.parametrize(
    "answer",
    [
        "def push(self, item):\n    self.items.append(item)\n",
        "class Stack:\n    def push(self, item):\n        self.items.append(item)\n",
        "import math\n\nclass Stack:\n  def size(self):\n    return 9\n"
        "  def push(self, item):\n    self.items.append(item)\n",
    ],
)
def test_method_is_put_into_its_class(answer: str) -> None:
    source = fill(STACK, "Stack.push", answer)
    assert source is not None
    begun = fill(source, "Stack.__init__", "def __init__(self):\n    self.items = []\n")
    assert begun is not None
    whole = fill(begun, "Stack.top", "@property\ndef top(self):\n    return self.items[-1]\n")
    assert whole is not None
    stack = run(whole)["Stack"]()  # type: ignore[operator]
    stack.push(4)
    assert (stack.top, stack.size()) == (4, 1)
    assert whole.count("@property") == 1


def test_what_an_answer_brings_along_is_kept_unless_it_is_there_already() -> None:
    answer = (
        "from __future__ import annotations\nimport math\n\nLIMIT = 3\n\n"
        "def shift(x):\n    return 'not mine'\n\n\ndef helper(x):\n    return math.floor(x)\n\n\n"
        "def twice(x: unknown):\n    return 2 * helper(x) + LIMIT\n"
    )
    source = fill(PROMPT, "twice", answer)
    assert source is not None
    assert source.startswith("from __future__")
    assert "not mine" not in source
    twice = run(source)["twice"]
    assert callable(twice)
    assert twice(2.5) == 7


def test_text_over_several_lines_stays_as_it_is() -> None:
    method = "class A:\n    def push(self, item):\n        return '''one\ntwo'''\n"
    source = fill(STACK, "Stack.push", method)
    assert source is not None
    assert "'''one\ntwo'''" in source
    compile(source, "<test>", "exec")


def test_lines_are_counted_as_python_counts_them() -> None:
    odd = "A = 1\n\x0c\nB = '\u2028\x1e'\n" + PROMPT
    source = fill(odd, "twice", "C = '\u2029'\n\n\ndef twice(x):\n    return 2 * x  # \x85\n")
    assert source is not None
    namespace = run(source)
    twice = namespace["twice"]
    assert callable(twice)
    assert (twice(4), namespace["C"], namespace["B"]) == (8, "\u2029", "\u2028\x1e")
    assert stub(odd, "shift").startswith("def shift(x):\n")


@pytest.mark.parametrize(
    "answer", ["", "def twice(x:", "def other(x):\n    return 1\n", "def twice(x):\n    ...\n", "x"]
)
def test_answer_without_the_function_fills_nothing(answer: str) -> None:
    assert fill(PROMPT, "twice", answer) is None
    assert fill("no source (", "twice", RIGHT_PARTS["twice"]) is None


def test_small_things() -> None:
    assert stub(STACK, "Stack.push").startswith("def push(self, item):\n    ")
    assert stub(STACK, "Stack.nothing") == ""
    assert bound_names("import os\nA = 1\ndef b(): pass\nclass C: pass\n") == {"A", "b", "C"}
    assert imports("import os\nfrom typing import (\n    List,\n)\nA = 1\n") == (
        "import os\nfrom typing import (\n    List,\n)\n"
    )
    assert without_names("A = 1\n\ndef b(): pass\n\ndef c(): pass\n", {"A", "b"}) == (
        "def c(): pass\n"
    )
    assert joined(["a = 1\n", "", "a = 1\n", "b = 2"]) == "a = 1\n\n\nb = 2\n"
    late = "a = 1\nfrom __future__ import annotations\n"
    assert hoisted(late) == "from __future__ import annotations\na = 1\n"


@given(text=st.text(max_size=300))
def test_no_text_is_too_odd(text: str) -> None:
    open_parts(task(text))
    fill(text, "f", text)
    fill(PROMPT, "twice", text)
    fill(PROMPT, "twice", textwrap.indent(text, "    "))
    bound_names(text)
    imports(text)
    without_names(text, {"f"})
