"""Early stops: what can't end well is stopped, and what can is let be, however it arrives."""

from __future__ import annotations

import ast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.llm.base import CallShape, Watch
from agent.llm.early import Reason, Watcher, accepts
from agent.llm.watching import watch_for
from tasks import load_suite
from tasks.model import AssertTests, PublicTask, PytestTests, StdioCase, StdioTests
from verifiers.extract import extract_program

WATCH = Watch(entry_point="f", calls=(CallShape(positional=1), CallShape(positional=2)))
GOOD = "```python\ndef f(a, b=0):\n    return a + b\n```\n"
BROKEN = (
    "```python\ndef f(a, b=0):\n    return (a + b]\n    # and so on, and so forth, and more of it\n"
    "    # to the end\n"
)
PROSE = "This function adds its two arguments, of which the second one may be left out at will. "


def fed(text: str, watch: Watch = WATCH, size: int = 5) -> tuple[Reason | None, str]:
    """The reason, and the text until then, in pieces of a size."""
    watcher = Watcher(watch)
    for start in range(0, len(text), size):
        reason = watcher.feed(text[start : start + size])
        if reason is not None:
            return reason, text[: start + size]
    return None, text


def code(body: str, lead: str = "") -> str:
    return f"{lead}```python\n{body}\n```\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "Sure! Here is the function:\n\n" + GOOD + "\nIt adds them.",
        code("from x import *\n\n\ndef f(*args):\n    return sum(args)\n"),
        code(
            "def f(a, b=0):\n    '''Doc.\n\n    ```python\n    f(1\n    ```\n    '''\n    return 1"
        ),
        code("    def f(a):\n        return a\n"),
        code(">>> def f(a):\n...     return a +\n1"),
        code("def f(a):\n    return “a”\n" + "    # and more\n" * 5),
        code("class A:\n    def f(self):\n        return 1\n" + "    # and more\n" * 5),
        code("@cache\ndef f():\n    return 1"),
        code("x = (1]\n" * 30),  # not where the entry point is
        "```\nf(1) gives 2\n" * 10 + "```\n",
        "```text\ndef f(a, b, c)\n```\n" + GOOD,
        "```javascript\nfunction f(a) { return a; }\n```\n",
        "def f(a):\n    return (a + 1]\n" + "# no block at all\n" * 9,
        GOOD + "Now without a default:\n" + code("def f(a, b):\n    return a + b"),
        "<think>\n" + BROKEN * 2 + "```\nhm, no\n</think>\n" + GOOD,
        "I think aloud.\n" + GOOD + "short\n</think>\n" + GOOD,
        "",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_what_may_end_well_is_let_be(text: str, size: int) -> None:
    assert fed(text, size=size) == (None, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BROKEN, Reason.SYNTAX),
        ("Here:\n" + BROKEN, Reason.SYNTAX),
        (code("async def f(a):\n    await (1]\n" + "    # and more\n" * 9), Reason.SYNTAX),
        (code("def f():\n    return 1\n"), Reason.SIGNATURE),
        (code("def f(a, b, c):\n    return 1\n"), Reason.SIGNATURE),
        (code("def f(\n    *,\n    a,\n) -> int:\n    return 1\n"), Reason.SIGNATURE),
        (GOOD + PROSE + "\n" + PROSE + "\n" + PROSE, Reason.RUNAWAY),
        (GOOD + code("".join(f"x = {n}\n" for n in range(400))), Reason.RUNAWAY),
        ("word and word " * 200, Reason.REPETITION),
        ("<think>\n" + "Wait, let me look at it again. " * 100, Reason.REPETITION),
        (code("def f(a):\n" + "    if a == 1:\n        return 1\n" * 60), Reason.REPETITION),
    ],
)
def test_what_cannot_end_well_is_stopped_at_the_same_line_however_it_comes(
    text: str, reason: Reason
) -> None:
    places = set()
    for size in (1, 3, 10_000):
        found, seen = fed(text, size=size)
        assert found == reason
        places.add(seen.count("\n"))
        if size == 1:
            assert len(seen) < len(text)
    assert len(places) <= 2  # a large piece is seen as a whole


def test_what_is_stopped_for_running_away_has_its_program() -> None:
    _, seen = fed(GOOD + (PROSE + "\n") * 5)
    task = PublicTask(id="t", prompt="def f(a, b=0):\n", entry_point="f")
    assert extract_program(seen, task) == extract_program(GOOD, task)


def test_an_error_after_the_function_keeps_the_function() -> None:
    text = code("def f(a):\n    return a\n\n\nprint 'x'\n" + "y = 1  # and more\n" * 9)
    reason, seen = fed(text)
    assert reason == Reason.SYNTAX
    task = PublicTask(id="t", prompt="def f(a):\n", entry_point="f")
    assert extract_program(seen, task) == extract_program(text, task)


def test_a_long_lead_may_be_thinking_and_is_not_cut_short() -> None:
    lead = "".join(f"First, {number} is not what it may seem to be.\n" for number in range(20))
    text = lead + GOOD + (PROSE + "\n") * 3
    assert fed(text)[0] is None


def test_other_languages_are_only_watched_for_loops() -> None:
    watch = Watch(language="javascript", entry_point="f")
    assert fed(BROKEN, watch)[0] is None
    assert fed("let a = 1; // again and again\n" * 60, watch)[0] == Reason.REPETITION


def test_a_continuation_is_code_from_its_prompt_on() -> None:
    watch = Watch(entry_point="f", prefix='def f(a):\n    """Doc."""\n')
    assert fed("    return a\n" * 3 + "\n\nprint(f(1))\n", watch)[0] is None
    assert fed("    return a\n\nHere is how it works, in a few words.\n\n", watch)[0] == "syntax"
    middle = Watch(entry_point="f", prefix="def f(a):\n    return (a +")
    assert fed(" 1)\n# and so on, and so on, and so on, and so on\n", middle)[0] is None


TABLES = [
    "x = [" + "0, " * 150 + "]\n",
    "m = [\n" + "    [0, 0, 0, 0, 0, 0, 0, 0],\n" * 8 + "]\n",
    "# " + "=" * 300 + "\n",
    "".join(f"    elif n == {n}:\n        return {n * n}\n" for n in range(99)),
]


@pytest.mark.parametrize("text", TABLES)
def test_tables_are_no_loops(text: str) -> None:
    assert fed(text)[0] is None


@settings(max_examples=100)
@given(
    body=st.lists(
        st.sampled_from(
            [
                "    x = 1\n",
                "    if a:\n        b = 2\n",
                "    # c\n",
                "\n",
                "    y = (\n        1,\n    )\n",
                "    '''a\n  b'''\n",
                "    for i in range(3):\n        pass\n",
            ]
        ),
        max_size=20,
    ),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=10),
)
@example(body=["\n"] * 20, sizes=[1])
def test_no_answer_with_a_right_program_is_stopped(body: list[str], sizes: list[int]) -> None:
    program = "def f(a, b=0):\n" + "".join(body) + "    return a\n"
    ast.parse(program)
    text = f"Here you are:\n```python\n{program}```\n"
    watcher, start, number = Watcher(WATCH), 0, 0
    while start < len(text):
        size = sizes[number % len(sizes)]
        reason = watcher.feed(text[start : start + size])
        # the same lines over and over are a loop, even in a program
        assert reason in (None, Reason.REPETITION)
        if reason:
            return
        start, number = start + size, number + 1


@pytest.mark.parametrize(
    ("parameters", "positional", "keywords", "fits"),
    [
        ("", 0, (), True),
        ("", 1, (), False),
        ("a", 0, (), False),
        ("a, b=1", 1, (), True),
        ("a, b=1", 3, (), False),
        ("a, b", 1, ("b",), True),
        ("a, b", 2, ("b",), False),
        ("a, /, b", 1, ("b",), True),
        ("a, /", 0, ("a",), False),
        ("a, /, **k", 1, ("a",), True),
        ("*a", 5, (), True),
        ("*, a", 0, ("a",), True),
        ("*, a", 1, (), False),
        ("*, a=1", 0, (), True),
        ("a, *b, c", 4, ("c",), True),
        ("**k", 0, ("x", "y"), True),
        ("a", 1, ("x",), False),
    ],
)
def test_which_calls_a_signature_takes(
    parameters: str, positional: int, keywords: tuple[str, ...], fits: bool
) -> None:
    names: dict[str, object] = {}
    exec(f"def f({parameters}): return None", names)
    try:
        names["f"](*range(positional), **dict.fromkeys(keywords, 0))  # type: ignore[operator]
        really = True
    except TypeError:
        really = False
    definition = ast.parse(f"def f({parameters}): return None").body[0]
    assert isinstance(definition, ast.FunctionDef)
    call = CallShape(positional=positional, keywords=keywords)
    assert accepts(definition.args, call) == fits == really


def task(*tests: object, kind: str = "function") -> PublicTask:
    return PublicTask.model_validate(
        {
            "id": "t",
            "prompt": "def f(a):\n",
            "entry_point": "f",
            "entry_kind": kind,
            "visible": tests,
        }
    )


def test_calls_are_read_off_the_visible_tests() -> None:
    asserts = AssertTests(source="assert f(1) == 2\nassert f(1, b=2) == g(3, 4, 5)\n")
    harness = AssertTests(
        source="def check(candidate):\n    assert candidate(1, 2, 3)\n", function="check"
    )
    pytests = PytestTests(
        source="from solution import f\n\ndef test_f():\n    assert f() == f(1)\n"
    )
    shapes = watch_for(task(asserts, harness, pytests)).calls
    assert [(one.positional, one.keywords) for one in shapes] == [
        (1, ()),
        (1, ("b",)),
        (3, ()),
        (0, ()),
    ]
    assert watch_for(task(AssertTests(source="assert f(*[1]) == 2\nassert f(1)\n"))).calls == ()
    assert watch_for(task(AssertTests(source="assert f(1"))).calls == ()
    assert watch_for(task(asserts, kind="class")).calls == ()
    stdio = StdioTests(cases=(StdioCase(name="a", stdout="f(1)"),))
    assert watch_for(task(stdio, kind="program")).entry_point == ""


def test_every_canonical_solution_is_let_be() -> None:
    for one in load_suite("humaneval"):
        public = one.given()
        assert watch_for(public).calls, public.id
        stub = public.prompt.rstrip() + "\n    pass\n"
        assert fed(f"```python\n{stub}```\n", watch_for(public))[0] is None, public.id


def test_names_that_the_prompt_lends_are_no_reason_to_wait() -> None:
    helper = "def g(x):\n    return x\n"
    prompt = f"from typing import List\n\n\n{helper}\n\ndef f(a: List[int]):\n    '''Doc.'''\n"
    public = PublicTask(id="t", prompt=prompt, entry_point="f")
    answer = code("def f(a: List[int]):\n    return g(a)") + PROSE * 2
    assert watch_for(public).lent >= {"List", "g"}
    assert fed(answer, watch_for(public))[0] == Reason.RUNAWAY
    assert fed(answer, WATCH)[0] is None, "another block may bring what is missing"


def test_a_program_that_goes_on_in_its_block_is_stopped_and_kept() -> None:
    use = "".join(f"assert f({n}) == {n}\n" for n in range(60))
    text = code(f"def f(a, b=0):\n    return a + b\n\n\n{use}")
    reason, seen = fed(text)
    assert reason == Reason.RUNAWAY
    assert len(seen) < 600
    task = PublicTask(id="t", prompt="def f(a, b=0):\n", entry_point="f")
    assert extract_program(seen, task) == extract_program(text, task)
    few = code(f"def f(a, b=0):\n    return a + b\n\n\n{use[:300]}")
    assert fed(few)[0] is None
    helpless = code(f"def f(a, b=0):\n    return h(a)\n\n\n{use}\ndef h(a):\n    return a\n")
    assert fed(helpless)[0] is None
