"""Free edits: each family reaches the bugs it is for, and leaves all other text alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.proposals.base import Known, Made, Node
from agent.proposals.registry import kind_of
from agent.search.base import Proposal
from agent.search.edits.propose import MOST, edits_of, families
from agent.search.edits.source import LONGEST, read
from agent.search.edits.symptoms import NOTHING_KNOWN, Symptoms, symptoms
from sandbox.outcome import Outcome
from tasks.model import PublicTask
from verifiers.gate import normalised_hash
from verifiers.verdict import TestResult, Verdict

BUGS = {
    "boundary": ("def f(a):\n    return a < 3\n", "a < 3", "a <= 3"),
    "comparison the other way": ("def f(a, b):\n    return a > b\n", "a > b", "a < b"),
    "not in": ("def f(a, b):\n    return a not  in b\n", "not  in", "in"),
    "arithmetic": ("def f(a, b):\n    return (a) + (b)\n", ") + (", ") - ("),
    "division": ("def f(a):\n    return a / 2\n", "a / 2", "a // 2"),
    "augmented": ("def f(a):\n    a += 1\n    return a\n", "+=", "-="),
    "and for or": ("def f(a, b):\n    return a and b\n", "and", "or"),
    "negated condition": (
        "def f(a):\n    if a:\n        return 1\n    return 2\n",
        "if a",
        "if not (a)",
    ),
    "constant": ("def f(a):\n    return a + 2\n", "2", "3"),
    "negative constant": ("def f(a):\n    return a[0]\n", "0", "(-1)"),
    "truth": ("def f(a):\n    return True\n", "True", "False"),
    "default": ("def f(a, b=0):\n    return a + b\n", "b=0", "b=1"),
    "range": ("def f(n):\n    return list(range(n))\n", "range(n)", "range(n + 1)"),
    "range from one": ("def f(n):\n    return list(range(n))\n", "range(n)", "range(1, n + 1)"),
    "range too far": ("def f(n):\n    return list(range(n + 1))\n", "range(n + 1)", "range(n)"),
    "slice": ("def f(a, n):\n    return a[:n]\n", "[:n]", "[:n + 1]"),
    "index": ("def f(a, i):\n    return a[i]\n", "a[i]", "a[i - 1]"),
    "operands": ("def f(a, b):\n    return a - b\n", "a - b", "b - a"),
    "arguments": ("def f(a, b):\n    return pow(a, b)\n", "a, b)\n", "b, a)\n"),
    "another name": ("def f(a, b):\n    return max(a, a)\n", "max(a, a)", "max(a, b)"),
    "returned name": (
        "def f(a):\n    total = sum(a)\n    return a\n",
        "return a",
        "return total",
    ),
    "sibling": ("def f(a):\n    return max(a)\n", "max", "min"),
    "method": ("def f(a):\n    return a.lower()\n", "lower", "upper"),
    "wrapped": ("def f(a):\n    return a\n", "return a", "return sorted(a)"),
    "unwrapped": ("def f(a):\n    return list(a)\n", "list(a)", "(a)"),
    "absolute": ("def f(a, b):\n    return a - b < 1\n", "a - b <", "abs(a - b) <"),
    "copy": ("def f(a):\n    b = a\n    return b\n", "b = a", "b = (a).copy()"),
    "empty input": (
        "def f(a: list) -> int:\n    return a[0]\n",
        "    return",
        "    if not a: return 0\n    return",
    ),
    "zero": (
        "def f(a: int) -> int:\n    return 1 // a\n",
        "    return",
        "    if a == 0: return 0\n    return",
    ),
    "return in a loop": (
        "def f(a):\n    for b in a:\n        a = b\n        return a\n",
        "        return a",
        "    return a",
    ),
    "else in a loop": (
        "def f(a):\n    for b in a:\n        if b:\n            return 1\n"
        "        else:\n            return 2\n",
        "        else:\n            return 2",
        "    return 2",
    ),
    "missing return": (
        "def f(a):\n    total = 0\n    for b in a:\n        total += b\n",
        "total += b",
        "total += b\n    return total",
    ),
    "one statement too many": ("def f(a):\n    a.pop()\n    return a\n", "a.pop()", "pass"),
    "printed": ("def f(a):\n    print(a)\n", "print(a)", "return a"),
    "missing import": (
        "def f(a):\n    return math.sqrt(a)\n",
        "def f",
        "import math\ndef f",
    ),
    "text of more bytes than characters": (
        "def f(a):\n    return 'äöü' + a + 'ß' < 'é'\n",
        "<",
        "<=",
    ),
}
"""A program, and what has to be replaced by what in it."""


WIDE = {
    "order": (
        "def f(a):\n    while a:\n        a = a // 2  # half\n        yield a\n",
        "        a = a // 2  # half\n        yield a",
        "        yield a\n        a = a // 2",
    ),
    "nothing handed over": ("def f(a, b):\n    return g(a, None)\n", "None", "b"),
    "forgotten at the end": (
        "def g(a, b=0):\n    return a + b\n\n\ndef f(a, b):\n    return g(a)\n",
        "g(a)\n",
        "g(a, b=b)\n",
    ),
    "forgotten before": (
        "class A:\n    def g(self, a, b=0):\n        return a + b\n\n"
        "    def f(self, a, c):\n        return self.g(c)\n",
        "g(c)",
        "g(a, c)",
    ),
    "wrong exception": (
        "def f(a):\n    try:\n        return a[0]\n    except KeyError:\n        return 1\n",
        "KeyError",
        "IndexError",
    ),
    "one exception too few": (
        "def f(a):\n    try:\n        return a[0]\n"
        "    except (KeyError, OSError):\n        return 1\n",
        "(KeyError, OSError)",
        "(KeyError, OSError, IndexError)",
    ),
    "no property": (
        "class A:\n    def f(self):\n        return 1\n",
        "    def",
        "    @property\n    def",
    ),
    "static": (
        "class A:\n    def f(a):\n        return a\n",
        "    def",
        "    @staticmethod\n    def",
    ),
    "another comparison": ("def f(a, b):\n    return a is b\n", "is", ">="),
    "another operator": ("def f(a, b):\n    return a % b\n", "%", "+"),
    "another sign": ("def f(a):\n    return +a\n", "+", "-"),
}
"""The same for families that only repositories get."""


def programs(program: str, found: Symptoms = NOTHING_KNOWN, **more: str) -> list[str]:
    edits = edits_of(program, found, **more)
    assert edits is not None
    made: list[str] = []
    while (edit := edits.get(len(made))) is not None:
        made.append(edit[1])
    return made


@pytest.mark.parametrize("name", BUGS)
def test_the_edit_that_repairs_is_among_them(name: str) -> None:
    program, wrong, right = BUGS[name]
    assert program.count(wrong) == 1
    wanted = normalised_hash(program.replace(wrong, right))
    assert wanted in {normalised_hash(one) for one in programs(program)}


@pytest.mark.parametrize("name", WIDE)
def test_grown_code_has_further_edits(name: str) -> None:
    program, wrong, right = WIDE[name]
    assert program.count(wrong) == 1
    wanted = normalised_hash(program.replace(wrong, right))
    source = read(program)
    assert source is not None
    found = [
        source.apply(change)
        for function in source.functions
        for family in families(wide=True).values()
        for change in family(source, function)
    ]
    assert wanted in {normalised_hash(one) for one in found}
    assert wanted not in {normalised_hash(one) for one in programs(program)}


NEARLY = '''from math import sqrt


def given(a):
    """What the task says itself."""
    return a + 1


def helper(a):  # a remark
    return given(a) * 2


def unused(a):
    return a - 7


def f(numbers: list, limit: int = 3) -> int:
    """Some words, with 1 number."""
    total = 0
    for number in numbers:
        if   number < limit:  # odd blanks
            total += helper(number)
    return total
'''


def test_edits_are_distinct_programs_and_keep_all_other_text() -> None:
    made = programs(NEARLY, entry_point="f", given=NEARLY[: NEARLY.index("def helper")])
    hashes = [normalised_hash(one) for one in made]
    assert len(set(hashes)) == len(made) > 100
    assert normalised_hash(NEARLY) not in hashes
    for one in made:
        ast.parse(one)
        assert '"""Some words, with 1 number."""' in one
        assert "# a remark" in one
        assert "return given(a)" in one or "helper" in one
    assert sum("# odd blanks" in one for one in made) > len(made) * 0.9


def test_what_the_entry_point_does_not_reach_and_what_the_task_gives_is_left_alone() -> None:
    task = NEARLY[: NEARLY.index("def helper")]
    made = programs(NEARLY, entry_point="f", given=task)
    assert all("return a + 1" in one and "return a - 7" in one for one in made)
    assert any("return given(a) * 3" in one for one in made)
    assert any("return a + 2" in one for one in programs(NEARLY, entry_point="f"))
    assert any("return a - 8" in one for one in programs(NEARLY))


def test_the_order_is_the_same_in_every_process() -> None:
    again = edits_of.__wrapped__(NEARLY, Symptoms(), "f", "")
    assert again is not None
    made = programs(NEARLY, entry_point="f")
    assert [again.get(number)[1] for number in range(len(made))] == made  # type: ignore[index]
    assert again.get(len(made)) is None


def test_their_number_is_bounded() -> None:
    lines = "".join(f"    if a < {n} and b > a - {n}: a, b = b + {n}, a\n" for n in range(200))
    made = programs(f"def f(a, b):\n{lines}    return a\n")
    assert len(made) == MOST
    assert edits_of("def f(a):\n    return a\n" + "# long\n" * LONGEST) is None


@pytest.mark.parametrize(
    "text",
    ["", "def f(:\n", "f = 1\0\n", "x" * 10, "\udc80", "(" * 5_000 + ")" * 5_000, "'''\r\n'''"],
)
def test_what_is_no_program_has_no_edits(text: str) -> None:
    edits = edits_of(text)
    assert edits is None or edits.get(0) is None


def test_every_family_is_in_use() -> None:
    folder = Path(edits_of.__wrapped__.__code__.co_filename).parent
    shared = {"__init__", "source", "symptoms", "ranking", "priors", "propose"}
    assert set(families(wide=True)) == {path.stem for path in folder.glob("*.py")} - shared


def failed(detail: str, outcome: Outcome = Outcome.FAILED) -> Verdict:
    test = TestResult(name="f(1) == 2", outcome=outcome, detail=detail)
    return Verdict(outcome=outcome, reward=0.5, tests=(test,))


@pytest.mark.parametrize(
    ("detail", "sign"),
    [
        ("got 3, expected 4", "near"),
        ("got -3, expected 3", "sign"),
        ("got 3.2, expected 3", "type"),
        ("got 30, expected 3", "number"),
        ("got None, expected 3", "none"),
        ("got True, expected False", "truth"),
        ("got (1, 2), expected [1, 2]", "type"),
        ("got [2, 1], expected [1, 2]", "order"),
        ("got [2], expected [1, 2]", "shorter"),
        ("got [2, 3, 4], expected [1, 2]", "longer"),
        ("got [2, 3], expected [1, 2]", "elements"),
        ("got 'Ab', expected 'ab'", "case"),
        ("got inf, expected 1", "unknown"),
        ("got <object>, expected 1", "unknown"),
        (f"got {'(' * 300}, expected 1", "unknown"),
        ("ValueError: no", "raises"),
    ],
)
def test_signs_are_read_from_what_was_got_and_expected(detail: str, sign: str) -> None:
    assert symptoms(failed(detail)).signs == {sign}


def test_lines_of_a_traceback_and_endless_programs_are_told() -> None:
    found = symptoms(failed("IndexError: no\n  line 8, in f: return a[9]\n  line 12, in g: f(a)"))
    assert found == Symptoms(frozenset({8, 12}), frozenset({"raises"}))
    assert "endless" in symptoms(failed("", Outcome.TIMEOUT)).signs
    assert symptoms(None) == Symptoms()


@given(st.text(), st.text())
@settings(max_examples=200)
def test_whatever_a_candidate_says_is_read_as_data(got: str, expected: str) -> None:
    symptoms(failed(f"got {got}, expected {expected}\n{got}"))


def test_the_blamed_line_and_the_fitting_kind_come_first() -> None:
    program = "def f(a, b):\n    a = a + 1\n    b = b + 1\n    return a < b\n"
    second = programs(program, Symptoms(frozenset({3}), frozenset()))
    third = programs(program, Symptoms(frozenset({2}), frozenset()))
    assert second.index(program.replace("b + 1", "b + 2")) < third.index(
        program.replace("b + 1", "b + 2")
    )
    plain, told = programs(program), programs(program, Symptoms(signs=frozenset({"truth"})))
    turned = program.replace("a < b", "a <= b")
    assert told.index(turned) <= plain.index(turned)
    assert set(plain) == set(told)


def test_the_kind_makes_the_edits_one_by_one_and_asks_nobody() -> None:
    program = "def f(a):\n    return a < 3\n"
    task = PublicTask(id="t", prompt="def f(a):\n", entry_point="f")
    node = Node(Proposal(index=0), program, program, failed("got False, expected True"))
    known = Known(task, {0: node})
    edits = edits_of(program, symptoms(node.verdict), "f", task.prompt)
    assert edits is not None

    def work(step: int, known: Known = known) -> object:
        return kind_of("edit").work(
            Proposal(index=1, kind="edit", parent=0, step=step, free=True), known
        )

    for step in range(5):
        edit = edits.get(step)
        assert edit is not None
        assert work(step) == Made(edit[1])
    assert work(MOST) is None
    other = task.model_copy(update={"language": "bash"})
    assert work(0, Known(other, {0: node})) is None


def test_positions_are_those_of_the_text() -> None:
    source = read("def f(a):\r\n    return 'ä', a  # ö\r\n")
    assert source is not None
    (function,) = source.functions
    names = [node for node in source.nodes(function) if isinstance(node, ast.Name)]
    assert [source.of(node) for node in names] == ["a"]
    assert source.line_start(3) == len(source.data)
