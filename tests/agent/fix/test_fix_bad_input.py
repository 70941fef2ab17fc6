"""Whatever a repository is like: an exit code that says it, one line of reason, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.agent.fix.conftest import Fix, Write

CART = (
    "def total(prices):\n    result = 0\n    for place in range(1, len(prices)):\n"
    "        result += prices[place]\n    return result\n"
)
TESTS = (
    "from cart import total\n\ndef test_none():\n    assert total([]) == 0\n\n"
    "def test_some():\n    assert total([2, 3]) == 5\n"
)
ODD = """
import locale, os, socket, subprocess
from pathlib import Path
import pytest
import bom, latin, tabs

SEEN = []

def test_coding():
    assert latin.WORD == "caf\\u00e9" and bom.WORD == "\\u00fc" and tabs.f() == 1

def test_order_first():
    SEEN.append(1)

def test_order_second():
    assert SEEN

def test_home_may_be_written():
    (Path.home() / "a").write_text("x")

def test_megabytes():
    print("x" * 5_000_000)
    os.write(1, b"y" * 5_000_000)

def test_network():
    socket.create_connection(("127.0.0.1", 9), timeout=5)

def test_writes_beside_itself():
    Path("out.txt").write_text("x")

def test_writes_outside():
    Path("/usr/out.txt").write_text("x")

def test_plugin(mocker):
    pass

def test_program():
    subprocess.run(["program-that-nobody-has"], check=True)

def test_locale():
    locale.setlocale(locale.LC_ALL, "tlh_QO.UTF-8")

@pytest.mark.parametrize("number", [hash("a") % 100_000])
def test_id(number):
    pass

def test_flaky():
    assert hash("FLAKY") % 2
"""


def a_flaky_word() -> str:
    """One whose hash is even with one of the seeds 0 and 1 only."""
    code = "print([hash(f'w{n}') % 2 for n in range(64)])"
    first, second = (
        eval(
            subprocess.run(
                ["/usr/bin/env", f"PYTHONHASHSEED={seed}", sys.executable, "-c", code],
                capture_output=True, text=True, check=True,
            ).stdout
        )
        for seed in (0, 1)
    )  # fmt: skip
    return next(f"w{n}" for n, (a, b) in enumerate(zip(first, second, strict=True)) if a != b)


@pytest.fixture
def odd(write: Write, tmp_path: Path) -> Path:
    """A repository with one mistake and much that is strange, in a git work tree with changes."""
    crlf = CART.replace("\n", "\r\n").encode()
    (tmp_path / "outside.py").write_text("x = 1\n")
    folder = write(
        {
            "cart.py": crlf.replace(b"0\r\n", b"1\r\n", 1),
            "latin.py": b"# -*- coding: latin-1 -*-\nWORD = 'caf\xe9'\n",
            "bom.py": b"\xef\xbb\xbfWORD = '\xc3\xbc'\n",
            "tabs.py": "def f():\n\treturn 1\n",
            "tests/test_cart \u00fc x.py": TESTS,
            "tests/test_odd.py": ODD.replace("FLAKY", a_flaky_word()),
            "tests/test_lacks.py": "import module_that_nobody_has\n",
            "tests/test_broken.py": "def test_a(:\n",
            "vendor/lib/.git": "gitdir: ../../.git/modules/lib\n",
            "vendor/lib/vendored.py": "y = 1\n",
        }
    )
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "cart.py"], cwd=folder, check=True)
    settings = ["-c", "user.name=a", "-c", "user.email=a@b.test"]
    subprocess.run(["git", *settings, "commit", "-qm", "x"], cwd=folder, check=True)
    (folder / "cart.py").write_bytes(crlf)
    (folder / "alias.py").symlink_to("cart.py")
    (folder / "loop.py").symlink_to("loop.py")
    (folder / "tests" / "up").symlink_to("..")
    (folder / "outside.py").symlink_to(tmp_path / "outside.py")
    (folder / "data.bin").touch()
    os.truncate(folder / "data.bin", 17 << 20)
    os.mkfifo(folder / "pipe")
    (folder / "unreadable.txt").touch(mode=0)
    return folder


def test_a_repository_with_all_that_is_strange(fix: Fix, odd: Path) -> None:
    before = (odd / "cart.py").read_bytes()
    ended = fix(odd, "--apply")
    found = ended.found
    assert found["status"] == "fixed", found
    assert found["fixed"] == ["tests/test_cart \u00fc x.py::test_some"]
    # the patch is shown, and the file with uncommitted changes stays as it is
    assert ended.code == 2
    assert "cart.py has uncommitted changes" in ended.line
    assert "--allow-dirty" in ended.line
    assert (odd / "cart.py").read_bytes() == before
    diff = found["diff"].encode()
    subprocess.run(["git", "apply", "-"], cwd=odd, input=diff, check=True)
    after = (odd / "cart.py").read_bytes()
    assert after.count(b"\r\n") == after.count(b"\n") == before.count(b"\n")
    _check_kinds(found)
    notes = "\n".join(found["notes"])
    assert "the link outside.py leads out" in notes
    assert "the link tests/up leads in a circle" in notes
    assert "data.bin has more than 16 MiB" in notes
    if os.geteuid():
        assert "unreadable.txt can't be read" in notes


def _check_kinds(found: dict[str, object]) -> None:
    """Each of the odd tests is of its kind, and no target."""
    lacking = found["lacking"]
    assert isinstance(lacking, dict)
    kinds = {name.rpartition("::")[2]: what for name, what in lacking.items()}
    assert "the network" in kinds.pop("test_network")
    assert "writes where it may not" in kinds.pop("test_writes_beside_itself")
    assert "writes where it may not" in kinds.pop("test_writes_outside")
    assert "the fixture 'mocker'" in kinds.pop("test_plugin")
    assert "the program 'program-that-nobody-has'" in kinds.pop("test_program")
    assert "a locale" in kinds.pop("test_locale")
    assert "'module_that_nobody_has'" in kinds.pop("tests/test_lacks.py")
    assert not kinds
    flaky = found["flaky"]
    assert isinstance(flaky, list)
    assert "tests/test_odd.py::test_flaky" in flaky
    assert len([name for name in flaky if "test_id" in name]) == 2


@pytest.mark.parametrize("what", ["nowhere", "a file"])
def test_what_is_no_repository(fix: Fix, tmp_path: Path, what: str) -> None:
    (tmp_path / "a file").touch()
    ended = fix(tmp_path / what)
    assert ended.code == 2
    assert "is no folder" in ended.line


def test_a_folder_with_nothing_in_it(fix: Fix, tmp_path: Path) -> None:
    ended = fix(tmp_path)
    assert (ended.code, ended.found.get("status")) == (3, "environment")
    assert ended.found["reason"] == "no test was found"


@pytest.mark.parametrize(
    ("files", "words", "code", "said"),
    [
        ({"pyproject.toml": "[project"}, [], 2, "pyproject.toml can't be read"),
        ({"setup.cfg": "no section"}, [], 2, "setup.cfg can't be read"),
        ({}, ["--test-cmd", "make test"], 2, "allowed are"),
        ({}, ["--test-cmd", "pytest gone"], 2, "no 'gone' in the repository"),
        ({}, ["--requirement", "https://x.test/a.whl"], 2, "allowed are a name"),
        ({"pytest.ini": "[pytest]\naddopts = '"}, [], 2, "pytest.ini"),
    ],
)
def test_mistakes_are_one_line_before_anything_runs(
    fix: Fix, write: Write, files: dict[str, str | bytes], words: list[str], code: int, said: str
) -> None:
    ended = fix(write({"cart.py": CART, "test_cart.py": TESTS, **files}), *words)
    assert ended.code == code
    assert said in ended.line


@pytest.mark.parametrize(
    ("files", "code", "status", "said"),
    [
        ({"test_cart.py": "def test_a(:\n"}, 3, "environment", "can't be collected: "),
        ({"conftest.py": "import gone_away\n"}, 3, "environment", "gone_away"),
        ({"test_cart.py": "import os\nos._exit(0)\n"}, 3, "environment", "ended early"),
        ({"pytest.ini": "[pytest]\naddopts = --no-such\n"}, 3, "environment", "--no-such"),
        ({"cart.py": "import cython_thing\n"}, 3, "environment", "'cython_thing'"),
    ],
    ids=["no Python", "conftest", "ends", "option", "a source lacks a module"],
)
def test_suites_that_say_nothing_of_a_fault(
    fix: Fix, write: Write, files: dict[str, str | bytes], code: int, status: str, said: str
) -> None:
    ended = fix(write({"cart.py": CART, "test_cart.py": TESTS, **files}))
    assert (ended.code, ended.found.get("status")) == (code, status)
    assert said in ended.found["reason"]
    assert "\n" not in ended.found["reason"]


def make_wheel(folder: Path, name: str) -> None:
    """A wheel with one module, as an index would have it."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "ONE = 1\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip's own configuration, with a private index: a folder with one wheel."""
    folder = tmp_path_factory.mktemp("index")
    monkeypatch.setenv("REGREEN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
    make_wheel(folder, "havethis")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.usefixtures("index")
def test_a_dependency_that_can_not_be_had_is_named(fix: Fix, write: Write) -> None:
    project = '[project]\nname = "shop"\ndependencies = ["havethis>=1", "lacksthis>=2"]\n'
    ended = fix(write({"cart.py": CART, "test_cart.py": TESTS, "pyproject.toml": project}))
    assert ended.code == 3
    reason = ended.found["reason"]
    assert reason.startswith("lacksthis>=2 (pyproject.toml [project]) can't be installed: ")
    assert "havethis" not in reason
    assert "\n" not in reason


@pytest.mark.usefixtures("index")
def test_without_an_extra_the_rest_is_repaired(fix: Fix, write: Write) -> None:
    project = (
        '[project]\nname = "shop"\n[project.optional-dependencies]\n'
        'test = ["havethis==1.0", "lacksthis"]\n'
    )
    ended = fix(
        write(
            {
                "cart.py": CART,
                "test_cart.py": f"import havethis\n{TESTS}",
                "test_more.py": "import lacksthis\n",
                "pyproject.toml": project,
            }
        )
    )
    assert (ended.code, ended.found.get("status")) == (0, "fixed"), ended
    assert "no module named 'lacksthis'" in ended.found["lacking"]["test_more.py"]
    assert [note for note in ended.found["notes"] if "lacksthis" in note and "left out" in note]


def test_a_suite_that_hangs_before_any_test(fix: Fix, write: Write) -> None:
    hanging = "import time\ntime.sleep(600)\n"
    ended = fix(write({"cart.py": CART, "test_cart.py": hanging}), "--suite-seconds", "2")
    assert ended.code == 3
    assert "more than 2 s" in ended.found["reason"]
