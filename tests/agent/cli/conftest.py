"""Runs the real command in a process of its own, with nothing of the user's around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker
import pytest

from sandbox.docker import connect
from sandbox.errors import SandboxUnavailableError

REPOSITORY = Path(__file__).resolve().parents[3]
COMMAND = (sys.executable, "-P", "-m", "agent.cli")
_FOREIGN = ("REGREEN_", "OPENAI_", "ANTHROPIC_", "NO_COLOR", "PYTHON")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Standard output as JSON, an object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def line(self) -> str:
        """The one line that a mistake gets."""
        assert "Traceback" not in self.err, self.err
        lines = [line for line in self.err.splitlines() if line.startswith("regreen: ")]
        assert len(lines) == 1, self.err
        return lines[0]


@dataclass
class Command:
    """The command with an environment and a folder of its own."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def runs(self) -> list[Path]:
        """All run folders, oldest first."""
        root = Path(self.environment["REGREEN_RUNS"])
        return sorted(root.iterdir()) if root.is_dir() else []

    def start(
        self, *words: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.Popen[str]:
        """Starts it."""
        process = subprocess.Popen(
            [*COMMAND, *map(str, words)],
            cwd=cwd or self.folder,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
        self.started.append(process)
        return process

    def end(self, process: subprocess.Popen[str], *, timeout: float = 240) -> Ended:
        """Waits for its end."""
        out, err = process.communicate(timeout=timeout)
        return Ended(process.returncode, out, err)

    def __call__(
        self,
        *words: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 240,
    ) -> Ended:
        return self.end(self.start(*words, env=env, cwd=cwd), timeout=timeout)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that the tests share: the judge's libraries are copied into it once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def regreen(tmp_path: Path, cache: Path) -> Iterator[Command]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        kept.pop(name, None)
    command = Command(
        tmp_path,
        {
            **kept,
            "PYTHONPATH": str(REPOSITORY),
            "REGREEN_CACHE_DIR": str(cache),
            "REGREEN_RUNS": str(tmp_path / "runs"),
            "REGREEN_SANDBOX": "local",
        },
    )
    yield command
    for process in command.started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def add_one(tmp_path: Path) -> Path:
    """A task folder: `f(n)` is `n + 1`, by two tests."""
    folder = tmp_path / "add_one"
    folder.mkdir()
    (folder / "task.toml").write_text(
        "prompt = '''\ndef f(n: int) -> int:\n    \"\"\"Return n plus one.\"\"\"\n'''\n"
        'entry_point = "f"\n'
    )
    (folder / "test_f.py").write_text(
        "from solution import f\n\n\ndef test_two():\n    assert f(1) == 2\n\n\n"
        "def test_nine():\n    assert f(8) == 9\n"
    )
    return folder


RIGHT = "def f(n):\n    return n + 1\n"
WRONG = "def f(n):\n    return n + 2\n"


@pytest.fixture
def bank(tmp_path: Path) -> Callable[..., str]:
    """Writes a bank of whole programs and returns the model's name."""

    def write(programs: Mapping[str, Sequence[str]], name: str = "bank.jsonl") -> str:
        rows = [
            {"task_id": task, "solution": text}
            for task, texts in programs.items()
            for text in texts
        ]
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return f"replay/{tmp_path / name}"

    return write


@pytest.fixture
def right_bank(bank: Callable[..., str]) -> str:
    """A bank whose second sample solves `add_one`."""
    return bank({"add_one": [WRONG, RIGHT]})


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Six tasks in one file: `f` of task K adds K."""
    rows = [
        {
            "task_id": f"add/{k}",
            "prompt": f'def f(n):\n    """Return n plus {k}."""\n',
            "entry_point": "f",
            "tests": f"assert f(1) == {1 + k}\nassert f(7) == {7 + k}\n",
        }
        for k in range(1, 7)
    ]
    path = tmp_path / "suite.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


Answer = Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes]]


def chat(text: str) -> tuple[int, dict[str, str], bytes]:
    """A whole answer that was not streamed."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}
    body = json.dumps({"choices": [choice], "usage": usage}).encode()
    return 200, {"Content-Type": "application/json"}, body


class Server:
    """A loopback server for the chat protocol that answers after a while and keeps count."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.answer: Answer = lambda _request: chat(f"```python\n{RIGHT}```")
        self.requests: list[dict[str, Any]] = []
        self.answered = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                request = json.loads(self.rfile.read(size))
                with outer._lock:
                    outer.requests.append(request)
                time.sleep(outer.delay)
                status, headers, body = outer.answer(request)
                length = headers.pop("X-Promise", str(len(body)))
                try:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": length}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    return  # the client has gone
                if length != str(len(body)):
                    self.close_connection = True
                with outer._lock:
                    outer.answered += 1

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def words(self) -> tuple[str, ...]:
        """What the command needs to ask it."""
        url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        return ("--model", "openai/test", "--base-url", url)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def say() -> Callable[[str], tuple[int, dict[str, str], bytes]]:
    return chat


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    """A Docker engine that answers; skips where there is none."""
    try:
        client = connect()  # it knocks first: the docker package leaks a socket otherwise
        client.ping()
    except SandboxUnavailableError as error:
        if os.environ.get("REGREEN_REQUIRE_DOCKER") == "1":
            pytest.fail(f"no Docker engine ({error}), but REGREEN_REQUIRE_DOCKER=1")
        pytest.skip("no Docker engine")
    return client
