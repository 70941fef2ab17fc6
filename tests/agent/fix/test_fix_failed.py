"""Failing tests as a run of CI names them: pytest's own files, read back."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.fix.failed import FailedTestsError, read_failed

TESTS = """\
import pytest

class TestOuter:
    class TestInner:
        def test_deep(self):
            assert False

@pytest.mark.parametrize("text", ["a - b", "c] - d", "é", "x::y"])
def test_text(text):
    assert False

def test_right():
    pass

@pytest.fixture
def broken():
    raise RuntimeError("no")

def test_broken(broken):
    pass
"""
PATHS = ("pkg/tests/test_a.py", "pkg/tests/test_bad.py", "cart.py")
FOUND = {
    "pkg/tests/test_a.py::TestOuter::TestInner::test_deep",
    "pkg/tests/test_a.py::test_text[a - b]",
    "pkg/tests/test_a.py::test_text[\\xe9]",
    "pkg/tests/test_a.py::test_text[x::y]",
    "pkg/tests/test_a.py::test_broken",
    "pkg/tests/test_bad.py",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pytest wrote of a run: `log`, `one.xml` and `two.xml` by family."""
    folder = tmp_path_factory.mktemp("run")
    tests = folder / "pkg" / "tests"
    tests.mkdir(parents=True)
    (tests / "test_a.py").write_text(TESTS)
    (tests / "test_bad.py").write_text("import nothing_of_that_name\n")
    for number, name in ((1, "one.xml"), (2, "two.xml")):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist",
             "--continue-on-collection-errors", "--color=yes", f"--junit-xml={name}",
             "-o", f"junit_family=xunit{number}", "-c", "/dev/null", f"--rootdir={folder}"],
            cwd=folder, capture_output=True, check=False,
        )  # fmt: skip
        (folder / "log").write_bytes(done.stdout)
    return folder


@pytest.mark.parametrize("name", ["log", "one.xml", "two.xml"])
def test_what_pytest_wrote_is_read_back(run: Path, name: str) -> None:
    found = set(read_failed(run / name, PATHS))
    assert found >= FOUND
    if name != "log":  # there, nobody can say where that id ends
        assert "pkg/tests/test_a.py::test_text[c] - d]" in found
    assert not any("test_right" in one for one in found)


def test_a_log_of_a_runner_with_dates_and_another_top(run: Path, tmp_path: Path) -> None:
    log = (run / "log").read_text()
    dated = "".join(f"2026-01-02T03:04:05.1234567Z {one}\n" for one in log.splitlines())
    (tmp_path / "log").write_text(dated)
    paths = [one.removeprefix("pkg/") for one in PATHS]
    found = set(read_failed(tmp_path / "log", paths))
    assert "tests/test_a.py::test_broken" in found
    assert "tests/test_a.py::TestOuter::TestInner::test_deep" in found


def test_a_green_run_names_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("==== 3 passed in 0.02s ====\n")
    (tmp_path / "x.xml").write_text('<testsuites><testsuite tests="0"/></testsuites>')
    assert read_failed(tmp_path / "log", PATHS) == ()
    assert read_failed(tmp_path / "x.xml", PATHS) == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", "neither JUnit XML nor"),
        (b"", "neither JUnit XML nor"),
        (b"<testsuites>", "is no XML"),
        (b"<html></html>", "its root is <html>"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><testsuites/>', "document type"),
        (b"\xff\xfe<\x00", "neither"),
    ],
)
def test_what_is_neither(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FailedTestsError, match=said) as caught:
        read_failed(tmp_path / "x", PATHS)
    assert "\n" not in str(caught.value)
    with pytest.raises(FailedTestsError, match="can't read"):
        read_failed(tmp_path / "absent", PATHS)


@given(st.one_of(st.binary(), st.text("<FAILED a.py:[]- \n/'\"=>?x&;!").map(str.encode)))
def test_whatever_a_file_holds_it_is_read_or_refused(content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        found: tuple[str, ...] = ()
        with suppress(FailedTestsError):
            found = read_failed(Path(file.name), PATHS)
        assert all(found)
