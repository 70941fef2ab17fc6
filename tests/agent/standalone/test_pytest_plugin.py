"""`pytest --regreen`, run by pytest in folders of users' own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from agent.cli import commands
from agent.cli.exits import OutputError

ROOT = Path(__file__).resolve().parents[3]
PLUGIN_NAME = "pytest_regreen"
PLUGIN = ROOT / "agent" / "standalone"
REAL = (
    f"{sys.executable} -c 'import sys; sys.path.insert(0, {str(ROOT)!r});"
    " from agent.cli import main; main(sys.argv[1:])'"
).replace(f"'{ROOT}'", f'"{ROOT}"')
CART = "def total(prices):\n    return max(prices, default=0)\n"
TESTS = (
    "from cart import total\n\ndef test_none():\n    assert total([]) == 0\n\n"
    "def test_some():\n    assert total([2, 3]) == 5\n"
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project with modules that are called as our packages are, and that must not be touched."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for name in ("agent", "tasks", "sandbox", "verifiers"):
        (folder / f"{name}.py").write_text("MINE = True\n")
    (folder / "cart.py").write_text(CART)
    (folder / "test_cart.py").write_text(TESTS + "\nimport agent, tasks\nassert agent.MINE\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


@pytest.fixture
def stand_in(tmp_path: Path) -> Any:
    """A command in Regreen's place that notes how it was called, and answers what it is told."""

    def make(out: str = "{}", code: int = 0) -> str:
        script = tmp_path / "stand_in.py"
        script.write_text(
            "import json, os, sys\n"
            "named = sys.argv[sys.argv.index('--failed-from') + 1]\n"
            f"with open({str(tmp_path / 'calls')!r}, 'a') as file:\n"
            "    seen = [k for k in os.environ if k.startswith('PYTEST') or k == 'PYTHONPATH']\n"
            "    told = [sys.argv[1:], open(named).read(), os.getcwd(), seen]\n"
            "    file.write(json.dumps(told) + '\\n')\n"
            f"sys.stdout.write({out!r})\nsys.exit({code})\n"
        )
        return shlex.join([sys.executable, str(script)])

    return make


def call(folder: Path, *words: str, command: str | None, **more: str) -> Any:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment |= {"PYTHONPATH": str(PLUGIN), "NO_COLOR": "1", **more}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # starts in a third of the time
    if command is not None:
        environment["REGREEN_COMMAND"] = command
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "pytest_regreen", *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def calls(folder: Path) -> list[Any]:
    noted = folder.parent / "calls"
    return [json.loads(line) for line in noted.read_text().splitlines()] if noted.exists() else []


@pytest.mark.skipif(sys.platform != "linux", reason="the embedded sandbox needs Linux")
def test_a_real_patch_for_what_just_failed(shop: Path, tmp_path: Path) -> None:
    (shop / "cart.py").write_text(
        "def total(prices):\n    result = 0\n    for place in range(1, len(prices)):\n"
        "        result += prices[place]\n    return result\n"
    )
    own = {
        "REGREEN_SANDBOX": "local", "REGREEN_ALLOW_REDUCED_ISOLATION": "true",
        "REGREEN_CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip
    done = call(shop, "--regreen", command=REAL, **own)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "+++ b/cart.py" in done.stdout, done.stdout + done.stderr
    patch = done.stdout.rpartition("git apply ")[2].strip()
    subprocess.run(["git", "init", "-q"], cwd=shop, check=True)
    subprocess.run(["git", "apply", patch], cwd=shop, check=True)
    assert call(shop, command=None).returncode == 0


@pytest.mark.parametrize("spread", [(), ("-p", "xdist.plugin", "-n", "1")], ids=["one", "xdist"])
def test_how_the_command_is_called(shop: Path, stand_in: Any, spread: tuple[str, ...]) -> None:
    result = {
        "status": "fixed", "diff": "--- a/x\n+++ b/x\n+\x1b[31m::error::\n", "reason": "1 passes",
        "confidence": "plausible", "why": ["because"],
    }  # fmt: skip
    done = call(shop, "--regreen-apply", *spread, command=stand_in(json.dumps(result)))
    assert done.returncode == 1
    ((words, named, where, seen),) = calls(shop)
    assert words[:3] == ["fix", ".", "--json"]
    assert words[-1] == "--apply"
    assert named == "FAILED test_cart.py::test_some\n"
    assert Path(where) == shop
    assert seen == []
    assert "1 failed, 1 passed" in done.stdout
    assert done.stdout.rstrip().endswith("regreen: the patch is applied")
    assert "regreen: 1 passes (plausible)\n  because" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("out", "code", "said"),
    [
        (
            '{"status": "not-fixed", "reason": "none of 3\\nx"}',
            1,
            "no patch: not-fixed: none of 3 x",
        ),
        ("Traceback", 3, "ended with 3 and no result"),
        ("[1]", 0, "ended with 0 and no result"),
        ('{"status": "fixed", "diff": 5, "why": 7}', 0, "regreen: None (None)"),
    ],
)
def test_whatever_the_command_says_the_status_is_of_the_tests(
    shop: Path, stand_in: Any, out: str, code: int, said: str
) -> None:
    done = call(shop, "--regreen", "-p", "no:cacheprovider", command=stand_in(out, code))
    assert done.returncode == 1, done.stderr
    assert said in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "tests", "code"),
    [
        (("--regreen",), "def test_a():\n    pass\n", 0),
        (("--regreen",), "def test_a():\n    raise KeyboardInterrupt\n", 2),
        (("--regreen",), "import nothing_of_that_name\n", 2),
        (("--regreen", "--collect-only"), "def test_a():\n    assert 0\n", 0),
        ((), "def test_a():\n    assert 0\n", 1),
    ],
    ids=["green", "interrupted", "uncollected", "collecting", "unasked"],
)
def test_when_nothing_is_asked(
    shop: Path, stand_in: Any, words: tuple[str, ...], tests: str, code: int
) -> None:
    (shop / "test_cart.py").write_text(tests)
    done = call(shop, *words, command=stand_in())
    assert done.returncode == code, done.stdout + done.stderr
    assert calls(shop) == []
    assert "regreen:" not in done.stdout


def test_no_command_and_one_that_can_not_be_run(shop: Path, tmp_path: Path) -> None:
    missing = call(shop, "--regreen", command=str(tmp_path / "absent"))
    assert (missing.returncode, "no patch: FileNotFoundError" in missing.stdout) == (1, True)
    code = (
        "import sys, pytest, pytest_regreen as plugin\n"
        "plugin.shutil.which = lambda *_, **__: None\n"
        "sys.exit(pytest.main(['-p', 'pytest_regreen', '--regreen']))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "REGREEN_COMMAND"}
    none = subprocess.run(
        [sys.executable, "-c", code], cwd=shop, env={**environment, "PYTHONPATH": str(PLUGIN)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert none.returncode == 1
    assert "no command `regreen` was found" in none.stdout


def test_it_imports_nothing_of_ours(tmp_path: Path) -> None:
    code = (
        "import sys, pytest\nbefore = set(sys.modules)\nimport pytest_regreen\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - sys.stdlib_module_names))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(PLUGIN)!r})\n{code}"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["pytest_regreen"]
    assert [one.name for one in PLUGIN.iterdir() if one.suffix == ".py"] == ["pytest_regreen.py"]


def test_the_wheel_puts_it_at_the_top_under_its_own_name() -> None:
    """pytest imports the entry point's module, and with it each package that it is in."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {PLUGIN_NAME: PLUGIN_NAME}
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included[f"agent/standalone/{PLUGIN_NAME}.py"] == f"{PLUGIN_NAME}.py"


def test_the_folder_for_pythonpath_holds_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a checkout, and as the wheel lays it out: there the module is among all others."""
    commands.run(["config", "pytest"])
    assert capsys.readouterr().out == f"{PLUGIN}\n"
    monkeypatch.setenv("REGREEN_CACHE_DIR", str(tmp_path / "cache"))
    site = tmp_path / "site"
    (site / "agent").mkdir(parents=True)
    monkeypatch.setattr("agent.__file__", str(site / "agent" / "__init__.py"))
    with pytest.raises(OutputError, match=PLUGIN_NAME):
        commands.run(["config", "pytest"])
    (site / f"{PLUGIN_NAME}.py").write_text("mine = 1\n")
    commands.run(["config", "pytest"])
    folder = Path(capsys.readouterr().out.strip())
    assert [one.name for one in folder.iterdir()] == [f"{PLUGIN_NAME}.py"]
