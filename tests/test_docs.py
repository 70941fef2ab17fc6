"""What the documentation says has to be so: its code runs, its links lead somewhere."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")],
)
RUN = sorted(
    [
        ROOT / "docs" / "cost.md",
        ROOT / "docs" / "python.md",
        ROOT / "docs" / "repositories.md",
        ROOT / "docs" / "search.md",
        *ROOT.glob("docs/extending/*.md"),
    ]
)

_FENCE = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_FOLDERS = ("agent/", "sandbox/", "tasks/", "tests/", "verifiers/", "docs/", "examples/", ".ci/")

# Right answers for the tasks that the pages ask for, in place of a model: what is tried here is
# the interface. A wrong one goes first, so that a search has something to reject.
BANK = {
    "is_even": "def is_even(n):\n    return n % 2 == 0\n",
    "largest": "def largest(numbers):\n    return max(numbers)\n",
    "double": "def double(number):\n    return number + number\n",
    "mine/add": "def add(a, b):\n    return a + b\n",
    "powers/square": "def square(n):\n    return n * n\n",
    "powers/cube": "def cube(n):\n    return n ** 3\n",
}
_SUBCOMMANDS = (
    "",
    "solve",
    "verify",
    "eval",
    "calibrate",
    "train-reward",
    "fix",
    "doctor",
    "config show",
    "config pytest",
    "github check",
    "github propose",
    "model pull",
    "sandbox build",
)
_OTHER_TOOLS = "python3?|pip|git|docker|uv|pipx|ruff|pytest"
_UNWANTED = (
    r"(?<![\w.~])/(?:work|home|root|tmp|Users)/\w+",  # somebody's folder
    r"(?<![\w&/])#\d+\b",  # a number in somebody's tracker
    r"\b(?:pypi|pythonhosted|debian|npmjs|crates)\.(?:org|io|com)\b",  # reached as configured
    r"\b(?:TODO|FIXME|TBD|XXX)\b",
)
_CALL_COMMAND = "import sys; from agent.cli import main; main(sys.argv[1:])"


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """The fenced blocks of a page in these languages, in order."""
    for found in _FENCE.finditer(page.read_text(encoding="utf-8")):
        if found[1] in languages:
            yield found[2]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A folder as a reader might have it: the examples, a program, and nothing set up."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "mine.py").write_text(BANK["is_even"])
    with open(tmp_path / "bank.jsonl", "w") as bank:
        for task_id, program in BANK.items():
            name = task_id.rsplit("/")[-1]
            wrong = f"def {name}(*arguments):\n    return None\n"
            for solution in (wrong, program, program, wrong):
                bank.write(json.dumps({"task_id": task_id, "solution": solution}) + "\n")
    return tmp_path


@pytest.fixture
def environment(workshop: Path, cache: Path) -> dict[str, str]:
    """The embedded sandbox, the bank in place of a model, and folders of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGREEN_")}
    return kept | {
        "DOCKER_HOST": f"unix://{workshop}/no-engine.sock",
        "NO_COLOR": "1",
        "PYTHONPATH": os.pathsep.join((str(workshop), str(ROOT))),
        "REGREEN_ALLOW_REDUCED_ISOLATION": "true",
        "REGREEN_CACHE_DIR": str(cache),
        "REGREEN_MODEL": f"replay/{workshop}/bank.jsonl",
        "REGREEN_RUNS": str(workshop / "runs"),
    }


def lay_out(page: Path, folder: Path) -> str:
    """Writes the page's files and entry points into a folder; returns its other code as one."""
    code = []
    for number, block in enumerate(blocks(page, "python")):
        named = re.match(r"# (\w+\.py)\n", block)
        if named:
            (folder / named[1]).write_text(block)
        else:
            code.append(f"# block {number + 1}\n{block}")
    for text in blocks(page, "toml"):
        groups = tomllib.loads(text).get("project", {}).get("entry-points", {})
        if groups:
            installed = folder / "reader-1.0.dist-info"
            installed.mkdir(exist_ok=True)
            (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: reader\nVersion: 1\n")
            points = configparser.ConfigParser(delimiters=("=",))
            points.read(installed / "entry_points.txt")  # of an earlier block of the page
            points.read_dict(groups)
            with open(installed / "entry_points.txt", "w") as file:
                points.write(file)
    return "\n".join(code)


def call(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Runs this Python with these arguments; whatever it complains of is shown."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.skipif(sys.platform != "linux", reason="the embedded sandbox needs Linux")
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_python_code_runs(page: Path, workshop: Path, environment: dict[str, str]) -> None:
    code = lay_out(page, workshop)
    assert code
    (workshop / "page_code.py").write_text(code)
    call(["page_code.py"], workshop, environment)


@pytest.mark.skipif(sys.platform != "linux", reason="the embedded sandbox needs Linux")
@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/extending/*.md")), ids=name_of)
def test_extensions_work_from_the_command_line(
    page: Path, workshop: Path, environment: dict[str, str]
) -> None:
    lay_out(page, workshop)
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("regreen ")]
    assert commands
    for words in commands:
        call(["-c", _CALL_COMMAND, *words], workshop, environment)


def test_readme_python_runs(workshop: Path, environment: dict[str, str]) -> None:
    readme = ROOT / "README.md"
    (snippet,) = (block for block in blocks(readme, "python") if "from agent import" in block)
    (workshop / "snippet.py").write_text(snippet + "\nassert solution.solved\n")
    call(["snippet.py"], workshop, environment)


def test_readme_stub_is_a_task(workshop: Path, environment: dict[str, str]) -> None:
    stub, tests, *_ = blocks(ROOT / "README.md", "python")
    (workshop / "backwards.py").write_text(stub)
    (workshop / "test_backwards.py").write_text(tests)
    (workshop / "solved.py").write_text("def backwards(text):\n    return text[::-1]\n")
    words = ["verify", "backwards.py", "--solution", "solved.py"]
    call(["-c", _CALL_COMMAND, *words], workshop, environment)


def test_readme_settings_are_allowed(workshop: Path, environment: dict[str, str]) -> None:
    tables = [text for text in blocks(ROOT / "README.md", "toml") if "[tool.regreen" in text]
    assert len(tables) == 2
    for table in tables:
        (workshop / "pyproject.toml").write_text(table)
        call(["-c", _CALL_COMMAND, "config", "show"], workshop, environment)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in _LINK.findall(_FENCE.sub("", text)):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(found), f"{target}: no such heading"


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"(?m)^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_named_exist(page: Path) -> None:
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for code in _CODE.findall(prose):
        path, _, _ = code.partition("::")
        if path.startswith(_FOLDERS) and re.fullmatch(r"[\w./-]+", path):
            assert (ROOT / path).exists(), f"`{code}` names no file"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_dotted_names_exist(page: Path) -> None:
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for code in _CODE.findall(prose):
        name, _, _ = code.partition("(")
        if re.fullmatch(r"(agent|sandbox|tasks|verifiers)(\.\w+)+", name):
            assert names_something(name), f"`{code}` names nothing"


def names_something(name: str) -> bool:
    """Whether a dotted name is a module, or something within one."""
    import importlib

    parts = name.split(".")
    found: object = importlib.import_module(parts[0])
    for place, part in enumerate(parts[1:], start=2):
        if hasattr(found, part):
            found = getattr(found, part)
            continue
        try:
            found = importlib.import_module(".".join(parts[:place]))
        except ImportError:
            return False
    return True


@pytest.fixture(scope="session")
def known_options() -> set[str]:
    """Every option of every command, as the command line itself knows them."""
    shown = ""
    for words in _SUBCOMMANDS:
        shown += subprocess.run(
            [sys.executable, "-c", _CALL_COMMAND, *words.split(), "--help"],
            env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return {"--help", *re.findall(r"--[a-z][a-z-]+", shown)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_named_exist(page: Path, known_options: set[str]) -> None:
    assert "--allow-reduced-isolation" in known_options
    text = re.sub(rf"(?m)^.*\b(?:{_OTHER_TOOLS})\b .*$", "", page.read_text(encoding="utf-8"))
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text):
        assert option in known_options, f"no option {option}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_nothing_of_one_machine_only(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for pattern in _UNWANTED:
        found = re.search(pattern, text)
        assert found is None, f"{found[0]!r} means nothing to a reader elsewhere"


def test_the_two_commands_of_the_readme() -> None:
    """The first screen is copied and run as it is printed; CI runs the second one."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first, second, *_ = blocks(ROOT / "README.md", "sh")
    assert "regreen solve" in first
    for word in shlex.split(first.split("regreen solve")[1]):
        assert not word.startswith("examples/") or (ROOT / word / "task.toml").is_file()
    found = subprocess.run(
        [ROOT / ".ci" / "test-command"], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == second.strip()
    assert readme.index(second) < 2500, "the second command is not on the first screen"
