"""Peers that ask a container engine for something for each candidate, and what they share."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import docker

from bench.peers.base import TIMEOUT_SECONDS, PeerError, Round, in_threads
from bench.programs import Candidate
from sandbox.docker import connect
from sandbox.errors import SandboxError
from sandbox.image import ImageError, ensure_image

LABEL = "org.regreen.bench"
"""On every container of a peer's; its value begins with the process id of the benchmark."""
MEMORY_MB = 768
_LAST_SECONDS = 3600
_ENGINE_FAILED = 125
"""What `docker run` exits with where no container came about."""

# The alarm's default is to end the process: a peer without a limit of its own must have one, too.
_SCRIPT = (
    "import signal, sys; signal.setitimer(signal.ITIMER_REAL, {seconds}); "
    "exec(compile(sys.stdin.buffer.read(), '<candidate>', 'exec'), {{}})"
)


class Containers:
    """The engine, the image, and the clearing away of all that a peer has started.

    Attributes:
        image: the sandbox image, once `missing` has found it.
        run_id: on every container, as the label's value or in its name.
    """

    def __init__(self) -> None:
        self.image = ""
        self.run_id = f"{os.getpid()}-{uuid.uuid4().hex}"
        self._local = threading.local()

    def missing(self) -> str:
        """Whether an engine answers and has the sandbox image."""
        try:
            with contextlib.closing(connect()) as client:
                self.image = ensure_image(client)
        except (SandboxError, ImageError) as error:
            return str(error)
        return ""

    @property
    def client(self) -> docker.DockerClient:
        """This thread's own client: one connection at a time is all that a client is good for."""
        client: docker.DockerClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self.new_client()
        return client

    @staticmethod
    def new_client() -> docker.DockerClient:
        """A client of one's own, to be closed by whoever asked for it."""
        return docker.from_env(timeout=120)

    def options(self) -> dict[str, Any]:
        """A container as one would have it for such programs."""
        return {
            "image": self.image,
            "network_mode": "none",
            "read_only": True,
            "tmpfs": {"/tmp": "size=16m"},
            "mem_limit": f"{MEMORY_MB}m",
            "labels": {LABEL: self.run_id},
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
            with contextlib.closing(self.new_client()) as found:
                for kind in ({"label": f"{LABEL}={self.run_id}"}, {"name": self.run_id}):
                    left = found.containers.list(all=True, filters=kind, ignore_removed=True)
                    for container in left:
                        with contextlib.suppress(docker.errors.APIError):
                            container.remove(v=True, force=True)


class DockerExec(Containers):
    """One running container, and for each candidate what `docker exec` asks the engine for."""

    name = "docker-exec-api"
    label = "docker exec, by the API"
    most = 80
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
            return in_threads(
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


class DockerRun(Containers):
    """What `docker run --rm -i` asks the engine for, asked without the command."""

    name = "docker-run-api"
    label = "docker run, by the API"
    most = 20
    protected = True

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """Over the engine's API: its command would add its own start to each."""
        with self.failures():
            return in_threads(self._judge, candidates, workers, 0.0)

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


class DockerExecCommand(DockerExec):
    """The same container, and the command `docker exec -i` for each candidate."""

    name = "docker-exec"
    label = "docker exec each"

    def missing(self) -> str:
        """Whether the command is there besides."""
        return _no_command() or super().missing()

    def _judge(self, container: str, candidate: Candidate) -> bool:
        return _by_command(["exec", "--interactive", container], candidate)


class DockerRunCommand(Containers):
    """A throwaway container for each candidate, as most people make one: `docker run --rm -i`."""

    name = "docker-run"
    label = "docker run each"
    most = 20
    protected = True

    def missing(self) -> str:
        """Whether the command is there besides."""
        return _no_command() or super().missing()

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """By the command, whose own start is part of what it costs."""
        with self.failures():
            return in_threads(self._judge, candidates, workers, 0.0)

    def flags(self) -> list[str]:
        """What the command is told besides: nothing that it doesn't need."""
        return []

    def _judge(self, candidate: Candidate) -> bool:
        label = f"{LABEL}={self.run_id}"
        words = ["run", "--rm", "--interactive", "--label", label, *self.flags(), self.image]
        return _by_command(words, candidate)


class DockerRunLocked(DockerRunCommand):
    """The same, with the options that such programs call for."""

    name = "docker-run-locked"
    label = "docker run, locked down"

    def flags(self) -> list[str]:
        """No network, a read-only root, a limit on memory, no log."""
        options = self.options()
        path, size = next(iter(options["tmpfs"].items()))
        flags = ["--network", options["network_mode"], "--read-only", "--tmpfs", f"{path}:{size}"]
        return [*flags, "--memory", options["mem_limit"], "--log-driver", "none"]


def _no_command() -> str:
    return "" if shutil.which("docker") else "the command `docker` is not installed"


def _by_command(words: Sequence[str], candidate: Candidate) -> bool:
    """Whether an interpreter, started by the command, takes the candidate's script.

    Raises:
        PeerError: the engine failed.
    """
    done = subprocess.run(
        ["docker", *words, *_command()],
        input=candidate.script.encode("utf-8", "surrogatepass"),
        capture_output=True,
    )
    if done.returncode == _ENGINE_FAILED:
        raise PeerError(" ".join(done.stderr.decode(errors="replace").split())[:300])
    return done.returncode == 0


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
