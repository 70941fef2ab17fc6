"""Snapshots, settings, what a patch may change, tests that must fail: no process is started."""

from __future__ import annotations

import ast
import io
import os
import tarfile
from pathlib import Path

import pytest

from sandbox.suite import Status, SuiteReport, SuiteTest
from verifiers.repository import (
    File,
    RepositoryError,
    Rules,
    Snapshot,
    SnapshotLimits,
    read_archive,
    take_snapshot,
)
from verifiers.repository.baseline import compare
from verifiers.repository.canary import make_canary, set_traps
from verifiers.repository.options import SuiteOptions
from verifiers.repository.patch import check, sources, syntax
from verifiers.repository.runners.pytest import PytestRunner
from verifiers.repository.settings import SuiteSettings, read_settings


def tree(**files: str) -> Snapshot:
    """A snapshot; `__` in a name stands for a slash, and a suffix is .py unless there is one."""
    return snapshot({name.replace("__", "/") + ".py": text for name, text in files.items()})


def snapshot(files: dict[str, str]) -> Snapshot:
    return Snapshot(files={path: File(content=text.encode()) for path, text in files.items()})


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def test_a_snapshot_has_no_history_caches_or_environments(tmp_path: Path) -> None:
    kept = ("app.py", "pkg/mod.py", "pkg/data.bin", ".github/ci.yml", "tests/test_app.py")
    write(tmp_path, *kept)
    write(
        tmp_path,
        ".git/config",
        "pkg/__pycache__/mod.pyc",
        "pkg/old.pyc",
        "pkg/evil.pth",
        "mine/pyvenv.cfg",
        "mine/lib/thing.py",
        ".venv/bin/python",
        "node_modules/x/index.js",
        ".hypothesis/examples/1",
    )
    (tmp_path / "app.py").chmod(0o755)
    os.mkfifo(tmp_path / "pipe")
    found = take_snapshot(tmp_path)
    assert set(found.files) == set(kept)
    assert found.files["app.py"].executable
    assert not found.files["pkg/mod.py"].executable
    assert found.size == sum(map(len, kept))


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside.py", "pkg/../../outside.py"])
def test_links_that_lead_out_are_refused(tmp_path: Path, target: str) -> None:
    top = tmp_path / "top"
    write(top, "pkg/mod.py")
    (tmp_path / "outside.py").write_text("")
    (top / "link.py").symlink_to(target)
    with pytest.raises(RepositoryError, match=r"link\.py leads out of the repository"):
        take_snapshot(top)


def test_what_can_not_be_taken_is_left_out_and_said(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (top / "a.py").write_text("x = 1\n")
    (top / "loop").symlink_to("loop")
    (top / "here").symlink_to(".")
    (top / "out").symlink_to("../elsewhere")
    (top / "data.bin").touch()
    os.truncate(top / "data.bin", 17 << 20)
    (top / os.fsdecode(b"n\xe9.py")).touch()
    os.mkfifo(top / "pipe")
    closed = top / "closed"
    closed.mkdir(mode=0)
    (top / "secret.py").touch(mode=0)
    said: list[str] = []
    try:
        found = take_snapshot(top, leave_out=said.append)
    finally:
        closed.chmod(0o755)
    assert found.files["a.py"].content == b"x = 1\n"
    assert found.files["loop"].link == "loop"
    told = "\n".join(said)
    assert "the link out leads out" in told
    assert "the link here leads in a circle" in told
    assert "data.bin has more than 16 MiB" in told
    assert "n\\xe9.py" in told
    assert not {"out", "data.bin", "pipe"} & found.files.keys()
    if os.geteuid():  # root may read all
        assert "secret.py can't be read (Permission denied)" in told
        assert "closed can't be read (Permission denied)" in told


def _tar(*entries: tuple[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, link in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = (tarfile.SYMTYPE, link) if link else (tarfile.REGTYPE, "")
            archive.addfile(entry, None if link else io.BytesIO(b""))
    return buffer.getvalue()


def test_a_tree_that_a_stranger_has_packed() -> None:
    found = read_archive(_tar(("./a/b.py", ""), ("c", "a/../a/b.py"), ("x/__pycache__/y", "")))
    assert set(found.files) == {"a/b.py", "c"}
    assert found.files["c"].link == "a/../a/b.py"


@pytest.mark.parametrize(
    "data",
    [
        _tar(("../a", "")), _tar(("/etc/a", "")), _tar(("a/../../b", "")), _tar(("a", "/etc")),
        _tar(("a/b", "../../c")), b"nothing" * 200,
    ],
    ids=["above", "absolute", "around", "link away", "link above", "no tar"],
)  # fmt: skip
def test_a_tree_that_leads_out_is_refused(data: bytes) -> None:
    with pytest.raises(RepositoryError):
        read_archive(data)


def test_links_inside_stay_links_and_folders_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "pkg/mod.py")
    (tmp_path / "other").symlink_to("pkg")
    found = take_snapshot(tmp_path)
    assert found.files["other"].link == "pkg"
    assert set(found.files) == {"pkg/mod.py", "other"}


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (SnapshotLimits(files=3), "more than 3 files and folders"),
        (SnapshotLimits(file_mb=0), "has more than 0 MiB: remove it"),
        (SnapshotLimits(total_mb=0), "more than 0 MiB of files"),
    ],
)
def test_a_snapshot_has_limits(tmp_path: Path, limits: SnapshotLimits, says: str) -> None:
    write(tmp_path, "a.py", "b/c.py")
    with pytest.raises(RepositoryError, match=says):
        take_snapshot(tmp_path, limits)


def test_no_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="is no folder"):
        take_snapshot(tmp_path / "nowhere")


def test_an_archive_is_the_same_for_the_same_content() -> None:
    one = snapshot({"b.py": "2", "a/x.py": "1"})
    two = snapshot({"a/x.py": "1", "b.py": "2"})
    assert one.archive() == two.archive() != one.changed({"b.py": "3"}).archive()
    with tarfile.open(fileobj=io.BytesIO(one.archive())) as packed:
        assert packed.getnames() == ["a/x.py", "b.py"]


def test_a_change_keeps_the_rest_and_the_original() -> None:
    before = snapshot({"a.py": "1", "b.py": "2"})
    after = before.changed({"a.py": None, "c.py": "3"})
    assert set(after.files) == {"b.py", "c.py"}
    assert set(before.files) == {"a.py", "b.py"}
    assert after.text("c.py") == "3"
    assert after.text("a.py") is None


INI = (
    "[pytest]\naddopts = -ra -k 'not slow' --maxfail 1 --cov=pkg --cov-append --cov-report term"
    " -n4 -p plug --strict-markers\n"
)


@pytest.mark.parametrize(
    ("files", "file", "arguments", "plugins"),
    [
        ({}, "", (), ()),
        ({"pytest.ini": INI}, "pytest.ini", ("-k", "not slow", "--strict-markers"), ("plug",)),
        ({"pytest.ini": ""}, "pytest.ini", (), ()),
        (
            {"pyproject.toml": "[tool.pytest.ini_options]\naddopts = ['-m', 'fast', '-q']\n"},
            "pyproject.toml",
            ("-m", "fast"),
            (),
        ),
        ({"pyproject.toml": "[tool.pytest]\naddopts = ['-x']\n"}, "pyproject.toml", (), ()),
        ({"pyproject.toml": "[project]\nname = 'x'\n"}, "", (), ()),
        ({"pyproject.toml": "[tool.pytest]\n", "pytest.ini": INI}, "pytest.ini", None, ("plug",)),
        ({"tox.ini": INI}, "tox.ini", None, ("plug",)),
        ({"tox.ini": "[tox]\n", "setup.cfg": "[tool:pytest]\n"}, "setup.cfg", (), ()),
    ],
)
def test_settings_are_read_where_pytest_reads_them(
    files: dict[str, str], file: str, arguments: tuple[str, ...] | None, plugins: tuple[str, ...]
) -> None:
    found = read_settings(snapshot(files))
    assert found.file == file
    assert arguments is None or found.arguments == arguments
    assert found.plugins == plugins


def test_names_and_places_of_tests_are_read() -> None:
    text = "[pytest]\npython_files = check_*.py\npython_functions = check_*\ntestpaths = checks\n"
    found = read_settings(snapshot({"pytest.ini": text, "src/pkg/a.py": ""}))
    assert found.files == ("check_*.py",)
    assert found.functions == "check_"
    assert found.test_paths == ("checks",)
    assert found.roots == ("src", "")
    assert found.is_test_file("any/check_a.py")
    assert not found.is_test_file("test_a.py")


def test_a_package_with_its_tests_within_is_no_folder_of_tests() -> None:
    files = {"pytest.ini": "[pytest]\ntestpaths = pkg checks\n", "checks/helper.py": ""}
    files |= {"pkg/__init__.py": "", "pkg/core.py": "", "pkg/part/tests/test_core.py": ""}
    found = snapshot(files)
    settings = read_settings(found)
    assert settings.packages == ("pkg",)
    assert sources(found, settings, Rules()) == ("pkg/__init__.py", "pkg/core.py")
    for path in ("checks/helper.py", "pkg/part/tests/test_core.py", "pkg/part/tests/more.py"):
        assert "belongs to the tests" in check({path: ""}, found, settings, Rules())
    plain = {name: text for name, text in files.items() if "tests" not in name}
    assert read_settings(snapshot(plain)).packages == ()


@pytest.mark.parametrize("name", ["pyproject.toml", "pytest.ini"])
def test_settings_that_cant_be_read(name: str) -> None:
    with pytest.raises(RepositoryError, match=f"{name} can't be read"):
        read_settings(snapshot({name: "[torn\n= 1"}))


PLACES = snapshot(
    {
        "pkg/core.py": "import os\n",
        "pkg/plug.py": "",
        "pkg/asserting.py": "import pytest\n",
        "src/app/a.py": "",
        "tests/helpers.py": "",
        "tests/test_core.py": "",
        "pyproject.toml": '[project.entry-points.pytest11]\nplug = "pkg.plug"\n',
    }
)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("tests/test_core.py", "belongs to the tests"),
        ("tests/helpers.py", "belongs to the tests"),
        ("pkg/tests/data.py", "belongs to the tests"),
        ("pkg/test_more.py", "belongs to the tests"),
        ("pkg/more_test.py", "belongs to the tests"),
        ("conftest.py", "belongs to the tests"),
        ("pkg/conftest.py", "belongs to the tests"),
        ("checks/any.py", "belongs to the tests"),
        ("pyproject.toml", "is no Python source"),
        ("poetry.lock", "is no Python source"),
        ("pkg/x.pth", "is no Python source"),
        ("pkg/x.so", "is no Python source"),
        (".github/run.py", "is hidden"),
        ("pkg/.hidden.py", "is hidden"),
        ("setup.py", "is run outside of the program"),
        ("noxfile.py", "is run outside of the program"),
        ("pkg/sitecustomize.py", "is run outside of the program"),
        ("usercustomize.py", "is run outside of the program"),
        ("ci/run.py", "belongs to the project's tools"),
        ("pkg/plug.py", "is a pytest plug-in"),
        ("pkg/pytest_more.py", "is a pytest plug-in"),
        ("plugged.py", "is a pytest plug-in"),
        ("../up.py", "is no plain path"),
        ("pkg/../up.py", "is no plain path"),
        ("/etc/up.py", "is no plain path"),
        ("pkg//core.py", "is no plain path"),
        ("", "is no plain path"),
        ("pkg/a\n.py", "has a sign in it"),
        ("pkg\\a.py", "has a sign in it"),
        ("pkg/core.py/more.py", "pkg/core.py is no folder"),
        ("json.py", "would hide the module json"),
        ("src/re.py", "would hide the module re"),
        ("pytest.py", "would hide the module pytest"),
        ("_pytest/runner.py", "would hide the module _pytest"),
        ("src/hypothesis/__init__.py", "would hide the module hypothesis"),
        ("helpers.py", "would hide tests/helpers.py of the tests"),
        ("pkg/helpers.py", "would hide tests/helpers.py of the tests"),
    ],
)
def test_what_a_patch_may_not_change(path: str, says: str) -> None:
    settings = SuiteSettings(test_paths=("checks",), plugins=("plugged",))
    reason = check({"pkg/core.py": "x = 1\n", path: "x = 1\n"}, PLACES, settings, Rules())
    assert says in reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    "path", ["pkg/core.py", "pkg/new.py", "src/app/new/__init__.py", "new.py", "pkg/re_more.py"]
)
def test_what_a_patch_may_change(path: str) -> None:
    assert check({path: "x = 1\n"}, PLACES, SuiteSettings(), Rules()) == ""


def test_rules_can_be_narrowed_and_never_widened() -> None:
    rules = Rules(allow=("pkg/*", "tests/*"), forbid=("pkg/core.py",))
    settings = SuiteSettings()
    assert check({"pkg/new.py": ""}, PLACES, settings, rules) == ""
    assert "is forbidden" in check({"pkg/core.py": ""}, PLACES, settings, rules)
    assert "is not among the sources" in check({"src/app/a.py": ""}, PLACES, settings, rules)
    assert "belongs to the tests" in check({"tests/test_core.py": ""}, PLACES, settings, rules)
    assert sources(PLACES, settings, rules) == ("pkg/asserting.py",)


def test_a_patch_is_checked_as_a_whole() -> None:
    settings, rules = SuiteSettings(), Rules(files=2, file_bytes=10)
    assert check({}, PLACES, settings, rules) == "the patch is empty"
    many = {f"pkg/m{number}.py": "" for number in range(3)}
    assert "changes 3 files" in check(many, PLACES, settings, rules)
    assert "more than 10 bytes" in check({"pkg/core.py": "x" * 11}, PLACES, settings, rules)
    assert "is not there" in check({"pkg/gone.py": None}, PLACES, settings, rules)
    assert check({"pkg/core.py": None}, PLACES, settings, rules) == ""


@pytest.mark.parametrize(
    "text", ["import pytest", "def f():\n    from _pytest import runner", "import hypothesis.core"]
)
def test_a_program_has_no_need_of_test_machinery(text: str) -> None:
    settings = SuiteSettings()
    assert "which only tests should" in check({"pkg/core.py": text}, PLACES, settings, Rules())
    before = check({"pkg/asserting.py": "import pytest\nx = 1"}, PLACES, settings, Rules())
    assert before == ""


def test_syntax_errors_are_told_in_a_line() -> None:
    assert syntax({"a.py": "x = 1", "b.py": "x =\n", "c.py": None}).startswith("b.py: line 1:")
    assert syntax({"a.py": "x = 1"}) == ""
    assert "can't be parsed" in syntax({"a.py": "x\0"}) or "null" in syntax({"a.py": "x\0"})


def test_a_canary_fails_and_its_name_and_place_change() -> None:
    files = tree(tests__unit__test_a="", tests__test_b="")
    found = [make_canary(files, SuiteSettings(), files.files, str(seed)) for seed in range(50)]
    assert len({canary.id for canary in found}) == 50
    assert {os.path.dirname(canary.path) for canary in found} == {"tests", "tests/unit"}
    for canary in found:
        names: dict[str, object] = {}
        exec(canary.text, names)
        function = names[canary.id.partition("::")[2]]
        assert callable(function)
        with pytest.raises(AssertionError):
            function()
        assert SuiteSettings().is_test_file(canary.path)


def test_a_canary_is_named_as_the_repository_names_its_tests() -> None:
    settings = SuiteSettings(files=("check_*.py",), functions="check")
    canary = make_canary(tree(checks__check_a=""), settings, ["checks/check_a.py"], "1")
    assert settings.is_test_file(canary.path)
    assert "::check_" in canary.id


SUITE = '''
import pytest

def test_one():
    """Says what it is."""
    assert True

class TestTwo:
    @pytest.mark.parametrize("x", [1, 2])
    def test_in(self, x):
        if x:
            assert x

async def test_three():
    assert True

def test_short(): assert True
'''


def test_traps_are_set_in_half_of_the_functions_under_their_names() -> None:
    files = snapshot({"tests/test_a.py": SUITE})
    names = ["test_one", "TestTwo::test_in[1]", "TestTwo::test_in[2]", "test_three"]
    ids = [f"tests/test_a.py::{name}" for name in names]
    chosen = set()
    for seed in range(20):
        texts, trapped = set_traps(files, ids, str(seed))
        changed = ast.parse(texts["tests/test_a.py"])
        asserts = [node for node in ast.walk(changed) if isinstance(node, ast.Assert)]
        assert len(asserts) == 5
        assert len({name.partition("[")[0] for name in trapped}) == 1
        chosen |= set(trapped)
    assert chosen == set(ids)


INHERITED = """
from elsewhere import Other, test_far

class TestBase:
    def test_in(self):
        assert True
    def test_own(self):
        assert True

class TestChild(TestBase):
    def test_own(self):
        assert True

class TestGrandchild(TestChild): pass

class TestStranger(Other):
    def test_near(self):
        assert True

class TestLoop(TestLoop): pass
"""


FAMILY = ("TestBase", "TestChild", "TestGrandchild")


@pytest.mark.parametrize(
    ("name", "fail"),
    [
        ("TestBase::test_in", FAMILY),
        ("TestGrandchild::test_in", FAMILY),
        ("TestBase::test_own", ("TestBase",)),
        ("TestChild::test_own", ("TestChild", "TestGrandchild")),
    ],
)
def test_who_inherits_a_test_falls_with_it(name: str, fail: tuple[str, ...]) -> None:
    files = snapshot({"test_a.py": INHERITED})
    ids = {one: f"test_a.py::{one}::{name.partition('::')[2]}" for one in FAMILY}
    _, trapped = set_traps(files, [f"test_a.py::{name}"], "1", beside=ids.values())
    assert {*trapped} == {ids[one] for one in fail}


@pytest.mark.parametrize("name", ["TestStranger::test_other", "TestLoop::test_in"])
def test_no_trap_is_set_in_what_comes_from_elsewhere(name: str) -> None:
    files = snapshot({"test_a.py": INHERITED})
    assert set_traps(files, [f"test_a.py::{name}"], "1") == ({}, ())
    assert set_traps(files, ["test_a.py::TestStranger::test_near"], "1")[1]


def test_no_trap_is_set_where_another_file_may_fall_in() -> None:
    files = snapshot({"test_a.py": INHERITED, "test_b.py": "from test_a import *\n"})
    wanted, far = "test_a.py::TestBase::test_in", "test_b.py::TestBase::test_in"
    assert set_traps(files, [wanted], "1")[1] == (wanted,)
    assert set_traps(files, [wanted], "1", beside=[far]) == ({}, ())


def test_no_trap_can_be_set_in_what_is_not_there() -> None:
    files = snapshot({"tests/test_a.py": SUITE, "torn.py": "def f(:\n"})
    for name in ("tests/test_a.py::test_short", "tests/gone.py::test_x", "torn.py::f", "a.py"):
        assert set_traps(files, [name], "1") == ({}, ())


def run(**statuses: Status) -> SuiteReport:
    return SuiteReport(tests=tuple(SuiteTest(id=name, status=s) for name, s in statuses.items()))


def test_two_runs_are_compared() -> None:
    passed, failed, error = Status.PASSED, Status.FAILED, Status.ERROR
    found = compare(
        run(a=passed, b=failed, c=error, d=passed, e=passed, f=Status.SKIPPED, canary=failed),
        run(a=passed, b=failed, c=failed, d=failed, x=passed, f=Status.XFAILED),
        without=frozenset({"canary"}),
        broken="",
        seconds=1.0,
    )
    assert found.passing == ("a",)
    assert tuple(found.failing) == ("b", "c")
    assert found.flaky == ("d",)
    assert found.changed == ("e", "x")
    assert found.skipped == ("f",)


def test_files_are_run_in_the_order_of_the_whole_suite() -> None:
    files = [
        "docs/b.rst",
        "docs/a.rst",
        "else/test_c.py",
        "tests/test_b.py",
        "testsuite/test_d.py",
    ]
    settings = "[pytest]\ntestpaths = ./tests/ docs\n"
    repository = snapshot({"pytest.ini": settings} | dict.fromkeys(files, ""))
    runner = PytestRunner(repository, SuiteOptions())
    assert runner.in_order(files) == [
        "tests/test_b.py",
        "docs/a.rst",
        "docs/b.rst",
        "else/test_c.py",
        "testsuite/test_d.py",
    ]
    named = PytestRunner(repository, SuiteOptions(paths=("docs", "tests")))
    assert named.in_order(files[:4:3]) == ["docs/b.rst", "tests/test_b.py"]
