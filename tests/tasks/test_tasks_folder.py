"""Folders with task.toml: defaults, what is inferred, and one clear line for each mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import load_suite, load_task
from tasks.model import AssertTests, PublicTask, PytestTests, StdioTests, TaskError, TaskLimits

PROMPT = "prompt = 'def f(x):'\n"
TEST = "from solution import f\n\n\ndef test_f():\n    assert f(1) == 2\n"

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a task's folder: the text of task.toml, then files by their path."""

    def write(toml: str, files: dict[str, str] | None = None, *, name: str = "job") -> Path:
        folder = tmp_path / name
        for relative, text in {"task.toml": toml, **(files or {})}.items():
            path = folder / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder

    return write


def public(folder: Path) -> PublicTask:
    return load_task(str(folder)).public()


def test_a_prompt_and_a_test_file_are_enough(make: Make) -> None:
    folder = make(PROMPT, {"test_f.py": TEST})
    task = load_task(str(folder))
    assert task.public() == PublicTask(
        id="job",
        prompt="def f(x):",
        entry_point="f",
        visible=(PytestTests(source=TEST, filename="test_f.py"),),
        source=str(folder / "task.toml"),
    )
    assert not task.has_hidden
    assert load_task(str(folder / "task.toml")).id == "job"


def test_every_key_is_used(make: Make) -> None:
    toml = """
id = "other"
prompt_file = "prompt.md"
entry_point = "g"
entry_kind = "function"
language = "python"
module = "mine"
start = "begin.py"
mutates = true
requirements = ["numpy>=2", "attrs"]
tests = ["seen.py"]
hidden_tests = ["unseen.py"]

[limits]
cpu_seconds = 2
memory_mb = 256

[weights]
test_a = 3

[hidden_weights]
test_b = 0.5
"""
    seen = "from mine import g\ndef test_a():\n    assert g(1)\n"
    unseen = "from mine import g\ndef test_b():\n    assert g(2)\n"
    folder = make(
        toml,
        {
            "prompt.md": "Write g.",
            "begin.py": "def g(x): ...",
            "seen.py": seen,
            "unseen.py": unseen,
        },
    )
    task = load_task(str(folder))
    assert task.public() == PublicTask(
        id="other",
        prompt="Write g.",
        entry_point="g",
        module="mine",
        visible=(PytestTests(source=seen, filename="seen.py", weights={"test_a": 3.0}),),
        start="def g(x): ...",
        limits=TaskLimits(cpu_seconds=2, memory_mb=256),
        mutates=True,
        requirements=("numpy>=2", "attrs"),
        scored_elsewhere=True,
        source=str(folder / "task.toml"),
    )
    assert task.scoring() == (
        PytestTests(source=unseen, filename="unseen.py", weights={"test_b": 0.5}),
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def test_a():\n    assert f(1)\n", PytestTests),
        ("import unittest\nclass A(unittest.TestCase):\n    def test_a(self): f(1)\n", PytestTests),
        ("class TestA:\n    def test_a(self):\n        assert f(1)\n", PytestTests),
        ("def check(candidate):\n    assert candidate(1)\n", AssertTests),
        ("assert f(1) == 2\n", AssertTests),
        ("for x in range(3):\n    assert f(x) == x\n", AssertTests),
        ("def main():\n    assert f(1)\nmain()\n", AssertTests),
    ],
)
def test_kind_of_test_file_is_told_by_what_it_holds(
    make: Make, source: str, expected: type[AssertTests] | type[PytestTests]
) -> None:
    (tests,) = public(make(PROMPT, {"test_f.py": "from solution import f\n" + source})).visible
    assert type(tests) is expected
    if isinstance(tests, AssertTests):
        assert tests.function == ("check" if "check" in source else None)


def test_class_is_told_by_the_prompt(make: Make) -> None:
    test = "from solution import Box\ndef test_box():\n    assert Box().get() == 1\n"
    task = public(make("prompt = '''class Box:\n    def get(self): ...'''\n", {"test_b.py": test}))
    assert (task.entry_point, task.entry_kind) == ("Box", "class")


def test_cases_make_a_program(make: Make) -> None:
    files = {
        "cases/b.in": "1\n",
        "cases/b.out": "2\n",
        "cases/a.out": "usage\n",
        "cases/a.args": "--help\ntwo words\n",
        "hidden_cases/c.in": "5\n",
        "hidden_cases/c.out": "6\n",
    }
    task = load_task(str(make("prompt = 'Add one.'\nlanguage = 'bash'\nweights = {b = 2}", files)))
    (tests,) = task.public().visible
    assert isinstance(tests, StdioTests)
    assert [(c.name, c.stdin, c.stdout, c.args, c.weight) for c in tests.cases] == [
        ("a", "", "usage\n", ("--help", "two words"), 1.0),
        ("b", "1\n", "2\n", (), 2.0),
    ]
    assert (task.public().entry_kind, task.public().language) == ("program", "bash")
    (hidden,) = task.scoring()
    assert isinstance(hidden, StdioTests)
    assert [case.name for case in hidden.cases] == ["c"]


def test_docstring_examples_serve_where_no_visible_test_is_given(make: Make) -> None:
    toml = "prompt = '''def f(x):\n    \"\"\"f(1) == 2\"\"\"'''\n"
    task = load_task(str(make(toml, {"hidden/test_h.py": "assert f(7) == 8\n"})))
    assert task.public().visible == (
        AssertTests(source="assert f(1) == 2\n", filename="examples.py", derived=True),
    )
    assert task.has_hidden


@pytest.mark.parametrize(
    "files",
    [
        {"test_f.py": TEST, "hidden/test_f.py": TEST},
        {"test_f.py": "assert f(1) == 2\nassert f(2) == 3", "hidden/test_f.py": "assert f(1) == 2"},
        {"cases/a.out": "1", "hidden_cases/b.out": "1"},
    ],
)
def test_hidden_tests_that_are_visible_too_are_refused(make: Make, files: dict[str, str]) -> None:
    toml = "prompt = 'Write it.'\n" + ("entry_point = 'f'" if "test_f.py" in files else "")
    task = load_task(str(make(toml, files)))
    assert "use protocol given" in task.hidden_refused
    assert not task.has_hidden


def test_class_tests_with_the_same_calls_are_not_repeats(make: Make) -> None:
    start = "from solution import Box\n\n\n"
    files = {
        "test_a.py": start + "def test_a():\n    assert Box().get() == 1\n",
        "hidden/test_b.py": start + "def test_b():\n    assert Box().size() == 0\n",
    }
    assert load_task(str(make("prompt = 'class Box: ...'\n", files))).has_hidden


@pytest.mark.parametrize(
    ("toml", "files", "said"),
    [
        ("", {}, "task.toml: empty"),
        ("\nprompt = x\n", {}, "task.toml:2: not TOML: Invalid value"),
        (PROMPT + "tests = [\n", {}, ": not TOML"),
        (
            PROMPT + "\nentrypoint = 'f'\n",
            {},
            ":3: unknown key 'entrypoint'; did you mean entry_po",
        ),
        (PROMPT + "zzz = 1\n", {}, ":2: unknown key 'zzz'; known keys: id, prompt"),
        (PROMPT + "tests = 'a.py'\n", {}, ":2: tests: input should be a valid list"),
        (PROMPT + "mutates = 'yes'\n", {}, ":2: mutates: input should be a valid boolean"),
        (PROMPT + "entry_kind = 'thing'\n", {}, ":2: entry_kind: input should be 'function'"),
        (PROMPT + "module = 'a-b'\n", {}, ":2: module: "),
        (
            PROMPT + "[limits]\ncpu_seconds = 0\n",
            {},
            ":3: limits.cpu_seconds: input should be great",
        ),
        (PROMPT + "[limits]\nspeed = 0\n", {}, ":3: limits.speed: "),
        ("id = 'x'\n", {}, "give one of prompt and prompt_file; neither"),
        (PROMPT + "prompt_file = 'p'\n", {}, "give one of prompt and prompt_file; both"),
        ("prompt_file = 'p.md'\n", {}, "p.md: no such prompt file"),
        (PROMPT, {}, "no tests; a task needs"),
        (PROMPT + "tests = ['gone.py']\n", {}, "gone.py: no such test file"),
        (PROMPT + "tests = ['../gone.py']\n", {}, "lies outside the task's folder"),
        (
            PROMPT + "start = '/etc/hostname'\n",
            {"test_f.py": TEST},
            "lies outside the task's folder",
        ),
        (PROMPT, {"test_f.py": ""}, "test_f.py: empty, where a test file was expected"),
        (PROMPT, {"test_f.py": "a\0b"}, "test_f.py: binary"),
        (PROMPT, {"test_f.py": "x = 1\ndef f(:\n"}, "test_f.py:2: not valid Python"),
        (PROMPT, {"test_f.py": "x = 1\n"}, "test_f.py: no test in it"),
        (PROMPT, {"test_f.py": "import pytest\n"}, "imports pytest but has no test in it"),
        (PROMPT, {"test_f.py": "def test_a():\n    assert 1\n"}, "never uses the solution"),
        (PROMPT, {"test_f.py": TEST, "hidden/test_h.py": "("}, "test_h.py:1: not valid Python"),
        ("prompt = 'Write it.'\n", {"test_f.py": TEST}, "no entry point"),
        (
            PROMPT + "requirements = ['-r x']\n",
            {"test_f.py": TEST},
            "requirement '-r x' is not a pa",
        ),
        (PROMPT + "language = 'bash'\n", {"test_f.py": TEST}, "a bash task is tested by cases"),
        ("prompt = 'p'\ncases = 'c'\n", {}, "no such folder of cases"),
        ("prompt = 'p'\n", {"cases/a.in": "1"}, "a.in: there is no a.out beside it"),
        ("prompt = 'p'\n", {"cases/readme.md": "1"}, "no case in it"),
        (PROMPT + "entry_kind = 'function'", {"cases/a.out": "1"}, 'need entry_kind = "program"'),
    ],
)
def test_mistake_is_one_line(make: Make, toml: str, files: dict[str, str], said: str) -> None:
    folder = make(toml, files)
    with pytest.raises(TaskError) as error:
        load_task(str(folder))
    message = str(error.value)
    assert said in message
    assert str(folder) in message
    assert len(message.splitlines()) == 1


def test_symbolic_link_out_of_the_folder_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = make("prompt = 'p'\n", {"cases/a.out": "1"})
    (folder / "cases" / "a.in").symlink_to(tmp_path / "secret")
    with pytest.raises(TaskError, match="lies outside the task's folder"):
        load_task(str(folder))


def test_folder_of_folders_is_a_suite_in_order(make: Make, tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        make(PROMPT, {"test_f.py": TEST}, name=name)
    (tmp_path / "notes.txt").write_text("no task")
    suite = load_suite(str(tmp_path))
    assert suite.ids == ("a", "b", "c")
    assert load_task(f"{tmp_path}/#b").id == "b"


def test_two_tasks_of_one_id_are_refused(make: Make, tmp_path: Path) -> None:
    for name in ("a", "b"):
        make("id = 'same'\n" + PROMPT, {"test_f.py": TEST}, name=name)
    with pytest.raises(TaskError, match="two tasks have the id 'same'"):
        load_suite(str(tmp_path))
