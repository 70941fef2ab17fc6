"""Package indexes within reach of a setup command, and nothing besides."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from sandbox.docker import DockerSandbox
from sandbox.errors import SandboxUnavailableError
from sandbox.indexes import PackageIndexes, PipSettings, read_pip_settings
from sandbox.jobs import Job, Report
from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome
from sandbox.suite import setup_order
from tests.conftest import REPOSITORY
from tests.sandbox.conftest import BACKENDS, unavailable
from tests.sandbox.private_index import PASSWORD, USER, Index, private_index, wheel
from verifiers.repository import SUITE_LIMITS, File, Snapshot

LIMITS = SUITE_LIMITS.model_copy(update={"wall_seconds": 90.0})
SNAPSHOT = Snapshot(files={"a.py": File(content=b"x = 1\n")})


@pytest.fixture
def index() -> Iterator[str]:
    """Host and port of a private index."""
    with private_index() as host:
        yield host


def settings_of(host: str, **more: Any) -> PipSettings:
    return PipSettings(indexes=(f"http://{USER}:{PASSWORD}@{host}/simple",), **more)


async def whole(indexes: PackageIndexes, path: str) -> tuple[int, bytes]:
    """All of what a path stands for, piece by piece."""
    body = b""
    while True:
        answer = await indexes.get(path, len(body))
        body += base64.b64decode(answer["body"])
        if len(body) >= answer["total"] or not answer["body"]:
            return answer["status"], body


HREF = re.compile(r'href="([^"#]+)')


@pytest.mark.anyio
@pytest.mark.parametrize("project", ["alpha-private", "Beta.Private"])
async def test_pages_say_nothing_of_where_they_are_from(index: str, project: str) -> None:
    async with PackageIndexes(settings_of(index)) as indexes:
        status, page = await whole(indexes, f"/index/0/{project}/")
        text = page.decode()
        assert status == 200, text
        assert 'data-requires-python="&gt;=3.8"' in text
        links = HREF.findall(text)
        assert len(links) == 1, text  # neither what is no package nor a file of this machine
        assert links[0].startswith("/files/")
        for word in (USER, PASSWORD, index, "http"):
            assert word not in text
        name = links[0].rpartition("/")[2]
        assert await whole(indexes, links[0]) == (200, Index.files[name])
        assert indexes.fetched == [name]
    assert all(word.startswith("Basic ") for _, word in Index.asked)


@pytest.mark.anyio
async def test_a_large_file_comes_in_pieces(index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "beta_private-2.0-py3-none-any.whl"
    monkeypatch.setitem(Index.files, name, bytes(range(256)) * 10_000)
    async with PackageIndexes(settings_of(index)) as indexes:
        _, page = await whole(indexes, "/index/0/beta-private/")
        (link,) = HREF.findall(page.decode())
        assert await whole(indexes, link) == (200, Index.files[name])
    assert [path for path, _ in Index.asked].count(f"/files/{name}") == 1  # fetched once


@pytest.mark.anyio
async def test_only_what_was_asked_for_counts_as_installed(index: str) -> None:
    async with PackageIndexes(settings_of(index)) as indexes:
        claimed = [("Beta_Private", "2.0"), ("alpha-private", "1.0"), ("evil", "1"), ("", "x y")]
        assert indexes.pins(claimed) == ()
        _, page = await whole(indexes, "/index/0/beta-private/")
        await whole(indexes, HREF.findall(page.decode())[0])
        assert indexes.pins(claimed) == ("beta-private==2.0",)


STRANGE = (
    "/", "/index/", "/index/0/", "/index/7/six/", "/index/0/../../etc/", "/index/0/a%2f..%2fb/",
    "/index/-1/six/", "/links/0/", "/files/" + "0" * 32 + "/a.whl", "/files/../../etc/passwd",
    "http://example.org/", "//example.org/a", "/index/0/six/?q=1", "/simple/six/", "\x00", "",
    "/index/0/" + "a" * 300 + "/", "file:///etc/passwd",
)  # fmt: skip


@pytest.mark.anyio
async def test_nothing_else_exists(index: str) -> None:
    async with PackageIndexes(settings_of(index)) as indexes:
        for path in STRANGE:
            assert (await whole(indexes, path))[0] == 404, path
    assert Index.asked == []


@pytest.mark.anyio
async def test_an_index_that_fails(index: str) -> None:
    nobody = f"http://{USER}:{PASSWORD}@127.0.0.1:9/simple"
    settings = PipSettings(indexes=(*settings_of(index).indexes, nobody, "http://[broken/simple"))
    async with PackageIndexes(settings) as indexes:
        for path, status in {
            "/index/0/broken/": 502,
            "/index/0/nonsense/": 502,
            "/index/0/unknown/": 404,
            "/index/1/six/": 502,
            "/index/2/six/": 502,
        }.items():
            found, body = await whole(indexes, path)
            assert found == status, path
            assert PASSWORD not in body.decode()
            assert body.count(b"\n") == 1


@pytest.mark.anyio
async def test_a_wrong_password_is_told_as_the_index_tells_it(index: str) -> None:
    async with PackageIndexes(PipSettings(indexes=(f"http://{index}/simple",))) as indexes:
        assert await whole(indexes, "/index/0/alpha-private/") == (
            502,
            b"the index answered 401\n",
        )


@pytest.mark.anyio
async def test_passwords_of_netrc_and_redirects(
    index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with PackageIndexes(PipSettings(indexes=(f"http://{index}/moved",))) as indexes:
        status, page = await whole(indexes, "/index/0/alpha-private/")
        assert status == 200
        (link,) = HREF.findall(page.decode())
        assert (await whole(indexes, link))[0] == 200


@pytest.mark.anyio
async def test_folders_as_indexes_and_links(tmp_path: Path) -> None:
    project = tmp_path / "simple" / "gamma"
    project.mkdir(parents=True)
    (project / "gamma-1.0-py3-none-any.whl").write_bytes(wheel("gamma"))
    (project / "index.html").write_text('<a href="gamma-1.0-py3-none-any.whl">gamma</a>')
    links = tmp_path / "links"
    links.mkdir()
    (links / "delta-1.0-py3-none-any.whl").write_bytes(wheel("delta"))
    (links / "secret.txt").write_text("secret")
    settings = PipSettings(indexes=((tmp_path / "simple").as_uri(),), links=(str(links),))
    async with PackageIndexes(settings) as indexes:
        for path, name in {"/index/0/gamma/": "gamma", "/links/0/": "delta"}.items():
            _, page = await whole(indexes, path)
            assert str(tmp_path) not in page.decode()
            (link,) = HREF.findall(page.decode())
            assert await whole(indexes, link) == (200, wheel(name))
        assert (await whole(indexes, "/index/0/other/"))[0] == 404


def test_what_pip_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "PIP_DEFAULT_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    bounds = tmp_path / "bounds.txt"
    bounds.write_text("six<2\n")
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://a.test/simple\nextra-index-url =\n    https://b.test/simple\n"
        f"    https://c.test/simple\ntrusted-host = b.test\nconstraint = {bounds}\n"
        "[install]\nindex-url = https://of-install.test/simple\n"
        "[download]\nindex-url = https://of-download.test/simple\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    found = read_pip_settings()
    assert found.indexes == (
        "https://of-install.test/simple", "https://b.test/simple", "https://c.test/simple",
    )  # fmt: skip
    assert (found.trusted, found.constraints) == (("b.test",), "six<2\n\n")
    monkeypatch.setenv("PIP_INDEX_URL", "https://of-environment.test/simple")
    assert read_pip_settings().indexes[0] == "https://of-environment.test/simple"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert read_pip_settings().indexes == ()


Ask = Callable[..., Report]


@pytest.fixture(params=[*BACKENDS, "bubblewrap", "namespaces"])
def ask(request: pytest.FixtureRequest, index: str) -> Ask:
    """Runs a setup command where there is a private index to ask."""

    def ask(command: str, **more: Any) -> Report:
        async def run() -> Report:
            async with PackageIndexes(settings_of(index, **more)) as indexes:
                given: dict[str, Any] = {
                    "slots": 1, "limits": LIMITS, "requirements": ("pip",), "indexes": indexes,
                }  # fmt: skip
                sandbox: Any
                if request.param == "docker":
                    sandbox = DockerSandbox(**given)
                else:
                    launcher = "auto" if request.param == "local" else request.param
                    sandbox = LocalSandbox(**given, launcher=launcher, allow_reduced=True)
                order = setup_order(SNAPSHOT.archive(), command, indexes=indexes.counts)
                job = Job(program="", kind="setup", limits=LIMITS, tests=(order,))
                async with sandbox:
                    report: Report = await sandbox.run(job)
                return report

        try:
            return anyio.run(run)
        except SandboxUnavailableError as error:
            if request.param == "docker":
                unavailable(str(error))
            pytest.skip(str(error))

    return ask


def test_a_command_installs_from_a_private_index(ask: Ask) -> None:
    report = ask(
        "python -m pip install alpha-private && "
        "python -c 'import alpha_private, beta_private; print(beta_private.VERSION)' > found"
    )
    assert report.outcome is Outcome.PASSED, report
    assert report.installed == (("alpha-private", "1.0"), ("beta-private", "2.0"))
    assert PASSWORD not in report.output
    assert USER not in report.output


PROBE = """
import json, os, re, socket, urllib.request
gate = os.environ["REGREEN_INDEX_GATE"]
host, port = gate.removeprefix("http://").split(":")
port = int(port)
found = {}

def tried(name, action):
    try:
        found[name] = str(action())
    except Exception as error:
        found[name] = type(error).__name__

def connected(*address, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as one:
        one.settimeout(3)
        one.connect(*address)
        return "connected"

def said(text):
    with socket.create_connection((host, port), 5) as one:
        one.sendall(text)
        return one.recv(4096).split(b"\\r\\n")[0].split(b" ")[1].decode()

def listening():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        return "listening"

tried("other port", lambda: connected(("127.0.0.1", port ^ 1)))
tried("ssh", lambda: connected(("127.0.0.1", 22)))
tried("elsewhere", lambda: connected(("192.0.2.1", port)))
tried("metadata", lambda: connected(("169.254.169.254", port)))
tried("datagrams", lambda: connected((host, port), kind=socket.SOCK_DGRAM))
tried("sctp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132))
tried("mptcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262))
tried("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
tried("six", lambda: socket.socket(socket.AF_INET6))
tried("unix", lambda: socket.socket(socket.AF_UNIX))
tried("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
tried("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
tried("listening", listening)
tried("absolute", lambda: said(b"GET http://example.org/ HTTP/1.1\\r\\nHost: e\\r\\n\\r\\n"))
tried("tunnel", lambda: said(b"CONNECT example.org:443 HTTP/1.1\\r\\n\\r\\n"))
tried("post", lambda: said(b"POST /index/0/six/ HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\nhi"))
tried("put", lambda: said(b"PUT /legacy/ HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\nhi"))
tried("long", lambda: said(b"GET /" + b"a" * 5000 + b" HTTP/1.1\\r\\n\\r\\n"))
tried("unknown", lambda: said(b"GET /index/0/unknown/ HTTP/1.1\\r\\n\\r\\n"))
tried("project", lambda: said(b"GET /index/0/alpha-private/ HTTP/1.1\\r\\n\\r\\n"))
page = urllib.request.urlopen(f"{gate}/index/0/alpha-private/").read().decode()
found["words"] = [word for word in ("s3cret", "bot", "http") if word in page or word in str(
    {name: value for name, value in os.environ.items() if "127.0.0.1" not in value})]
print(json.dumps(found))
"""
ALLOWED = {"unknown": "404", "project": "200", "absolute": "400", "tunnel": "501", "post": "501",
           "put": "501", "long": "400", "words": []}  # fmt: skip
REFUSED = {"PermissionError", "ConnectionRefusedError", "OSError"}


def test_a_command_reaches_nothing_else(ask: Ask) -> None:
    report = ask(f"python - <<'END'\n{PROBE}\nEND")
    assert report.outcome is Outcome.PASSED, report
    found = json.loads(report.output.strip().splitlines()[-1])
    for name, expected in ALLOWED.items():
        assert found.pop(name) == expected, name
    assert {name: said for name, said in found.items() if said not in REFUSED} == {}
    assert [path for path, _ in Index.asked] == ["/simple/unknown/", "/simple/alpha-private/"]


def test_many_who_ask_at_once_and_hang_up(ask: Ask) -> None:
    report = ask(
        "python - <<'END'\n"
        "import os, socket, subprocess, sys\n"
        "host, port = os.environ['REGREEN_INDEX_GATE'].removeprefix('http://').split(':')\n"
        "held = [socket.create_connection((host, int(port))) for _ in range(60)]\n"
        "for one in held[20:]:\n"
        "    one.sendall(b'GET /index/0/alpha-private/ HTTP/1.1\\r\\n\\r\\n')\n"
        "for one in held:\n"
        "    one.close()\n"
        "pip = [sys.executable, '-m', 'pip', 'install', '-q', 'beta-private']\n"
        "subprocess.run(pip, check=True)\n"
        "END"
    )
    assert report.outcome is Outcome.PASSED, report
    assert report.installed == (("beta-private", "2.0"),)


REDUCED = """
import anyio
from sandbox.indexes import PackageIndexes, PipSettings
from sandbox.jobs import Job
from sandbox.local import LocalSandbox
from sandbox.suite import setup_order
from tests.sandbox.test_indexes import LIMITS, SNAPSHOT

async def main():
    async with PackageIndexes(PipSettings(indexes=("http://127.0.0.1:9/simple",))) as indexes:
        command = "env; python -c 'import socket; socket.socket()'"
        order = setup_order(SNAPSHOT.archive(), command, indexes=indexes.counts)
        job = Job(program="", kind="setup", limits=LIMITS, tests=(order,))
        sandbox = LocalSandbox(slots=1, limits=LIMITS, allow_reduced=True, indexes=indexes)
        async with sandbox:
            report = await sandbox.run(job)
            print(sandbox.level, report.outcome, report.gated, "127.0.0.1" in report.output)
            print(report.output)

anyio.run(main)
"""


def test_without_a_network_of_its_own_a_command_asks_nobody() -> None:
    """Where the loopback is this machine's, whoever could connect would reach its servers."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("without_namespaces.py")), "-c", REDUCED],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("local/reduced failed False False\n"), done
    assert "PermissionError" in done.stdout
