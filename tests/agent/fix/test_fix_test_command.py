"""Test commands in the words of pytest and unittest, and what is none of them."""

from __future__ import annotations

import pytest

from agent.fix.environment.test_command import TestCommand, read_test_command
from verifiers.repository import File, RepositoryError, Snapshot
from verifiers.repository.selection import Selection, selection

TREE = Snapshot(
    files={
        path: File()
        for path in ("tests/test_a.py", "tests/unit/test_b.py", "src/shop/checks.py", "test_top.py")
    }
)


def asked(**given: tuple[str, ...]) -> TestCommand:
    return TestCommand(**given)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pytest", asked()),
        ("py.test -q -x tests", asked(paths=("tests",))),
        (
            "python -m pytest ./tests/ -k 'parse and not slow' -n 4 --cov=shop",
            asked(arguments=("-k", "parse and not slow"), paths=("tests",)),
        ),
        (
            "uv run pytest tests/test_a.py::test_x --deselect tests/test_a.py::test_y",
            asked(
                arguments=("--deselect=tests/test_a.py::test_y",),
                paths=("tests/test_a.py::test_x",),
            ),
        ),
        (
            "coverage run --source shop -m pytest -p pytest_mock --ignore tests/unit",
            asked(arguments=("-ppytest_mock", "--ignore", "tests/unit")),
        ),
        ("python3.11 -m unittest", asked(files=("test*.py",))),
        (
            "python -m unittest discover -v -s tests -p '*_check.py' -k parse",
            asked(arguments=("-k", "parse"), paths=("tests",), files=("*_check.py",)),
        ),
        ("python -m unittest discover tests", asked(paths=("tests",), files=("test*.py",))),
        (
            "python -m unittest discover -t src",
            asked(files=("test*.py",), roots=("src",)),
        ),
        (
            "python -m unittest -v tests.test_a.Case.test_x shop.checks tests.unit",
            asked(
                paths=("tests/test_a.py::Case::test_x", "src/shop/checks.py", "tests/unit"),
                files=("test_a.py", "checks.py", "test*.py"),
            ),
        ),
    ],
)
def test_what_a_command_asks_for(command: str, expected: TestCommand) -> None:
    assert read_test_command(command, TREE) == expected


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "allowed are"),
        ("make test", "allowed are"),
        ("pytest && rm -rf /", "no '&&'"),
        ("python setup.py test", "allowed are"),
        ("python -c 'import pytest'", "allowed are"),
        ("tox -e py311", "allowed are"),
        ("pytest 'tests", "can't be read"),
        ("pytest nowhere", "no 'nowhere'"),
        ("pytest ../tests", r"no '\.\./tests'"),
        ("pytest -k 'a[1]'", "only names"),
        ("python -m unittest nowhere.test", "no module"),
        ("python -m unittest --durations 5", "not known"),
    ],
)
def test_what_is_refused_says_why(command: str, said: str) -> None:
    with pytest.raises(RepositoryError, match=said) as refused:
        read_test_command(command, TREE)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), Selection()),
        (("-k", "parse and not slow"), Selection(words=("parse",), others=("slow",))),
        (("-kparse", "-m", "not net"), Selection(words=("parse",))),
        (("-m", "(unit or fast) and not net"), Selection(marks=("fast",))),
        (("-k", "not order"), Selection(others=("order",))),
        (("-k", "a[1] or b"), Selection()),
        (("-k", "a", "-k", "b"), Selection(words=("b",))),
    ],
)
def test_how_a_test_has_to_look_to_be_selected(
    arguments: tuple[str, ...], expected: Selection
) -> None:
    assert selection(arguments) == expected
