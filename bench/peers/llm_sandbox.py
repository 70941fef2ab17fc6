"""llm-sandbox from PyPI, in the fastest way that its documentation has for many programs.

That is: the Docker backend, one session for each worker that is opened once and kept open,
`skip_environment_setup` (its "fast production mode"), and `run(code)` for each candidate, which
copies the program into the session's container and starts an interpreter on it. Its container
pool saves a session's start, which doesn't count here, and nothing for each program.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import queue
import time
from collections.abc import Sequence
from typing import Any

from bench.peers.base import TIMEOUT_SECONDS, PeerError, Round, in_threads
from bench.peers.engine import LABEL, MEMORY_MB, Containers
from bench.programs import Candidate


class LlmSandbox(Containers):
    """A kept session of llm-sandbox for each worker; a program that never ends costs a new one."""

    name = "llm-sandbox"
    label = "llm-sandbox"
    most = 20
    protected = True

    def missing(self) -> str:
        """Whether the package is installed and an engine answers."""
        if importlib.util.find_spec("llm_sandbox") is None:
            return "the package llm-sandbox is not installed; the extra `bench` brings it"
        return super().missing()

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """Opens the sessions first; that is its start."""
        errors = importlib.import_module("llm_sandbox.exceptions")
        began = time.perf_counter()
        sessions: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def judge(candidate: Candidate) -> bool:
            session = sessions.get()
            try:
                return bool(session.run(candidate.script).exit_code == 0)
            except errors.SandboxTimeoutError:
                # The program is still at work in there, and only the container's end stops it.
                session.container.kill()
                session.close()
                session = self._open()
                return False
            finally:
                sessions.put(session)

        with self.failures(), contextlib.ExitStack() as stack:
            stack.callback(self._close, sessions)
            try:
                for _ in range(workers):
                    sessions.put(self._open())
                started = time.perf_counter()
                return in_threads(judge, candidates, workers, started - began)
            except errors.SandboxError as error:
                raise PeerError(" ".join(str(error).split())[:300]) from None

    def _open(self) -> Any:
        package = importlib.import_module("llm_sandbox")
        session = package.SandboxSession(
            client=self.new_client(),  # it makes calls from threads of its own
            image=self.image,
            lang="python",
            skip_environment_setup=True,
            execution_timeout=TIMEOUT_SECONDS,
            encoding_errors="replace",
            runtime_configs={
                "network_mode": "none",
                "mem_limit": f"{MEMORY_MB}m",
                "labels": {LABEL: self.run_id},
                "log_config": {"Type": "none"},
                "init": True,  # without one its container takes ten seconds to stop
            },
        )
        session.open()
        # it calls `python`, and the image has `python3`
        session.execute_command("ln -s /usr/bin/python3 /usr/local/bin/python")
        return session

    @staticmethod
    def _close(sessions: queue.SimpleQueue[Any]) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                session = sessions.get_nowait()
                session.close()
                session.client.close()
