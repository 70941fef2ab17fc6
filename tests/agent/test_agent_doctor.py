"""The doctor: what it finds on a machine that works, and on several that don't."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer

from agent.clashes import in_the_way
from agent.cli.doctor import doctor
from agent.cli.exits import Exit, UsageError
from agent.doctor import Finding, examine
from agent.doctor.deep import ADVICE, examine_deeply
from agent.doctor.machine import folders
from agent.doctor.reach import model
from agent.settings import Settings
from sandbox import registry
from sandbox.conformance import GROUPS, ConformanceReport, all_checks
from sandbox.errors import UnknownSandboxError

# The docker package drops its sockets unclosed where nobody answers.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
KEY = SecretStr("sk-not-to-be-seen")


@pytest.fixture
def hung_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(autouse=True)
def no_keys_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "REGREEN_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.anyio
async def test_every_part_is_examined_and_the_local_sandbox_really_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    bank = tmp_path / "bank.jsonl"
    bank.write_text('{"task_id": "a", "solution": "x"}\n')
    found = {one.what: one for one in await examine(Settings(model=f"replay/{bank}"))}
    assert {"python", "kernel", "landlock", "model", "cache folder", "runs folder"} <= set(found)
    assert found["model"].state == "ok"
    assert found["docker engine"].state == "info"
    assert found["docker engine"].found == "no Docker engine answers (there is no socket)"
    assert found["sandbox docker"].state == "problem"
    local = found["sandbox local"]
    assert (local.state, local.advice) == ("ok", "") or "--allow-reduced-isolation" in local.advice
    assert local.found.startswith("local/")


@pytest.mark.anyio
async def test_an_engine_that_hangs_does_not_hang_it(
    monkeypatch: pytest.MonkeyPatch, hung_port: int
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{hung_port}")
    began = time.monotonic()
    found = {one.what: one for one in await examine(Settings(model="nobody/x"))}
    assert time.monotonic() - began < 45
    assert found["docker engine"].state == "problem"
    assert "doesn't answer within" in found["docker engine"].found
    assert found["model"].state == "problem"
    assert "known are anthropic, local" in found["model"].found


async def _model(server: HTTPServer, **settings: object) -> Finding:
    url = server.url_for("/v1")
    (finding,) = await model(
        Settings(model="openai/m", base_url=url, api_key=KEY, **settings)  # type: ignore[arg-type]
    )
    assert KEY.get_secret_value() not in finding.model_dump_json()
    return finding


@pytest.mark.anyio
async def test_a_server_that_has_the_model(httpserver: HTTPServer) -> None:
    expected = {"Authorization": f"Bearer {KEY.get_secret_value()}"}
    httpserver.expect_request("/v1/models", headers=expected).respond_with_json(
        {"data": [{"id": "m"}]}
    )
    finding = await _model(httpserver)
    assert finding.state == "ok"
    assert "key set" in finding.found


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "body", "state", "said"),
    [
        (401, "no", "problem", "refuses the key (401)"),
        (500, "no", "problem", "answers 500"),
        (404, "no", "warning", "lists no models (404)"),
        (200, "<html>", "warning", "lists no models (200)"),
        (200, '{"data": [{"id": "other"}]}', "warning", "lists no 'm'"),
    ],
)
async def test_a_server_that_does_not_help(
    httpserver: HTTPServer, status: int, body: str, state: str, said: str
) -> None:
    httpserver.expect_request("/v1/models").respond_with_data(body, status=status)
    finding = await _model(httpserver)
    assert finding.state == state
    assert said in finding.found
    assert finding.advice


@pytest.mark.anyio
async def test_a_server_that_is_not_there() -> None:
    (finding,) = await model(Settings(model="openai/m", base_url="http://127.0.0.1:9/v1"))
    assert finding.state == "problem"
    assert "no answer" in finding.found


def test_folders_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REGREEN_CACHE_DIR", str(tmp_path / "file" / "cache"))
    bad, good = folders(Settings(runs=tmp_path / "not" / "yet"))
    assert (bad.what, bad.state) == ("cache folder", "problem")
    assert "REGREEN_CACHE_DIR" in bad.advice
    assert good.state in ("ok", "warning")
    assert "not made yet" in good.found
    assert not (tmp_path / "not").exists()


def test_a_users_own_module_of_our_name_is_seen(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("")
    (tmp_path / "sandbox").mkdir()  # no package: Python would still find ours
    assert dict(in_the_way(tmp_path)) == {"tasks": tmp_path / "tasks.py"}


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.setenv("REGREEN_MODEL", "nobody/x")


@pytest.mark.usefixtures("no_engine")
def test_a_deep_examination_of_what_would_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(deep=True, as_json=True) == Exit.VERIFIED
    said = capsys.readouterr()
    assert said.err == ""  # it is no terminal
    whole = json.loads(said.out)
    assert {"kernel", "sandbox local"} <= {finding["what"] for finding in whole["findings"]}
    (found,) = whole["sandboxes"]
    assert found["sandbox"] == "local"
    assert found["why"] == "no Docker engine answers (there is no socket)"
    assert found["report"].pop("ok") is True
    report = ConformanceReport.model_validate(found["report"])
    assert [result.name for result in report.results] == [check.name for check in all_checks()]


@pytest.mark.usefixtures("no_engine")
def test_each_check_that_fails_is_said_with_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "tests.sandbox.test_conformance:PassesAll"
    monkeypatch.setitem(registry._BUILT_IN, "broken", broken)
    assert doctor(deep=True, sandbox="broken") == Exit.INFRASTRUCTURE
    lines = capsys.readouterr().out.splitlines()
    table = {line.split()[1]: line.split()[0] for line in lines if " of " in line and " s" in line}
    assert table["right"] == "ok"
    assert (table["wrong"], table["cheats"]) == ("problem", "problem")
    place = lines.index("problem  wrong: a wrong answer: ended as passed, not as failed")
    assert lines[place + 1] == "         does not hold: A wrong answer is `failed`."
    assert lines[place + 2] == f"         → {ADVICE['wrong']}"
    said = [line for line in lines if line.startswith("problem  wrong: ")]
    assert len(said) == sum(check.group == "wrong" for check in all_checks())


@pytest.mark.anyio
@pytest.mark.usefixtures("no_engine")
async def test_a_sandbox_that_is_not_there_is_a_finding() -> None:
    (found,) = await examine_deeply(Settings(sandbox="docker"))
    assert found.report is None
    assert found.unavailable.startswith("no Docker engine answers (there is no socket): start one")


@pytest.mark.anyio
async def test_a_sandbox_that_nobody_knows() -> None:
    with pytest.raises(UnknownSandboxError, match=r"'nope': known are auto, docker, local, all"):
        await examine_deeply(Settings(sandbox="nope"))


def test_what_goes_with_deep_only() -> None:
    with pytest.raises(UsageError, match="go with --deep"):
        doctor(sandbox="local")


def test_every_group_has_its_advice() -> None:
    assert list(ADVICE) == list(GROUPS)
