"""What a user may call a task or suite, and what is said where nothing goes by that name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tasks import load_suite, load_task, load_tasks, suite_names
from tasks.model import TaskError, UnknownTaskError

ROW = '{"task_id": "%s", "prompt": "p", "entry_point": "f", "test": "assert f(1)"}\n'


def test_suites_by_name() -> None:
    assert {"examples", "humaneval"} <= set(suite_names())
    assert len(load_suite("humaneval")) == 164
    assert load_suite("examples").name == "examples"


@pytest.mark.parametrize("ref", ["humaneval/HumanEval/23", "humaneval/23"])
def test_one_task_of_a_suite(ref: str) -> None:
    assert load_task(ref).id == "HumanEval/23"


def test_bundled_example_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_task("examples/longest_run").id == "longest_run"


def test_existing_path_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "examples" / "mine"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    # A folder without tasks is not what anybody means by it.
    assert "longest_run" in load_suite("examples")
    (folder / "task.toml").write_text("prompt = 'def f(x):'\n")
    (folder / "test_f.py").write_text("assert f(1)\n")
    assert load_suite("examples").ids == ("mine",)
    assert [task.id for task in load_tasks("examples/")] == ["mine"]
    assert load_task("examples/mine").id == "mine"
    assert load_task("examples/longest_run").id == "longest_run"


def test_file_as_suite_and_one_task_of_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(ROW % "M/1" + ROW % "M/2")
    assert load_suite(str(path)).ids == ("M/1", "M/2")
    assert load_task(f"{path}#M/2").id == "M/2"
    with pytest.raises(
        TaskError, match=r"2 tasks, where one was expected; name one, e\.g\. .*#M/1"
    ):
        load_task(str(path))
    with pytest.raises(UnknownTaskError, match="no task 'M/9' among its 2 tasks; did you mean M/"):
        load_task(f"{path}#M/9")


def test_single_task_is_a_suite_of_one(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text("id = 'solo'\nprompt = 'def f(x):'\n")
    (tmp_path / "test_f.py").write_text("assert f(1)\n")
    assert load_suite(str(tmp_path)).ids == ("solo",)
    assert load_suite(str(tmp_path / "task.toml")).ids == ("solo",)


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("humanevil", "did you mean humaneval? known suites: examples, humaneval"),
        ("humanevil/3", "no such suite, file or folder; did you mean humaneval?"),
        ("qwertz", "known suites: examples, humaneval"),
        ("humaneval/HumanEval/999", "no task 'HumanEval/999' among its 164 tasks; did you mean"),
        ("examples/longest_ran", "did you mean longest_run"),
        ("gone.py", "gone.py: no such file or folder"),
        ("./gone", "./gone: no such file or folder"),
        ("gone.jsonl.gz", "no such file or folder"),
        ("gone.jsonl#1", "no file gone.jsonl"),
        ("", "names no task"),
        ("a\0b", "names no task"),
        ("x" * 5000, "no such suite"),
    ],
)
def test_unknown_name_is_one_line(ref: str, said: str) -> None:
    for load in (load_task, load_suite):
        with pytest.raises(UnknownTaskError) as error:
            load(ref)
        assert said in str(error.value)
        assert len(str(error.value).splitlines()) == 1


def test_folder_and_file_that_hold_no_task(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no task\.toml in it"):
        load_task(str(tmp_path))
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(TaskError, match="not a task; expected a folder with task"):
        load_task(str(tmp_path / "a.txt"))


def test_tests_go_with_a_stub_only(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="--tests goes with a stub"):
        load_task("humaneval/1", tests=[tmp_path / "t.py"])


def test_suite_names_one_of_many() -> None:
    with pytest.raises(
        TaskError, match=r"164 tasks, where one was expected; .*humaneval/HumanEval/0"
    ):
        load_task("humaneval")


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution that offers suites, good and bad."""
    (tmp_path / "my_plugin_suites.py").write_text(
        "from tasks import Suite, load_suite\n"
        "def good(): return Suite('mine', list(load_suite('examples'))[:2])\n"
        "def broken(): raise RuntimeError('no luck')\n"
        "def wrong(): return 3\n"
    )
    info = tmp_path / "my_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[regreen.suites]\n"
        "mine = my_plugin_suites:good\n"
        "broken = my_plugin_suites:broken\n"
        "gone = my_plugin_suites:gone\n"
        "wrong = my_plugin_suites:wrong\n"
        "humaneval = my_plugin_suites:wrong\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_plugin_suites", raising=False)


@pytest.mark.usefixtures("plugin")
def test_other_packages_offer_suites() -> None:
    assert "mine" in suite_names()
    assert len(load_suite("mine")) == 2
    assert load_task("mine/greet").id == "greet"
    assert len(load_suite("humaneval")) == 164


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "said"),
    [("broken", "RuntimeError: no luck"), ("gone", "AttributeError"), ("wrong", "returned int")],
)
def test_fault_of_another_package_is_one_line(name: str, said: str) -> None:
    with pytest.raises(TaskError) as error:
        load_suite(name)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1
