"""Inputs made without a model: what they are made of, and that nothing is executed for them."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import Any

import pytest

from tasks import load_suite
from tasks.model import AssertTests, PublicTask
from verifiers.inputs import example_arguments, make_probes
from verifiers.inputs.kinds import Kind, of_annotation, of_values, refine
from verifiers.literal import probe_requests


def task(prompt: str, asserts: str = "") -> PublicTask:
    visible = (AssertTests(source=asserts),) if asserts else ()
    return PublicTask(id="t", prompt=prompt, entry_point="f", visible=visible)


def arguments(made: PublicTask, **options: Any) -> list[tuple[Any, ...]]:
    probes = make_probes(made, **options)
    assert probes is not None
    return [ast.literal_eval(f"({call[2:-1]},)") for call in probes.calls]


def test_annotations_give_the_types() -> None:
    prompt = (
        "from typing import *\n"
        "def f(a: int, b: List[Tuple[str, float]], c: 'Optional[bool]', d: dict[str, set[int]]):"
        "\n    ..."
    )
    found = arguments(task(prompt))
    assert len(found) > 50
    for a, b, c, d in found:
        assert type(a) is int
        assert all(type(text) is str and type(number) is float for text, number in b)
        assert c is None or type(c) is bool
        assert all(type(key) is str and type(item) is set for key, item in d.items())


def test_examples_are_changed_and_not_repeated() -> None:
    made = task("def f(xs, n):\n    ...\n", "assert f([3, 1, 2], 2) == 1\nassert f([], n=0) == 0\n")
    assert example_arguments(made) == [([3, 1, 2], 2), ([], 0)]
    found = arguments(made)
    assert ([3, 1, 2], 2) not in found
    assert ([], 0) not in found
    for close in (([], 2), ([2, 1, 3], 2), ([3, 1, 2, 3, 1, 2], 2), ([3, 1, 2], 1)):
        assert close in found
    assert len({repr(one) for one in found}) == len(found)


def test_a_call_in_prose_will_do() -> None:
    made = task("def f(s):\n    '''It is odd: f(\"abab\") gives yes.'''\n")
    assert example_arguments(made) == []
    assert ("abab",) in arguments(made) or ("baba",) in arguments(made)


def test_where_nothing_is_known_there_is_none_or_a_mixture() -> None:
    assert make_probes(task("Write a function f.")) is None
    assert make_probes(task("def f(*args): ...")) is None
    assert {type(one) for (one,) in arguments(task("def f(x): ..."))} == {int, str, list}
    other = task("def f(x: int): ...").model_copy(update={"entry_kind": "class"})
    assert make_probes(other) is None


def test_nothing_of_the_task_is_executed(tmp_path: Any) -> None:
    mark = tmp_path / "mark"
    bad = f"open({str(mark)!r}, 'w')"
    made = task(f"{bad}\ndef f(x: {bad} = {bad}): ...\n", f"{bad}\nassert f({bad}) == f(1)\n")
    make_probes(made)
    assert not mark.exists()


def test_the_same_in_every_process_and_another_with_another_seed() -> None:
    program = (
        "from tasks import load_suite\n"
        "from verifiers.inputs import make_probes\n"
        "print([make_probes(one.public()) for one in load_suite('humaneval')][:20])"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    made = task("def f(x: int): ...")
    assert make_probes(made, seed=1) != make_probes(made, seed=2)


def test_every_task_of_humaneval_gets_calls_that_are_literal() -> None:
    for one in load_suite("humaneval"):
        public = one.public()
        probes = make_probes(public)
        assert probes is not None
        assert 20 <= len(probes.calls) <= 120
        assert len(probe_requests(probes, public.entry_point)) == len(probes.calls)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("int", Kind("int")),
        ("typing.List", Kind("list")),
        ("list[int] | None", Kind("union", (Kind("list", (Kind("int"),)), Kind("none")))),
        ("Tuple[int, ...]", Kind("tuple", (Kind("int"),), open=True)),
        ("Literal['a', 'b']", Kind("str")),
        ("Any", Kind("unknown")),
        ("Callable[[int], int]", Kind("unknown", (Kind("unknown"), Kind("int")))),
    ],
)
def test_kinds_of_annotations(text: str, kind: Kind) -> None:
    assert of_annotation(ast.parse(text, mode="eval").body) == kind


def test_kinds_of_values() -> None:
    assert of_values([[1], []]) == Kind("list", (Kind("int"),))
    assert of_values([1, "a"]) == Kind("union", (Kind("int"), Kind("str")))
    assert of_values([]) == Kind("unknown")
    seen = of_values([[1, 2]])
    assert refine(Kind("list"), seen) == seen
    assert refine(Kind("unknown"), seen) == seen
    assert refine(Kind("str"), seen) == Kind("str")
