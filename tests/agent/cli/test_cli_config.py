"""Settings on the command line, help, version, and the documentation that lists them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from agent.cli.commands import application
from agent.cli.exits import Exit
from agent.settings import Settings, SettingsError, load_settings, origins

Run = Any
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "cli.md"


def test_flag_goes_before_environment_before_file_before_default(
    regreen: Run, add_one: Path, right_bank: str, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[tool.regreen]\nn = 3\ntemperature = 0.3\nseed = 33\n"
    )
    env = {"REGREEN_TEMPERATURE": "0.2", "REGREEN_SEED": "22"}
    nested = tmp_path / "a" / "b"
    nested.mkdir(parents=True)
    ended = regreen("config", "show", "--json", env=env, cwd=nested)
    shown = json.loads(ended.out)
    assert ended.code == 0
    assert shown["n"] == {"value": 3, "from": "pyproject.toml"}
    assert shown["temperature"] == {"value": 0.2, "from": "environment"}
    assert shown["top_p"] == {"value": 0.95, "from": "default"}
    regreen("solve", add_one, "-m", right_bank, "--seed", "11", "-q", env=env, cwd=nested)
    used = json.loads((regreen.runs[0] / "manifest.json").read_text())["settings"]
    assert (used["seed"], used["temperature"], used["n"]) == (11, 0.2, 3)
    assert origins({"seed": 11})["seed"] == "flag"


def test_the_key_is_never_shown(regreen: Run, add_one: Path, right_bank: str) -> None:
    key = "sk-very-secret-indeed"
    for words in (("config", "show"), ("config", "show", "--json")):
        ended = regreen(*words, env={"REGREEN_API_KEY": key})
        assert ended.code == 0
        assert key not in ended.out + ended.err
        assert "(set)" in ended.out
    regreen("solve", add_one, "-m", right_bank, env={"REGREEN_API_KEY": key})
    for path in regreen.runs[0].rglob("*"):
        assert key.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[tool.regreen]\nn = \n", "pyproject.toml: not TOML: Invalid value (at line 2"),
        (b"[tool.regreen]\nsampels = 3\n", "unknown setting 'sampels'; known are model, cascade"),
        (b'[tool.regreen]\nn = "many"\n', "n in [tool.regreen]: input should be a valid integer"),
        (b"[tool]\nregreen = 3\n", "[tool.regreen] is a table of settings (given: 3)"),
        (b"tool = 3\n", "[tool] is a table of settings (given: 3)"),
        (b"\xff\xfe\x00", "pyproject.toml: no text; TOML in UTF-8 was expected"),
    ],
)
def test_a_bad_pyproject(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        (("config", "show"), {"REGREEN_N": "0"}, "REGREEN_N: input should be greater than or"),
        (("config", "show"), {"REGREEN_PRICES": "cheap"}, "REGREEN_PRICES: JSON was expected"),
        (("solve", "examples", "-n", "0"), {}, "--samples-per-task: input should be greater"),
        (("solve", "examples", "--option", "width"), {}, "--option: value error, give name=value"),
        (("solve", "examples", "--memory-mb", "1"), {}, "--memory-mb: input should be greater"),
    ],
)
def test_a_bad_setting(regreen: Run, words: Any, env: dict[str, str], said: str) -> None:
    ended = regreen(*words, env=env)
    assert ended.code == 2
    assert said in ended.line


def test_a_bad_pyproject_ends_in_one_line(regreen: Run, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.regreen\n")
    ended = regreen("solve", "examples")
    assert ended.code == 2
    assert f"{tmp_path / 'pyproject.toml'}: not TOML" in ended.line


def test_version(regreen: Run) -> None:
    ended = regreen("--version")
    assert ended.code == 0
    assert re.fullmatch(r"regreen \d+\.\d+\.\d+\S*\n", ended.out)


def test_the_installed_command_starts() -> None:
    script = Path(sys.executable).with_name("regreen")
    if not script.is_file():
        pytest.skip("the regreen command is not installed beside this Python")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:8]) == (0, "regreen ")


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with the words that call it."""

    def below(prefix: str, command: Any) -> Iterator[tuple[str, Any]]:
        if hasattr(command, "commands"):
            for name, inner in command.commands.items():
                yield from below(f"{prefix} {name}".strip(), inner)
        else:
            yield prefix, command

    yield from below("", typer.main.get_command(application()))


def test_help_everywhere(regreen: Run) -> None:
    """Side by side: each takes most of its time to start."""
    calls = ["", "config", "model", "sandbox", *(name for name, _ in commands())]
    running = [(name, regreen.start(*name.split(), "-h")) for name in calls]
    for name, process in running:
        ended = regreen.end(process)
        assert ended.code == 0, name
        assert f"Usage: regreen {name}".strip() in ended.out
        assert ended.err == ""


def table(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of the document."""
    text = DOCUMENT.read_text()
    _, found, rest = text.partition(f"\n## {heading}\n")
    assert found, heading
    rows = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_the_document_lists_every_option_of_every_command() -> None:
    documented: dict[str, set[str]] = {}
    for names, of, *_ in table("Options"):
        for command in re.findall(r"`([a-z -]+)`", of):
            documented.setdefault(command, set()).update(re.findall(r"`(-{1,2}[\w-]+)", names))
    assert {"solve", "sandbox build"} <= {name for name, _ in commands()}
    for name, command in commands():
        options = [param for param in command.params if param.param_type_name == "option"]
        real = {word for option in options for word in (*option.opts, *option.secondary_opts)}
        assert documented.get(name, set()) == real, name
    assert set(documented) <= {name for name, _ in commands()}


def test_the_document_lists_every_command_setting_and_exit_code() -> None:
    listed = {re.match(r"`regreen ([a-z -]+)", row[0])[1].strip() for row in table("Commands")}  # type: ignore[index]
    assert listed == {name for name, _ in commands()}
    settings = {row[0].strip("`"): row for row in table("Settings")}
    assert set(settings) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None else f"`{json.dumps(default)}`"
        assert settings[name][1] == shown, name
    codes = {int(row[0]) for row in table("Exit codes")}
    assert codes == {int(code) for code in Exit}


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["width=3", "aggregate=last"], {"width": 3, "aggregate": "last"}),
        ([" a = 0.5 ", "b=true", "c=x=y", "d="], {"a": 0.5, "b": True, "c": "x=y", "d": ""}),
        ({"width": 3}, {"width": 3}),
        ([], {}),
    ],
)
def test_options_of_a_strategy_are_words_or_a_table(words: Any, read: dict[str, Any]) -> None:
    settings = load_settings({"strategy_options": words})
    assert settings.strategy_options == read
    assert [type(one) for one in settings.strategy_options.values()] == [
        type(one) for one in read.values()
    ]


@pytest.mark.parametrize("words", [["=3"], ["width"], ["width=1", ""]])
def test_words_that_are_no_options(words: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"--option: value error, give name=value"):
        load_settings({"strategy_options": words})
