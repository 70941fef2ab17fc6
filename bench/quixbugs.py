"""QuixBugs' programs, which have one fault each, as small repositories."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verifiers.repository import File, Snapshot

_TOO_LONG = {"levenshtein": (3,)}
"""Cases that take minutes even of a right program."""

_CASES = '''"""The cases of {name}."""

import copy

import pytest
from {name} import {name}

CASES = {cases!r}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_case(number):
    arguments, expected = copy.deepcopy(CASES[number])
    got = {name}(*arguments)
    if not isinstance(got, (bool, int, float, str, list, dict, tuple, set, type(None))):
        got = list(got)
    assert got == expected
'''


def read_rows(path: Path, only: str = "") -> list[dict[str, Any]]:
    """The lines of a file of `name`, `buggy` and tests.

    Args:
        path: of it.
        only: names, separated by commas; empty for all.
    """
    names = {name for name in only.split(",") if name}
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [row for row in rows if not names or row["name"] in names]


def usual_cases(name: str, cases: Sequence[Any]) -> list[Any]:
    """A program's cases without those that take too long."""
    left_out = _TOO_LONG.get(name, ())
    return [case for number, case in enumerate(cases) if number not in left_out]


def case_file(name: str, cases: Sequence[Any]) -> str:
    """A test file with one test, whose parameters are the cases."""
    return _CASES.format(name=name, cases=list(cases))


def repository(row: dict[str, Any]) -> Snapshot:
    """The files of one program's repository."""
    name = row["name"]
    if "cases" in row:
        files = {
            f"{name}.py": row["buggy"],
            f"test_{name}.py": case_file(name, usual_cases(name, row["cases"])),
        }
    else:
        files = {
            f"python_programs/{name}.py": row["buggy"],
            "python_programs/__init__.py": "",
            f"test_{name}.py": row["pytest"],
            "conftest.py": "import pytest\n\npytest.use_correct = False\n",
            **row["support"],
        }
    return Snapshot(files={path: File(content=text.encode()) for path, text in files.items()})
