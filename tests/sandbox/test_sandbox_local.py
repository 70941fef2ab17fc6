"""The local backend's own matters: how it starts, what it does with less, and requirements."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import launch, layers
from sandbox.errors import SandboxUnavailableError
from sandbox.jobs import Isolation, Job, Report
from sandbox.launch import Grant, Layout
from sandbox.local import REDUCED_FLAG, LocalSandbox
from sandbox.outcome import Outcome
from tests.sandbox.conftest import let_others_in

REPOSITORY = Path(__file__).resolve().parent.parent.parent
GOOD = "def f(x): return x + 1\n"
LAUNCHERS = (
    pytest.param(
        "bubblewrap",
        marks=pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap isn't installed"),
    ),
    "namespaces",
)

MakeJob = Callable[..., Job]


async def outcomes(sandbox: LocalSandbox, make_job: MakeJob) -> list[Outcome]:
    """Of some programs that need every part to be in place."""
    property_test = {
        "kind": "pytest",
        "source": "from hypothesis import given, strategies as st\nfrom solution import f\n"
        "@given(st.integers())\ndef test_any(x):\n    assert f(x) == x + 1\n",
        "filename": "test_f.py",
        "weights": {},
    }
    case = {"name": "a", "stdin": "3\n", "stdout": "4\n", "args": [], "weight": 1.0}
    stdio: dict[str, Any] = {"tests": ({"kind": "stdio", "cases": [case]},), "kind": "program"}
    jobs = [
        make_job("import sqlite3, ctypes, unittest, xml.dom.minidom\n" + GOOD),
        make_job(GOOD, tests=(property_test,)),
        make_job("read x\necho $((x + 1))", language="bash", **stdio),
        make_job("def f(x):\n    for _ in iter(int, 1): pass", limits={"cpu_seconds": 1}),
        make_job(
            "import os, time\ndef f(x):\n    while True:\n        if os.fork() == 0: time.sleep(9)",
            limits={"pids": 8},
        ),
        make_job("import os\ndef f(x): os.kill(os.getpid(), 9)"),
        make_job("import os\nos.system('sleep 99 &')\nopen('left', 'w')\n" + GOOD),
        make_job("import os\nassert os.listdir('.') == []\n" + GOOD),
    ]
    return [(await sandbox.run(job)).outcome for job in jobs]


EXPECTED = [
    Outcome.PASSED,
    Outcome.PASSED,
    Outcome.PASSED,
    Outcome.TIMEOUT,
    Outcome.PIDS,
    Outcome.CRASH,
    Outcome.PASSED,
    Outcome.PASSED,
]


@pytest.mark.anyio
@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_launchers(launcher: str, make_job: MakeJob) -> None:
    if os.geteuid() == 0 and launcher == "bubblewrap":
        with pytest.raises(SandboxUnavailableError, match="no limit on processes"):
            async with LocalSandbox(slots=1, launcher=launcher):
                pass
        return
    own = "uids" if os.geteuid() == 0 else "userns"
    async with LocalSandbox(slots=1, launcher=launcher) as sandbox:
        assert sandbox.level == f"local/{own if launcher == 'namespaces' else launcher}"
        assert not sandbox.reduced
        assert await outcomes(sandbox, make_job) == EXPECTED


def test_an_unknown_launcher_is_refused() -> None:
    with pytest.raises(ValueError, match="'docker': allowed are auto, bubblewrap, namespaces"):
        LocalSandbox(launcher="docker")


@pytest.mark.anyio
@pytest.mark.skipif(
    os.geteuid() == 0 or not shutil.which("bwrap"),
    reason="only an ordinary user's programs are counted in bubblewrap, where it is installed",
)
async def test_a_bubblewrap_for_each_program(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "probe", lambda _: Grant("bubblewrap", True, "plain"))
    async with LocalSandbox(slots=1) as sandbox:
        assert sandbox.level == "local/bubblewrap"
        assert await outcomes(sandbox, make_job) == EXPECTED


@pytest.mark.anyio
async def test_container_isolation(make_job: MakeJob) -> None:
    async with LocalSandbox(slots=2, isolation=Isolation.CONTAINER) as sandbox:
        assert (await sandbox.run(make_job(GOOD))).outcome is Outcome.PASSED
        report = await sandbox.run(make_job("def f(x): return 3"))
        assert report.outcome is Outcome.FAILED


@pytest.mark.anyio
async def test_a_python_in_a_temporary_folder(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = launch.layout

    def moved(judge: Path | None = None, site: Path | None = None) -> Layout:
        return launch._stage_python(real(judge, site), tmp_path / "python")

    monkeypatch.setattr(launch, "layout", moved)
    async with LocalSandbox(slots=1) as sandbox:
        program = f"import os\nassert os.__file__.startswith({str(tmp_path)!r})\n"
        program += f"assert os.listdir({str(tmp_path.parent)!r}) == [{tmp_path.name!r}]\n" + GOOD
        report = await sandbox.run(make_job(program))
        assert report.outcome is Outcome.ERROR  # not even the folder above can be listed
        assert "Permission denied" in report.detail
        report = await sandbox.run(make_job(program.splitlines()[0] + "\nimport decimal\n" + GOOD))
        assert report.outcome is Outcome.PASSED, report


REDUCED = """
import json, sys
import anyio
from sandbox.errors import SandboxUnavailableError
from sandbox.jobs import Job, Report
from sandbox.local import LocalSandbox

async def main():
    jobs = [Job.model_validate(job) for job in json.load(sys.stdin)]
    refusal = ""
    try:
        async with LocalSandbox():
            pass
    except SandboxUnavailableError as error:
        refusal = str(error)
    async with LocalSandbox(slots=1, allow_reduced=True) as sandbox:
        reports = [(await sandbox.run(job)).model_dump(mode="json") for job in jobs]
        told = [refusal, sandbox.level, sandbox.reduced, sandbox._grant.identity, reports]
    json.dump(told, sys.stdout)

anyio.run(main)
"""


def test_reduced_isolation(make_job: MakeJob, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o644)
    programs = [
        "import sqlite3, ctypes, unittest, xml.dom.minidom\n" + GOOD,
        f"open({str(secret)!r})\n" + GOOD,
        "import pytest\n" + GOOD,
        "import os\nfor root, _, files in os.walk('/usr'):\n"
        "    if 'site-packages' in root or 'dist-packages' in root:\n"
        "        for file in files:\n"
        "            try: open(os.path.join(root, file)); print('read', root, file)\n"
        "            except OSError: pass\n"
        "print(len(os.listdir(os.path.dirname(os.__file__))) > 9)\n" + GOOD,
        "import socket\ntry: socket.socket()\nexcept PermissionError: print('none')\n" + GOOD,
        "import os\nos.system('setsid sleep 99 &')\nopen('left', 'w')\nos.chmod('.', 0)\n" + GOOD
        if os.geteuid()
        else "import os\nos.system('setsid sleep 99 &')\nopen('left', 'w')\n" + GOOD,
        "import os\nassert os.listdir('.') == []\n" + GOOD,
        "import os, time\ndef f(x):\n    while True:\n        if os.fork() == 0: time.sleep(9)\n",
    ]
    jobs = [make_job(program, limits={"pids": 8}) for program in programs]
    property_test = {
        "kind": "pytest",
        "source": "from hypothesis import given, strategies as st\nfrom solution import f\n"
        "@given(st.integers())\ndef test_any(x):\n    assert f(x) == x + 1\n",
        "filename": "test_f.py",
        "weights": {},
    }
    jobs.append(make_job(GOOD, tests=(property_test,)))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    let_others_in(scratch)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("without_namespaces.py")), "-c", REDUCED],
        input=json.dumps([job.model_dump(mode="json") for job in jobs]),
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    refusal, level, reduced, identity, raw = json.loads(done.stdout)
    assert "\n" not in refusal
    assert REDUCED_FLAG in refusal
    assert "no namespaces" in refusal
    assert (level, reduced) == ("local/reduced", True)
    assert identity == ("uids" if os.geteuid() == 0 else "plain")
    reports = [Report.model_validate(report) for report in raw]
    assert [report.outcome.value for report in reports] == [
        "passed", "error", "error", "passed", "passed", "passed", "passed", "pids", "passed",
    ], reports  # fmt: skip
    assert "Permission denied" in reports[1].detail
    assert "No module named 'pytest'" in reports[2].detail
    assert reports[3].output == "True\n"
    assert reports[4].output == "none\n"
    assert {report.isolation for report in reports} == {"local/reduced"}
    assert list(scratch.iterdir()) == []


def make_wheel(folder: Path, name: str, source: str) -> None:
    """A wheel with one module, and a file of the kind that an installer has to put in place."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": source,
        f"{name}-1.0.data/purelib/{name}_more.py": "MORE = 2\n",
        f"{name}-1.0.data/scripts/{name}": "#!python\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={digest.decode()},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, and nowhere else, and a cache of the test's own."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("REGREEN_CACHE_DIR", str(tmp_path / "cache"))
    return folder


@pytest.mark.anyio
async def test_requirements(index: Path, make_job: MakeJob) -> None:
    make_wheel(index, "adder", "def add(x): return x + 1\n")
    program = textwrap.dedent(
        """
        import adder_more
        from adder import add
        def f(x): return add(x)
        """
    )
    test = {
        "kind": "asserts",
        "source": "import adder\ndef check(f):\n    assert f(2) == adder.add(2)\n",
        "function": "check",
        "filename": "tests.py",
        "weights": {},
    }
    async with LocalSandbox(slots=1, requirements=("adder==1.0",)) as sandbox:
        report = await sandbox.run(make_job(program, tests=(test,)))
        assert report.outcome is Outcome.PASSED, report
        with_it = sandbox.identity
    async with LocalSandbox(slots=1) as sandbox:
        report = await sandbox.run(make_job(program))
        assert (report.outcome, "adder" in report.detail) == (Outcome.ERROR, True)
        assert sandbox.identity != with_it


def test_a_layer_is_made_once(index: Path) -> None:
    make_wheel(index, "adder", "def add(x): return x + 1\n")
    folder = layers.requirements_layer(("adder==1.0",))
    assert folder is not None
    made = folder.stat().st_ino
    assert {path.name for path in folder.iterdir()} == {
        "__pycache__", "adder.py", "adder_more.py", "adder-1.0.dist-info",
    }  # fmt: skip
    assert layers.requirements_layer((" adder==1.0 ",)) == folder
    assert folder.stat().st_ino == made
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert layers.requirements_layer(()) is None


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", ["absent-thing==1.0", "./adder", "--pre"])
async def test_requirements_that_can_not_be_had(index: Path, wrong: str) -> None:
    with pytest.raises(SandboxUnavailableError, match=r"\A[^\n]+\Z") as caught:
        async with LocalSandbox(slots=1, requirements=(wrong,)):
            pass
    assert wrong.partition("==")[0] in str(caught.value)
