"""What a controller has on this machine, and whether anything of it is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from sandbox.watcher import LABEL
from tests.sandbox.test_sandbox_endings import commands, descendants, mounts

SECONDS = 10.0
"""After so many nothing is left."""


@contextlib.contextmanager
def engine(backend: str, **given: Any) -> Iterator[docker.DockerClient | None]:
    """A client where the backend has an engine."""
    if backend != "docker":
        yield None
        return
    client = docker.DockerClient(**given) if given else docker.from_env()
    try:
        yield client
    finally:
        client.close()


@dataclass
class Machine:
    """What there was before, to compare with.

    Args:
        client: of the engine, where there is one.
        folders: where nothing must be left.
        nonce: on the command line of whatever the candidates start.
    """

    client: docker.DockerClient | None
    folders: tuple[Path, ...]
    nonce: str
    _mounts: list[str] = field(default_factory=list)
    _volumes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._mounts = mounts(*self.folders)
        self._volumes = self._volumes_now()

    def kill(self, controller: subprocess.Popen[Any]) -> set[int]:
        """Kills a controller in mid-step; returns the processes that it had started."""
        controller.send_signal(signal.SIGSTOP)  # so that it starts nothing while we look
        started = descendants(controller.pid)
        controller.kill()
        controller.wait()
        return started

    def left(self, controller: int, started: set[int]) -> list[str]:
        """What is there of a controller now."""
        found = [
            f"process {pid}: {command[:200]!r}"
            for pid, command in commands().items()
            if (pid in started or self.nonce in command) and pid != os.getpid()
        ]
        found += [f"container {one.name}: {one.status}" for one in self._containers(controller)]
        found += [str(path) for folder in self.folders for path in folder.iterdir()]
        found += [f"mount {line}" for line in mounts(*self.folders) if line not in self._mounts]
        text = Path("/proc/net/unix").read_text()
        found += [
            line for line in text.splitlines() for folder in self.folders if str(folder) in line
        ]
        return found

    def settles(self, controller: int, started: set[int], note: str) -> float:
        """Fails if anything is left after ten seconds; returns how many it took."""
        began = time.monotonic()
        while (left := self.left(controller, started)) and time.monotonic() - began < SECONDS:
            time.sleep(0.1)
        assert left == [], f"{note}: {left}"
        return time.monotonic() - began

    def no_new_volumes(self) -> None:
        """Fails if the engine has a volume that it hadn't before."""
        assert self._volumes_now() <= self._volumes

    def _containers(self, controller: int) -> list[Any]:
        if self.client is None:
            return []
        ours = {"label": f"{LABEL}={controller}"}
        return list(self.client.containers.list(all=True, ignore_removed=True, filters=ours))

    def _volumes_now(self) -> set[str]:
        return {one.name for one in self.client.volumes.list()} if self.client else set()
