"""Stubs with their tests: which name is to be written, and what the search begins from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks import load_task
from tasks.model import AssertTests, PytestTests, TaskError

STUB = '''
def helper(x):
    return x


def f(x):
    """Add one."""


def last(x):
    return x
'''


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("test", "kind"),
    [
        ("from mine import f\ndef test_f():\n    assert f(1) == 2\n", PytestTests),
        ("from mine import helper, f\ndef test_f():\n    assert f(1) == 2\n", PytestTests),
        ("import mine\ndef test_f():\n    assert mine.f(1) == 2\n", PytestTests),
        ("import mine as m\ndef test_f():\n    assert m.f(1) == 2\n", PytestTests),
        ("assert f(1) == 2\n", AssertTests),
    ],
)
def test_entry_point_is_what_the_tests_use(tmp_path: Path, test: str, kind: type[object]) -> None:
    stub = write(tmp_path / "mine.py", STUB)
    tests = write(tmp_path / "checks.py", test)
    public = load_task(str(stub), tests=[tests]).public()
    assert (public.id, public.module, public.entry_point) == ("mine", "mine", "f")
    assert public.prompt == STUB
    assert public.start == ""
    assert [type(one) for one in public.visible] == [kind]


def test_written_body_is_what_the_search_begins_from(tmp_path: Path) -> None:
    source = "def f(x):\n    return x\n"
    stub = write(tmp_path / "mine.py", source)
    tests = write(tmp_path / "t.py", "assert f(1) == 2\n")
    assert load_task(str(stub), tests=[tests]).public().start == source


@pytest.mark.parametrize(
    "body", ["...", "pass", '"""Doc."""', "raise NotImplementedError", '"""D."""\n    ...']
)
def test_empty_body_is_no_start(tmp_path: Path, body: str) -> None:
    stub = write(tmp_path / "mine.py", f"def f(x):\n    {body}\n")
    write(tmp_path / "test_mine.py", "from mine import f\ndef test():\n    assert f(1)\n")
    assert load_task(str(stub)).public().start == ""


def test_class_is_an_entry_point_too(tmp_path: Path) -> None:
    stub = write(tmp_path / "box.py", "class Box:\n    def get(self):\n        ...\n")
    tests = write(tmp_path / "t.py", "from box import Box\ndef test():\n    assert Box().get()\n")
    public = load_task(str(stub), tests=[tests]).public()
    assert (public.entry_point, public.entry_kind, public.start) == ("Box", "class", "")


@pytest.mark.parametrize("place", ["test_mine.py", "mine_test.py", "tests/test_mine.py"])
def test_tests_named_after_the_stub_are_found(tmp_path: Path, place: str) -> None:
    stub = write(tmp_path / "mine.py", STUB)
    write(tmp_path / place, "from mine import f\ndef test():\n    assert f(1)\n")
    assert load_task(str(stub)).public().entry_point == "f"


def test_docstring_examples_are_the_last_resort(tmp_path: Path) -> None:
    stub = write(tmp_path / "mine.py", 'def f(x):\n    """\n    >>> f(1)\n    2\n    """\n')
    (tests,) = load_task(str(stub)).public().visible
    assert isinstance(tests, AssertTests)
    assert tests.source == "assert f(1) == 2\n"


def test_folder_of_tests(tmp_path: Path) -> None:
    stub = write(tmp_path / "mine.py", STUB)
    for name in ("test_a.py", "test_b.py"):
        write(tmp_path / "t" / name, "from mine import f\ndef test():\n    assert f(1)\n")
    assert len(load_task(str(stub), tests=[tmp_path / "t"]).public().visible) == 2


def test_entry_point_can_be_named(tmp_path: Path) -> None:
    stub = write(tmp_path / "mine.py", STUB)
    tests = write(tmp_path / "t.py", "from mine import f, last\ndef test():\n    assert f(1)\n")
    public = load_task(str(stub), tests=[tests], entry_point="last").public()
    assert public.entry_point == "last"
    with pytest.raises(TaskError, match="no 'gone' in it; it defines helper, f, last"):
        load_task(str(stub), tests=[tests], entry_point="gone")


@pytest.mark.parametrize(
    ("stub", "test", "said"),
    [
        ("", "assert f(1)", "mine.py: empty, where a stub was expected"),
        ("x = 1\n", "assert f(1)", "no function or class in it, so there is no entry point"),
        ("def f(:\n", "assert f(1)", "mine.py:1: not valid Python"),
        (STUB, "from mine import g\nassert g(1)", "imports 'g' from mine, but"),
        (STUB, "assert 1 == 1", "t.py never uses the solution; it should say: from mine import"),
        (STUB, "def test(:", "t.py:1: not valid Python"),
        (STUB, " ", "t.py: empty, where a test file was expected"),
        (STUB, "x = 1", "t.py: no test in it"),
    ],
)
def test_mistake_is_one_line(tmp_path: Path, stub: str, test: str, said: str) -> None:
    path = write(tmp_path / "mine.py", stub)
    tests = write(tmp_path / "t.py", test)
    with pytest.raises(TaskError) as error:
        load_task(str(path), tests=[tests])
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_stub_without_any_test(tmp_path: Path) -> None:
    stub = write(tmp_path / "mine.py", STUB)
    with pytest.raises(TaskError, match=r"no tests for f; give --tests FILE"):
        load_task(str(stub))


def test_missing_and_binary_test_files(tmp_path: Path) -> None:
    stub = write(tmp_path / "mine.py", STUB)
    with pytest.raises(TaskError, match="no such test file"):
        load_task(str(stub), tests=[tmp_path / "none.py"])
    (tmp_path / "b.py").write_bytes(b"\x80\x81")
    with pytest.raises(TaskError, match=r"b\.py:1: not UTF-8 text"):
        load_task(str(stub), tests=[tmp_path / "b.py"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(TaskError, match=r"no test_\*\.py in this folder"):
        load_task(str(stub), tests=[tmp_path / "empty"])
