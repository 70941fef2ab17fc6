"""Kinds of proposals: what they ask, what they read, and what they can reach."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from agent.llm.base import Completion, Usage
from agent.llm.prompts import task_prompt
from agent.proposals.base import Ask, Known, Made, Node, Product
from agent.proposals.registry import UnknownKindError, kind_names, kind_of
from agent.search.base import PieceVerdict, Proposal
from sandbox.outcome import Outcome
from tasks.model import AssertTests, PublicTask
from tests.agent.author import PROMPT, RIGHT_PARTS, RUNGS, STUBS, TASK
from verifiers.verdict import TestResult, Verdict

FAILED = Verdict(
    outcome=Outcome.FAILED,
    reward=0.5,
    tests=(TestResult(name="f(1) == 5", outcome=Outcome.FAILED, detail="got 1, expected 5"),),
)


def completion(text: str, kind: Any = "chat") -> Completion:
    return Completion(text=text, usage=Usage(), finish="stop", model="m", seconds=0.0, kind=kind)


def fenced(program: str) -> str:
    return f"```python\n{program}```"


def node(
    index: int,
    kind: str,
    *,
    text: str = "",
    program: str = "",
    verdict: Verdict = FAILED,
    **more: Any,
) -> Node:
    return Node(Proposal(index=index, kind=kind, **more), text, program, verdict)


def known(*nodes: Node, task: PublicTask = TASK) -> Known:
    return Known(task, {one.proposal.index: one for one in nodes})


def asks(proposal: Proposal, found: Known) -> tuple[str, ...]:
    work = kind_of(proposal.kind).work(proposal, found)
    assert isinstance(work, Ask)
    assert work == kind_of(proposal.kind).work(proposal, found)
    roles = [one.role for one in work.messages]
    assert roles == (["user", "assistant"] * 3)[: len(roles)]
    return tuple(one.content for one in work.messages)


def reads(proposal: Proposal, text: str, found: Known, kind: str = "chat") -> Product:
    return kind_of(proposal.kind).read(proposal, completion(text, kind), found)


def wanted(proposal: Proposal, found: Known) -> PublicTask | None:
    work = kind_of(proposal.kind).work(proposal, found)
    assert isinstance(work, Ask)
    return work.wanted


PIECE = PieceVerdict(outcome=Outcome.PASSED, reward=1.0, left=2)
STUBBED = node(0, "decompose", verdict=PIECE, text=STUBS)


def decomposed() -> Known:
    first = Proposal(index=0, kind="decompose", step=3)
    product = reads(first, STUBS, known())
    return known(node(0, "decompose", program=product.program, verdict=PIECE, step=3))


def test_every_chat_about_the_task_begins_as_a_fresh_sample_does() -> None:
    (fresh,) = task_prompt(TASK)
    found = known(
        node(0, "sample", program=RUNGS[0]),
        node(1, "plan", text="Think.", verdict=PIECE),
        node(2, "step", program=PROMPT, verdict=PIECE),
    )
    for proposal in (
        Proposal(index=9, kind="sample"),
        Proposal(index=9, kind="repair", parent=0),
        Proposal(index=9, kind="plan"),
        Proposal(index=9, kind="code", parent=1),
        Proposal(index=9, kind="step", step=1, parent=2),
        Proposal(index=9, kind="decompose", step=2),
        Proposal(index=9, kind="compose", uses=(0,)),
        *(Proposal(index=9, kind="rollout", parent=parent) for parent in (None, 0, 1, 2)),
    ):
        assert asks(proposal, found)[0].startswith(fresh.content), proposal.kind


def test_each_question_says_which_program_it_wants() -> None:
    found = decomposed()
    nodes = [
        found.nodes[0],
        node(1, "sample", program=RUNGS[0]),
        node(2, "plan", text="Think.", verdict=PIECE),
        node(3, "step", program=PROMPT, verdict=PIECE),
    ]
    found = known(*nodes)
    for proposal in (
        Proposal(index=9, kind="sample"),
        Proposal(index=9, kind="repair", parent=1),
        Proposal(index=9, kind="code", parent=2),
        Proposal(index=9, kind="compose", uses=(1,)),
        *(Proposal(index=9, kind="rollout", parent=parent) for parent in (None, 1, 2, 3)),
    ):
        assert wanted(proposal, found) is TASK, proposal
    for kind in ("plan", "decompose"):  # words and stubs: nothing can be said of them early
        assert wanted(Proposal(index=9, kind=kind, step=2), found) is None
    step = wanted(Proposal(index=9, kind="step", step=1, parent=3), found)
    assert step is not None
    assert (step.entry_point, step.visible) == ("shift", ())
    helper = wanted(Proposal(index=9, kind="helper", step=1, parent=0), found)
    assert helper is not None
    assert (helper.entry_point, len(helper.visible)) == ("double", 1)


def test_repair_shows_the_program_and_why_it_failed() -> None:
    said = asks(
        Proposal(index=1, kind="repair", parent=0), known(node(0, "sample", program="P = 1"))
    )
    assert said[1] == fenced("P = 1\n")
    assert "- f(1) == 5: got 1, expected 5" in said[2]


def test_programs_and_plans_that_are_shown_again_are_bounded() -> None:
    long = "x = 1\n" * 50_000
    found = known(
        node(0, "sample", program=long),
        node(1, "plan", text=long, verdict=PIECE),
        node(2, "step", program=long, verdict=PIECE),
    )
    for proposal in (
        Proposal(index=9, kind="repair", parent=0),
        Proposal(index=9, kind="code", parent=1),
        Proposal(index=9, kind="rollout", parent=2),
        Proposal(index=9, kind="compose", uses=(0,)),
    ):
        assert sum(map(len, asks(proposal, found))) < 12_000


def test_what_is_asked_can_always_be_sent() -> None:
    odd = "def f(x):\n    return '\ud800'  # \udfff\n"
    verdict = Verdict(outcome=Outcome.ERROR, reward=0.0, detail="\ud800")
    piece = PieceVerdict(outcome=Outcome.PASSED, reward=1.0, left=1)
    found = known(
        node(0, "sample", program=odd, verdict=verdict),
        node(1, "plan", text=odd, verdict=piece),
        node(2, "step", program=odd, verdict=piece),
    )
    for proposal in (
        Proposal(index=9, kind="repair", parent=0),
        Proposal(index=9, kind="code", parent=1),
        Proposal(index=9, kind="rollout", parent=2),
        Proposal(index=9, kind="step", parent=2, step=1),
        Proposal(index=9, kind="compose", uses=(0,)),
    ):
        assert "".join(asks(proposal, found)).encode()


def test_plan_is_kept_without_what_was_only_thought() -> None:
    plan = Proposal(index=0, kind="plan")
    text = "<think>hm, secret</think>\n1. Double.\n2. Add."
    product = reads(plan, text, known())
    assert product.piece is not None
    assert product.piece.verdict is not None
    assert product.piece.verdict.passed
    said = asks(Proposal(index=1, kind="code", parent=0), known(node(0, "plan", text=text)))
    assert said[1] == "1. Double.\n2. Add."
    empty = reads(plan, "<think>nothing more</think>", known())
    assert empty.piece is not None
    assert empty.piece.verdict is not None
    assert not empty.piece.verdict.passed


def test_step_is_judged_by_the_examples_of_what_is_written() -> None:
    proposal = Proposal(index=0, kind="step", step=0)
    assert "Now write `twice` and nothing else" in asks(proposal, known())[0]
    product = reads(proposal, fenced(RIGHT_PARTS["twice"]), known())
    assert product.piece is not None
    judged = product.piece.task
    assert judged is not None
    assert (judged.entry_point, product.piece.left) == ("twice", 2)
    assert [tests.source for tests in judged.visible] == ["assert twice(3) == 6\n"]  # type: ignore[union-attr]
    last = Proposal(index=2, kind="step", step=2, parent=1)
    found = known(node(1, "step", program=product.program, verdict=PIECE))
    whole = reads(last, fenced(RIGHT_PARTS["f"]), found)
    assert whole.piece is None
    assert "return 2 * x" in whole.program
    assert "return shift(twice(x))" in whole.program


def test_step_that_was_not_written_is_worth_nothing() -> None:
    product = reads(Proposal(index=0, kind="step", step=1), "I can't.", known())
    assert product.piece is not None
    assert product.piece.verdict is not None
    assert product.piece.verdict.reward == 0
    assert product.program == PROMPT


def test_methods_are_judged_by_the_tasks_own_tests() -> None:
    prompt = "class C:\n    def a(self):\n        ...\n\n    def b(self):\n        ...\n"
    tests = AssertTests(source="assert C().a() == 1\nassert C().b() == 2\n")
    task = PublicTask(id="c", prompt=prompt, entry_point="C", entry_kind="class", visible=(tests,))
    found = known(task=task)
    product = reads(Proposal(index=0, kind="step"), fenced("def a(self):\n    return 1\n"), found)
    assert product.piece is not None
    assert product.piece.task == task
    bare = known(task=task.model_copy(update={"visible": ()}))
    product = reads(Proposal(index=0, kind="step"), fenced("def a(self):\n    return 1\n"), bare)
    assert product.piece is not None
    assert product.piece.task is None


def test_helpers_are_read_as_stubs_that_execute_nothing() -> None:
    text = fenced(
        "import os\n\n"
        "@os.system('echo 1')\n"
        "def one(x: os.system('echo 2') = os.system('echo 3')) -> os.system('echo 4'):\n"
        '    """One.\n\n    >>> one(1)\n    1\n    """\n'
        "    return os.system('echo 5')\n\n\n"
        "def f(x):\n    return 1\n\n\ndef twice(x):\n    ...\n"
    )
    product = reads(Proposal(index=0, kind="decompose", step=3), text, known())
    assert product.piece is not None
    assert product.piece.left == 2  # neither the entry point nor what the prompt has already
    assert "echo 5" not in product.program
    found = known(node(0, "decompose", program=product.program, verdict=PIECE, step=3))
    helper = Proposal(index=1, kind="helper", parent=0)
    read = reads(helper, fenced("def one(x):\n    return 1\n"), found)
    assert read.piece is not None
    apart = read.piece.task
    assert apart is not None
    assert "os.system" not in apart.model_dump_json()
    assert "echo" not in apart.prompt
    assert [tests.source for tests in apart.visible] == ["assert one(1) == 1\n"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["", "I would rather not.", fenced("def f(x): ...\n"), "```\n(\n```"]
)
def test_answer_without_helpers_is_a_decomposition_into_nothing(text: str) -> None:
    product = reads(Proposal(index=0, kind="decompose", step=3), text, known())
    assert product.piece is not None
    assert product.piece.left == 0


def test_helper_is_asked_for_again_with_what_failed() -> None:
    found = decomposed()
    first = asks(Proposal(index=1, kind="helper", parent=0, step=0), found)
    assert len(first) == 1
    assert "def plus(x: int, y: int = 0) -> int:" in first[0]
    assert "twice" not in first[0]  # alone
    failing = node(1, "helper", program="def plus(x, y): return x", step=0, parent=0)
    again = asks(
        Proposal(index=2, kind="helper", parent=0, step=0, uses=(1,)),
        known(found.nodes[0], failing),
    )
    assert len(again) == 3
    assert "return x" in again[1]


def test_composition_keeps_the_helpers_that_were_tested() -> None:
    found = decomposed()
    helpers = [
        node(index, "helper", program=RIGHT_PARTS[name], parent=0, step=index - 1)
        for index, name in ((1, "plus"), (2, "double"))
    ]
    compose = Proposal(index=3, kind="compose", parent=0, uses=(1, 2))
    text = fenced(
        "def plus(x, y):\n    return 'mine'\n\n\ndef f(x):\n    return plus(double(x), 3)\n"
    )
    product = reads(compose, text, known(found.nodes[0], *helpers))
    assert product.piece is None
    assert "mine" not in product.program
    namespace: dict[str, Any] = {}
    exec(compile(product.program, "<test>", "exec"), namespace)
    assert namespace["f"](5) == 13
    failed = node(3, "compose", program=product.program, parent=0, uses=(1, 2))
    again = asks(
        Proposal(index=4, kind="compose", parent=0, uses=(1, 2, 3)),
        known(found.nodes[0], *helpers, failed),
    )
    assert again[1] == fenced("def f(x):\n    return plus(double(x), 3)\n")


def test_rollout_of_a_partial_program_keeps_what_is_written() -> None:
    partial = PROMPT.replace('    6\n    """\n', '    6\n    """\n    return 2 * x\n')
    found = known(node(0, "step", program=partial, verdict=PIECE))
    proposal = Proposal(index=1, kind="rollout", parent=0)
    assert "Complete it, keeping what is written." in asks(proposal, found)[0]
    product = reads(proposal, fenced("def f(x):\n    return twice(x) + 3\n"), found)
    assert product.piece is None
    namespace: dict[str, Any] = {}
    exec(compile(product.program, "<test>", "exec"), namespace)
    assert namespace["f"](5) == 13


def test_recorded_continuations_are_joined_to_the_prompt() -> None:
    for proposal in (
        Proposal(index=1, kind="sample"),
        Proposal(index=1, kind="repair", parent=0),
        Proposal(index=1, kind="code", parent=0),
    ):
        product = reads(proposal, "    return 1\n", known(node(0, "sample")), "continuation")
        assert product.program == PROMPT + "    return 1\n"


@pytest.mark.parametrize("kind", ["repair", "code", "helper"])
def test_building_on_what_was_never_told_is_refused(kind: str) -> None:
    for parent in (None, 7):
        with pytest.raises(ValueError, match="may only build on what it was told of"):
            kind_of(kind).work(Proposal(index=1, kind=kind, parent=parent), known())


def test_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(
        UnknownKindError, match=r"unknown kind of proposal 'guess': known are code, "
    ):
        kind_of("guess")


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a kind of its own: it swaps two texts, and asks no model."""
    (folder / "swapping.py").write_text(
        "from agent.proposals.base import Made\n\n"
        "SWAPS = [(' - ', ' + '), ('2', '3')]\n\n\n"
        "class Edit:\n"
        "    def work(self, proposal, known):\n"
        "        program = known.parent(proposal).program\n"
        "        if proposal.step >= len(SWAPS) or SWAPS[proposal.step][0] not in program:\n"
        "            return None\n"
        "        return Made(program.replace(*SWAPS[proposal.step]))\n"
    )
    information = folder / "swapping-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: swapping\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[regreen.proposals]\nswap = swapping:Edit\n")
    monkeypatch.syspath_prepend(str(folder))


def test_kind_of_another_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    try:
        assert {"edit", "swap"} <= set(kind_names())
        found = known(node(0, "sample", program="def f(x):\n    return 2 * x - 3\n"))
        work = [
            kind_of("swap").work(Proposal(index=1, kind="swap", parent=0, step=step), found)
            for step in range(3)
        ]
        assert work[0] == Made("def f(x):\n    return 2 * x + 3\n")
        assert work[2] is None
    finally:
        kind_of.cache_clear()
        sys.modules.pop("swapping", None)
