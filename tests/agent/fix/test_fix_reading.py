"""What is read off a repository without running it: requirements, suspects, edits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.fix.candidate import Candidate, Origin, Place, unified_diff
from agent.fix.edits import edits
from agent.fix.requirements import read_requirements
from agent.fix.suspects import find_suspects
from agent.fix.targets import Targets
from verifiers.repository import File, RepositoryError, Snapshot


def tree(**files: str | bytes) -> Snapshot:
    """A snapshot; `__` in a name stands for `/`, and `.py` is added where there is no dot."""
    found = {}
    for name, text in files.items():
        path = name.replace("__", "/")
        path = path if "." in path else f"{path}.py"
        found[path] = File(content=text.encode() if isinstance(text, str) else text)
    return Snapshot(files=found)


def test_requirements_of_code_and_tests_and_of_nothing_else() -> None:
    snapshot = Snapshot(
        files={
            "pyproject.toml": File(
                content=b"""
[project]
name = "My_Project"
dependencies = ["attrs>=20", "six ; python_version > '3'"]
[project.optional-dependencies]
test = ["pytest>=7", "freezegun", "my-project[extra]", "pytest-cov"]
docs = ["sphinx", "furo"]
[dependency-groups]
dev = [{include-group = "tests"}, "ruff"]
tests = ["pytz", {include-group = "dev"}]
"""
            ),
            "setup.cfg": File(content=b"[options]\ninstall_requires =\n    idna\n    attrs>=20\n"),
            "requirements.txt": File(
                content=b"# a note\n-e .\n-r other.txt\nhttps://x.test/a.whl\n./b\nchardet # why\n"
            ),
        }
    )
    assert read_requirements(snapshot) == (
        "attrs>=20", "chardet", "freezegun", "idna", "pytz", 'six; python_version > "3"',
    )  # fmt: skip
    assert read_requirements(tree(a="x = 1\n")) == ()


def test_a_broken_settings_file_is_one_line() -> None:
    with pytest.raises(RepositoryError, match=r"pyproject\.toml can't be read"):
        read_requirements(Snapshot(files={"pyproject.toml": File(content=b"[project")}))


SHOP = tree(
    shop__cart="""
from shop.money import rounded

class Cart:
    def __init__(self):
        self.prices = []

    def total(self):
        result = 0
        for price in self.prices:
            result = price
        return rounded(result)
""",
    shop__money="""
def rounded(amount):
    return round(amount, 2)

def shown(amount):
    return f"{amount:.2f}"
""",
    tests__test_cart="""
from shop.cart import Cart

def test_total():
    cart = Cart()
    cart.prices = [1, 2]
    assert cart.total() == 3
""",
    tests__test_money="""
from shop.money import rounded, shown

def test_rounded():
    assert rounded(1.234) == 1.23

def test_shown():
    assert shown(1) == "1.00"
""",
)
SOURCES = ("shop/cart.py", "shop/money.py")
TARGETS = Targets(
    failing={
        "tests/test_cart.py::test_total": "tests/test_cart.py:7: in test_total\nE   assert 2 == 3"
    },
    passing=("tests/test_money.py::test_rounded", "tests/test_money.py::test_shown"),
)


def test_what_only_failing_tests_come_to_is_most_suspicious() -> None:
    found = find_suspects(SHOP, SOURCES, TARGETS)
    names = [one.name for one in found]
    assert names[0] in ("Cart.total", "Cart.__init__")
    assert names.index("Cart.total") < names.index("rounded")
    assert "shown" not in names  # no failing test comes to it


def test_a_traceback_says_where() -> None:
    detail = "tests/test_cart.py:7: in test_total\nshop/money.py:3: in rounded\nE   TypeError: no"
    told = TARGETS.model_copy(update={"failing": {"tests/test_cart.py::test_total": detail}})
    first = find_suspects(SHOP, SOURCES, told)[0]
    assert (first.name, first.lines) == ("rounded", (3,))


def test_only_sources_are_suspects() -> None:
    assert {one.path for one in find_suspects(SHOP, SOURCES[:1], TARGETS)} == {"shop/cart.py"}


def test_a_test_that_other_code_made_blames_what_its_file_imports() -> None:
    told = TARGETS.model_copy(update={"failing": {"tests/test_cart.py::made[1]": "E   assert 1"}})
    assert {one.name for one in find_suspects(SHOP, SOURCES, told)} == {
        "Cart.__init__", "Cart.total",
    }  # fmt: skip


def test_edits_are_distinct_and_one_of_them_is_right() -> None:
    suspects = find_suspects(SHOP, SOURCES, TARGETS)
    made = list(edits(SHOP, suspects, TARGETS.failing))
    assert len({one.identity for one in made}) == len(made)
    assert {one.origin for one in made} == {Origin.EDIT}
    right = (SHOP.text("shop/cart.py") or "").replace("result = price", "result += price")
    assert {"shop/cart.py": right} in [one.texts for one in made]


@pytest.mark.parametrize(
    "content",
    [
        b"def f(x):\r\n    return x - 1\r\n",
        b"\xef\xbb\xbfdef f(x):\n    return x - 1\n",
        b"def f(x):\n\treturn x - 1",
    ],
    ids=["crlf", "mark", "tab"],
)
def test_all_but_the_edit_stays_as_it_was(content: bytes) -> None:
    snapshot = tree(
        mod=content, test_mod="from mod import f\n\ndef test_f():\n    assert f(1) == 2\n"
    )
    failing = {"test_mod.py::test_f": "E   assert 0 == 2"}
    suspects = find_suspects(snapshot, ("mod.py",), Targets(failing=failing))
    made = edits(snapshot, suspects, failing)
    texts = [(one.texts["mod.py"] or "").encode() for one in made]
    assert content.replace(b"x - 1", b"x + 1") in texts


@pytest.mark.parametrize(
    "content",
    [
        b"# coding: latin-1\n# \xe9\ndef f(x):\n    return x - 1\n",
        b"def f(x):\r\n    return x - 1\n",
        b"def f(x:\n",
    ],
    ids=["latin-1", "mixed line ends", "no Python"],
)
def test_what_can_not_be_kept_is_left_alone(content: bytes) -> None:
    snapshot = tree(
        mod=content, test_mod="from mod import f\n\ndef test_f():\n    assert f(1) == 2\n"
    )
    failing = {"test_mod.py::test_f": "E   assert 0 == 2"}
    suspects = find_suspects(snapshot, ("mod.py",), Targets(failing=failing))
    assert list(edits(snapshot, suspects, failing)) == []


def test_a_diff_of_a_file_without_a_last_line_end() -> None:
    snapshot = tree(mod="a = 1\nb = 2")
    diff = unified_diff(snapshot, "mod.py", "a = 1\nb = 3")
    assert diff.splitlines() == [
        "--- a/mod.py", "+++ b/mod.py", "@@ -1,2 +1,2 @@", " a = 1", "-b = 2",
        "\\ No newline at end of file", "+b = 3", "\\ No newline at end of file",
    ]  # fmt: skip


def test_a_patch_of_several_files_is_one_diff_that_git_takes(tmp_path: Path) -> None:
    files = {"a.py": "a = 1\n", "b.py": "b = 1\r\nc = 2\r\n", "gone.py": "x = 1\n"}
    snapshot = Snapshot(files={name: File(content=text.encode()) for name, text in files.items()})
    patch = Candidate(
        texts={"a.py": "a = 2\n", "b.py": "b = 1\r\nc = 3\r\n", "new/d.py": "d = 1\n",
               "gone.py": None},
        places=(Place(path="a.py", line=1), Place(path="b.py", name="f", line=2)),
        kind="whole file",
    )  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode())
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    diff = patch.diff(snapshot).encode()
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff, check=True)
    assert (tmp_path / "b.py").read_bytes() == b"b = 1\r\nc = 3\r\n"
    assert (tmp_path / "new/d.py").read_text() == "d = 1\n"
    assert (tmp_path / "a.py").read_text() == "a = 2\n"
    assert not (tmp_path / "gone.py").exists()
    assert (str(patch), patch.size(snapshot)) == ("a.py:1, b.py:2 (whole file)", 6)
